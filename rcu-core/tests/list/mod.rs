//! A sorted list in the manner of Harris and Michael: a node whose `next` is marked is removed, and
//! whoever cuts it out of the list frees it after a grace period.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;

use rcu_core::ptr::{Atomic, Owned, Shared};
use rcu_core::{Flavor, Rcu, RcuGuard};

/// The tag of the `next` of a removed node.
const REMOVED: usize = 1;

const WHOLE: u64 = 0x5afe_5afe_5afe_5afe;
const FREED: u64 = 0xdead_dead_dead_dead;

pub(crate) struct Node {
    key: u64,
    value: u64,
    next: Atomic<Node>,
    /// `WHOLE ^ value` until the node is dropped.
    seal: u64,
}

impl Node {
    pub(crate) fn new(key: u64, value: u64) -> Self {
        Self { key, value, next: Atomic::null(), seal: WHOLE ^ value }
    }

    /// The value of a node that must be whole.
    pub(crate) fn check(&self) -> u64 {
        // SAFETY: our own field. Volatile: a read after free must not be optimised into a hit.
        let seal = unsafe { (&raw const self.seal).read_volatile() };
        assert_eq!(seal, WHOLE ^ self.value, "the node was freed under its reader");
        self.value
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SAFETY: our own field. Volatile: nobody reads it again, so it would be left out.
        unsafe { (&raw mut self.seal).write_volatile(FREED) };
    }
}

/// A thread that works on a list.
pub(crate) struct Worker<'a> {
    /// Nodes that this thread cut out, waiting for a grace period.
    bin: Vec<*const Node>,
    freed: &'a AtomicU64,
    steps: u32,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(freed: &'a AtomicU64) -> Self {
        Self { bin: Vec::new(), freed, steps: 0 }
    }

    /// Lets others in, every now and then, where it hurts.
    fn dawdle(&mut self) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(16) {
            thread::yield_now();
        }
    }

    /// Outside of sections.
    pub(crate) fn empty_full_bin(&mut self) {
        if self.bin.len() >= 32 {
            self.empty_bin();
        }
    }

    fn empty_bin(&mut self) {
        Rcu.synchronize_expedited();
        for node in self.bin.drain(..) {
            // SAFETY: cut out by this thread alone, and every section that could have seen it has
            // ended.
            unsafe { Owned::from_raw(node.cast_mut()) }.check();
            self.freed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.empty_bin();
    }
}

#[derive(Default)]
pub(crate) struct List {
    head: Atomic<Node>,
}

/// Where a key is, or would be.
struct Place<'g> {
    /// The pointer that leads to `node`.
    from: &'g Atomic<Node>,
    /// The first node that is not before the key; its tag is 0.
    node: Shared<'g, Node>,
    found: bool,
}

impl List {
    /// Cuts out removed nodes that it comes past.
    fn find<'g>(&'g self, key: u64, worker: &mut Worker<'_>, guard: &'g RcuGuard) -> Place<'g> {
        'again: loop {
            let mut from = &self.head;
            let mut node = from.load(Acquire, guard);
            loop {
                // SAFETY: nodes are freed after a grace period.
                let Some(at) = (unsafe { node.as_ref() }) else {
                    return Place { from, node, found: false };
                };
                at.check();
                let next = at.next.load(Acquire, guard);
                if next.tag() == REMOVED {
                    let next = next.with_tag(0);
                    match from.compare_exchange(node, next, AcqRel, Relaxed, guard) {
                        Ok(_) => worker.bin.push(node.as_raw()),
                        // Another cut it out, or inserted here, or removed the node before.
                        Err(_) => continue 'again,
                    }
                    node = next;
                } else if at.key >= key {
                    return Place { from, node, found: at.key == key };
                } else {
                    from = &at.next;
                    node = next;
                }
            }
        }
    }

    pub(crate) fn insert(&self, key: u64, value: u64, worker: &mut Worker<'_>) -> bool {
        let guard = Rcu.read_lock();
        let mut new = Owned::new(Node::new(key, value));
        loop {
            let place = self.find(key, worker, &guard);
            if place.found {
                return false;
            }
            new.next = Atomic::from(place.node);
            worker.dawdle();
            match place.from.compare_exchange(place.node, new, Release, Relaxed, &guard) {
                Ok(_) => return true,
                Err(refused) => new = refused.new,
            }
        }
    }

    pub(crate) fn remove(&self, key: u64, worker: &mut Worker<'_>) -> Option<u64> {
        let guard = Rcu.read_lock();
        loop {
            let place = self.find(key, worker, &guard);
            if !place.found {
                return None;
            }
            // SAFETY: found, so not null; nodes are freed after a grace period.
            let node = unsafe { place.node.deref() };
            let next = node.next.fetch_or(REMOVED, AcqRel, &guard);
            if next.tag() == REMOVED {
                continue; // another was first; the key may be there anew
            }
            let value = node.check();
            worker.dawdle();
            match place.from.compare_exchange(place.node, next, AcqRel, Relaxed, &guard) {
                Ok(_) => worker.bin.push(place.node.as_raw()),
                Err(_) => _ = self.find(key, worker, &guard), // cuts it out, if need be
            }
            return Some(value);
        }
    }

    /// Writes nothing.
    pub(crate) fn get(&self, key: u64, worker: &mut Worker<'_>) -> Option<u64> {
        let guard = Rcu.read_lock();
        let mut node = self.head.load(Acquire, &guard);
        loop {
            // SAFETY: nodes are freed after a grace period.
            let at = unsafe { node.as_ref() }?;
            let value = at.check();
            worker.dawdle();
            assert_eq!(at.check(), value);
            let next = at.next.load_consume(&guard);
            if at.key >= key {
                return (at.key == key && next.tag() != REMOVED).then_some(value);
            }
            node = next;
        }
    }

    /// The keys; frees the nodes.
    pub(crate) fn drain(mut self) -> Vec<u64> {
        let mut keys = Vec::new();
        let mut rest = std::mem::take(&mut self.head);
        // SAFETY: nobody else is here, and the list owns its nodes.
        while let Some(mut node) = unsafe { rest.try_into_owned() } {
            assert_eq!(node.next.load(Relaxed, &Rcu.read_lock()).tag(), 0, "removed, not cut out");
            node.check();
            keys.push(node.key);
            rest = std::mem::take(&mut node.next);
        }
        keys
    }
}
