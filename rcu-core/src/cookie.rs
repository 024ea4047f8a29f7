//! Cookies: the names of grace periods.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use crate::GpSeq;

/// The most distinct cookies of one domain that can be live (taken and not yet done) at once.
///
/// They are adjacent: the end of the grace period in progress, and of the one after it.
pub const ACTIVE_COOKIES: usize = 2;

/// Names the end of a grace period of the flavour `F`.
///
/// Taken with [`Flavor::get_state`](crate::Flavor::get_state) or
/// [`start_poll`](crate::Flavor::start_poll), asked about with
/// [`poll`](crate::Flavor::poll), waited for with
/// [`cond_synchronize`](crate::Flavor::cond_synchronize). A plain word: copy it, store it, compare
/// it for equality. Cookies have no order (the sequence behind them wraps) and no default; the
/// one that is always done is [`Cookie::COMPLETED`].
///
/// A cookie of one flavour cannot be asked of another:
///
/// ```compile_fail
/// use rcu_core::{Cookie, Flavor, Rcu};
///
/// fn ask<F: Flavor>(cookie: Cookie<F>) -> bool {
///     Rcu.poll(cookie) // expected `Cookie<Rcu>`
/// }
/// ```
///
/// ```
/// use rcu_core::{Cookie, Flavor, Rcu};
///
/// let cookie = Rcu.get_state();
/// Rcu.synchronize();
/// assert!(Rcu.poll(cookie));
/// assert!(Rcu.poll(Cookie::COMPLETED));
/// ```
pub struct Cookie<F: ?Sized> {
    seq: GpSeq,
    flavor: PhantomData<fn() -> F>,
}

impl<F: ?Sized> Cookie<F> {
    /// Always done, whatever the sequence: for a slot that has nothing to wait for.
    ///
    /// ```
    /// use rcu_core::{Cookie, Flavor, Rcu};
    /// assert!(Rcu.poll(Cookie::COMPLETED));
    /// ```
    pub const COMPLETED: Self = Self::from_seq(GpSeq::new(1));

    /// The cookie of the grace period that ends at `seq`: for implementing a flavour.
    ///
    /// ```
    /// use rcu_core::{Cookie, Flavor, Rcu};
    /// let cookie = Rcu.get_state();
    /// assert_eq!(Cookie::from_seq(cookie.seq()), cookie);
    /// ```
    #[inline]
    pub const fn from_seq(seq: GpSeq) -> Self {
        Self { seq, flavor: PhantomData }
    }

    /// The sequence number at which this cookie's grace period ends.
    ///
    /// ```
    /// use rcu_core::{Flavor, Rcu};
    /// assert_eq!(Rcu.get_state().seq().get() % 4, 0);
    /// ```
    #[inline]
    pub const fn seq(self) -> GpSeq {
        self.seq
    }

    /// Whether a sequence that stands at `now` has reached this cookie.
    ///
    /// ```
    /// use rcu_core::{Cookie, GpSeq, Rcu};
    /// let cookie = Cookie::<Rcu>::from_seq(GpSeq::new(8));
    /// assert!(!cookie.is_done_at(GpSeq::new(6)));
    /// assert!(cookie.is_done_at(GpSeq::new(8)));
    /// assert!(Cookie::<Rcu>::COMPLETED.is_done_at(GpSeq::new(u64::MAX - 7)));
    /// ```
    #[inline]
    pub fn is_done_at(self, now: GpSeq) -> bool {
        // Snapshots have state bits 0, so `COMPLETED` (1) is none of them.
        now.is_done(self.seq) || self.seq.get() == Self::COMPLETED.seq.get()
    }
}

// Not derived: derives would ask the same of `F`.
impl<F: ?Sized> Clone for Cookie<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: ?Sized> Copy for Cookie<F> {}

impl<F: ?Sized> PartialEq for Cookie<F> {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl<F: ?Sized> Eq for Cookie<F> {}

impl<F: ?Sized> Hash for Cookie<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seq.hash(state);
    }
}

impl<F: ?Sized> fmt::Debug for Cookie<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::COMPLETED {
            f.write_str("Cookie(COMPLETED)")
        } else {
            write!(f, "Cookie({})", self.seq.get())
        }
    }
}
