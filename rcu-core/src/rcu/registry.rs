//! All reader slots of the process, and which strategy they read under.
//!
//! Slots are never unmapped and the list only grows at its head, so a scan needs no lock; a slot
//! whose thread has exited is handed to the next thread that registers. Memory comes straight from
//! the system, so that an allocator may itself open sections (once the strategy is decided, which
//! reads the environment and so allocates).

use std::error::Error;
use std::fmt;
use std::ptr;

use super::slot::{NOBODY, Slot};
use crate::asym::{self, Choice, Strategy};
use crate::fork::watch_forks;
use crate::gp::{Holder, ReaderSet};
use crate::signals::without_signals;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Mutex, MutexGuard, OnceLock, PoisonError, const_fn};
use crate::{GpSeq, pages};

/// Slots made at a time: one page.
const CHUNK: usize = 4096 / size_of::<Slot>();

pub(crate) struct Registry {
    /// Every slot there is.
    head: AtomicPtr<Slot>,
    /// Slots without a thread, linked through `next_free`. Taken with signals blocked.
    free: Mutex<FreeSlots>,
    choice: OnceLock<Choice>,
}

pub(crate) struct FreeSlots(*const Slot);

// SAFETY: slots are shared by all threads and never unmapped.
unsafe impl Send for FreeSlots {}

impl Registry {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self {
                head: AtomicPtr::new(ptr::null_mut()),
                free: Mutex::new(FreeSlots(ptr::null())),
                choice: OnceLock::new(),
            }
        }
    }

    /// The strategy in use. The first call fixes it: no reader registers and no grace period begins
    /// before.
    pub(super) fn choice(&self) -> Choice {
        match self.choice.get() {
            Some(choice) => *choice,
            // A handler that opened its thread's first section here would wait for its own thread.
            None => without_signals(|| {
                watch_forks();
                *self.choice.get_or_init(asym::default_choice)
            }),
        }
    }

    pub(super) fn set_strategy(&self, strategy: Strategy) -> Result<(), StrategyFrozen> {
        if strategy == Strategy::Membarrier
            && let Err(reason) = asym::register()
        {
            return Err(StrategyFrozen { asked: strategy, reason });
        }
        let choice = without_signals(|| {
            watch_forks();
            self.choice.get_or_init(|| Choice { strategy, reason: "asked for by the program" })
        });
        if choice.strategy == strategy {
            Ok(())
        } else {
            Err(StrategyFrozen { asked: strategy, reason: choice.reason })
        }
    }

    /// A slot for the calling thread, idle. The caller has blocked signals.
    pub(super) fn take_slot(&self) -> &'static Slot {
        let mut free = self.hold_free();
        if free.0.is_null() {
            self.add_slots(&mut free);
        }
        // SAFETY: not null, and slots live for ever.
        let slot = unsafe { &*free.0 };
        free.0 = slot.next_free.load(Ordering::Relaxed);
        slot.give_to(gettid());
        slot
    }

    /// Takes back the slot of a thread that exits. It is idle. The caller has blocked signals.
    pub(super) fn put_slot(&self, slot: &'static Slot) {
        let mut free = self.hold_free();
        slot.give_to(NOBODY);
        slot.next_free.store(free.0.cast_mut(), Ordering::Relaxed);
        free.0 = slot;
    }

    /// The lock of the slots without a thread.
    pub(super) fn hold_free(&self) -> MutexGuard<'_, FreeSlots> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the child of a fork, whose only thread has the slot `own`: clears the slots of the
    /// threads that are gone.
    pub(super) fn forget_others(&self, free: &mut FreeSlots, own: Option<&'static Slot>) {
        let mut at: *const Slot = self.head.load(Ordering::Acquire);
        // SAFETY: null or a slot, and slots live for ever.
        while let Some(slot) = unsafe { at.as_ref() } {
            at = slot.next_in_registry.load(Ordering::Relaxed);
            if own.is_some_and(|own| ptr::eq(own, slot)) {
                slot.give_to(gettid());
            } else if slot.owner() > NOBODY {
                slot.clear();
                slot.next_free.store(free.0.cast_mut(), Ordering::Relaxed);
                free.0 = slot;
            }
        }
    }

    /// How many threads have a slot.
    pub(super) fn threads(&self) -> usize {
        let mut threads = 0;
        let mut at: *const Slot = self.head.load(Ordering::Acquire);
        // SAFETY: null or a slot, and slots live for ever.
        while let Some(slot) = unsafe { at.as_ref() } {
            threads += usize::from(slot.owner() > NOBODY);
            at = slot.next_in_registry.load(Ordering::Relaxed);
        }
        threads
    }

    /// Makes a page of slots and publishes them to scans.
    fn add_slots(&self, free: &mut FreeSlots) {
        let chunk: *mut Slot = pages::map_or_abort(CHUNK * size_of::<Slot>()).as_ptr().cast();
        for i in 0..CHUNK {
            // SAFETY: within the chunk, which is ours, and mapped for ever.
            let slot = unsafe {
                chunk.add(i).write(Slot::new());
                &*chunk.add(i)
            };
            if self.choice().strategy == Strategy::Fence {
                slot.set_fenced();
            }
            slot.next_free.store(free.0.cast_mut(), Ordering::Relaxed);
            free.0 = slot;
            // Only this thread pushes: it holds the lock.
            slot.next_in_registry.store(self.head.load(Ordering::Relaxed), Ordering::Relaxed);
            // Release: pairs with the scan's Acquire. SeqCst is not needed: a scan that misses the
            // slot began before its owner's first barrier (docs/memory-ordering.md).
            self.head.store(ptr::from_ref(slot).cast_mut(), Ordering::Release);
        }
    }
}

