//! `rwlock`: a section is a shared hold of one `std` lock; to retire is to hold it alone for a moment
//! and then free. What reclamation costs when readers are waited for each time.

use std::{
    ptr::NonNull,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use crossbeam_utils::CachePadded;

use crate::workload::reclaimer::{Footprint, Reclaimer, Subject};

/// The subject, and its own reclaimer for every type.
#[derive(Debug, Default)]
pub(crate) struct ReadWriteLock(CachePadded<RwLock<()>>);

impl Subject for ReadWriteLock {
    const NAME: &'static str = "rwlock";
    type Of<T: Send + Sync + 'static> = ReadWriteLock;

    fn make<T: Send + Sync + 'static>() -> ReadWriteLock {
        ReadWriteLock::default()
    }
}

impl<T: Send + Sync + 'static> Reclaimer<T> for ReadWriteLock {
    type Guard<'a> = RwLockReadGuard<'a, ()>;

    #[inline]
    fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn alloc(&self, value: T) -> NonNull<T> {
        NonNull::from(Box::leak(Box::new(value)))
    }

    unsafe fn retire(&self, node: NonNull<T>) {
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: every shared hold that could find it has ended before the hold above began; from
        // `Box` in `alloc`.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }

    unsafe fn dealloc(&self, node: NonNull<T>) {
        // SAFETY: from `Box` in `alloc`; the caller gives up the last pointer to it.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }

    fn quiesce(&self) {}

    fn footprint(&self) -> Option<Footprint> {
        Some(Footprint { objects: 0, bytes: 0 })
    }
}
