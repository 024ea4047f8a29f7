//! [`CompareExchangeError`]: what a refused exchange hands back.

use std::error::Error;
use std::fmt;

use super::Shared;
use super::pointer::Pointer;

/// The word was not the expected one, so nothing was stored.
///
/// ```
/// use rcu_core::ptr::{Atomic, Owned, Shared};
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering::{AcqRel, Acquire};
///
/// let slot = Atomic::<u64>::from(Shared::null().with_tag(1));
/// let guard = Rcu.read_lock();
/// let refused = slot
///     .compare_exchange(Shared::null(), Owned::new(7), AcqRel, Acquire, &guard)
///     .unwrap_err();
/// assert_eq!(refused.current.tag(), 1);
/// drop(refused.new); // frees it
/// ```
pub struct CompareExchangeError<'g, T, P: Pointer<T>> {
    /// What the word was, loaded with the ordering for failure.
    pub current: Shared<'g, T>,
    /// What would have been stored.
    pub new: P,
}

impl<T, P: Pointer<T>> CompareExchangeError<'_, T, P> {
    /// # Safety
    ///
    /// `new` is from a `P`, whose place is taken by what is returned.
    #[inline]
    pub(super) unsafe fn of(current: *mut T, new: *mut T) -> Self {
        // SAFETY: the caller's promise.
        Self { current: Shared::of(current), new: unsafe { P::from_word(new) } }
    }
}

impl<T, P: Pointer<T> + fmt::Debug> fmt::Debug for CompareExchangeError<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareExchangeError")
            .field("current", &self.current)
            .field("new", &self.new)
            .finish()
    }
}

impl<T, P: Pointer<T>> fmt::Display for CompareExchangeError<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pointer was another than the expected one")
    }
}

impl<T, P: Pointer<T> + fmt::Debug> Error for CompareExchangeError<'_, T, P> {}
