//! Nodes: the one size that leaves and the inside of radix trees are made of, and the pages that
//! a queue has them from.
//!
//! The pages come from the system, not from the user's allocator, so that enqueueing can never end
//! up inside it. They go back when the queue is gone.

use crate::alloc::Pages;
use crate::list::{Link, Stack, set_next};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The size and the alignment of a node.
pub(crate) const NODE_SIZE: usize = 512;

/// How much is mapped at a time.
const CHUNK_SIZE: usize = 16 * 1024;

/// A node. While it is unused, or a leaf, its first word is a link.
#[repr(C, align(512))]
pub(crate) struct Node(MaybeUninit<[u8; NODE_SIZE]>);

/// All chunks of a queue. The first node of each is the chunk's own link.
pub(crate) struct Reserve {
    chunks: Stack,
    mapped: AtomicUsize,
}

impl Reserve {
    pub(crate) const fn new() -> Self {
        Self { chunks: Stack::new(), mapped: AtomicUsize::new(0) }
    }

    /// Maps a chunk: the first and the last of a chain of unused nodes. Enters the system, so it
    /// is not done with a shard locked.
    #[cold]
    pub(crate) fn grow(&self) -> Option<(NonNull<Link>, NonNull<Link>)> {
        let (start, len) = Pages::map(CHUNK_SIZE).ok()?.into_raw();
        self.mapped.fetch_add(len, Relaxed);
        let node = |index| {
            // SAFETY: within the chunk.
            unsafe { start.cast::<Node>().add(index) }.cast::<Link>()
        };
        let last = CHUNK_SIZE / NODE_SIZE - 1;
        for index in 1..last {
            // SAFETY: nobody else knows this memory yet.
            unsafe { set_next(node(index), node(index + 1).as_ptr()) };
        }
        // SAFETY: as above; the first node is the stack's until it is dropped.
        unsafe {
            set_next(node(last), ptr::null_mut());
            self.chunks.push(node(0));
        }
        Some((node(1), node(last)))
    }

    /// How many bytes are mapped.
    pub(crate) fn mapped(&self) -> usize {
        self.mapped.load(Relaxed)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        let mut chunk = self.chunks.take();
        while let Some(start) = chunk {
            // SAFETY: the chunk's own link, read before the chunk goes.
            chunk = NonNull::new(unsafe { crate::list::next(start) });
            // SAFETY: from `into_raw` above, once; no node is used any more.
            drop(unsafe { Pages::from_raw(start.cast(), CHUNK_SIZE) });
        }
    }
}
