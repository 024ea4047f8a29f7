//! Tests of the table: against a plain map, with threads, and with a reclaimer that frees too early.

use std::{
    collections::HashMap,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::{Arc, Barrier, Mutex, atomic::AtomicPtr},
    thread,
};

use super::{Read, Table};
use crate::workload::{
    entry::{Entry, Fault},
    reclaimer::{Reclaimer, Subject},
    rng::Rng,
    subjects::{
        crossbeam_epoch::CrossbeamEpoch,
        kvfree::{self, Kvfree},
        rwlock::ReadWriteLock,
    },
};

/// The negative control: drops what it is given at once, whoever reads it. The memory is kept until
/// the end, so that a reader sees poison and the program stays defined.
#[derive(Debug)]
struct Hasty<T>(Mutex<Vec<AtomicPtr<T>>>);

impl<T: Send + Sync + 'static> Reclaimer<T> for Hasty<T> {
    type Guard<'a> = ();

    fn enter(&self) {}

    fn alloc(&self, value: T) -> NonNull<T> {
        NonNull::from(Box::leak(Box::new(value)))
    }

    unsafe fn retire(&self, node: NonNull<T>) {
        // SAFETY: a live value from `alloc`, dropped this once. Its memory stays, and readers only
        // load atomics of it.
        unsafe { node.drop_in_place() };
        self.0.lock().unwrap().push(AtomicPtr::new(node.as_ptr()));
    }

    unsafe fn dealloc(&self, node: NonNull<T>) {
        // SAFETY: from `Box` in `alloc`; the caller gives up the last pointer to it.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }

    fn quiesce(&self) {}
}

impl<T> Drop for Hasty<T> {
    fn drop(&mut self) {
        for node in self.0.get_mut().unwrap().drain(..) {
            // SAFETY: from `Box` in `alloc`; its value is dropped, so only the memory is given back.
            drop(unsafe { Box::from_raw(node.into_inner().cast::<MaybeUninit<T>>()) });
        }
    }
}

#[test]
fn agrees_with_a_map() {
    let table = Table::new(ReadWriteLock::make::<Entry>(), 32);
    let mut model = HashMap::new();
    let mut rng = Rng::new(11, 0);
    for step in 0..20_000u64 {
        // Twice as many keys as buckets, so that chains are walked.
        let key = rng.below(64);
        match rng.below(4) {
            0 => {
                let added = !model.contains_key(&key);
                model.entry(key).or_insert(0);
                assert_eq!(table.insert(key, step), added);
            }
            1 => {
                assert_eq!(table.update(key, step), model.get_mut(&key).map(|v| *v += 1).is_some())
            }
            2 => assert_eq!(table.remove(key), model.remove(&key).is_some()),
            _ => assert_eq!(
                table.read(key),
                model.get(&key).map_or(Read::Miss, |version| Read::Hit(*version))
            ),
        }
        assert_eq!(table.ledger().live(), model.len() as i64);
    }
    let ledger = table.ledger();
    drop(table);
    assert_eq!(ledger.live(), 0);
}

/// Threads insert, update, remove and read the same few keys; keys below `STEADY` are never removed.
fn storm<S: Subject>() {
    const STEADY: u64 = 8;
    const KEYS: u64 = 24;
    let table = Arc::new(Table::new(S::make::<Entry>(), 8));
    for key in 0..STEADY {
        assert!(table.insert(key, key));
    }
    let start = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (table, start) = (Arc::clone(&table), Arc::clone(&start));
            thread::spawn(move || {
                let mut rng = Rng::new(23, thread);
                start.wait();
                for step in 0..20_000 {
                    let key = rng.below(KEYS);
                    match (rng.below(8), key < STEADY) {
                        (0..=1, true) => assert!(table.update(key, step)),
                        (0, false) => _ = table.insert(key, step),
                        (1, false) => _ = table.remove(key),
                        (2, false) => _ = table.update(key, step),
                        (_, steady) => match table.read(key) {
                            Read::Hit(_) => {}
                            Read::Miss => assert!(!steady, "key {key} was lost"),
                            Read::Bad(fault) => panic!("{}: {fault:?}", S::NAME),
                        },
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    table.quiesce();
    let linked = (0..KEYS).filter(|key| matches!(table.read(*key), Read::Hit(_))).count();
    assert_eq!(table.ledger().live(), linked as i64, "replaced entries were not freed");
    let ledger = table.ledger();
    drop(table);
    assert_eq!(ledger.live(), 0);
}

#[test]
fn threads_over_kvfree() {
    let _alone = kvfree::alone();
    storm::<Kvfree>();
}

#[test]
fn threads_over_crossbeam_epoch() {
    storm::<CrossbeamEpoch>();
}

#[test]
fn threads_over_a_lock() {
    storm::<ReadWriteLock>();
}

#[test]
fn a_free_inside_a_section_is_seen() {
    let table = Table::new(Hasty::<Entry>(Mutex::default()), 2);
    table.insert(1, 1);
    assert_eq!(table.read(1), Read::Hit(0));
    assert_eq!(table.read_through(1, || assert!(table.update(1, 2))), Read::Bad(Fault::Poisoned));
    assert_eq!(table.read_through(1, || assert!(table.remove(1))), Read::Bad(Fault::Poisoned));
}

fn section_keeps_what_it_found<S: Subject>() {
    let table = Table::new(S::make::<Entry>(), 2);
    table.insert(1, 1);
    assert_eq!(table.read_through(1, || assert!(table.update(1, 2))), Read::Hit(0));
    assert_eq!(table.read_through(1, || assert!(table.remove(1))), Read::Hit(1));
    assert_eq!(table.read(1), Read::Miss);
}

#[test]
fn a_section_keeps_what_it_found() {
    let _alone = kvfree::alone();
    section_keeps_what_it_found::<Kvfree>();
    section_keeps_what_it_found::<CrossbeamEpoch>();
}
