//! [`Shared`]: a pointer that was loaded in a section.

use std::cmp;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use super::pointer::{Pointer, Word};
use super::{Owned, tag};

/// A pointer with a tag, loaded in the section whose guard `'g` borrows; may be null.
///
/// A plain word: copy it, compare it. Two are equal if address and tag are. What it points to is
/// there for as long as the section is, if those who free objects wait for it; the compiler does
/// not know whether they do, so reading through it is `unsafe`.
///
/// ```
/// use rcu_core::ptr::{Atomic, Shared};
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// let slot = Atomic::new(7);
/// let guard = Rcu.read_lock();
/// let value: Shared<'_, i32> = slot.load(Ordering::Acquire, &guard);
/// // SAFETY: whoever frees a value of `slot` waits for a grace period of `Rcu`.
/// assert_eq!(unsafe { value.as_ref() }, Some(&7));
/// # drop(guard);
/// # drop(unsafe { slot.into_owned() });
/// ```
///
/// It cannot outlive its guard:
///
/// ```compile_fail,E0505
/// use rcu_core::ptr::Atomic;
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// let slot = Atomic::new(7);
/// let guard = Rcu.read_lock();
/// let value = slot.load(Ordering::Acquire, &guard);
/// drop(guard); // cannot move out of `guard` because it is borrowed
/// println!("{}", value.is_null());
/// ```
///
/// nor be returned past it, nor can what it refers to:
///
/// ```compile_fail,E0515
/// use rcu_core::ptr::{Atomic, Shared};
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// fn load<T>(slot: &Atomic<T>) -> Shared<'_, T> {
///     let guard = Rcu.read_lock();
///     slot.load(Ordering::Acquire, &guard) // references data owned by the current function
/// }
/// ```
///
/// ```compile_fail,E0515
/// use rcu_core::ptr::Atomic;
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// fn get(slot: &Atomic<u64>) -> Option<&u64> {
///     let guard = Rcu.read_lock();
///     // SAFETY: even so
///     unsafe { slot.load(Ordering::Acquire, &guard).as_ref() }
/// }
/// ```
///
/// Other threads may use it for as long as the guard is borrowed, as with a reference:
///
/// ```
/// use rcu_core::ptr::Atomic;
/// use rcu_core::{Flavor, Rcu};
/// use std::sync::atomic::Ordering;
///
/// let slot = Atomic::new(7);
/// let guard = Rcu.read_lock();
/// let value = slot.load(Ordering::Acquire, &guard);
/// std::thread::scope(|s| {
///     // SAFETY: the section lasts longer than this thread.
///     s.spawn(move || assert_eq!(unsafe { value.as_ref() }, Some(&7)));
/// });
/// # drop(guard);
/// # drop(unsafe { slot.into_owned() });
/// ```
pub struct Shared<'g, T> {
    /// `*const`, so that `T` is covariant.
    word: *const T,
    section: PhantomData<&'g ()>,
}

