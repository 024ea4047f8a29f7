//! Memory order across grace periods, seen from both sides. Every access here that is meant to be
//! ordered by the grace period alone is relaxed.
//!
//! *Notes*, the readers' side: a section leaves a note in the element it holds, saying how far some
//! other reader's count had come. Once a grace period has passed since the element was retired the
//! note must be whole, and whoever reads it, directly or handed on, must see that count or more.
//!
//! *Pairs*, the updaters' side: a number is written to `before`, a grace period passes, it is
//! written to `after`. A section must not find `after` ahead of `before`, even if it reads `before`
//! first thing and `after` last.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::checks::{Check, Failures};
use super::rng::Rng;

const EMPTY: u32 = 0;
const OPEN: u32 = 1;
const SEALED: u32 = 2;

/// Bits of a content that hold the count; the reader's number is above them. 0 is no content:
/// counts start at 1.
const COUNT_BITS: u32 = 48;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What a note can name.
pub(super) const MOST_READERS: usize = 1 << (64 - COUNT_BITS);

/// The place for one note in an element.
pub(super) struct Note {
    state: AtomicU32,
    content: CachePadded<AtomicU64>,
}

impl Note {
    pub(super) const fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), content: CachePadded::new(AtomicU64::new(0)) }
    }

    /// Begins to write; false if another section was first. The section must [`seal`](Note::seal)
    /// it before it ends.
    pub(super) fn open(&self) -> bool {
        self.state.compare_exchange(EMPTY, OPEN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn seal(&self, content: u64) {
        self.content.store(content, Ordering::Relaxed);
        self.state.store(SEALED, Ordering::Relaxed);
    }

    /// Takes the note, a grace period after the last section that could write it began.
    pub(super) fn collect(&self, failures: &Failures) -> Option<u64> {
        let state = self.state.swap(EMPTY, Ordering::Relaxed);
        let content = self.content.swap(0, Ordering::Relaxed);
        failures.expect(state != OPEN, Check::Mailbox, || {
            "a note is still being written after a grace period".into()
        });
        failures.expect((state == SEALED) == (content != 0), Check::Mailbox, || {
            "a note's content was not seen after a grace period".into()
        });
        (state == SEALED && content != 0).then_some(content)
    }

    /// Whether nothing was written since it was collected.
    pub(super) fn is_empty(&self) -> bool {
        self.state.load(Ordering::Relaxed) == EMPTY
    }
}

/// What one long-lived reader shows to the others.
struct Reader {
    /// Sections begun. Written by its thread alone.
    count: CachePadded<AtomicU64>,
    /// A note handed on to it; 0 when there is none.
    inbox: CachePadded<AtomicU64>,
}

/// All long-lived readers.
pub(super) struct Readers(Box<[Reader]>);

impl Readers {
    pub(super) fn new(count: usize) -> Self {
        let reader = || Reader { count: AtomicU64::new(0).into(), inbox: AtomicU64::new(0).into() };
        Self((0..count).map(|_| reader()).collect())
    }

    /// Counts a section of reader `me`, a moment before it begins.
    pub(super) fn begin(&self, me: usize) {
        let count = &self.0[me].count;
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// What reader `me`, who has begun, writes in a note: how far some reader has come.
    pub(super) fn content(&self, me: usize, rng: &mut Rng) -> u64 {
        let other = rng.below(self.0.len());
        match self.count(other) {
            0 => pack(me, self.count(me)),
            count => pack(other, count),
        }
    }

    fn count(&self, whose: usize) -> u64 {
        self.0[whose].count.load(Ordering::Relaxed)
    }

    /// Reads a collected note and hands it on to a reader.
    pub(super) fn deliver(&self, content: u64, failures: &Failures) {
        self.check(content, failures);
        let to = (content as usize) % self.0.len();
        // Release: with the Acquire in `receive` extends the grace period's order to the addressee.
        // A full inbox loses the note.
        let _ = self.0[to].inbox.compare_exchange(0, content, Ordering::Release, Ordering::Relaxed);
    }

    /// Reads the note in the inbox of reader `me`, if there is one.
    pub(super) fn receive(&self, me: usize, failures: &Failures) -> bool {
        let inbox = &self.0[me].inbox;
        if inbox.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.check(inbox.swap(0, Ordering::Acquire), failures);
        true
    }

    fn check(&self, content: u64, failures: &Failures) {
        let whose = (content >> COUNT_BITS) as usize;
        let noted = content & COUNT_MASK;
        let seen = self.count(whose);
        failures.expect(seen >= noted, Check::Mailbox, || {
            format!("reader {whose} had counted to {noted} before a grace period, {seen} after it")
        });
    }
}

fn pack(whose: usize, count: u64) -> u64 {
    (whose as u64) << COUNT_BITS | (count & COUNT_MASK)
}

/// Two numbers that a thread writes before and after its grace periods.
pub(super) struct Pair {
    before: CachePadded<AtomicU64>,
    after: CachePadded<AtomicU64>,
}

impl Pair {
    pub(super) const fn new() -> Self {
        Self {
            before: CachePadded::new(AtomicU64::new(0)),
            after: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// To be written before a grace period is asked for.
    pub(super) fn write_before(&self) -> u64 {
        let n = self.before.load(Ordering::Relaxed) + 1;
        self.before.store(n, Ordering::Relaxed);
        n
    }

    /// To be written when it is over.
    pub(super) fn write_after(&self, n: u64) {
        self.after.store(n, Ordering::Relaxed);
    }

    /// What a section reads first.
    pub(super) fn read_before(&self) -> u64 {
        self.before.load(Ordering::Relaxed)
    }

    /// What it reads last.
    pub(super) fn check_after(&self, before: u64, failures: &Failures) {
        let after = self.after.load(Ordering::Relaxed);
        failures.expect(after <= before, Check::Mailbox, || {
            format!("a section read {before} before and {after} after: a grace period fits inside")
        });
    }
}
