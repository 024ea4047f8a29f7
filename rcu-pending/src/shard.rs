//! One CPU's part of a queue: what enqueuers use, and what reapers use, which nobody who enqueues
//! ever waits for.

use crate::barrier::InFlight;
use crate::doorbell::Doorbells;
use crate::flush::Flush;
use crate::inner::Inner;
use crate::leaf::{Leaf, OpenLeaf};
use crate::list::{Link, Stack, next};
use crate::lock::LockWord;
use crate::node::Node;
use crate::process::{Item, Process};
use crate::reap::ReapSide;
use rcu_core::{Cookie, Flavor};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// See the [module](self). The lock word and the open leaf come first and in this order: a
/// restartable section will look at the one and move the other.
#[repr(C)]
pub(crate) struct Shard<P: Process, F: Flavor> {
    pub(crate) lock: LockWord,
    /// Under the lock.
    side: UnsafeCell<EnqueueSide<P::Item, F>>,
    /// The state that this shard is part of; never changes.
    inner: NonNull<Inner<P, F>>,
    pub(crate) flush: Flush,
    /// Items in closed leaves, stacks, batches and lists, and those being processed. Counted up
    /// before an item can be seen, and down when it is done with.
    pub(crate) objects: AtomicUsize,
    /// Their bytes.
    pub(crate) bytes: AtomicUsize,
    /// Nodes that are not in reserve.
    pub(crate) nodes: AtomicU32,
    /// Threads that have taken an inbox and not filed it yet.
    pub(crate) carrying: AtomicU32,
    /// Unused nodes on their way back to the enqueue side, which takes them all at a time.
    returned: Stack,
    /// Unused nodes for the inside of trees. Kept apart, so that neither side maps more while the
    /// other sits on what there is. Taken from under the reap lock.
    inner_nodes: Stack,
    /// Closed leaves on their way to the reap side.
    pub(crate) closed: Stack,
    /// Intrusive items on their way to the reap side, by the parity of a cookie that covers them.
    pub(crate) late: [Stack; 2],
    pub(crate) bells: Doorbells,
    pub(crate) in_flight: InFlight,
    /// Never waited for by those who enqueue.
    reap: Mutex<ReapSide<F>>,
}

/// The fields of a shard that its lock word protects.
#[repr(C)]
struct EnqueueSide<I, F> {
    open: OpenLeaf<I, F>,
    /// Unused nodes.
    free: Option<NonNull<Link>>,
}

