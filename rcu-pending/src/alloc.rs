//! The one door to memory, and it can be shut.
//!
//! Nothing in this crate, and nothing in the crates built upon it, allocates in any other way: a
//! failed allocation is a value here, and each caller has a fallback. [`fault`] makes allocations
//! fail on purpose, so that the fallbacks are tested.

use std::alloc::Layout;
use std::error::Error;
use std::fmt;
use std::ptr::{self, NonNull};

/// Memory could not be had.
///
/// ```
/// use rcu_pending::alloc::{AllocError, allocate};
/// use std::alloc::Layout;
///
/// let too_much = Layout::from_size_align(isize::MAX as usize - 4095, 4096).unwrap();
/// let refused: Result<_, AllocError> = allocate(too_much);
/// assert!(refused.is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocError(());

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl Error for AllocError {}

impl AllocError {
    /// For allocations that fail elsewhere than in this module.
    #[cold]
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for AllocError {
    fn default() -> Self {
        Self::new()
    }
}

/// Failing on purpose. Process-wide; for tests.
#[doc(hidden)]
pub mod fault {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static EVERY: AtomicUsize = AtomicUsize::new(0);
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    static FAILED: AtomicUsize = AtomicUsize::new(0);

    /// From here on each `n`th allocation fails: all of them with 1, none with 0.
    pub fn set_every(n: usize) {
        SEEN.store(0, Relaxed);
        EVERY.store(n, Relaxed);
    }

    /// How many allocations have failed on purpose since the process began.
    pub fn failed() -> usize {
        FAILED.load(Relaxed)
    }

    /// Asked once for each allocation: shall this one fail?
    #[inline]
    pub fn strikes() -> bool {
        let every = EVERY.load(Relaxed);
        every != 0 && count(every)
    }

    #[cold]
    fn count(every: usize) -> bool {
        let struck = SEEN.fetch_add(1, Relaxed) % every == every - 1;
        if struck {
            FAILED.fetch_add(1, Relaxed);
        }
        struck
    }
}

/// Memory for `layout` from the global allocator, not initialised.
///
/// A layout of size 0 gets a dangling pointer.
///
/// ```
/// use rcu_pending::alloc::{allocate, deallocate};
/// use std::alloc::Layout;
///
/// let layout = Layout::new::<[u64; 8]>();
/// let memory = allocate(layout)?;
/// // SAFETY: it was allocated with this layout, and is not used any more.
/// unsafe { deallocate(memory, layout) };
/// # Ok::<(), rcu_pending::alloc::AllocError>(())
/// ```
#[allow(clippy::disallowed_methods)] // This is the door.
pub fn allocate(layout: Layout) -> Result<NonNull<u8>, AllocError> {
    if fault::strikes() {
        return Err(AllocError::new());
    }
    if layout.size() == 0 {
        return NonNull::new(ptr::without_provenance_mut(layout.align()))
            .ok_or_else(AllocError::new);
    }
    // SAFETY: the size is not 0.
    NonNull::new(unsafe { std::alloc::alloc(layout) }).ok_or_else(AllocError::new)
}

/// Gives back memory that [`allocate`] gave.
///
/// # Safety
///
/// `memory` came from `allocate(layout)`, with this very layout, and is not used any more.
pub unsafe fn deallocate(memory: NonNull<u8>, layout: Layout) {
    if layout.size() != 0 {
        // SAFETY: guaranteed by the caller; memory of size 0 was never allocated.
        unsafe { std::alloc::dealloc(memory.as_ptr(), layout) };
    }
}

/// A box, or the value back.
///
/// ```
/// let boxed: Box<u64> = rcu_pending::alloc::try_box(7).expect("there is memory");
/// assert_eq!(*boxed, 7);
/// ```
pub fn try_box<T>(value: T) -> Result<Box<T>, T> {
    let Ok(memory) = allocate(Layout::new::<T>()) else {
        return Err(value);
    };
    let memory = memory.cast::<T>();
    // SAFETY: the memory fits a `T`, and `Box` allocates with the same layout from the same allocator.
    unsafe {
        memory.write(value);
        Ok(Box::from_raw(memory.as_ptr()))
    }
}

/// Room for `more` elements behind those that are there.
///
/// ```
/// let mut v: Vec<u32> = Vec::new();
/// rcu_pending::alloc::try_reserve(&mut v, 10)?;
/// assert!(v.capacity() >= 10);
/// # Ok::<(), rcu_pending::alloc::AllocError>(())
/// ```
pub fn try_reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), AllocError> {
    if vec.capacity() - vec.len() >= more {
        return Ok(());
    }
    if fault::strikes() {
        return Err(AllocError::new());
    }
    vec.try_reserve(more).map_err(|_| AllocError::new())
}

/// Appends `value`, or gives it back.
///
/// ```
/// let mut v = Vec::new();
/// assert_eq!(rcu_pending::alloc::try_push(&mut v, 'a'), Ok(()));
/// ```
#[allow(clippy::disallowed_methods)] // The room has been reserved.
pub fn try_push<T>(vec: &mut Vec<T>, value: T) -> Result<(), T> {
    if try_reserve(vec, 1).is_err() {
        return Err(value);
    }
    vec.push(value);
    Ok(())
}

/// Zeroed pages straight from the system, not from the user's allocator.
///
/// ```
/// let pages = rcu_pending::alloc::Pages::map(16384)?;
/// assert_eq!(pages.len(), 16384);
/// assert_eq!(pages.start().as_ptr().addr() % 4096, 0);
/// # Ok::<(), rcu_pending::alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: plain memory that belongs to this value alone.
unsafe impl Send for Pages {}
// SAFETY: nothing can be reached through a shared reference but the address.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps `len` bytes, which must be a multiple of the page size and not 0.
    #[allow(clippy::disallowed_methods)] // This is the door.
    pub fn map(len: usize) -> Result<Self, AllocError> {
        if fault::strikes() {
            return Err(AllocError::new());
        }
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh anonymous mapping touches no memory that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(AllocError::new());
        }
        NonNull::new(start.cast()).map(|start| Self { start, len }).ok_or_else(AllocError::new)
    }

    /// The first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes. There always are.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives the memory out of this value's care; [`Pages::from_raw`] takes it back.
    ///
    /// ```
    /// # use rcu_pending::alloc::Pages;
    /// let (start, len) = Pages::map(4096)?.into_raw();
    /// // SAFETY: both come from one `into_raw`, once.
    /// drop(unsafe { Pages::from_raw(start, len) });
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn into_raw(self) -> (NonNull<u8>, usize) {
        let raw = (self.start, self.len);
        std::mem::forget(self);
        raw
    }

    /// Takes pages back.
    ///
    /// # Safety
    ///
    /// Both came from one [`Pages::into_raw`], and this is done once.
    pub unsafe fn from_raw(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping. If the system refuses (it may have to split a mapping
        // it had joined) the memory stays mapped, and nobody uses it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
