//! [`Owned`]: a box with a tag.

use std::borrow::{Borrow, BorrowMut};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::pointer::{Pointer, Word};
use super::{Shared, tag};
use crate::Guard;

/// A [`Box`] with a tag, of one word: an object that nobody else sees.
///
/// It is so before the object is published, with [`Atomic::store`](super::Atomic::store) and its
/// like or [`into_shared`](Owned::into_shared), and again once a grace period has passed since it
/// was taken out. Dropping it frees the object at once.
///
/// ```
/// use rcu_core::ptr::Owned;
///
/// let mut object = Owned::new(vec![1, 2]).with_tag(1);
/// object.push(3);
/// assert_eq!((object.len(), object.tag()), (3, 1));
/// ```
pub struct Owned<T> {
    /// From `Box::into_raw`, and the tag.
    word: NonNull<T>,
    owns: PhantomData<T>,
}

// SAFETY: it is a box.
unsafe impl<T: Send> Send for Owned<T> {}
// SAFETY: it is a box.
unsafe impl<T: Sync> Sync for Owned<T> {}

impl<T> Owned<T> {
    /// Puts `value` on the heap, with the tag 0. Without memory it ends as [`Box::new`] does.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// assert_eq!(*Owned::new(7), 7);
    /// ```
    #[inline]
    pub fn new(value: T) -> Self {
        Self::from(Box::new(value))
    }

    /// Takes over the object at `raw`, with the tag 0.
    ///
    /// For an object whose pointer outlived the section in which it was taken out; see
    /// [the module](super#freeing).
    ///
    /// # Safety
    ///
    /// As [`Box::from_raw`]; and nobody else may reach the object: it was never published, or a
    /// grace period has passed since it was taken out.
    ///
    /// # Panics
    ///
    /// If `raw` is not aligned.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// let raw = Box::into_raw(Box::new(7));
    /// // SAFETY: from `into_raw`, and never published.
    /// assert_eq!(*unsafe { Owned::from_raw(raw) }, 7);
    /// ```
    #[inline]
    #[track_caller]
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: the caller's promise; a pointer from a box is not null.
        unsafe { Self::from_word(tag::untagged(raw)) }
    }

    /// The object, ready to be published; the tag goes along. Nobody frees it from here on unless
    /// it is made [`Owned`](Shared::into_owned) again.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Owned};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering;
    ///
    /// let (first, second) = (Atomic::null(), Atomic::null());
    /// let guard = Rcu.read_lock();
    /// let object = Owned::new(7).into_shared(&guard);
    /// first.store(object, Ordering::Release);
    /// second.store(object, Ordering::Release);
    /// # drop(guard);
    /// # drop(unsafe { first.into_owned() });
    /// ```
    #[inline]
    pub fn into_shared<'g>(self, _: &'g (impl Guard + ?Sized)) -> Shared<'g, T> {
        Shared::of(self.into_word())
    }

    /// The object as a box; the tag is gone.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// let boxed: Box<i32> = Owned::new(7).with_tag(1).into_box();
    /// assert_eq!(*boxed, 7);
    /// ```
    #[inline]
    pub fn into_box(self) -> Box<T> {
        let raw = tag::pointer_of(self.into_word());
        // SAFETY: from `Box::into_raw`, and `self` is gone.
        unsafe { Box::from_raw(raw) }
    }

    /// The tag.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// assert_eq!(Owned::new(7).tag(), 0);
    /// assert_eq!(Owned::new(7).with_tag(3).tag(), 3);
    /// ```
    #[inline]
    pub fn tag(&self) -> usize {
        tag::tag_of(self.word.as_ptr())
    }

    /// The same object with another tag, of which only [the bits that have room](super#tags) are
    /// kept.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// assert_eq!(Owned::new(7_u16).with_tag(0b11).tag(), 0b01);
    /// ```
    #[inline]
    #[must_use]
    pub fn with_tag(self, tag: usize) -> Self {
        // SAFETY: the word of `self`, which is gone; the tag is not part of the pointer.
        unsafe { Self::from_word(tag::with_tag(self.into_word(), tag)) }
    }

    #[inline]
    fn as_ptr(&self) -> *mut T {
        tag::pointer_of(self.word.as_ptr())
    }
}

impl<T> Word<T> for Owned<T> {
    #[inline]
    fn into_word(self) -> *mut T {
        ManuallyDrop::new(self).word.as_ptr()
    }

    #[inline]
    unsafe fn from_word(word: *mut T) -> Self {
        // SAFETY: the caller's promise: the word of an `Owned`, so not null.
        let word = unsafe { NonNull::new_unchecked(word) };
        Self { word, owns: PhantomData }
    }
}

impl<T> Pointer<T> for Owned<T> {}

impl<T> Drop for Owned<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw`, and nobody else has it.
        drop(unsafe { Box::from_raw(self.as_ptr()) });
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: from `Box::into_raw`, borrowed with `self`.
        unsafe { &*self.as_ptr() }
    }
}

impl<T> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: from `Box::into_raw`, borrowed with `self`; nobody else sees the object.
        unsafe { &mut *self.as_ptr() }
    }
}

impl<T> From<T> for Owned<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> From<Box<T>> for Owned<T> {
    #[inline]
    fn from(object: Box<T>) -> Self {
        // SAFETY: a box's pointer is aligned (so its tag is 0) and not null, and now ours.
        unsafe { Self::from_word(Box::into_raw(object)) }
    }
}

impl<T: Clone> Clone for Owned<T> {
    /// A new object, with the same tag.
    fn clone(&self) -> Self {
        Self::new((**self).clone()).with_tag(self.tag())
    }
}

impl<T> Borrow<T> for Owned<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T> BorrowMut<T> for Owned<T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T> AsRef<T> for Owned<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> AsMut<T> for Owned<T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T> fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned").field("raw", &self.as_ptr()).field("tag", &self.tag()).finish()
    }
}
