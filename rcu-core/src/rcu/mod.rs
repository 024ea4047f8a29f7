//! The process-wide flavour: reader slots, their registry, and the handle [`Rcu`].
//!
//! A section costs two stores to a word of the thread's own; a grace period looks at the word of
//! every thread.

mod fork;
mod guard;
mod registry;
mod slot;
mod stats;
mod thread;

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::asym::{self, Strategy};
use crate::gp::{Engine, Notifier};
use crate::{Cookie, Flavor, runtime};

pub(crate) use fork::{
    HeldDriver, HeldSlots, driver_task, hold_driver, hold_slots, resume_in_child,
};
pub use guard::RcuGuard;
use registry::Registry;
pub use registry::StrategyFrozen;
pub use stats::RcuStats;

static ENGINE: Engine<Registry> = Engine::new(Registry::new());

/// The process-wide RCU: a zero-sized handle. What it can do is [`Flavor`].
///
/// ```
/// use rcu_core::{Flavor, Rcu};
///
/// let guard = Rcu.read_lock();
/// // what was reachable when the section began stays whole
/// drop(guard);
/// Rcu.synchronize(); // every section that was open at the call has ended
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rcu;

impl Rcu {
    /// Registers the calling thread as a reader now, rather than at its first section.
    ///
    /// A duty of threads whose signal handlers open sections: registration itself must not happen
    /// in a handler. Otherwise it only moves the cost of the first section.
    ///
    /// ```
    /// rcu_core::Rcu.register_thread();
    /// ```
    pub fn register_thread(&self) {
        thread::register();
    }

    /// Chooses how readers and grace periods are ordered, before the first section and the first
    /// grace period of the process. Without it `RCU_STRATEGY=fence` or `membarrier` in the
    /// environment decides, else what the system grants.
    ///
    /// # Errors
    ///
    /// [`StrategyFrozen`] if another strategy is in use already, or if this one cannot be had.
    ///
    /// ```
    /// use rcu_core::{Rcu, Strategy};
    /// if let Err(refused) = Rcu.set_strategy(Strategy::Fence) {
    ///     eprintln!("{refused}");
    /// }
    /// ```
    pub fn set_strategy(&self, strategy: Strategy) -> Result<(), StrategyFrozen> {
        ENGINE.readers().set_strategy(strategy)
    }

    /// The strategy in use. Decides it if it is still open.
    ///
    /// ```
    /// println!("{}", rcu_core::Rcu.strategy());
    /// ```
    pub fn strategy(&self) -> Strategy {
        ENGINE.readers().choice().strategy
    }

    /// Why this strategy is in use.
    ///
    /// ```
    /// println!("{}", rcu_core::Rcu.strategy_reason());
    /// ```
    pub fn strategy_reason(&self) -> &'static str {
        ENGINE.readers().choice().reason
    }

    /// One heavy barrier of the strategy in use: what a grace period cannot be cheaper than. For
    /// measuring.
    ///
    /// ```
    /// rcu_core::Rcu.heavy_barrier();
    /// ```
    pub fn heavy_barrier(&self) {
        asym::heavy(self.strategy());
    }

    /// What there is to know: strategy, sequence, who waits, who holds grace periods up.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// let before = Rcu.stats().grace_periods.started;
    /// Rcu.synchronize_expedited();
    /// assert!(Rcu.stats().grace_periods.started > before);
    /// println!("{}", Rcu.stats());
    /// ```
    pub fn stats(&self) -> RcuStats {
        RcuStats {
            strategy: self.strategy(),
            reason: self.strategy_reason(),
            threads: ENGINE.readers().threads(),
            grace_periods: ENGINE.stats(),
        }
    }

    /// Panics where waiting could never end.
    #[track_caller]
    fn may_wait(&self) {
        assert!(
            !thread::in_section(),
            "waited for an RCU grace period inside an RCU section: it cannot end before the \
             section does. Drop the guard first."
        );
        assert!(
            !runtime::in_callback(),
            "waited for an RCU grace period inside a callback: the callbacks behind it may be \
             what it waits for. Wait on a thread of your own."
        );
    }
}

// SAFETY: grace periods come from the engine, whose protocol is modelled (`rcubench model gp`), over
// the registry of all readers.
unsafe impl Flavor for Rcu {
    type Guard<'a> = RcuGuard;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn read_lock(&self) -> RcuGuard {
        RcuGuard::enter()
    }

    #[inline]
    fn get_state(&self) -> Cookie<Self> {
        Cookie::from_seq(ENGINE.snapshot())
    }

    fn start_poll(&self) -> Cookie<Self> {
        let cookie = self.get_state();
        ENGINE.request(cookie.seq());
        cookie
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        let cookie = self.get_state();
        ENGINE.request_expedited(cookie.seq());
        cookie
    }

    #[inline]
    fn poll(&self, cookie: Cookie<Self>) -> bool {
        let done = cookie.is_done_at(ENGINE.peek());
        if done {
            asym::full();
        }
        done
    }

    #[inline]
    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        let now = ENGINE.peek();
        let first = cookies.iter().position(|cookie| cookie.is_done_at(now));
        if first.is_some() {
            asym::full();
        }
        first
    }

    #[track_caller]
    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        self.may_wait();
        if !self.poll(cookie) {
            ENGINE.wait(cookie.seq(), None);
        }
    }

    #[track_caller]
    fn wait_timeout(&self, cookie: Cookie<Self>, timeout: Duration) -> bool {
        self.may_wait();
        // A deadline beyond what the clock can say is none.
        self.poll(cookie) || ENGINE.wait(cookie.seq(), Instant::now().checked_add(timeout))
    }

    #[track_caller]
    fn synchronize(&self) {
        self.may_wait();
        ENGINE.wait(ENGINE.snapshot(), None);
    }

    #[track_caller]
    fn synchronize_expedited(&self) {
        self.may_wait();
        ENGINE.drive(ENGINE.snapshot(), None);
    }

    #[inline]
    fn in_section(&self) -> Option<bool> {
        Some(thread::in_section())
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        let end = if cookie == Cookie::COMPLETED { ENGINE.peek() } else { cookie.seq() };
        // SAFETY: the caller's promise.
        unsafe { ENGINE.arm(notifier, end) };
    }
}
