//! Threads that the system moves from CPU to CPU as fast as it can, in the middle of everything.

use std::collections::VecDeque;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use rcu_core::{Flavor, Rcu};

const POISON: usize = usize::MAX;
const CHANGES: usize = 50_000;
const READERS: usize = 3;

#[test]
fn moved_about_by_the_system() {
    let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let allowed: Vec<_> =
        (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu).unwrap_or(false)).collect();
    let single = |turn: usize| {
        let mut set = CpuSet::new();
        set.set(allowed[turn % allowed.len()]).unwrap();
        set
    };

    let shared = AtomicPtr::new(Box::into_raw(Box::new(AtomicUsize::new(1))));
    let (reads, swaps) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    Rcu.synchronize(); // the background threads are there, and are moved too
    thread::scope(|s| {
        let readers: [_; READERS] = std::array::from_fn(|_| {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let outer = Rcu.read_lock();
                    // SAFETY: freed only after a grace period that our section holds up.
                    let value = unsafe { &*shared.load(Ordering::Acquire) };
                    for look in 0..20 {
                        let inner = Rcu.read_lock();
                        assert_ne!(value.load(Ordering::Relaxed), POISON);
                        if look == 10 && reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
                            thread::yield_now();
                        }
                        assert_ne!(value.load(Ordering::Relaxed), POISON);
                        drop(inner);
                    }
                    drop(outer);
                }
            })
        });
        // Readers load, all three, from what any of these two frees.
        for updater in 0..2 {
            let (shared, swaps, stop) = (&shared, &swaps, &stop);
            s.spawn(move || {
                let mut retired = VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let swap = swaps.fetch_add(1, Ordering::Relaxed);
                    let fresh = Box::into_raw(Box::new(AtomicUsize::new(swap + 2)));
                    let old = shared.swap(fresh, Ordering::AcqRel);
                    match (updater + swap) % 3 {
                        0 => Rcu.synchronize(),
                        1 => Rcu.synchronize_expedited(),
                        _ => Rcu.cond_synchronize(Rcu.start_poll()),
                    }
                    // SAFETY: unlinked, and a grace period has passed.
                    let old = unsafe { Box::from_raw(old) };
                    old.store(POISON, Ordering::Relaxed);
                    // Freed later: memory that is used again at once would hide the poison.
                    retired.push_back(old);
                    if retired.len() > 10_000 {
                        retired.pop_front();
                    }
                }
            });
        }
        let threads: Vec<_> = fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .map(Pid::from_raw)
            .collect();
        let mut changes = 0;
        let (mut read, mut swapped) = (0, 0);
        // A reader that has found poison has ended: then this ends too, and the test fails.
        let ended = || readers.iter().any(|reader| reader.is_finished());
        while changes < CHANGES && !ended() {
            for (i, &thread) in threads.iter().enumerate() {
                let set = if changes % 5 == 4 { all } else { single(changes + i) };
                // The harness may have threads that come and go.
                changes += usize::from(sched_setaffinity(thread, &set).is_ok());
            }
            if changes.is_multiple_of(8) {
                // It is all under load: both sides get on between the changes.
                while !ended()
                    && (reads.load(Ordering::Relaxed) == read
                        || swaps.load(Ordering::Relaxed) == swapped)
                {
                    thread::yield_now();
                }
                read = reads.load(Ordering::Relaxed);
                swapped = swaps.load(Ordering::Relaxed);
            }
        }
        for &thread in &threads {
            let _ = sched_setaffinity(thread, &all);
        }
        stop.store(true, Ordering::Relaxed);
    });
    // SAFETY: all threads are gone.
    drop(unsafe { Box::from_raw(shared.into_inner()) });
}
