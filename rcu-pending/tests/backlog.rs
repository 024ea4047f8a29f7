//! A reaper that comes late finds a backlog whose every leaf waited for another grace period.
//!
//! In a process of its own: it holds up the thread that reaps for everybody.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may abort")]

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rcu_core::percpu::testing::pretend_cpus;
use rcu_core::{Flavor, Rcu};
use rcu_pending::{Pending, Ptr, process_fn};

static GATE: Mutex<()> = Mutex::new(());
static AT_THE_GATE: AtomicBool = AtomicBool::new(false);
static PROCESSED: AtomicUsize = AtomicUsize::new(0);

/// More than a leaf holds.
const LEAF: usize = 64;
const LEAVES: usize = 200;

#[test]
fn what_is_done_is_one_batch_whatever_its_cookies() {
    pretend_cpus(1);
    let queue = Pending::new(
        Rcu,
        process_fn(|items: &[Ptr<u8>]| {
            AT_THE_GATE.store(true, Ordering::Release);
            drop(GATE.lock());
            PROCESSED.fetch_add(items.len(), Ordering::Release);
        }),
    )
    .unwrap();
    let enqueue = |count: usize| {
        for _ in 0..count {
            // SAFETY: points nowhere, and processing does not look.
            unsafe { queue.enqueue(Ptr(NonNull::dangling())) };
        }
    };
    let beside_nodes = || {
        let stats = queue.stats();
        stats.used - stats.nodes * 512
    };
    let before = beside_nodes();

    let gate = GATE.lock().unwrap();
    enqueue(LEAF);
    Rcu.synchronize_expedited();
    while !AT_THE_GATE.load(Ordering::Acquire) {
        thread::yield_now();
    }
    // The reaper is busy. Each leaf is closed under another cookie, and all of those are done.
    for _ in 0..LEAVES {
        enqueue(LEAF);
        Rcu.synchronize_expedited();
    }
    // Files them all: not under two hundred cookies, which would take as many looks for each leaf.
    assert!(queue.dequeue().is_some());
    assert_eq!(beside_nodes(), before, "batches went to the heap");
    drop(gate);
    queue.close();
    assert_eq!(PROCESSED.load(Ordering::Acquire), (LEAVES + 1) * LEAF - 1);
}
