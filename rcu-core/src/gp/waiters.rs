//! Threads that sleep until a grace period ends: an event count on a futex.

use std::time::Duration;

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::const_fn;
use crate::{asym, futex};

/// Sleepers of one domain. Each end of a grace period wakes all of them; each looks at its own
/// cookie.
pub(super) struct Waiters {
    /// How many threads are between announcing and leaving.
    sleepers: AtomicU32,
    /// Changes at each wake-up; what the futex sleeps on.
    event: AtomicU32,
}

impl Waiters {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { sleepers: AtomicU32::new(0), event: AtomicU32::new(0) }
        }
    }

    /// Sleeps until the next wake-up, `timeout` at most, unless `done()` holds. One look, one
    /// sleep: the caller loops. A wake-up that comes while `done` looks is not missed.
    pub(super) fn wait(&self, timeout: Option<Duration>, done: impl FnOnce() -> bool) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let event = self.event.load(Ordering::Acquire);
        // Pairs with the fence in `wake`: either they see us announced, or we see their sequence.
        asym::full();
        if !done() {
            futex::wait(&self.event, event, timeout);
        }
        self.sleepers.fetch_sub(1, Ordering::Release);
    }

    /// In the child of a fork: the sleepers are gone.
    pub(super) fn forget(&self) {
        self.sleepers.store(0, Ordering::Relaxed);
    }

    /// How many threads sleep, or are about to.
    pub(super) fn count(&self) -> u32 {
        self.sleepers.load(Ordering::Relaxed)
    }

    /// Wakes all sleepers. The caller has changed what `done()` looks at, and has run a full fence
    /// since.
    pub(super) fn wake(&self) {
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.event.fetch_add(1, Ordering::Release);
            futex::wake(&self.event, i32::MAX);
        }
    }
}
