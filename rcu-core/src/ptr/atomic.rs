//! [`Atomic`]: the word in memory.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::pointer::{Pointer, Word};
use super::{CompareExchangeError, Owned, Shared, tag};
use crate::Guard;

/// A pointer with a tag that threads share: one word, null when it is zero.
///
/// Does not own what it points to: dropping it frees nothing, and whoever takes an object out of it
/// sees to that ([how](super#freeing)). Of [the orderings](super#orderings) each method takes those
/// that the method of the same name of [`AtomicPtr`] takes, and panics at the same others.
///
/// ```
/// use rcu_core::ptr::{Atomic, Owned};
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// let slot = Atomic::new(1);
/// let guard = Rcu.read_lock();
/// let value = slot.load(Ordering::Acquire, &guard);
/// // SAFETY: whoever frees a value of `slot` waits for a grace period of `Rcu`.
/// assert_eq!(unsafe { value.as_ref() }, Some(&1));
/// # drop(guard);
/// # drop(unsafe { slot.into_owned() });
/// ```
///
/// It may live in memory that was zeroed:
///
/// ```
/// use rcu_core::ptr::Atomic;
/// use std::mem::{MaybeUninit, size_of};
///
/// type Tower = [Atomic<String>; 4];
/// assert_eq!(size_of::<Tower>(), 4 * size_of::<usize>());
/// // SAFETY: null pointers are zeros.
/// let mut tower = unsafe { MaybeUninit::<Tower>::zeroed().assume_init() };
/// // SAFETY: null.
/// assert!(unsafe { std::mem::take(&mut tower[3]).try_into_owned() }.is_none());
/// ```
///
/// What may not be shared between threads may not be shared through it:
///
/// ```compile_fail,E0277
/// fn share(_: impl Sync) {}
/// share(rcu_core::ptr::Atomic::new(std::rc::Rc::new(1)));
/// ```
#[repr(transparent)]
pub struct Atomic<T> {
    word: AtomicPtr<T>,
    /// `AtomicPtr` is `Send` and `Sync` whatever it points to.
    not_auto: PhantomData<*mut T>,
}

// SAFETY: readers anywhere get a `&T`, and whoever takes the object out drops it.
unsafe impl<T: Send + Sync> Send for Atomic<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Atomic<T> {}

impl<T> Atomic<T> {
    /// The null pointer, with the tag 0.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// static HEAD: Atomic<u64> = Atomic::null();
    /// ```
    #[inline]
    pub const fn null() -> Self {
        Self::of(std::ptr::null_mut())
    }

    /// Puts `value` on the heap, and points to it with the tag 0.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// let slot = Atomic::new(7);
    /// # drop(unsafe { slot.into_owned() });
    /// ```
    #[inline]
    pub fn new(value: T) -> Self {
        Self::from(Owned::new(value))
    }

