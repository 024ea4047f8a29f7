//! Keeping forks out while notifiers are off their list.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held shared while notifiers are off their list, exclusively by a fork.
static CALLS: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread holds `CALLS`: a notifier may arm another, whose call may be due.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// For a fork: no notifier is off its list while this is held.
pub(crate) type CallGate = RwLockWriteGuard<'static, ()>;

pub(crate) fn hold_calls() -> CallGate {
    CALLS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps forks out until it is dropped.
pub(super) struct Calling(Option<RwLockReadGuard<'static, ()>>);

pub(super) fn calling() -> Calling {
    if CALLING.replace(true) {
        return Calling(None);
    }
    Calling(Some(CALLS.read().unwrap_or_else(PoisonError::into_inner)))
}

impl Drop for Calling {
    fn drop(&mut self) {
        if self.0.is_some() {
            CALLING.set(false);
        }
    }
}
