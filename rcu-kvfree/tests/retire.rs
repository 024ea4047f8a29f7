//! Every retired value is dropped once, after its grace period, whatever its destructor does.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may abort")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rcu_kvfree::{
    Flavor, Rcu, RcuBox, RcuCell, free_rcu, kvfree_rcu_barrier, kvfree_stats, rcu_core,
};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn retire_boxed<T: Send + 'static>(value: T) {
    let object = NonNull::from(Box::leak(Box::new(value)));
    // SAFETY: a box's pointer, never published, retired once.
    unsafe { free_rcu(object) };
}

#[test]
fn each_value_is_dropped_once() {
    const EACH: usize = 1000;
    let drops = Arc::new(AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..EACH {
                    retire_boxed(Counted(drops.clone()));
                    RcuBox::new(Counted(drops.clone())).retire();
                    drop(RcuCell::new((Counted(drops.clone()), [0u8; 100])));
                }
            });
        }
    });
    kvfree_rcu_barrier();
    assert_eq!(drops.load(Ordering::Relaxed), 3 * 3 * EACH);
}

#[test]
fn nothing_is_dropped_while_a_section_that_may_see_it_is_open() {
    let drops = Arc::new(AtomicUsize::new(0));
    let cell = RcuCell::new(Counted(drops.clone()));
    let guard = Rcu.read_lock();
    let seen = cell.load(&guard);
    for n in 0..1000 {
        match n % 3 {
            0 => cell.store(Counted(drops.clone())),
            1 => drop(cell.swap(Counted(drops.clone()), &guard)),
            _ => cell.update(|_| Counted(drops.clone())),
        }
    }
    for _ in 0..200 {
        thread::yield_now();
        assert_eq!(seen.0.load(Ordering::Relaxed), 0);
    }
    drop(guard);
    kvfree_rcu_barrier();
    assert_eq!(drops.load(Ordering::Relaxed), 1000);
    drop(cell);
    kvfree_rcu_barrier();
    assert_eq!(drops.load(Ordering::Relaxed), 1001);
}

#[test]
fn an_update_that_was_overtaken_starts_anew() {
    let cell = RcuCell::new(0);
    let mut runs = 0;
    cell.update(|n| {
        runs += 1;
        if runs == 1 {
            cell.store(10);
        }
        n + 1
    });
    assert_eq!((runs, *cell.load(&Rcu.read_lock())), (2, 11));
}

#[test]
fn bytes_that_wait_are_counted() {
    let guard = Rcu.read_lock();
    (0..100).for_each(|_| RcuBox::new([0u8; 1000]).retire());
    (0..100).for_each(|_| retire_boxed([0u8; 1000]));
    assert!(kvfree_stats().queue.is_some_and(|queue| queue.bytes >= 200_000));
    drop(guard);
}

#[test]
fn an_owned_box_is_dropped_at_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    drop(RcuBox::new(Counted(drops.clone())));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    let inner = RcuBox::into_inner(RcuBox::new(Counted(drops.clone())));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    drop(inner);
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn a_destructor_that_panics_stops_no_other() {
    struct Panics(Arc<AtomicUsize>);
    impl Drop for Panics {
        fn drop(&mut self) {
            let turn = self.0.fetch_add(1, Ordering::Relaxed);
            assert!(!turn.is_multiple_of(3), "on purpose");
        }
    }
    let before = kvfree_stats().panics;
    let drops = Arc::new(AtomicUsize::new(0));
    // One kind after the other: objects of one type that lie next to each other go in one call.
    (0..100).for_each(|_| retire_boxed(Panics(drops.clone())));
    (0..100).for_each(|_| RcuBox::new(Panics(drops.clone())).retire());
    kvfree_rcu_barrier();
    assert_eq!(drops.load(Ordering::Relaxed), 200);
    assert_eq!(kvfree_stats().panics - before, 67);
}

#[test]
fn destructors_may_retire_more() {
    /// Retires the rest of itself when it is dropped.
    struct Chain(usize, Arc<AtomicUsize>);
    impl Drop for Chain {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0 > 0 {
                RcuBox::new(Chain(self.0 - 1, self.1.clone())).retire();
            }
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    RcuBox::new(Chain(20, drops.clone())).retire();
    // A barrier covers what was retired before it: one link at least with each.
    for _ in 0..21 {
        kvfree_rcu_barrier();
    }
    assert_eq!(drops.load(Ordering::Relaxed), 21);
}

#[test]
fn a_barrier_inside_a_destructor_panics_there_and_harms_nobody() {
    struct Waits(Arc<AtomicBool>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let in_callback = rcu_core::runtime::in_callback();
            let refused = std::panic::catch_unwind(kvfree_rcu_barrier).is_err();
            self.0.store(in_callback && refused, Ordering::Relaxed);
        }
    }
    let refused = Arc::new(AtomicBool::new(false));
    RcuBox::new(Waits(refused.clone())).retire();
    kvfree_rcu_barrier();
    assert!(refused.load(Ordering::Relaxed));
}

#[test]
#[should_panic(expected = "section")]
fn a_barrier_inside_a_section_panics() {
    retire_boxed(0u64);
    let _guard = Rcu.read_lock();
    kvfree_rcu_barrier();
}

#[test]
fn readers_of_a_cell_see_whole_values_while_writers_replace_them() {
    /// Two words that belong together, spoilt when dropped.
    struct Pair(AtomicUsize, AtomicUsize);
    impl Pair {
        fn new(n: usize) -> Self {
            Self(AtomicUsize::new(n), AtomicUsize::new(!n))
        }
    }
    impl Drop for Pair {
        fn drop(&mut self) {
            self.0.store(0, Ordering::Relaxed);
            self.1.store(0, Ordering::Relaxed);
        }
    }
    let cell = RcuCell::new(Pair::new(1));
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let readers: [_; 2] = std::array::from_fn(|_| {
            s.spawn(|| {
                let mut reads = 0u64;
                while !stop.load(Ordering::Relaxed) || reads == 0 {
                    let guard = Rcu.read_lock();
                    let pair = cell.load(&guard);
                    let n = pair.0.load(Ordering::Relaxed);
                    assert_eq!(pair.1.load(Ordering::Relaxed), !n);
                    reads += 1;
                }
            })
        });
        for n in 0..50_000 {
            match n % 3 {
                0 => cell.store(Pair::new(n)),
                1 => drop(cell.swap(Pair::new(n), &Rcu.read_lock())),
                _ => cell.update(|pair| Pair::new(pair.0.load(Ordering::Relaxed) + 1)),
            }
        }
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
