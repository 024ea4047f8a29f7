//! The one table every subject carries: a fixed array of chains, read without locks, written under a
//! lock per bucket.
//!
//! An update links a new entry in the place of the old one and retires the old one; an entry never
//! changes once it can be found. Writers need no section: only holders of a bucket's lock retire
//! entries of that bucket.

use std::{
    ptr::{self, NonNull},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicPtr,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::{
    entry::{Entry, Fault},
    ledger::Ledger,
    reclaimer::Reclaimer,
};

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Miss,
    /// A sound entry of this version.
    Hit(u64),
    /// An entry that should never have been seen.
    Bad(Fault),
}

#[derive(Debug, Default)]
struct Bucket {
    head: AtomicPtr<Entry>,
    writers: Mutex<()>,
}

impl Bucket {
    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data of its own, so a panic under it leaves the chain whole.
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link that leads to `key`'s entry, and that entry. For holders of the lock.
    fn locate(&self, key: u64) -> Option<(&AtomicPtr<Entry>, &Entry)> {
        let mut link = &self.head;
        loop {
            // Relaxed: links change only under the lock, which the caller holds.
            // SAFETY: linked entries are not retired while the lock is held.
            let entry = unsafe { link.load(Relaxed).as_ref() }?;
            if entry.is_for(key) == Ok(true) {
                return Some((link, entry));
            }
            link = &entry.next;
        }
    }
}

/// A hash table over one reclaimer.
#[derive(Debug)]
pub(crate) struct Table<R: Reclaimer<Entry>> {
    buckets: Box<[Bucket]>,
    /// A hash's top bits choose the bucket.
    shift: u32,
    ledger: &'static Ledger,
    reclaimer: R,
}

impl<R: Reclaimer<Entry>> Table<R> {
    /// An empty table with a bucket for about each of `keys`.
    pub(crate) fn new(reclaimer: R, keys: usize) -> Self {
        let buckets = keys.next_power_of_two().max(2);
        Table {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            shift: u64::BITS - buckets.trailing_zeros(),
            ledger: Ledger::leaked(),
            reclaimer,
        }
    }

    pub(crate) fn reclaimer(&self) -> &R {
        &self.reclaimer
    }

    /// Waits until replaced entries are freed. While no other thread uses the table.
    pub(crate) fn quiesce(&self) {
        self.reclaimer.quiesce();
    }

    /// Counts the entries of this table that exist, linked or not.
    pub(crate) fn ledger(&self) -> &'static Ledger {
        self.ledger
    }

    #[inline]
    fn bucket(&self, key: u64) -> &Bucket {
        &self.buckets[(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize]
    }

    /// Looks `key` up and validates what it finds.
    #[inline]
    pub(crate) fn read(&self, key: u64) -> Read {
        self.read_through(key, || ())
    }

    /// A read that calls `window` between finding the entry and validating it, inside its section.
    #[inline]
    pub(crate) fn read_through(&self, key: u64, window: impl FnOnce()) -> Read {
        let section = self.reclaimer.enter();
        let mut link = &self.bucket(key).head;
        let read = loop {
            // Acquire: pairs with the Release stores that link an entry; its words are seen whole.
            // SAFETY: found inside the section, so it is not freed before the section ends.
            let Some(entry) = (unsafe { link.load(Acquire).as_ref() }) else {
                break Read::Miss;
            };
            match entry.is_for(key) {
                Ok(true) => {
                    window();
                    break entry.check(key).map_or_else(Read::Bad, Read::Hit);
                }
                Ok(false) => link = &entry.next,
                Err(fault) => break Read::Bad(fault),
            }
        };
        drop(section);
        read
    }

    fn entry(&self, key: u64, seed: u64) -> NonNull<Entry> {
        self.reclaimer.alloc(Entry::new(self.ledger, key, seed))
    }

    /// Adds `key` unless it is there. Says whether it was added.
    pub(crate) fn insert(&self, key: u64, seed: u64) -> bool {
        let bucket = self.bucket(key);
        let fresh = self.entry(key, seed);
        let lock = bucket.lock();
        if bucket.locate(key).is_some() {
            drop(lock);
            // SAFETY: it was never linked.
            unsafe { self.reclaimer.dealloc(fresh) };
            return false;
        }
        // SAFETY: just allocated, and nobody else has it yet.
        // Relaxed: published by the store below, as is all of the entry.
        unsafe { fresh.as_ref() }.next.store(bucket.head.load(Relaxed), Relaxed);
        // Release: pairs with a reader's Acquire load of the link.
        bucket.head.store(fresh.as_ptr(), Release);
        true
    }

    /// Replaces `key`'s entry by a new one, of the next version. Says whether there was one.
    #[inline]
    pub(crate) fn update(&self, key: u64, seed: u64) -> bool {
        let bucket = self.bucket(key);
        let fresh = self.entry(key, seed);
        let lock = bucket.lock();
        let Some((link, old)) = bucket.locate(key) else {
            drop(lock);
            // SAFETY: it was never linked.
            unsafe { self.reclaimer.dealloc(fresh) };
            return false;
        };
        // SAFETY: just allocated, and nobody else has it yet.
        let entry = unsafe { fresh.as_ref() };
        entry.succeed(old);
        entry.next.store(old.next.load(Relaxed), Relaxed);
        // A raw pointer from the link, not from `old`: a reference could not be freed through.
        let old = link.load(Relaxed);
        // Release: pairs with a reader's Acquire load of the link. Readers on the old entry go on by
        // its own `next`, which stays as it is.
        link.store(fresh.as_ptr(), Release);
        drop(lock);
        self.retire(old);
        true
    }

    /// Takes `key` out. Says whether it was there.
    #[cfg_attr(not(test), expect(dead_code, reason = "the mixes so far never remove"))]
    pub(crate) fn remove(&self, key: u64) -> bool {
        let bucket = self.bucket(key);
        let lock = bucket.lock();
        let Some((link, entry)) = bucket.locate(key) else {
            return false;
        };
        let next = entry.next.load(Relaxed);
        let old = link.load(Relaxed);
        // Release: hands on the successor, which this thread may know only through the lock.
        link.store(next, Release);
        drop(lock);
        self.retire(old);
        true
    }

    #[inline]
    fn retire(&self, old: *mut Entry) {
        let old = NonNull::new(old).expect("a link that was located leads to an entry");
        // SAFETY: unlinked by this thread under the bucket's lock, so nobody finds it from now on and
        // nobody else retires it.
        unsafe { self.reclaimer.retire(old) };
    }
}

impl<R: Reclaimer<Entry>> Drop for Table<R> {
    fn drop(&mut self) {
        for bucket in &mut self.buckets {
            let mut at = std::mem::replace(bucket.head.get_mut(), ptr::null_mut());
            while let Some(entry) = NonNull::new(at) {
                // SAFETY: linked, so not freed yet; `&mut self`, so nobody else is here.
                at = unsafe { entry.as_ref() }.next.load(Relaxed);
                // SAFETY: as above, and the chain that led to it is gone.
                unsafe { self.reclaimer.dealloc(entry) };
            }
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
