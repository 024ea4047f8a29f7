//! Enqueueing: onto the open leaf, and what happens when that cannot be had.
//!
//! The order of the ways: this shard's open leaf; the inbox of whoever holds the lock; a leaf in a
//! fresh node; for an intrusive item the list, which needs nothing; for a headless one the other
//! shards, then a leaf of its own. Memory is asked of the system with no lock held, and everything
//! is looked at anew afterwards.

use crate::inner::Inner;
use crate::leaf::OpenLeaf;
use crate::list::Link;
use crate::process::{Item, Process};
use crate::shard::{Shard, parity};
use crate::stats::report;
use rcu_core::Flavor;
use rcu_core::runtime::callback_scope;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

/// How often a thread tries to get at a leaf of this CPU before it takes another way.
const TRIES: usize = 4;

impl<P: Process, F: Flavor> Inner<P, F> {
    /// Enqueues. A headless item comes back if there is no memory at all.
    ///
    /// # Safety
    ///
    /// As for [`Pending::enqueue`](crate::Pending::enqueue).
    #[inline]
    pub(crate) unsafe fn enqueue(&self, item: P::Item) -> Result<(), P::Item> {
        if let Some(mut locked) = self.shards.current().try_lock()
            && locked.push(item)
        {
            return Ok(());
        }
        // SAFETY: guaranteed by the caller.
        unsafe { self.enqueue_slow(item) }
    }

    #[cold]
    unsafe fn enqueue_slow(&self, item: P::Item) -> Result<(), P::Item> {
        let link = item.link();
        for _ in 0..TRIES {
            // Each time: the thread may have moved.
            let shard = self.shards.current();
            if let Some(mut locked) = shard.try_lock() {
                if locked.push(item) {
                    return Ok(());
                }
                drop(locked);
                if !shard.grow() {
                    break;
                }
            } else if let Some(link) = link {
                // Before it can be seen, and undone if there is nobody to take it.
                shard.count(&[item]);
                // SAFETY: the object is the queue's, guaranteed by the caller.
                if unsafe { shard.lock.post(link) } {
                    return Ok(());
                }
                shard.discount(1, item.bytes());
            } else {
                break;
            }
        }
        match link {
            Some(link) => {
                // SAFETY: guaranteed by the caller.
                unsafe { self.enqueue_listed(item, link) };
                Ok(())
            }
            None => self.enqueue_elsewhere(item),
        }
    }

    /// The way that needs nothing: onto the list, under a cookie of its own.
    ///
    /// # Safety
    ///
    /// `link` is that of `item`, an object that is the queue's.
    unsafe fn enqueue_listed(&self, item: P::Item, link: NonNull<Link>) {
        let shard = self.shards.current();
        shard.count(&[item]);
        self.counters.listed.fetch_add(1, Relaxed);
        // The caller has unlinked the object, and this is a full fence.
        let cookie = self.flavor.get_state();
        // SAFETY: guaranteed by the caller.
        unsafe { shard.late[parity(cookie)].push(link) };
        shard.ring(cookie);
    }

    /// A headless item that finds this CPU's shard taken, or without memory.
    fn enqueue_elsewhere(&self, item: P::Item) -> Result<(), P::Item> {
        for shard in self.shards.iter() {
            // Twice: a shard that is free but has no node gets some.
            for _ in 0..2 {
                let Some(mut locked) = shard.try_lock() else { break };
                if locked.push(item) {
                    return Ok(());
                }
                drop(locked);
                if !shard.grow() {
                    break;
                }
            }
        }
        let own = self.shards.current();
        let alone = self.shards.iter().any(|shard| shard.enqueue_alone(item, false));
        if alone || own.enqueue_alone(item, true) { Ok(()) } else { Err(item) }
    }

    /// Nothing is left but to lose the object.
    #[cold]
    pub(crate) fn leak(&self, item: P::Item) {
        self.counters.leaked_bytes.fetch_add(item.bytes(), Relaxed);
        if self.counters.leaked.fetch_add(1, Relaxed) == 0 {
            report(format_args!("out of memory: an object without a link is leaked"));
        }
    }

    /// Waits for a grace period and processes `item` in place. The caller may wait.
    #[cold]
    pub(crate) fn wait_and_process(&self, item: P::Item) {
        let shard = self.shards.current();
        shard.count(&[item]);
        let phase = {
            let _side = shard.lock_reap();
            shard.in_flight.begin() // a barrier waits for us
        };
        self.flavor.synchronize_expedited();
        {
            let _scope = callback_scope();
            shard.process_slice(&[item]);
        }
        shard.finish(phase);
    }
}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// Hands over a leaf with nothing but `item` in it; needs a node but no lock.
    fn enqueue_alone(&self, item: P::Item, grow: bool) -> bool {
        let Some(node) = self.take_node(grow) else { return false };
        let mut leaf = OpenLeaf::<P::Item, F>::none();
        // SAFETY: no leaf is open there, and the node is ours.
        unsafe { leaf.open(node) };
        leaf.push(item);
        // The caller has unlinked the object, and this is a full fence.
        let cookie = self.inner().flavor.get_state();
        if let Some(leaf) = leaf.close(cookie) {
            self.hand_over(leaf);
            self.ring(cookie);
        }
        true
    }
}
