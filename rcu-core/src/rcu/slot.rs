//! A reader's slot: one word that says whether its thread is in a section, and since when.

use std::io::Write;
use std::process;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::GpSeq;

/// The low bits of a slot's word: how many sections are open, nested.
const NESTING: u64 = 0xffff;
/// What is left above them: the low 48 bits of the sequence when the outermost section began.
const STAMP_SHIFT: u32 = 16;

/// One thread's slot. On two cache lines of its own, so that its stores disturb nobody even where
/// lines are fetched in pairs. Never unmapped: a guard may outlive its thread's registration.
#[repr(align(128))]
pub(super) struct Slot {
    /// `stamp << 16 | nesting`. Written by the owning thread (and its signal handlers) only, and
    /// read by scans.
    word: AtomicU64,
    /// The next slot of the registry; set before this one is published, then constant.
    pub(super) next_in_registry: AtomicPtr<Slot>,
    /// The next slot that has no thread; protected by the registry's lock.
    pub(super) next_free: AtomicPtr<Slot>,
}

impl Slot {
    /// Opens a section, nested or not. The strategy's barrier must follow.
    #[inline(always)]
    pub(super) fn enter(&self, stamp: impl FnOnce() -> GpSeq) {
        // A handler that interrupts us between the load and the store leaves the nesting as it
        // found it, and an outermost store is right whatever stamp was there.
        let word = self.word.load(Ordering::Relaxed);
        let entered = if word & NESTING == 0 {
            stamp().get() << STAMP_SHIFT | 1
        } else {
            if word & NESTING == NESTING {
                nested_too_deeply();
            }
            word + 1
        };
        // Release: a scan that reads this has what our earlier sections did before it. The pairing
        // with the heavy barrier is the strategy's, see `RcuGuard::enter`.
        self.word.store(entered, Ordering::Release);
    }

    /// Ends the innermost section.
    #[inline(always)]
    pub(super) fn leave(&self) {
        let word = self.word.load(Ordering::Relaxed);
        // Release: pairs with the scan's Acquire; what the section read and did comes before the
        // end of the grace period.
        self.word.store(word - 1, Ordering::Release);
    }

    /// Whether the owning thread has a section open. For that thread.
    pub(super) fn occupied(&self) -> bool {
        self.word.load(Ordering::Relaxed) & NESTING != 0
    }

    /// Whether this reader holds up the grace period that shows `scanning` while it scans: it is in
    /// a section that may have begun before the heavy barrier. One stamped `scanning` began after.
    pub(super) fn holds_up(&self, scanning: GpSeq) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word & NESTING != 0 && word & !NESTING != scanning.get() << STAMP_SHIFT
    }
}

#[cold]
#[inline(never)]
fn nested_too_deeply() -> ! {
    let _ = writeln!(
        std::io::stderr(),
        "rcu: more than {NESTING} nested RCU sections in one thread (guards leaked?)"
    );
    process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot {
            word: AtomicU64::new(0),
            next_in_registry: AtomicPtr::default(),
            next_free: AtomicPtr::default(),
        }
    }

    #[test]
    fn only_sections_stamped_by_this_scan_are_skipped() {
        let slot = slot();
        let scanning = GpSeq::new(u64::MAX - 1); // stamps keep the low 48 bits
        assert!(!slot.holds_up(scanning));
        slot.enter(|| GpSeq::new(u64::MAX - 2));
        assert!(slot.holds_up(scanning));
        slot.enter(|| scanning); // nested: the outermost stamp counts
        assert!(slot.holds_up(scanning));
        slot.leave();
        slot.leave();
        assert!(!slot.holds_up(scanning));
        slot.enter(|| scanning);
        assert!(!slot.holds_up(scanning));
        assert!(slot.holds_up(GpSeq::new(2)));
    }

    #[test]
    fn a_slot_and_its_thread_cost_at_most_256_bytes() {
        assert!(size_of::<Slot>() <= 256);
    }
}
