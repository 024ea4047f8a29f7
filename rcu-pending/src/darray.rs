//! A dynamic array that can say no: room for four in place, then from the allocator.

use crate::alloc::{AllocError, fault};
use smallvec::SmallVec;

/// How many elements need no memory of their own.
const INLINE: usize = 4;

/// See the [module](self). The order of elements is of no account.
pub(crate) struct Darray<T> {
    items: SmallVec<[T; INLINE]>,
}

impl<T> Darray<T> {
    pub(crate) fn new() -> Self {
        Self { items: SmallVec::new() }
    }

    /// Makes room for one more.
    pub(crate) fn try_reserve(&mut self) -> Result<(), AllocError> {
        if self.items.len() < self.items.capacity() {
            return Ok(());
        }
        if fault::strikes() {
            return Err(AllocError::new());
        }
        self.items.try_reserve(1).map_err(|_| AllocError::new())
    }

    /// Appends `item`, or gives it back.
    #[allow(clippy::disallowed_methods)] // The room has been reserved.
    pub(crate) fn try_push(&mut self, item: T) -> Result<(), T> {
        if self.try_reserve().is_err() {
            return Err(item);
        }
        self.items.push(item);
        Ok(())
    }

    /// Takes the element at `index`, whose place the last one gets.
    pub(crate) fn swap_remove(&mut self, index: usize) -> T {
        let item = self.items.swap_remove(index);
        if self.items.is_empty() && self.items.spilled() {
            self.items = SmallVec::new();
        }
        item
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Bytes that come from the allocator.
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.items.spilled() { self.items.capacity() * size_of::<T>() } else { 0 }
    }
}

#[cfg(test)]
#[path = "darray_tests.rs"]
mod tests;