    /// Loads the pointer.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering;
    /// let guard = Rcu.read_lock();
    /// assert!(Atomic::<u64>::null().load(Ordering::Acquire, &guard).is_null());
    /// ```
    #[inline]
    pub fn load<'g>(&self, order: Ordering, _: &'g (impl Guard + ?Sized)) -> Shared<'g, T> {
        Shared::of(self.word.load(order))
    }

    /// Loads the pointer such that the object behind it is seen as it was published.
    ///
    /// It is `load(Ordering::Acquire)`. Ordering only the accesses that depend on the pointer would
    /// do, but Rust has no such ordering (a `Relaxed` load is none: the compiler may lose the
    /// dependency). On x86-64 every load is one with acquire, so this costs nothing there; on
    /// AArch64 it is one `ldar`.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// use rcu_core::{Flavor, Rcu};
    ///
    /// let slot = Atomic::new(7);
    /// let guard = Rcu.read_lock();
    /// // SAFETY: whoever frees a value of `slot` waits for a grace period of `Rcu`.
    /// assert_eq!(unsafe { slot.load_consume(&guard).as_ref() }, Some(&7));
    /// # drop(guard);
    /// # drop(unsafe { slot.into_owned() });
    /// ```
    #[inline]
    pub fn load_consume<'g>(&self, guard: &'g (impl Guard + ?Sized)) -> Shared<'g, T> {
        self.load(Ordering::Acquire, guard)
    }

    /// Stores a pointer. What was there before is forgotten, not freed.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Owned};
    /// use std::sync::atomic::Ordering;
    /// let slot = Atomic::null();
    /// slot.store(Owned::new(7), Ordering::Release);
    /// # drop(unsafe { slot.into_owned() });
    /// ```
    #[inline]
    pub fn store(&self, new: impl Pointer<T>, order: Ordering) {
        self.word.store(new.into_word(), order);
    }

    /// Stores a pointer and returns the one that was there before.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Shared};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering;
    ///
    /// let slot = Atomic::new(7);
    /// let guard = Rcu.read_lock();
    /// let old = slot.swap(Shared::null(), Ordering::AcqRel, &guard).as_raw();
    /// drop(guard);
    /// Rcu.synchronize();
    /// // SAFETY: taken out, and every section that could have seen it has ended.
    /// drop(unsafe { rcu_core::ptr::Owned::from_raw(old.cast_mut()) });
    /// ```
    #[inline]
    pub fn swap<'g>(
        &self,
        new: impl Pointer<T>,
        order: Ordering,
        _: &'g (impl Guard + ?Sized),
    ) -> Shared<'g, T> {
        Shared::of(self.word.swap(new.into_word(), order))
    }

    /// Stores `new` if the word is `current`, address and tag. Returns what it is now: `new`.
    ///
    /// The guard is what makes this safe from another object at the same address: what was loaded
    /// in this section is not freed before its end.
    ///
    /// # Errors
    ///
    /// If the word is something else, [`CompareExchangeError`] has that, loaded with `failure`, and
    /// `new`.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Owned, Shared};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::{AcqRel, Acquire};
    ///
    /// let slot = Atomic::null();
    /// let guard = Rcu.read_lock();
    /// let first = slot
    ///     .compare_exchange(Shared::null(), Owned::new(1), AcqRel, Acquire, &guard)
    ///     .unwrap();
    /// let refused = slot
    ///     .compare_exchange(Shared::null(), Owned::new(2), AcqRel, Acquire, &guard)
    ///     .unwrap_err();
    /// assert_eq!(refused.current, first);
    /// assert_eq!(*refused.new, 2); // still ours
    /// # drop(guard);
    /// # drop(unsafe { slot.into_owned() });
    /// ```
    #[inline]
    pub fn compare_exchange<'g, P: Pointer<T>>(
        &self,
        current: Shared<'_, T>,
        new: P,
        success: Ordering,
        failure: Ordering,
        _: &'g (impl Guard + ?Sized),
    ) -> Result<Shared<'g, T>, CompareExchangeError<'g, T, P>> {
        let new = new.into_word();
        match self.word.compare_exchange(current.into_word(), new, success, failure) {
            Ok(_) => Ok(Shared::of(new)),
            // SAFETY: `new` was not stored, and comes back.
            Err(seen) => Err(unsafe { CompareExchangeError::of(seen, new) }),
        }
    }

    /// As [`compare_exchange`](Atomic::compare_exchange), but may fail even though the word is
    /// `current`: for loops, where that is cheaper on some machines.
    ///
    /// # Errors
    ///
    /// As [`compare_exchange`](Atomic::compare_exchange).
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Owned};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::{Relaxed, Release};
    ///
    /// let slot = Atomic::null();
    /// let guard = Rcu.read_lock();
    /// let mut new = Owned::new(1);
    /// let mut seen = slot.load(Relaxed, &guard);
    /// while let Err(refused) = slot.compare_exchange_weak(seen, new, Release, Relaxed, &guard) {
    ///     (seen, new) = (refused.current, refused.new);
    /// }
    /// # drop(guard);
    /// # drop(unsafe { slot.into_owned() });
    /// ```
    #[inline]
    pub fn compare_exchange_weak<'g, P: Pointer<T>>(
        &self,
        current: Shared<'_, T>,
        new: P,
        success: Ordering,
        failure: Ordering,
        _: &'g (impl Guard + ?Sized),
    ) -> Result<Shared<'g, T>, CompareExchangeError<'g, T, P>> {
        let new = new.into_word();
        match self.word.compare_exchange_weak(current.into_word(), new, success, failure) {
            Ok(_) => Ok(Shared::of(new)),
            // SAFETY: `new` was not stored, and comes back.
            Err(seen) => Err(unsafe { CompareExchangeError::of(seen, new) }),
        }
    }

    /// Makes the object owned. The tag goes along.
    ///
    /// # Safety
    ///
    /// As [`Shared::into_owned`]; that nobody else reaches the object through this word is plain.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// // SAFETY: never published.
    /// assert_eq!(*unsafe { Atomic::new(7).into_owned() }, 7);
    /// ```
    #[inline]
    pub unsafe fn into_owned(self) -> Owned<T> {
        // SAFETY: the caller's promise.
        unsafe { Shared::of(self.word.into_inner()).into_owned() }
    }

    /// Makes the object owned, or `None` if the pointer is null. With [`std::mem::take`] it also
    /// takes a field apart.
    ///
    /// # Safety
    ///
    /// As [`into_owned`](Atomic::into_owned), unless the pointer is null.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    ///
    /// struct Node {
    ///     next: Atomic<Node>,
    /// }
    ///
    /// struct List(Atomic<Node>);
    ///
    /// impl Drop for List {
    ///     fn drop(&mut self) {
    ///         let mut rest = std::mem::take(&mut self.0);
    ///         // SAFETY: nobody else is here, and the list owns its nodes.
    ///         while let Some(mut node) = unsafe { rest.try_into_owned() } {
    ///             rest = std::mem::take(&mut node.next);
    ///         }
    ///     }
    /// }
    /// # drop(List(Atomic::new(Node { next: Atomic::new(Node { next: Atomic::null() }) })));
    /// ```
    #[inline]
    pub unsafe fn try_into_owned(self) -> Option<Owned<T>> {
        // SAFETY: the caller's promise.
        unsafe { Shared::of(self.word.into_inner()).try_into_owned() }
    }

    #[inline]
    const fn of(word: *mut T) -> Self {
        Self { word: AtomicPtr::new(word), not_auto: PhantomData }
    }

    /// The word, for the operations that are loops.
    #[inline]
    pub(super) fn word(&self) -> &AtomicPtr<T> {
        &self.word
    }
}

impl<T> Default for Atomic<T> {
    fn default() -> Self {
        Self::null()
    }
}

impl<T> From<Owned<T>> for Atomic<T> {
    #[inline]
    fn from(object: Owned<T>) -> Self {
        Self::of(object.into_word())
    }
}

impl<T> From<Shared<'_, T>> for Atomic<T> {
    #[inline]
    fn from(pointer: Shared<'_, T>) -> Self {
        Self::of(pointer.into_word())
    }
}

impl<T> From<Box<T>> for Atomic<T> {
    fn from(object: Box<T>) -> Self {
        Self::from(Owned::from(object))
    }
}

impl<T> From<*const T> for Atomic<T> {
    /// The pointer, with the tag 0.
    ///
    /// # Panics
    ///
    /// If it is not aligned.
    #[track_caller]
    fn from(raw: *const T) -> Self {
        Self::from(Shared::from(raw))
    }
}

impl<T> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("Atomic")
            .field("raw", &tag::pointer_of(word))
            .field("tag", &tag::tag_of(word))
            .finish()
    }
}

impl<T> fmt::Pointer for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&tag::pointer_of(self.word.load(Ordering::Relaxed)), f)
    }
}