// SAFETY: the cell is used under the lock, the pointer as a reference that somebody counts; items
// are `Send`, and what processes them is `Sync`.
unsafe impl<P: Process, F: Flavor> Send for Shard<P, F> {}
// SAFETY: as above.
unsafe impl<P: Process, F: Flavor> Sync for Shard<P, F> {}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// A shard of `inner`, which need not be initialised yet. `done` is a cookie that is done.
    pub(crate) fn new(inner: NonNull<Inner<P, F>>, done: Cookie<F>) -> Self {
        Self {
            lock: LockWord::new(),
            side: UnsafeCell::new(EnqueueSide { open: OpenLeaf::none(), free: None }),
            inner,
            flush: Flush::new::<P, F>(),
            objects: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            nodes: AtomicU32::new(0),
            carrying: AtomicU32::new(0),
            returned: Stack::new(),
            inner_nodes: Stack::new(),
            closed: Stack::new(),
            late: [Stack::new(), Stack::new()],
            bells: Doorbells::new::<P, F>(),
            in_flight: InFlight::new(),
            reap: Mutex::new(ReapSide::new(done)),
        }
    }

    pub(crate) fn inner_ptr(&self) -> NonNull<Inner<P, F>> {
        self.inner
    }

    pub(crate) fn inner(&self) -> &Inner<P, F> {
        // SAFETY: a shard is part of its state, which is whole before anybody gets at the shard.
        unsafe { self.inner.as_ref() }
    }

    /// Locks the enqueue side, if nobody else has.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Locked<'_, P, F>> {
        self.lock.try_lock().then(|| Locked { shard: self, ring: None, opened: false })
    }

    /// Locks the enqueue side. Not for those who enqueue.
    #[cold]
    pub(crate) fn lock(&self) -> Locked<'_, P, F> {
        let mut tries = 0_u32;
        loop {
            if let Some(locked) = self.try_lock() {
                return locked;
            }
            relax(&mut tries);
        }
    }

    /// Locks the reap side. Not for those who enqueue.
    pub(crate) fn lock_reap(&self) -> MutexGuard<'_, ReapSide<F>> {
        self.reap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the reap side, if nobody else has.
    pub(crate) fn try_lock_reap(&self) -> Option<MutexGuard<'_, ReapSide<F>>> {
        match self.reap.try_lock() {
            Ok(side) => Some(side),
            Err(TryLockError::Poisoned(side)) => Some(side.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A node without the lock: from the reserve, or if `grow`, from the system.
    pub(crate) fn take_node(&self, grow: bool) -> Option<NonNull<Node>> {
        let node = self
            .returned
            .take_one()
            .or_else(|| if grow && self.grow() { self.returned.take_one() } else { None })?;
        self.nodes.fetch_add(1, Ordering::Relaxed);
        Some(node.cast())
    }

    /// A node for the inside of a tree. With the reap lock held.
    pub(crate) fn take_inner_node(&self) -> Option<NonNull<Node>> {
        let Some(node) = self.inner_nodes.take_one() else { return self.take_node(true) };
        self.nodes.fetch_add(1, Ordering::Relaxed);
        Some(node.cast())
    }

    /// Gives a node from the inside of a tree back.
    pub(crate) fn give_inner_node(&self, node: NonNull<Node>) {
        self.nodes.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: an unused node's first word is a link.
        unsafe { self.inner_nodes.push(node.cast()) };
    }

    /// Gives a node back to the reserve.
    pub(crate) fn give_node(&self, node: NonNull<Node>) {
        self.nodes.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: an unused node's first word is a link.
        unsafe { self.returned.push(node.cast()) };
    }

    /// Maps more nodes. Not with the lock held.
    #[cold]
    pub(crate) fn grow(&self) -> bool {
        let Some((first, last)) = self.inner().reserve.grow() else { return false };
        // SAFETY: a chain of fresh nodes.
        unsafe { self.returned.push_chain(first, last) };
        true
    }

    /// Hands a closed leaf over to the reap side; its doorbell must be rung afterwards.
    pub(crate) fn hand_over(&self, leaf: Leaf<P::Item, F>) {
        self.count(leaf.items());
        // SAFETY: a leaf's first word is its link.
        unsafe { self.closed.push(leaf.into_node().cast()) };
    }

    /// Counts items that are about to be handed over.
    pub(crate) fn count(&self, items: &[P::Item]) {
        self.objects.fetch_add(items.len(), Ordering::Relaxed);
        add(&self.bytes, bytes_of(items));
    }

    /// Counts items that are gone.
    pub(crate) fn discount(&self, items: usize, bytes: usize) {
        // Release: pairs with the Acquire of `count`, which sees the items' end.
        self.objects.fetch_sub(items, Ordering::Release);
        add(&self.bytes, bytes.wrapping_neg());
    }
}

/// The bytes of items.
pub(crate) fn bytes_of<I: Item>(items: &[I]) -> usize {
    items.iter().map(|item| item.bytes()).fold(0, usize::wrapping_add)
}

fn add(counter: &AtomicUsize, bytes: usize) {
    if bytes != 0 {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Spins a little, then lets others run, then sleeps a moment.
pub(crate) fn relax(tries: &mut u32) {
    *tries = tries.saturating_add(1);
    match *tries {
        0..100 => std::hint::spin_loop(),
        100..200 => std::thread::yield_now(),
        // Who holds the lock may be of a lower priority than we are, and yielding is not for them.
        _ => std::thread::sleep(Duration::from_micros(50)),
    }
}

/// The lock of a shard's enqueue side. Dropping it unlocks, files what came into the inbox
/// meanwhile, and rings for what was closed: nothing of that happens with the lock held.
pub(crate) struct Locked<'a, P: Process, F: Flavor> {
    shard: &'a Shard<P, F>,
    /// The cookie of a leaf that was closed.
    ring: Option<Cookie<F>>,
    /// Whether a leaf was opened that needs a timer.
    opened: bool,
}

impl<P: Process, F: Flavor> Locked<'_, P, F> {
    #[inline]
    fn side(&mut self) -> &mut EnqueueSide<P::Item, F> {
        // SAFETY: we hold the lock.
        unsafe { &mut *self.shard.side.get() }
    }

    /// Adds an item to the open leaf. False: a new leaf is needed, and there is no node.
    #[inline]
    pub(crate) fn push(&mut self, item: P::Item) -> bool {
        self.side().open.push(item) || self.push_to_new(item)
    }

    #[cold]
    fn push_to_new(&mut self, item: P::Item) -> bool {
        // The node first, so that a full leaf is not closed for nothing.
        let Some(node) = self.node() else { return false };
        self.close();
        // SAFETY: there is no open leaf, and the node is ours.
        unsafe { self.side().open.open(node) };
        self.opened |= self.shard.flush.leaf_opened();
        self.side().open.push(item)
    }

    fn node(&mut self) -> Option<NonNull<Node>> {
        let shard = self.shard;
        let side = self.side();
        let node = side.free.take().or_else(|| shard.returned.take())?;
        // SAFETY: unused nodes are a chain, which is ours.
        side.free = NonNull::new(unsafe { next(node) });
        shard.nodes.fetch_add(1, Ordering::Relaxed);
        Some(node.cast())
    }

    /// Closes the open leaf, if there is one, under a cookie taken now.
    pub(crate) fn close(&mut self) {
        // The fence in here covers every item of the leaf: whoever added one unlocked before we
        // locked.
        let cookie = self.shard.inner().flavor.get_state();
        let Some(leaf) = self.side().open.close(cookie) else { return };
        if leaf.items().is_empty() {
            return self.shard.give_node(leaf.into_node());
        }
        self.shard.hand_over(leaf);
        self.ring = Some(cookie);
    }

    /// Takes the newest item of the open leaf.
    pub(crate) fn pop(&mut self) -> Option<P::Item> {
        self.side().open.pop()
    }

    /// The items of the open leaf.
    pub(crate) fn open_items(&mut self) -> &[P::Item] {
        self.side().open.items()
    }

    /// Frees the lock, and files the inbox that came with it.
    #[cold]
    fn unlock_and_carry(&mut self) {
        let shard = self.shard;
        // Relaxed: the swap that follows releases it to whoever locks next and looks for carriers.
        shard.carrying.fetch_add(1, Ordering::Relaxed);
        let Some(inbox) = shard.lock.unlock_and_take() else {
            shard.carrying.fetch_sub(1, Ordering::Release);
            return;
        };
        // After the swap: who posted has unlinked the object before, and the swap acquired it.
        let cookie = shard.inner().flavor.get_state();
        // SAFETY: the swap made the chain ours.
        unsafe {
            let (last, count) = crate::list::end_of(inbox);
            shard.inner().counters.carried.fetch_add(count, Ordering::Relaxed);
            shard.late[parity(cookie)].push_chain(inbox, last);
        }
        // Release: pairs with the Acquire of a barrier, which then finds the items filed.
        shard.carrying.fetch_sub(1, Ordering::Release);
        shard.ring(cookie);
    }
}

impl<P: Process, F: Flavor> Drop for Locked<'_, P, F> {
    #[inline]
    fn drop(&mut self) {
        if !self.shard.lock.try_unlock() {
            self.unlock_and_carry();
        }
        if let Some(cookie) = self.ring {
            self.shard.ring(cookie);
        }
        if self.opened {
            self.shard.start_timer();
        }
    }
}

/// Which of the two live cookies this is. They are adjacent, so one bit tells them apart.
#[inline]
pub(crate) fn parity<F: Flavor>(cookie: Cookie<F>) -> usize {
    (cookie.seq().get() >> 2) as usize & 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{ProcessFn, Ptr};
    use std::mem::offset_of;

    #[test]
    fn an_unused_shard_is_small() {
        type Plain = Shard<ProcessFn<Ptr<u64>, fn(&[Ptr<u64>])>, rcu_core::Rcu>;
        let padded = size_of::<Plain>().next_multiple_of(128);
        assert!(padded <= 512, "{} bytes", size_of::<Plain>());
        // Lock word, cursor, end.
        let word = size_of::<usize>();
        assert_eq!((offset_of!(Plain, lock), offset_of!(Plain, side)), (0, word));
    }
}
