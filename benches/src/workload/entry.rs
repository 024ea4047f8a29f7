//! The table's entry: immutable once linked, validated by every read, poisoned when freed.
//!
//! All fields are atomics with relaxed accesses. They cost what plain fields cost, and they keep the
//! negative control well defined: there a reader does race with the poisoning, on purpose.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use super::{ledger::Ledger, rng::mix};

/// What freed entries are filled with. [`Entry::new`] refuses it as a key.
const POISON: u64 = 0xdead_f1ee_dead_f1ee;
const WORDS: usize = 3;

/// Why a read was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The reader met an entry that had been freed.
    Poisoned,
    /// The words do not belong together: memory reused, or not yet published.
    Corrupt,
}

/// A key, its value, and the means to tell whether they are sound. One cache line in size.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The chain. The table orders it.
    pub(super) next: AtomicPtr<Entry>,
    ledger: &'static Ledger,
    key: AtomicU64,
    version: AtomicU64,
    value: [AtomicU64; WORDS],
    checksum: AtomicU64,
}

fn checksum(key: u64, version: u64, value: [u64; WORDS]) -> u64 {
    let folded = value
        .iter()
        .fold(key ^ version.rotate_left(17), |sum, word| sum.rotate_left(11).wrapping_add(*word));
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Entry {
    /// An entry for `key`, its value made from `seed`; counted in `ledger` until it is dropped.
    pub(crate) fn new(ledger: &'static Ledger, key: u64, seed: u64) -> Self {
        assert_ne!(key, POISON, "the poison is no key");
        ledger.born();
        let value = [seed, mix(seed), !seed];
        Entry {
            next: AtomicPtr::default(),
            ledger,
            key: AtomicU64::new(key),
            version: AtomicU64::new(0),
            value: value.map(AtomicU64::new),
            checksum: AtomicU64::new(checksum(key, 0, value)),
        }
    }

    fn value(&self) -> [u64; WORDS] {
        std::array::from_fn(|i| self.value[i].load(Relaxed))
    }

    /// Makes this, which nobody else sees yet, the successor of `old`.
    pub(super) fn succeed(&self, old: &Entry) {
        let version = old.version.load(Relaxed) + 1;
        self.version.store(version, Relaxed);
        self.checksum.store(checksum(self.key.load(Relaxed), version, self.value()), Relaxed);
    }

    /// Whether this is the entry of `key`; a freed entry is nobody's.
    #[inline]
    pub(super) fn is_for(&self, key: u64) -> Result<bool, Fault> {
        match self.key.load(Relaxed) {
            found if found == key => Ok(true),
            POISON => Err(Fault::Poisoned),
            _ => Ok(false),
        }
    }

    /// Reads the entry and checks that it is `key`'s, whole and not freed.
    #[inline]
    pub(crate) fn check(&self, key: u64) -> Result<u64, Fault> {
        let (found, version, value) =
            (self.key.load(Relaxed), self.version.load(Relaxed), self.value());
        let sum = self.checksum.load(Relaxed);
        if found == key && sum == checksum(key, version, value) {
            return Ok(version);
        }
        let poisoned = [found, version, sum].contains(&POISON) || value.contains(&POISON);
        Err(if poisoned { Fault::Poisoned } else { Fault::Corrupt })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.key.store(POISON, Relaxed);
        self.version.store(POISON, Relaxed);
        self.value.iter().for_each(|word| word.store(POISON, Relaxed));
        self.checksum.store(POISON, Relaxed);
        // Without this the stores are dead, the memory being freed next, and could be left out.
        std::hint::black_box(&*self);
        self.ledger.freed();
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use super::*;

    #[test]
    fn an_entry_is_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }

    #[test]
    fn a_check_tells_sound_from_freed_and_corrupt() {
        let ledger = Ledger::leaked();
        let mut entry = ManuallyDrop::new(Entry::new(ledger, 5, 99));
        assert_eq!(entry.check(5), Ok(0));
        assert_eq!(entry.check(6), Err(Fault::Corrupt));
        entry.value[1].fetch_xor(4, Relaxed);
        assert_eq!(entry.check(5), Err(Fault::Corrupt));
        assert_eq!(ledger.live(), 1);
        // SAFETY: dropped this once; the fields that are read after are words without drop glue.
        unsafe { ManuallyDrop::drop(&mut entry) };
        assert_eq!(entry.check(5), Err(Fault::Poisoned));
        assert_eq!(entry.is_for(5), Err(Fault::Poisoned));
        assert_eq!(ledger.live(), 0);
    }

    #[test]
    fn a_successor_counts_on() {
        let ledger = Ledger::leaked();
        let (old, new) = (Entry::new(ledger, 5, 1), Entry::new(ledger, 5, 2));
        new.succeed(&old);
        assert_eq!(new.check(5), Ok(1));
    }
}
