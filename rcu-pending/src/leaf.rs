//! Leaves: nodes full of items. One is open in each shard that is in use; a closed one has a
//! cookie and is never written again, but for items that are dequeued from its end.

use crate::list::Link;
use crate::node::{NODE_SIZE, Node};
use crate::process::Item;
use rcu_core::{Cookie, Flavor};
use std::mem::{MaybeUninit, offset_of};
use std::ptr::{self, NonNull};

/// How a leaf lies in its node; the items go on to the node's end.
#[repr(C)]
struct Layout<I, F: Flavor> {
    link: Link,
    cookie: Cookie<F>,
    len: usize,
    items: [MaybeUninit<I>; 0],
}

impl<I: Item, F: Flavor> Layout<I, F> {
    const CAPACITY: usize = {
        assert!(size_of::<I>() > 0 && size_of::<I>() <= 2 * size_of::<usize>());
        assert!(align_of::<I>() <= align_of::<usize>());
        (NODE_SIZE - offset_of!(Self, items)) / size_of::<I>()
    };
    /// From the start of the node to the end of the last item.
    const END: usize = offset_of!(Self, items) + Self::CAPACITY * size_of::<I>();
}

/// The leaf being filled: from where the next item goes to where the leaf ends; or none, which is
/// like a full one. Two words in a fixed order.
#[repr(C)]
pub(crate) struct OpenLeaf<I, F> {
    cursor: *mut I,
    end: *mut I,
    flavor: std::marker::PhantomData<F>,
}

impl<I: Item, F: Flavor> OpenLeaf<I, F> {
    pub(crate) const fn none() -> Self {
        Self { cursor: ptr::null_mut(), end: ptr::null_mut(), flavor: std::marker::PhantomData }
    }

    /// Opens a leaf in `node`.
    ///
    /// # Safety
    ///
    /// No leaf is open, and the node is the caller's to give.
    pub(crate) unsafe fn open(&mut self, node: NonNull<Node>) {
        let leaf = node.cast::<Layout<I, F>>().as_ptr();
        // SAFETY: both are within the node.
        unsafe {
            self.cursor = (&raw mut (*leaf).items).cast();
            self.end = leaf.byte_add(Layout::<I, F>::END).cast();
        }
    }

    /// Adds an item. False: there is no room.
    #[inline]
    pub(crate) fn push(&mut self, item: I) -> bool {
        if self.cursor == self.end {
            return false;
        }
        // SAFETY: before the leaf's end.
        unsafe {
            self.cursor.write(item);
            self.cursor = self.cursor.add(1);
        }
        true
    }

    /// The start of the open leaf, found from its end, which does not move.
    fn leaf(&self) -> Option<NonNull<Layout<I, F>>> {
        // SAFETY: within the node.
        NonNull::new(self.end).map(|end| unsafe { end.byte_sub(Layout::<I, F>::END).cast() })
    }

    /// The items of the open leaf.
    pub(crate) fn items(&self) -> &[I] {
        let Some(leaf) = self.leaf() else { return &[] };
        // SAFETY: the items from the first to the cursor have been written.
        unsafe {
            let first: *mut I = (&raw mut (*leaf.as_ptr()).items).cast();
            std::slice::from_raw_parts(first, self.cursor.offset_from_unsigned(first))
        }
    }

    /// Takes the newest item.
    pub(crate) fn pop(&mut self) -> Option<I> {
        if self.items().is_empty() {
            return None;
        }
        // SAFETY: there is an item before the cursor.
        unsafe {
            self.cursor = self.cursor.sub(1);
            Some(self.cursor.read())
        }
    }

    /// Closes the open leaf, if there is one. Its items wait for `cookie`, which must be a snapshot
    /// taken after the last of them was added.
    pub(crate) fn close(&mut self, cookie: Cookie<F>) -> Option<Leaf<I, F>> {
        let leaf = self.leaf()?;
        let len = self.items().len();
        *self = Self::none();
        // SAFETY: the node is the closed leaf's from here on.
        unsafe {
            (&raw mut (*leaf.as_ptr()).link).write(Link::new());
            (&raw mut (*leaf.as_ptr()).cookie).write(cookie);
            (&raw mut (*leaf.as_ptr()).len).write(len);
        }
        Some(Leaf(leaf))
    }
}

/// A closed leaf; the node is this value's, or is lent to a stack or a batch.
pub(crate) struct Leaf<I, F: Flavor>(NonNull<Layout<I, F>>);

impl<I: Item, F: Flavor> Leaf<I, F> {
    /// The leaf in a node.
    ///
    /// # Safety
    ///
    /// It came from [`Leaf::into_node`] of a leaf of the same types, and has not been given away.
    #[inline]
    pub(crate) unsafe fn from_node(node: NonNull<Node>) -> Self {
        Self(node.cast())
    }

    #[inline]
    pub(crate) fn into_node(self) -> NonNull<Node> {
        self.0.cast()
    }

    pub(crate) fn cookie(&self) -> Cookie<F> {
        // SAFETY: a closed leaf is initialised.
        unsafe { (*self.0.as_ptr()).cookie }
    }

    pub(crate) fn items(&self) -> &[I] {
        let leaf = self.0.as_ptr();
        // SAFETY: a closed leaf has `len` items.
        unsafe { std::slice::from_raw_parts((&raw const (*leaf).items).cast(), (*leaf).len) }
    }

    /// Takes the last item off.
    pub(crate) fn pop(&mut self) -> Option<I> {
        let last = *self.items().last()?;
        // SAFETY: the leaf is ours.
        unsafe { (*self.0.as_ptr()).len -= 1 };
        Some(last)
    }
}