// SAFETY: a reference that may also become a box: the section it relies on lasts for `'g`, which no
// thread outlives that the pointer is sent to.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}
// SAFETY: as above; it is `Copy`, so sharing it is sending it.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'g, T> Shared<'g, T> {
    /// The null pointer, with the tag 0.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// assert!(Shared::<i32>::null().is_null());
    /// ```
    #[inline]
    pub const fn null() -> Self {
        Self { word: std::ptr::null(), section: PhantomData }
    }

    /// Whether the pointer is null, whatever its tag.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// let marked = Shared::<i32>::null().with_tag(1);
    /// assert!(marked.is_null());
    /// assert_ne!(marked, Shared::null());
    /// ```
    #[inline]
    pub fn is_null(&self) -> bool {
        self.ptr().is_null()
    }

    /// The pointer without its tag.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// let value = 7;
    /// assert_eq!(Shared::from(&raw const value).with_tag(1).as_raw(), &raw const value);
    /// ```
    #[inline]
    pub fn as_raw(&self) -> *const T {
        self.ptr()
    }

    /// The object, or `None` if the pointer is null.
    ///
    /// # Safety
    ///
    /// - The object was published with [`Release`](std::sync::atomic::Ordering::Release) and this
    ///   pointer loaded with [`Acquire`](std::sync::atomic::Ordering::Acquire), or stronger, or the
    ///   two are ordered otherwise.
    /// - It is not freed before the section that `'g` stands for has ended: whoever frees it waits
    ///   for a grace period of that section's flavour, and domain, after taking it out.
    /// - Nobody has a `&mut` to it meanwhile.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// let value = 7;
    /// // SAFETY: `value` is there, and nobody changes it.
    /// assert_eq!(unsafe { Shared::from(&raw const value).as_ref() }, Some(&7));
    /// // SAFETY: null.
    /// assert_eq!(unsafe { Shared::<i32>::null().as_ref() }, None);
    /// ```
    #[inline]
    pub unsafe fn as_ref(&self) -> Option<&'g T> {
        // SAFETY: null, or the caller's promise.
        unsafe { self.ptr().as_ref() }
    }

    /// The object.
    ///
    /// # Safety
    ///
    /// As [`as_ref`](Shared::as_ref); and the pointer is not null.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// let value = 7;
    /// // SAFETY: `value` is there, and nobody changes it.
    /// assert_eq!(*unsafe { Shared::from(&raw const value).deref() }, 7);
    /// ```
    #[inline]
    pub unsafe fn deref(&self) -> &'g T {
        // SAFETY: the caller's promise.
        unsafe { &*self.ptr() }
    }

    /// The object, to be changed in place.
    ///
    /// # Safety
    ///
    /// As [`deref`](Shared::deref); and nobody else has a reference to the object while the
    /// returned one is used. A section does not give that: sections are shared.
    ///
    /// ```
    /// use rcu_core::ptr::Owned;
    /// use rcu_core::unprotected;
    /// // SAFETY: the object is seen by nobody else.
    /// let mut value = Owned::new(7).into_shared(unsafe { unprotected() });
    /// // SAFETY: as above.
    /// unsafe { *value.deref_mut() += 1 };
    /// // SAFETY: as above.
    /// assert_eq!(*unsafe { value.into_owned() }, 8);
    /// ```
    #[inline]
    pub unsafe fn deref_mut(&mut self) -> &'g mut T {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.ptr() }
    }

    /// Makes the object owned again; the tag goes along.
    ///
    /// # Safety
    ///
    /// The pointer is not null and came from an [`Owned`] or a box; nobody else can reach the
    /// object, because it was never published, or it was taken out and then a grace period has
    /// passed; and nobody else makes it owned.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Shared};
    /// use rcu_core::{Flavor, Rcu, unprotected};
    /// use std::sync::atomic::Ordering;
    ///
    /// let slot = Atomic::new(7);
    /// // SAFETY: we free what we take out here, nobody else does.
    /// let old = slot.swap(Shared::null(), Ordering::AcqRel, unsafe { unprotected() });
    /// Rcu.synchronize();
    /// // SAFETY: taken out, and every section that could have seen it has ended.
    /// assert_eq!(*unsafe { old.into_owned() }, 7);
    /// ```
    #[inline]
    pub unsafe fn into_owned(self) -> Owned<T> {
        debug_assert!(!self.is_null(), "a null pointer was made owned");
        // SAFETY: the caller's promise.
        unsafe { Owned::from_word(self.into_word()) }
    }

    /// As [`into_owned`](Shared::into_owned), or `None` if the pointer is null.
    ///
    /// # Safety
    ///
    /// As [`into_owned`](Shared::into_owned), unless the pointer is null.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// // SAFETY: null.
    /// assert!(unsafe { Shared::<i32>::null().try_into_owned() }.is_none());
    /// ```
    #[inline]
    pub unsafe fn try_into_owned(self) -> Option<Owned<T>> {
        if self.is_null() {
            return None;
        }
        // SAFETY: the caller's promise.
        Some(unsafe { self.into_owned() })
    }

    /// The tag.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// assert_eq!(Shared::<i32>::null().with_tag(2).tag(), 2);
    /// ```
    #[inline]
    pub fn tag(&self) -> usize {
        tag::tag_of(self.word.cast_mut())
    }

    /// The same pointer with another tag, of which only [the bits that have room](super#tags) are
    /// kept.
    ///
    /// ```
    /// use rcu_core::ptr::Shared;
    /// let value = 7_u16;
    /// let tagged = Shared::from(&raw const value).with_tag(0b11);
    /// assert_eq!((tagged.as_raw(), tagged.tag()), (&raw const value, 0b01));
    /// ```
    #[inline]
    #[must_use]
    pub fn with_tag(&self, tag: usize) -> Self {
        Self::of(tag::with_tag(self.word.cast_mut(), tag))
    }

    #[inline]
    pub(super) const fn of(word: *mut T) -> Self {
        Self { word, section: PhantomData }
    }

    #[inline]
    fn ptr(&self) -> *mut T {
        tag::pointer_of(self.word.cast_mut())
    }
}

impl<T> Word<T> for Shared<'_, T> {
    #[inline]
    fn into_word(self) -> *mut T {
        self.word.cast_mut()
    }

    #[inline]
    unsafe fn from_word(word: *mut T) -> Self {
        Self::of(word)
    }
}

impl<T> Pointer<T> for Shared<'_, T> {}

impl<T> From<*const T> for Shared<'_, T> {
    /// The pointer, with the tag 0.
    ///
    /// # Panics
    ///
    /// If it is not aligned.
    #[inline]
    #[track_caller]
    fn from(raw: *const T) -> Self {
        Self::of(tag::untagged(raw.cast_mut()))
    }
}

// Not derived: derives would ask the same of `T`.
impl<T> Clone for Shared<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

impl<T> Default for Shared<'_, T> {
    fn default() -> Self {
        Self::null()
    }
}

impl<T> PartialEq for Shared<'_, T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl<T> Eq for Shared<'_, T> {}

impl<T> PartialOrd for Shared<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Shared<'_, T> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.word.cmp(&other.word)
    }
}

impl<T> Hash for Shared<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word.hash(state);
    }
}

impl<T> fmt::Debug for Shared<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("raw", &self.as_raw()).field("tag", &self.tag()).finish()
    }
}

impl<T> fmt::Pointer for Shared<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.as_raw(), f)
    }
}
