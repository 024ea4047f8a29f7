//! Waiting until everything that was enqueued has been processed.
//!
//! A barrier depends on nobody: it closes the open leaves, files everything, waits for a grace
//! period, and processes what is done by itself. Then it waits for what other reapers had in hand.

use crate::inner::Inner;
use crate::process::Process;
use crate::shard::{Shard, relax};
use rcu_core::Flavor;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

impl<P: Process, F: Flavor> Inner<P, F> {
    /// Closes every open leaf.
    pub(crate) fn close_leaves(&self) {
        for shard in self.shards.iter() {
            shard.lock().close();
        }
    }

    /// Waits until everything enqueued before the call has been processed. The caller may wait.
    pub(crate) fn barrier(&self) {
        let _one_at_a_time = lock(&self.barrier);
        loop {
            self.close_leaves();
            for shard in self.shards.iter() {
                // Acquire: pairs with the Release of those who carry. Whoever posted an item
                // before the call has had it taken over before we held the lock.
                let mut tries = 0;
                while shard.carrying.load(Ordering::Acquire) != 0 {
                    relax(&mut tries);
                }
                let mut side = shard.lock_reap();
                if side.file(shard) {
                    side.ring_again(shard);
                }
                shard.in_flight.settle();
            }
            // Everything has its cookie by now, and none is later than this one.
            self.flavor.cond_synchronize(self.flavor.get_state());
            for shard in self.shards.iter() {
                shard.reap(|| ());
            }
            for shard in self.shards.iter() {
                self.wait_for_reapers(shard);
            }
            // What ran out of memory, or was refused at the last check, takes another round.
            let settled = |shard: &Shard<P, F>| {
                let _side = shard.lock_reap();
                !shard.in_flight.is_disturbed()
            };
            if self.shards.iter().all(settled) {
                return;
            }
        }
    }

    /// Waits for the reapers that have taken something out of `shard` by now.
    fn wait_for_reapers(&self, shard: &Shard<P, F>) {
        let phase = {
            let _side = shard.lock_reap();
            shard.in_flight.turn()
        };
        // SeqCst: pairs with `finish`.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut guard = lock(&self.idle_lock);
        while !shard.in_flight.is_over(phase) {
            guard = self.idle.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// Counts a reaper out that [`InFlight::begin`] counted in.
    pub(crate) fn finish(&self, phase: usize) {
        let inner = self.inner();
        // SeqCst: pairs with `wait_for_reapers`: either it sees our count, or we see it wait.
        if self.in_flight.end(phase) && inner.waiting.load(Ordering::SeqCst) != 0 {
            drop(lock(&inner.idle_lock));
            inner.idle.notify_all();
        }
    }
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reapers that have taken items out and are not done with them, in two phases, so that a barrier
/// can wait for those that began before it.
pub(crate) struct InFlight {
    counts: [AtomicU32; 2],
    /// 0 or 1. Under the reap lock.
    phase: AtomicU8,
    /// Whether items have been put back, or under a later cookie than they had, since a barrier
    /// filed them. Under the reap lock.
    disturbed: AtomicBool,
}

impl InFlight {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [AtomicU32::new(0), AtomicU32::new(0)],
            phase: AtomicU8::new(0),
            disturbed: AtomicBool::new(false),
        }
    }

    /// Counts a reaper in. With the reap lock held.
    pub(crate) fn begin(&self) -> usize {
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        self.counts[phase].fetch_add(1, Ordering::Relaxed);
        phase
    }

    /// Counts a reaper out. True: it was the last of its phase.
    fn end(&self, phase: usize) -> bool {
        // SeqCst: pairs with the barrier, which announces itself and then looks; one of us sees
        // the other. It also releases what was processed.
        self.counts[phase].fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Begins a new phase and says which one is over. With the reap lock held, and the barrier's.
    fn turn(&self) -> usize {
        usize::from(self.phase.fetch_xor(1, Ordering::Relaxed))
    }

    /// Whether every reaper of a phase is done.
    fn is_over(&self, phase: usize) -> bool {
        // SeqCst: see `end`.
        self.counts[phase].load(Ordering::SeqCst) == 0
    }

    /// Notes that items have been moved out of a barrier's sight. With the reap lock held.
    #[cold]
    pub(crate) fn disturb(&self) {
        self.disturbed.store(true, Ordering::Relaxed);
    }

    /// Whether that has happened since [`InFlight::settle`]. With the reap lock held.
    fn is_disturbed(&self) -> bool {
        self.disturbed.load(Ordering::Relaxed)
    }

    /// Forgets it: everything has just been filed. With the reap lock held.
    fn settle(&self) {
        self.disturbed.store(false, Ordering::Relaxed);
    }
}
