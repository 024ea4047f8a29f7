//! Memory fails at every Nth request, for N from 1 up: no value is lost or dropped early, and what
//! leaks is counted.
//!
//! One test in a process of its own: failures are process-wide, and so is the count of live memory.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may abort")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::thread;

use rcu_kvfree::rcu_pending::alloc::fault;
use rcu_kvfree::{
    Flavor, NoMemory, Rcu, RcuBox, RcuCell, free_rcu, kvfree_rcu_barrier, kvfree_stats,
};

/// Counts the allocations of one size, which is the test's own.
struct CountsPayloads;

static PAYLOADS: AtomicIsize = AtomicIsize::new(0);
const PAYLOAD: usize = 3001;

fn is_payload(layout: Layout) -> bool {
    layout.size() >= PAYLOAD && layout.size() < PAYLOAD + 32
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for CountsPayloads {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PAYLOADS.fetch_add(is_payload(layout).into(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        PAYLOADS.fetch_sub(is_payload(layout).into(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountsPayloads = CountsPayloads;

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Counts itself, and holds a number that is spoilt when it is dropped.
struct Payload([u8; PAYLOAD]);

impl Payload {
    fn new() -> Self {
        MADE.fetch_add(1, Relaxed);
        Payload([7; PAYLOAD])
    }

    fn whole(&self) -> bool {
        self.0.iter().all(|&byte| byte == 7)
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        assert!(self.whole(), "dropped twice");
        self.0[PAYLOAD / 2] = 0;
        std::hint::black_box(&self.0);
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// Retires in each way; how many values came back for want of memory.
fn retire_some(cell: Option<&RcuCell<Payload>>, rounds: usize) -> usize {
    let mut refused = 0;
    for _ in 0..rounds {
        match RcuBox::try_new(Payload::new()) {
            Ok(boxed) => boxed.retire(),
            Err(NoMemory(payload)) => refused += usize::from(payload.whole()),
        }
        let object = NonNull::from(Box::leak(Box::new(Payload::new())));
        // SAFETY: a box's pointer, never published, retired once.
        unsafe { free_rcu(object) };
        if let Some(cell) = cell {
            let guard = Rcu.read_lock();
            let seen = cell.load(&guard);
            if let Err(NoMemory(payload)) = cell.try_store(Payload::new()) {
                refused += usize::from(payload.whole());
            }
            assert!(seen.whole());
        }
    }
    refused
}

fn settle(what: &str, cell: bool) {
    fault::set_every(0);
    kvfree_rcu_barrier();
    let stats = kvfree_stats();
    let kept = stats.leaked as usize + usize::from(cell);
    let (made, dropped) = (MADE.load(Relaxed), DROPPED.load(Relaxed));
    assert_eq!(made - dropped, kept, "{what}: {stats}");
    assert_eq!(PAYLOADS.load(Relaxed), kept as isize, "{what}: {stats}");
    if let Some(queue) = stats.queue {
        assert_eq!((queue.objects, queue.early), (0, 0), "{what}: {stats}");
    }
}

#[test]
fn every_nth_allocation_fails() {
    // Without memory for so much as the queue: boxes are refused, headless objects leak.
    fault::set_every(1);
    assert_eq!(retire_some(None, 100), 100);
    settle("no queue", false);
    assert_eq!(kvfree_stats().leaked, 100);
    assert!(kvfree_stats().queue.is_none());

    // Half a queue is none: a box is refused while nothing could take it later.
    fault::set_every(2);
    assert!(RcuBox::try_new(Payload::new()).is_err());
    settle("half a queue", false);

    // Once it is made a box needs no memory any more; the queue has not even a leaf yet.
    let boxes: Vec<_> = (0..1000).map(|_| RcuBox::new(Payload::new())).collect();
    fault::set_every(1);
    boxes.into_iter().for_each(RcuBox::retire);
    settle("boxes without memory", false);
    assert_eq!(kvfree_stats().leaked, 100);

    let cell = RcuCell::new(Payload::new());
    for every in 1..=24 {
        for threads in [1, 3] {
            fault::set_every(every);
            thread::scope(|s| {
                for _ in 0..threads {
                    s.spawn(|| {
                        let refused = retire_some(Some(&cell), 300);
                        assert!(every != 1 || refused == 600);
                    });
                }
            });
            settle(&format!("every {every}, {threads} threads"), true);
        }
    }
    // With leaves in reserve even now nothing leaks when memory is there.
    let leaked = kvfree_stats().leaked;
    retire_some(Some(&cell), 1000);
    settle("with memory", true);
    assert_eq!(kvfree_stats().leaked, leaked);
    drop(cell);
    settle("at the end", false);

    // Memory comes back from destructors that panic, and from boxes that are taken apart.
    struct Panics(#[allow(dead_code, reason = "only its size counts")] [u8; PAYLOAD]);
    impl Drop for Panics {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    for _ in 0..100 {
        RcuBox::new(Panics([0; PAYLOAD])).retire();
        // SAFETY: a box's pointer, never published, retired once.
        unsafe { free_rcu(NonNull::from(Box::leak(Box::new(Panics([0; PAYLOAD]))))) };
        drop(RcuBox::into_inner(RcuBox::new(Payload::new())));
    }
    settle("panics", false);
    assert_eq!(kvfree_stats().panics, 200);
}
