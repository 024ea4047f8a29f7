//! `crossbeam-epoch`: the default collector, `pin` to read, `defer_unchecked` to retire.

use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_epoch::{Guard, pin};

use crate::workload::reclaimer::{Reclaimer, Subject};

/// How long [`Reclaimer::quiesce`] tries before it leaves the verdict to the ledger.
const PATIENCE: Duration = Duration::from_secs(10);

/// The subject, and its own reclaimer for every type.
#[derive(Debug)]
pub(crate) struct CrossbeamEpoch;

impl Subject for CrossbeamEpoch {
    const NAME: &'static str = "crossbeam-epoch";
    type Of<T: Send + Sync + 'static> = CrossbeamEpoch;

    fn make<T: Send + Sync + 'static>() -> CrossbeamEpoch {
        CrossbeamEpoch
    }
}

impl<T: Send + Sync + 'static> Reclaimer<T> for CrossbeamEpoch {
    type Guard<'a> = Guard;

    #[inline]
    fn enter(&self) -> Guard {
        pin()
    }

    #[inline]
    fn alloc(&self, value: T) -> NonNull<T> {
        NonNull::from(Box::leak(Box::new(value)))
    }

    #[inline]
    unsafe fn retire(&self, node: NonNull<T>) {
        let node = node.as_ptr();
        // SAFETY: the caller has unlinked it, so the closure runs when no pinned thread can hold it;
        // it came from `Box` in `alloc`, and `T` may be dropped on another thread.
        unsafe { pin().defer_unchecked(move || drop(Box::from_raw(node))) };
    }

    unsafe fn dealloc(&self, node: NonNull<T>) {
        // SAFETY: from `Box` in `alloc`; the caller gives up the last pointer to it.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }

    /// The collector's queue of bags is first in, first out, and threads that have ended have left
    /// their bags in it: when a callback queued now runs, all bags before it have been taken, and by
    /// the time a second one runs, any other thread that took one, pinned, has also emptied it.
    fn quiesce(&self) {
        let end = Instant::now() + PATIENCE;
        let _ = callback_ran(end) && callback_ran(end);
    }
}

/// Queues a callback and waits for it; false if it has not run by `end`.
fn callback_ran(end: Instant) -> bool {
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    pin().defer(move || flag.store(true, Ordering::Release));
    // Acquire: pairs with the callback's store, for the frees that ran before it elsewhere.
    while !done.load(Ordering::Acquire) {
        if Instant::now() > end {
            return false;
        }
        pin().flush();
        thread::yield_now();
    }
    true
}
