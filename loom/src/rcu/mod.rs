//! The registry: slots taken, given back and taken again while a scan goes on.

#[path = "../../../rcu-core/src/rcu/registry.rs"]
#[allow(dead_code, unreachable_pub, private_interfaces, clippy::all, reason = "another crate's")]
mod registry;
#[path = "../../../rcu-core/src/rcu/slot.rs"]
#[allow(dead_code, reason = "written for another crate")]
mod slot;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::gp::ReaderSet;
use crate::{GpSeq, asym, explore};
use registry::{Cursor, Registry};

/// For `slot.rs`: nobody sleeps for a reader here.
static ENGINE: Engine = Engine;

struct Engine;

impl Engine {
    fn reader_left(&self) {}
}

const STARTED: u64 = 5;
const SCANNING: u64 = 6;

/// What readers and an updater share.
struct Shared {
    registry: Registry,
    unlinked: AtomicBool,
    freed: AtomicBool,
}

/// A thread that registers, reads and exits: a section as `RcuGuard` makes it in `Fence`.
fn read(shared: &Shared) {
    let slot = shared.registry.take_slot();
    slot.enter(|| GpSeq::new(STARTED));
    asym::full();
    if !shared.unlinked.load(Ordering::Relaxed) {
        // It may use the object: that must not be freed before the section ends.
        assert!(!shared.freed.load(Ordering::Relaxed), "freed under a section");
        thread::yield_now();
        assert!(!shared.freed.load(Ordering::Relaxed), "freed under a section");
    }
    slot.leave();
    shared.registry.put_slot(slot);
}

/// An updater that unlinks, scans until nobody holds it up, and frees.
fn scan_and_free(shared: &Shared) {
    shared.unlinked.store(true, Ordering::Relaxed);
    shared.registry.heavy();
    let mut cursor = Cursor::default();
    while !shared.registry.quiescent(&mut cursor, GpSeq::new(SCANNING)) {
        thread::yield_now();
    }
    shared.freed.store(true, Ordering::Relaxed);
}

#[test]
fn nothing_is_freed_under_readers_that_come_and_go() {
    explore(2, || {
        let shared = Arc::new(Shared {
            registry: Registry::new(),
            unlinked: AtomicBool::new(false),
            freed: AtomicBool::new(false),
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    read(&shared);
                    read(&shared); // with a slot that it, or the other thread, gave back
                })
            })
            .collect();
        scan_and_free(&shared);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
