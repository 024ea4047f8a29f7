//! The background threads: one that runs grace periods, one that runs what waited for them.
//!
//! `rcu-gp` drives every domain's grace periods and every timer, and never waits inside one.
//! `rcu-reclaim` runs callbacks and frees. They start together, when something is made that needs
//! them or on the first call that waits, or explicitly by [`start`]; never from a section,
//! from [`get_state`](crate::Flavor::get_state), [`start_poll`](crate::Flavor::start_poll) or an
//! enqueue. Both block all signals. While nothing is pending they sleep without waking.
//!
//! If no thread can be had nothing is lost: whoever waits does the work.

mod executor;
mod fatal;
mod task;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::signals::without_signals;

pub use executor::Executor;
pub(crate) use fatal::aborting;
pub use task::{Next, Task};

static GP: Executor = Executor::new();
static RECLAIM: Executor = Executor::new();

/// The executor that runs grace periods and timers. Its tasks must be short and must not block.
///
/// ```
/// println!("{:?}", rcu_core::runtime::gp());
/// ```
pub fn gp() -> &'static Executor {
    &GP
}

/// The executor that runs callbacks and frees memory.
///
/// ```
/// println!("{:?}", rcu_core::runtime::reclaim());
/// ```
pub fn reclaim() -> &'static Executor {
    &RECLAIM
}

/// The least time between the starts of two grace periods that nobody expedites, and the longest
/// that a queue holds on to an object before it asks for a grace period.
///
/// ```
/// assert_eq!(rcu_core::runtime::gp_interval().as_millis(), 1);
/// ```
pub const fn gp_interval() -> Duration {
    Duration::from_millis(1)
}

/// Starts the background threads if they do not run yet, and says whether they run.
///
/// False means that the system gave us no thread, or not both; the calls that wait then do the work
/// themselves. It is not tried again.
///
/// ```
/// assert!(rcu_core::runtime::start());
/// ```
pub fn start() -> bool {
    static RUNNING: OnceLock<bool> = OnceLock::new();
    *RUNNING.get_or_init(|| spawn("rcu-reclaim", &RECLAIM) && spawn("rcu-gp", &GP))
}

/// Does the background threads' work once, for a caller that waits while there are none.
pub(crate) fn help() {
    GP.turn();
    RECLAIM.turn();
}

/// Starts a thread that blocks all signals: handlers run on the threads of those who set them.
fn spawn(name: &str, executor: &'static Executor) -> bool {
    // A new thread inherits the mask of its maker.
    without_signals(|| {
        thread::Builder::new().name(name.into()).spawn(move || executor.run()).is_ok()
    })
}

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// Marks the calling thread as running callbacks until it is dropped; see [`callback_scope`].
///
/// ```
/// let scope = rcu_core::runtime::callback_scope();
/// drop(scope);
/// ```
#[derive(Debug)]
pub struct CallbackScope {
    /// The mark is the thread's.
    not_send: PhantomData<*mut ()>,
}

/// Marks the calling thread as running callbacks: calls that wait for a grace period panic there,
/// because the callbacks behind this one may be what they wait for.
///
/// ```
/// use rcu_core::runtime::{callback_scope, in_callback};
/// let scope = callback_scope();
/// assert!(in_callback());
/// drop(scope);
/// assert!(!in_callback());
/// ```
pub fn callback_scope() -> CallbackScope {
    CALLBACKS.with(|depth| depth.set(depth.get() + 1));
    CallbackScope { not_send: PhantomData }
}

/// Whether the calling thread is inside a [`callback_scope`].
///
/// ```
/// assert!(!rcu_core::runtime::in_callback());
/// ```
pub fn in_callback() -> bool {
    CALLBACKS.with(Cell::get) != 0
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        CALLBACKS.with(|depth| depth.set(depth.get() - 1));
    }
}
