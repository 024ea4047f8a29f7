//! Counts and histograms: gathered by each thread for itself, merged now and then.

use super::waits::Kind;

/// Grace periods that a retired element goes through before it is free.
pub(super) const PIPE_LEN: usize = 10;

/// Entries by small number; the last takes all that is greater.
pub(crate) type Histogram = [u64; PIPE_LEN + 1];

/// What one thread, or all of them, have done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Sections, nested ones counted once.
    pub(crate) sections: u64,
    /// Age of the element at each section's end. 0: in use, 1: retired, above: a failure.
    pub(crate) pipe: Histogram,
    /// Grace periods that ended during each section. Above 1 is a close call.
    pub(crate) batch: Histogram,
    /// Cookies taken and checked inside sections.
    pub(crate) cookies: u64,
    /// Notes left in elements, and notes read by their addressees.
    pub(crate) notes_left: u64,
    pub(crate) notes_read: u64,
    /// Elements replaced.
    pub(crate) replaced: u64,
    /// Elements sent through the pipe by their own notifiers.
    pub(crate) chained: u64,
    /// Times the writer found the free list empty.
    pub(crate) starved: u64,
    /// Short-lived threads that came and went.
    pub(crate) threads: u64,
    /// Waits for a time that ended in vain, and were begun anew.
    pub(crate) expired: u64,
    /// Futures dropped before they were ready.
    pub(crate) dropped: u64,
    /// Forks.
    pub(crate) children: u64,
    /// Waits for a grace period by kind, those of the fake writers included.
    pub(crate) waits: [u64; Kind::ALL.len()],
}

/// Counts `value` in `histogram`.
pub(super) fn count(histogram: &mut Histogram, value: usize) {
    histogram[value.min(PIPE_LEN)] += 1;
}

impl Tally {
    /// Adds `other`, leaving it empty.
    pub(super) fn take(&mut self, other: &mut Tally) {
        let other = std::mem::take(other);
        self.sections += other.sections;
        self.cookies += other.cookies;
        self.notes_left += other.notes_left;
        self.notes_read += other.notes_read;
        self.replaced += other.replaced;
        self.chained += other.chained;
        self.starved += other.starved;
        self.threads += other.threads;
        self.expired += other.expired;
        self.dropped += other.dropped;
        self.children += other.children;
        add(&mut self.pipe, &other.pipe);
        add(&mut self.batch, &other.batch);
        add(&mut self.waits, &other.waits);
    }
}

fn add(to: &mut [u64], from: &[u64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