/// The system's number of the calling thread.
pub(super) fn gettid() -> i32 {
    // SAFETY: takes nothing and touches nothing of ours.
    unsafe { libc::gettid() }
}

/// How far a scan has come.
#[derive(Clone, PartialEq)]
pub(crate) struct Cursor {
    at: At,
}

#[derive(Clone, PartialEq)]
enum At {
    Start,
    /// The slot to look at next, or null at the end.
    Slot(*const Slot),
}

// SAFETY: slots are shared by all threads and never unmapped.
unsafe impl Send for Cursor {}

impl Cursor {
    /// The slot that holds the scan up.
    fn stopped_at(&self) -> Option<&'static Slot> {
        match self.at {
            At::Start => None,
            // SAFETY: null or a slot, and slots live for ever.
            At::Slot(slot) => unsafe { slot.as_ref() },
        }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self { at: At::Start }
    }
}

// SAFETY: `heavy` is the barrier that pairs with what `RcuGuard::enter` runs under the same
// strategy; `quiescent` looks at every slot that was published when its scan began, passes each
// once it was idle or stamped by this scan, and reads with Acquire.
unsafe impl ReaderSet for Registry {
    type Cursor = Cursor;

    fn heavy(&self) {
        asym::heavy(self.choice().strategy);
    }

    fn quiescent(&self, cursor: &mut Cursor, scanning: GpSeq) -> bool {
        let mut at: *const Slot = match cursor.at {
            At::Start => self.head.load(Ordering::Acquire),
            At::Slot(slot) => slot,
        };
        // SAFETY: null or a slot, and slots live for ever.
        while let Some(slot) = unsafe { at.as_ref() } {
            if slot.holds_up(scanning) {
                break;
            }
            at = slot.next_in_registry.load(Ordering::Relaxed);
        }
        cursor.at = At::Slot(at);
        at.is_null()
    }

    fn watch(&self, cursor: &Cursor) {
        if let Some(slot) = cursor.stopped_at() {
            slot.watch();
        }
    }

    fn holder(&self, cursor: &Cursor) -> Option<Holder> {
        cursor.stopped_at().map(Slot::holder)
    }
}

/// The strategy could not be set: another one is in use already, or the system refuses this one.
///
/// ```
/// use rcu_core::{Rcu, Strategy};
/// let in_use = Rcu.strategy();
/// assert!(Rcu.set_strategy(in_use).is_ok());
/// let other = match in_use {
///     Strategy::Fence => Strategy::Membarrier,
///     Strategy::Membarrier => Strategy::Fence,
/// };
/// println!("{}", Rcu.set_strategy(other).unwrap_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyFrozen {
    asked: Strategy,
    reason: &'static str,
}

impl fmt::Display for StrategyFrozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot use the {} strategy: {} (choose before the first section)",
            self.asked, self.reason
        )
    }
}

impl Error for StrategyFrozen {}

#[cfg(all(test, not(rcu_loom)))]
mod tests {
    use super::*;

    fn scanning() -> GpSeq {
        GpSeq::new(6)
    }

    #[test]
    fn slots_are_reused() {
        let registry = Registry::new();
        let first = registry.take_slot();
        registry.put_slot(first);
        assert!(ptr::eq(first, registry.take_slot()));
        let taken: Vec<_> = (0..3 * CHUNK).map(|_| registry.take_slot()).collect();
        taken.iter().for_each(|slot| registry.put_slot(slot));
        let mut again: Vec<_> =
            (0..3 * CHUNK).map(|_| ptr::from_ref(registry.take_slot())).collect();
        let mut taken: Vec<_> = taken.into_iter().map(ptr::from_ref).collect();
        again.sort_unstable();
        taken.sort_unstable();
        assert_eq!(again, taken);
    }

    #[test]
    fn a_scan_goes_on_where_it_stopped_and_sees_every_slot() {
        let registry = Registry::new();
        let slots: Vec<_> = (0..2 * CHUNK).map(|_| registry.take_slot()).collect();
        for slot in &slots {
            slot.enter(|| GpSeq::new(4));
        }
        let mut cursor = Cursor::default();
        // Sections end in any order; the scan is over when, and only when, the last has.
        for (ended, slot) in slots.iter().rev().enumerate() {
            assert!(!registry.quiescent(&mut cursor, scanning()), "{ended} ended");
            slot.leave();
            // One that was passed may be entered again: it began after the barrier.
            if ended.is_multiple_of(3) {
                slot.enter(scanning);
            }
        }
        assert!(registry.quiescent(&mut cursor, scanning()));
        assert!(registry.quiescent(&mut Cursor::default(), scanning()));
        assert!(!registry.quiescent(&mut Cursor::default(), GpSeq::new(10)));
    }
}
