//! A widened window: stores that miss the cache, right before a section opens.
//!
//! A CPU makes its stores visible in order, so those that follow wait in its store buffer behind
//! the slow ones, the opening of a section among them, while its loads go ahead. That is where a
//! grace period whose barrier does not work goes wrong; without help the window is nanoseconds.

use std::sync::atomic::{AtomicU8, Ordering};

use super::rng::Rng;

/// More than the caches nearest to a CPU hold.
const BYTES: usize = 16 << 20;
const LINE: usize = 64;
/// About what a store buffer takes.
const STORES: usize = 40;

pub(super) struct Clog(Box<[AtomicU8]>);

impl Clog {
    pub(super) fn new() -> Self {
        Self((0..BYTES).map(|_| AtomicU8::new(0)).collect())
    }

    /// Keeps the store buffer of this CPU busy for a moment. Not a barrier, nor ordered with
    /// anything.
    #[inline]
    pub(super) fn store(&self, rng: &mut Rng) {
        for _ in 0..1 + rng.below(STORES) {
            self.0[rng.below(BYTES / LINE) * LINE].store(1, Ordering::Relaxed);
        }
    }
}
