//! [`Pointer`]: what can be put into an `Atomic`.

/// What can be put into an [`Atomic`](super::Atomic): an [`Owned`](super::Owned), which it then
/// publishes, or a [`Shared`](super::Shared). Nothing else can be one.
///
/// ```
/// use rcu_core::ptr::{Atomic, Owned, Pointer, Shared};
/// use std::sync::atomic::Ordering;
///
/// fn publish<T>(to: &Atomic<T>, new: impl Pointer<T>) {
///     to.store(new, Ordering::Release);
/// }
///
/// let slot = Atomic::null();
/// publish(&slot, Shared::null());
/// publish(&slot, Owned::new(7));
/// # drop(unsafe { slot.into_owned() });
/// ```
pub trait Pointer<T>: Word<T> {}

/// Keeps [`Pointer`] to our own types, and what they have in common to ourselves.
pub trait Word<T>: Sized {
    /// The pointer and its tag. An object that was owned is not freed.
    fn into_word(self) -> *mut T;

    /// Undoes `into_word`.
    ///
    /// # Safety
    ///
    /// `word` is from `into_word` of the same type, perhaps with another tag, and that one's place
    /// is taken by what is returned.
    unsafe fn from_word(word: *mut T) -> Self;
}
