//! Who does the work that nobody waits for: background threads, those who wait, or the embedder.
//!
//! In the [mode](Mode) `Threads`, one thread, `rcu-gp`, drives every domain's grace periods and every
//! timer, and never waits inside one; others, `rcu-reclaim`, run callbacks and free. They start
//! together, when something is made that needs them or on the first call that waits, or explicitly
//! by [`start`]; never from a section, from [`get_state`](crate::Flavor::get_state),
//! [`start_poll`](crate::Flavor::start_poll) or an enqueue. They block all signals that come from
//! outside, and run on the CPUs and under the scheduling policy of the main thread. While nothing is
//! pending they sleep without waking.
//!
//! In the mode `Callers`, and also if no thread can be had, whoever waits does the work: nothing is
//! lost, but nothing happens either while nobody waits; and destructors run on whichever thread that
//! is, so it must not hold a lock that they take. In the mode `External` the embedder calls
//! [`drive`] besides.

mod config;
mod executor;
mod fatal;
mod pthread;
mod scope;
mod task;
mod threads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use config::{AlreadyStarted, Config, Mode, configure};
pub use executor::Executor;
pub(crate) use fatal::aborting;
pub use fatal::survives;
pub use scope::{CallbackScope, callback_scope, in_callback};
pub use task::{Next, Task};
pub use threads::start;
pub(crate) use threads::{HeldRuntime, hold};

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

/// Nanoseconds.
static GP_INTERVAL: AtomicU64 = AtomicU64::new(1_000_000);

/// The least time between the starts of two grace periods that nobody expedites, and the longest
/// that a queue holds on to an object before it asks for a grace period: 1 ms unless set.
///
/// ```
/// assert_eq!(rcu_core::runtime::gp_interval().as_millis(), 1);
/// ```
pub fn gp_interval() -> Duration {
    Duration::from_nanos(GP_INTERVAL.load(Ordering::Relaxed))
}

/// Sets the [`gp_interval`], from now on. Shorter frees sooner; longer frees in larger batches and
/// interrupts other CPUs less often.
///
/// ```
/// use std::time::Duration;
/// rcu_core::runtime::set_gp_interval(Duration::from_millis(5));
/// # rcu_core::runtime::set_gp_interval(Duration::from_millis(1));
/// ```
pub fn set_gp_interval(interval: Duration) {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    GP_INTERVAL.store(nanos, Ordering::Relaxed);
    // Who waits for the end of the old one looks at the new one.
    GP.rush();
}

/// Does what is due, for `budget` at most (a piece of work that has begun is finished); says when
/// something is due next, `None` if nothing is pending.
///
/// For the mode [`External`](Mode::External): call it when something was enqueued or asked for, and
/// when it said. It may be called from any thread, in any mode, outside sections.
///
/// ```
/// use rcu_core::{Flavor, Rcu, runtime};
/// use std::time::Duration;
/// let cookie = Rcu.start_poll();
/// while !Rcu.poll(cookie) {
///     runtime::drive(Duration::from_millis(10));
/// }
/// ```
pub fn drive(budget: Duration) -> Option<Instant> {
    let end = Instant::now().checked_add(budget);
    [GP.visit(end), RECLAIM.visit(end)].into_iter().flatten().min()
}

/// Does the background threads' work once, for a caller that waits while there are none.
pub(crate) fn help() {
    GP.visit(None);
    RECLAIM.visit(None);
}
