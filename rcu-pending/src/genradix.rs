//! A radix tree of leaves. It grows at its end, a whole leaf at a time, and shrinks at its end;
//! nothing in it ever moves, so growing never copies and needs no large block.
//!
//! Its inside is made of the same nodes as the leaves, 64 pointers each. A tree of one leaf has no
//! inside at all.

use crate::node::{NODE_SIZE, Node};
use std::ptr::{self, NonNull};

const FANOUT: usize = NODE_SIZE / size_of::<*mut Node>();
const BITS: u32 = FANOUT.trailing_zeros();

/// An inner node: null, or an inner node of the level below, or on the lowest level a leaf.
type Slots = [*mut Node; FANOUT];

/// See the [module](self). Does not free anything by itself: [`Genradix::drain`] does.
pub(crate) struct Genradix {
    root: *mut Node,
    leaves: u32,
    /// Levels of inner nodes. They stay when leaves are taken off, to be used again.
    depth: u32,
}

impl Genradix {
    pub(crate) const fn new() -> Self {
        Self { root: ptr::null_mut(), leaves: 0, depth: 0 }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// Appends a leaf; inner nodes come from `spare`. When there are none the leaf comes back, and
    /// what the tree holds is as before.
    ///
    /// # Safety
    ///
    /// The leaf is the caller's to give, and `spare` gives nodes away for good.
    pub(crate) unsafe fn push(
        &mut self,
        leaf: NonNull<Node>,
        mut spare: impl FnMut() -> Option<NonNull<Node>>,
    ) -> Result<(), NonNull<Node>> {
        let mut inner = || {
            let node = spare()?.cast::<Slots>();
            // SAFETY: what `spare` gives is ours, and as large.
            unsafe { node.write([ptr::null_mut(); FANOUT]) };
            Some(node)
        };
        if self.leaves == u32::MAX {
            return Err(leaf);
        }
        while u64::from(self.leaves) == 1 << (BITS * self.depth) {
            let Some(root) = inner() else { return Err(leaf) };
            // SAFETY: a fresh inner node.
            unsafe { (*root.as_ptr())[0] = self.root };
            self.root = root.cast().as_ptr();
            self.depth += 1;
        }
        let mut slot: *mut *mut Node = &mut self.root;
        for level in (0..self.depth).rev() {
            // SAFETY: the slot is the root's or an inner node's, and what it holds above the lowest
            // level is an inner node.
            unsafe {
                if (*slot).is_null() {
                    let Some(node) = inner() else { return Err(leaf) };
                    *slot = node.cast().as_ptr();
                }
                slot = child(*slot, self.leaves, level);
            }
        }
        // SAFETY: as above.
        unsafe { *slot = leaf.as_ptr() };
        self.leaves += 1;
        Ok(())
    }

    /// The place of the last leaf.
    fn last_slot(&mut self) -> Option<*mut *mut Node> {
        let index = self.leaves.checked_sub(1)?;
        let mut slot: *mut *mut Node = &mut self.root;
        for level in (0..self.depth).rev() {
            // SAFETY: the way to a leaf that is there is there.
            slot = unsafe { child(*slot, index, level) };
        }
        Some(slot)
    }

    /// The last leaf, which stays the tree's.
    pub(crate) fn last(&mut self) -> Option<NonNull<Node>> {
        // SAFETY: the slot is within the tree.
        self.last_slot().and_then(|slot| NonNull::new(unsafe { *slot }))
    }

    /// Takes the last leaf off.
    pub(crate) fn pop(&mut self) -> Option<NonNull<Node>> {
        let slot = self.last_slot()?;
        self.leaves -= 1;
        // SAFETY: the slot is within the tree.
        NonNull::new(unsafe { slot.replace(ptr::null_mut()) })
    }

    /// Takes the tree apart: gives each leaf, in order, to `leaf`, and each inner node to `inner`.
    pub(crate) fn drain(
        self,
        leaf: &mut dyn FnMut(NonNull<Node>),
        inner: &mut dyn FnMut(NonNull<Node>),
    ) {
        fn walk(
            node: *mut Node,
            depth: u32,
            leaf: &mut dyn FnMut(NonNull<Node>),
            inner: &mut dyn FnMut(NonNull<Node>),
        ) {
            let Some(node) = NonNull::new(node) else { return };
            if depth == 0 {
                return leaf(node);
            }
            for slot in 0..FANOUT {
                // SAFETY: an inner node of ours, not given away before its slots have been seen.
                let below = unsafe { (*node.cast::<Slots>().as_ptr())[slot] };
                walk(below, depth - 1, leaf, inner);
            }
            inner(node);
        }
        walk(self.root, self.depth, leaf, inner);
    }
}

/// The slot of `node`, an inner node on `level`, that leads to leaf `index`.
///
/// # Safety
///
/// `node` is an inner node.
unsafe fn child(node: *mut Node, index: u32, level: u32) -> *mut *mut Node {
    let slot = (index >> (BITS * level)) as usize % FANOUT;
    // SAFETY: below the fan-out.
    unsafe { node.cast::<*mut Node>().add(slot) }
}

#[cfg(test)]
#[path = "genradix_tests.rs"]
mod tests;
