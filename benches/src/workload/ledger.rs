//! Counts the entries of one table that exist: linked, or retired and not yet freed.
//!
//! The count is split over padded stripes, a thread to a stripe, so that counting costs each
//! subject the same few nanoseconds and never a contended cache line of its own making.

use std::{
    cell::Cell,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
};

use crossbeam_utils::CachePadded;

const STRIPES: usize = 16;

thread_local! {
    // No destructor, so that entries may still be freed while a thread's other locals are torn down.
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

/// The count of one table.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    live: [CachePadded<AtomicI64>; STRIPES],
}

impl Ledger {
    /// A ledger that is never given back: an entry may be freed, and say so, long after its table is
    /// gone.
    pub(crate) fn leaked() -> &'static Ledger {
        Box::leak(Box::default())
    }

    #[inline]
    pub(crate) fn born(&self) {
        self.live[stripe()].fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn freed(&self) {
        self.live[stripe()].fetch_sub(1, Relaxed);
    }

    /// Entries that exist. Exact once the threads that make and free them have stopped or been
    /// waited for; while they run, close. Negative if entries were freed twice.
    pub(crate) fn live(&self) -> i64 {
        self.live.iter().map(|stripe| stripe.load(Relaxed)).sum()
    }
}
