//! Dequeueing: allocating out of what waits to be freed. Objects whose grace period is over come
//! first.

use crate::inner::Inner;
use crate::process::{Item, Process};
use crate::reap::ReapSide;
use crate::shard::Shard;
use rcu_core::{Cookie, Flavor};
use std::fmt;

/// An item that was taken out of the queue again; see [`Pending::dequeue`](crate::Pending::dequeue).
///
/// ```
/// use rcu_core::{Flavor, Rcu};
/// use rcu_pending::{Dequeued, Grace, Ptr};
///
/// fn usable<T>(dequeued: &Dequeued<Ptr<T>, Rcu>) -> bool {
///     match dequeued.grace {
///         Grace::Elapsed => true,
///         Grace::NotYet(cookie) => Rcu.poll(cookie),
///     }
/// }
/// # let item = Ptr(std::ptr::NonNull::<u8>::dangling());
/// # assert!(usable(&Dequeued { item, grace: Grace::Elapsed }));
/// ```
pub struct Dequeued<I, F> {
    /// The item.
    pub item: I,
    /// Whether readers may still be using its object.
    pub grace: Grace<F>,
}

/// Whether the grace period of a dequeued object is over.
///
/// ```
/// use rcu_pending::Grace;
/// use rcu_core::{Flavor, Rcu};
///
/// let wait_until_unused = |grace: Grace<Rcu>| match grace {
///     Grace::Elapsed => {}
///     Grace::NotYet(cookie) => Rcu.cond_synchronize(cookie),
/// };
/// wait_until_unused(Grace::NotYet(Rcu.get_state()));
/// ```
pub enum Grace<F> {
    /// It is over: the object is the caller's alone.
    Elapsed,
    /// Readers may still use the object until this cookie is done.
    NotYet(Cookie<F>),
}

// Not derived: that would ask the same of `F`.
impl<F> Clone for Grace<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Grace<F> {}

impl<F> fmt::Debug for Grace<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elapsed => f.write_str("Elapsed"),
            Self::NotYet(cookie) => f.debug_tuple("NotYet").field(cookie).finish(),
        }
    }
}

impl<I: Clone, F> Clone for Dequeued<I, F> {
    fn clone(&self) -> Self {
        Self { item: self.item.clone(), grace: self.grace }
    }
}

impl<I: Copy, F> Copy for Dequeued<I, F> {}

impl<I: fmt::Debug, F> fmt::Debug for Dequeued<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Dequeued");
        debug.field("item", &self.item).field("grace", &self.grace).finish()
    }
}

impl<P: Process, F: Flavor> Inner<P, F> {
    /// From this CPU's shard.
    pub(crate) fn dequeue(&self) -> Option<Dequeued<P::Item, F>> {
        self.shards.current().dequeue()
    }

    /// From this CPU's shard, else from any.
    pub(crate) fn dequeue_from_all(&self) -> Option<Dequeued<P::Item, F>> {
        self.dequeue().or_else(|| self.shards.iter().find_map(Shard::dequeue))
    }
}

impl<P: Process, F: Flavor> Shard<P, F> {
    fn dequeue(&self) -> Option<Dequeued<P::Item, F>> {
        self.dequeue_filed().or_else(|| self.dequeue_open())
    }

    fn dequeue_filed(&self) -> Option<Dequeued<P::Item, F>> {
        let mut side = self.try_lock_reap()?;
        if side.file(self) {
            // A leaf may have come under a later cookie than it was rung for.
            side.ring_again(self);
        }
        let dequeued = side.pop_done(self).or_else(|| side.pop_waiting(self))?;
        self.discount(1, dequeued.item.bytes());
        Some(dequeued)
    }

    fn dequeue_open(&self) -> Option<Dequeued<P::Item, F>> {
        let item = self.try_lock()?.pop()?;
        // A cookie taken now covers it, whenever it was added.
        Some(Dequeued { item, grace: Grace::NotYet(self.inner().flavor.get_state()) })
    }
}

impl<F: Flavor> ReapSide<F> {
    fn pop_done<P: Process>(&mut self, shard: &Shard<P, F>) -> Option<Dequeued<P::Item, F>> {
        let flavor = &shard.inner().flavor;
        for index in 0..self.batches.as_slice().len() {
            if self.is_done(flavor, self.batches.as_slice()[index].cookie) {
                let item = self.pop_from_batch(shard, index)?;
                return Some(Dequeued { item, grace: Grace::Elapsed });
            }
        }
        self.sort_lists(flavor);
        let (item, rest) = self.done_list.take()?.split_first();
        self.done_list = rest;
        Some(Dequeued { item, grace: Grace::Elapsed })
    }

    fn pop_waiting<P: Process>(&mut self, shard: &Shard<P, F>) -> Option<Dequeued<P::Item, F>> {
        if let Some(index) = self.batches.as_slice().len().checked_sub(1) {
            let grace = Grace::NotYet(self.batches.as_slice()[index].cookie);
            return self.pop_from_batch(shard, index).map(|item| Dequeued { item, grace });
        }
        let slot = self.lists.iter_mut().find(|list| list.is_some())?;
        let list = slot.take()?;
        let grace = Grace::NotYet(list.cookie);
        let (item, rest) = list.split_first();
        *slot = rest;
        Some(Dequeued { item, grace })
    }

    fn pop_from_batch<P: Process>(&mut self, shard: &Shard<P, F>, index: usize) -> Option<P::Item> {
        let batch = &mut self.batches.as_mut_slice()[index];
        let item = batch.pop(|node| shard.give_node(node));
        if batch.is_empty() {
            // At once: an empty batch would be one more cookie to ask about.
            let empty = self.batches.swap_remove(index);
            empty.drain::<P::Item>(|_leaf| (), |inner| shard.give_inner_node(inner));
        }
        item
    }
}
