//! [`Flavor`]: what every kind of RCU offers, so that generic code can take any.

use std::ptr::NonNull;
use std::time::Duration;

use crate::gp::Notifier;
use crate::{Cookie, Wait};

/// A kind of RCU: a handle through which sections are opened and grace periods are named, asked
/// about and waited for.
///
/// A **section** lasts from [`read_lock`](Flavor::read_lock) to the drop of the guard. A **grace
/// period** is any stretch of time by whose end every section that was open at its beginning has
/// ended. A [`Cookie`] names the end of one.
///
/// The rule that makes it useful: what a thread did before it took a cookie (unlinking an object,
/// say) is visible to every section that is still open, or opens, once that cookie is done. So
/// when the cookie is done nobody can hold what was unlinked.
///
/// ```
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::{AtomicPtr, Ordering};
///
/// let shared = AtomicPtr::new(Box::into_raw(Box::new(1)));
///
/// // A reader: what it loads stays whole until its guard is dropped.
/// let guard = Rcu.read_lock();
/// // SAFETY: the pointer is valid and freed only after a grace period.
/// assert_eq!(unsafe { *shared.load(Ordering::Acquire) }, 1);
/// drop(guard);
///
/// // An updater: unlink, wait for a grace period, free.
/// let old = shared.swap(Box::into_raw(Box::new(2)), Ordering::AcqRel);
/// Rcu.synchronize();
/// // SAFETY: unlinked, and every section that could have seen it has ended.
/// drop(unsafe { Box::from_raw(old) });
/// # drop(unsafe { Box::from_raw(shared.into_inner()) });
/// ```
///
/// # Safety
///
/// Code that frees memory trusts an implementation: `poll` may be true, and `synchronize`,
/// `cond_synchronize` and a notifier's call may happen, only when the rule above holds for the
/// cookie in question. Clones must be handles of the same domain.
///
/// `get_state` is a full fence. Cookies are [`GpSeq::snapshot`](crate::GpSeq::snapshot)s of one
/// sequence, kept as [`Engine`](crate::gp::Engine) keeps it: multiples of 4, each grace period 4 after
/// the one before, never going back, at most [`ACTIVE_COOKIES`](crate::ACTIVE_COOKIES) of them live.
/// `poll` agrees with [`Cookie::is_done_at`] on the order, for every multiple of 4 up to the latest
/// snapshot, whether it was given out or not. `notify` makes one call for each arming.
pub unsafe trait Flavor: Clone + Send + Sync + 'static {
    /// Keeps a section open; dropping it ends the section.
    type Guard<'a>
    where
        Self: 'a;

    /// Opens a section. Sections nest. Never blocks, in no flavour.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// let outer = Rcu.read_lock();
    /// let inner = Rcu.read_lock();
    /// drop(outer); // any order will do
    /// drop(inner);
    /// ```
    fn read_lock(&self) -> Self::Guard<'_>;

    /// The cookie of the first grace period that is sure to cover all that the caller did before.
    ///
    /// Starts nothing: unless somebody asks for that grace period it may never come. A full memory
    /// fence and a load.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// let cookie = Rcu.get_state();
    /// Rcu.synchronize();
    /// assert!(Rcu.poll(cookie));
    /// ```
    fn get_state(&self) -> Cookie<Self>;

    /// As [`get_state`](Flavor::get_state), and asks for that grace period: it will come without
    /// anybody waiting for it, as long as background threads run
    /// ([`runtime::start`](crate::runtime::start)); until then the request is kept.
    ///
    /// Never blocks and never starts a thread.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu, runtime};
    /// runtime::start();
    /// let cookie = Rcu.start_poll();
    /// while !Rcu.poll(cookie) {
    ///     std::thread::yield_now(); // or do something useful
    /// }
    /// ```
    fn start_poll(&self) -> Cookie<Self>;

    /// As [`start_poll`](Flavor::start_poll), without regard to the interval: the background
    /// threads run that grace period at once.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu, runtime};
    /// runtime::start();
    /// let cookie = Rcu.start_poll_expedited();
    /// while !Rcu.poll(cookie) {
    ///     std::thread::yield_now();
    /// }
    /// ```
    fn start_poll_expedited(&self) -> Cookie<Self>;

    /// Whether the grace period that `cookie` names is over.
    ///
    /// Once this is true it is a full memory fence: what the ended sections did comes before what
    /// the caller does next. While it is false it promises nothing and costs one load.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// let guard = Rcu.read_lock();
    /// let cookie = Rcu.get_state();
    /// assert!(!Rcu.poll(cookie)); // our own section holds it up
    /// drop(guard);
    /// ```
    fn poll(&self, cookie: Cookie<Self>) -> bool;

    /// The index of the first cookie in `cookies` whose grace period is over, all compared with
    /// one read of the sequence. Ordered as [`poll`](Flavor::poll) is.
    ///
    /// ```
    /// use rcu_core::{Cookie, Flavor, Rcu};
    /// let guard = Rcu.read_lock();
    /// let live = Rcu.get_state();
    /// assert_eq!(Rcu.poll_any(&[live]), None);
    /// assert_eq!(Rcu.poll_any(&[live, Cookie::COMPLETED]), Some(1));
    /// # drop(guard);
    /// ```
    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize>;

    /// Waits until the grace period that `cookie` names is over; returns at once when it is.
    ///
    /// # Panics
    ///
    /// Inside a section of this flavour (where that can be told) and inside a callback.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// let cookie = Rcu.get_state();
    /// Rcu.cond_synchronize(cookie);
    /// Rcu.cond_synchronize(cookie); // returns at once
    /// ```
    fn cond_synchronize(&self, cookie: Cookie<Self>);

    /// Waits until the grace period that `cookie` names is over, for `timeout` at most; says whether
    /// it is.
    ///
    /// # Panics
    ///
    /// As [`cond_synchronize`](Flavor::cond_synchronize).
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// use std::time::Duration;
    /// let cookie = Rcu.get_state();
    /// if !Rcu.wait_timeout(cookie, Duration::from_secs(60)) {
    ///     eprintln!("a reader is stuck: {}", Rcu.stats());
    /// }
    /// ```
    fn wait_timeout(&self, cookie: Cookie<Self>, timeout: Duration) -> bool;

    /// A future that is ready once the grace period that `cookie` names is over.
    ///
    /// It needs no particular executor, and may be dropped at any time. Polling it panics where
    /// [`cond_synchronize`](Flavor::cond_synchronize) does.
    ///
    /// ```
    /// # fn block_on(future: impl Future<Output = ()>) {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     while future.as_mut().poll(&mut context).is_pending() { std::thread::yield_now() }
    /// # }
    /// use rcu_core::{Flavor, Rcu};
    /// block_on(async {
    ///     let cookie = Rcu.get_state();
    ///     Rcu.wait(cookie).await;
    ///     assert!(Rcu.poll(cookie));
    /// });
    /// ```
    fn wait(&self, cookie: Cookie<Self>) -> Wait<Self> {
        Wait::new(self.clone(), cookie)
    }

    /// Waits for a grace period that begins after the call.
    ///
    /// Grace periods begin at most every [`gp_interval`](crate::runtime::gp_interval); all who
    /// wait share them.
    ///
    /// # Panics
    ///
    /// As [`cond_synchronize`](Flavor::cond_synchronize).
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// Rcu.synchronize();
    /// ```
    ///
    /// ```should_panic
    /// use rcu_core::{Flavor, Rcu};
    /// let _guard = Rcu.read_lock();
    /// Rcu.synchronize(); // would wait for itself
    /// ```
    fn synchronize(&self);

    /// As [`synchronize`](Flavor::synchronize), at once: the calling thread runs the grace period
    /// itself, without regard to the interval.
    ///
    /// # Panics
    ///
    /// As [`cond_synchronize`](Flavor::cond_synchronize).
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// Rcu.synchronize_expedited();
    /// ```
    fn synchronize_expedited(&self);

    /// Whether the calling thread is inside a section of this flavour; `None` where a flavour
    /// cannot tell.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// assert_eq!(Rcu.in_section(), Some(false));
    /// let _guard = Rcu.read_lock();
    /// assert_eq!(Rcu.in_section(), Some(true));
    /// ```
    fn in_section(&self) -> Option<bool>;

    /// Arms `notifier`: it is called exactly once, when the grace period that `cookie` names is
    /// over, and that grace period is asked for. A building block for queues; see [`Notifier`] for
    /// what its call may do and an example.
    ///
    /// The call comes from whichever thread notices, and from inside `notify` itself when the cookie
    /// is done already.
    ///
    /// # Safety
    ///
    /// `notifier` must point to a [`Notifier`] that is not armed now and that stays valid, and
    /// unmoved, until its call has begun.
    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>);
}
