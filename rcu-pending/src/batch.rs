//! A batch: the leaves that wait for one cookie, in a radix tree, or in a chain if the tree had no
//! node to grow with.

use crate::genradix::Genradix;
use crate::leaf::Leaf;
use crate::list::{Link, next, set_next};
use crate::node::Node;
use crate::process::Item;
use rcu_core::{Cookie, Flavor};
use std::ptr::{self, NonNull};

/// See the [module](self). Does not free anything by itself: [`Batch::drain`] does.
pub(crate) struct Batch<F: Flavor> {
    pub(crate) cookie: Cookie<F>,
    radix: Genradix,
    overflow: *mut Link,
}

impl<F: Flavor> Batch<F> {
    pub(crate) const fn new(cookie: Cookie<F>) -> Self {
        Self { cookie, radix: Genradix::new(), overflow: ptr::null_mut() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.radix.is_empty() && self.overflow.is_null()
    }

    /// Adds a leaf, which waits for this batch's cookie from now on. Cannot fail.
    pub(crate) fn add<I: Item>(
        &mut self,
        leaf: Leaf<I, F>,
        spare: impl FnMut() -> Option<NonNull<Node>>,
    ) {
        // SAFETY: the leaf is ours to give, and what `spare` gives is the tree's.
        if let Err(node) = unsafe { self.radix.push(leaf.into_node(), spare) } {
            let link = node.cast::<Link>();
            // SAFETY: the leaf came back, and its first word is its link.
            unsafe { set_next(link, self.overflow) };
            self.overflow = link.as_ptr();
        }
    }

    /// Takes the last item of the last leaf; a leaf that is empty then goes to `free`.
    pub(crate) fn pop<I: Item>(&mut self, free: impl FnOnce(NonNull<Node>)) -> Option<I> {
        let node = match NonNull::new(self.overflow) {
            Some(link) => link.cast(),
            None => self.radix.last()?,
        };
        // SAFETY: what is in a batch came from `add`, with the same types.
        let mut leaf = unsafe { Leaf::<I, F>::from_node(node) };
        let item = leaf.pop();
        if leaf.items().is_empty() {
            match NonNull::new(self.overflow) {
                // SAFETY: the chain is ours.
                Some(link) => self.overflow = unsafe { next(link) },
                None => drop(self.radix.pop()),
            }
            free(leaf.into_node());
        }
        item
    }

    /// Takes the batch apart: each leaf goes to `leaf`, each inner node of the tree to `inner`.
    pub(crate) fn drain<I: Item>(
        self,
        mut leaf: impl FnMut(Leaf<I, F>),
        mut inner: impl FnMut(NonNull<Node>),
    ) {
        // SAFETY: what is in a batch came from `add`, with the same types.
        let mut leaf = |node| leaf(unsafe { Leaf::from_node(node) });
        self.radix.drain(&mut leaf, &mut inner);
        let mut rest = self.overflow;
        while let Some(link) = NonNull::new(rest) {
            // SAFETY: the chain is ours; read before the leaf goes.
            rest = unsafe { next(link) };
            leaf(link.cast());
        }
    }
}
