//! [`RcuGuard`]: an open section.

use std::fmt;
use std::marker::PhantomData;

use super::slot::Slot;
use super::{ENGINE, thread};
use crate::asym::{self, Strategy};

/// Keeps a section of [`Rcu`](crate::Rcu) open until it is dropped.
///
/// A guard belongs to the thread that made it:
///
/// ```compile_fail,E0277
/// use rcu_core::{Flavor, Rcu};
/// let guard = Rcu.read_lock();
/// std::thread::spawn(move || drop(guard)); // `RcuGuard` cannot be sent between threads
/// ```
///
/// A guard that is leaked leaves its section open for ever: no grace period ends any more.
///
/// ```
/// use rcu_core::{Flavor, Rcu};
/// let guard = Rcu.read_lock();
/// drop(guard);
/// ```
#[must_use = "the section ends when the guard is dropped"]
pub struct RcuGuard {
    slot: &'static Slot,
    /// The slot is its thread's.
    not_send: PhantomData<*mut ()>,
}

impl RcuGuard {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn enter() -> Self {
        match thread::fast_slot() {
            Some(slot) => {
                slot.note_place();
                slot.enter(|| ENGINE.stamp());
                // Pairs with the heavy barrier: a section whose store a scan does not see has its
                // loads after that barrier.
                asym::light();
                Self::of(slot)
            }
            None => Self::enter_slowly(),
        }
    }

    /// The first section of a thread, and every section of the `Fence` strategy.
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn enter_slowly() -> Self {
        let slot = thread::register();
        slot.note_place();
        slot.enter(|| ENGINE.stamp());
        match ENGINE.readers().choice().strategy {
            Strategy::Membarrier => asym::light(),
            // Nested ones too: an outer section whose fence a signal handler interrupted before it
            // ran must not lend the handler's section a fence that has not happened.
            Strategy::Fence => asym::full(),
        }
        Self::of(slot)
    }

    #[inline]
    fn of(slot: &'static Slot) -> Self {
        Self { slot, not_send: PhantomData }
    }
}

impl Drop for RcuGuard {
    #[inline]
    fn drop(&mut self) {
        // Keeps the section's accesses inside; the Release store in `leave` does so for the CPU.
        asym::light();
        self.slot.leave();
    }
}

impl fmt::Debug for RcuGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RcuGuard").finish_non_exhaustive()
    }
}
