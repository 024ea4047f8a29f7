//! A reader's slot: one word that says whether its thread is in a section, and since when.

use std::io::Write;
#[cfg(debug_assertions)]
use std::panic::Location;
use std::{process, ptr};

use crate::gp::Holder;
use crate::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::{GpSeq, asym};

/// The low bits of a slot's word: how many sections are open, nested.
const NESTING: u64 = 0xffff;
/// What is left above them: the low 48 bits of the sequence when the outermost section began.
const STAMP_SHIFT: u32 = 16;

/// The strategy is `Fence`. Set before the slot is published, then constant.
const FENCED: u32 = 1;
/// A driver sleeps until the section ends.
const WATCHED: u32 = 2;

/// A slot without a thread.
pub(super) const NOBODY: i32 = 0;
/// A slot whose thread has exited and left a section open.
pub(super) const EXITED: i32 = -1;

/// One thread's slot. On two cache lines of its own, so that its stores disturb nobody even where
/// lines are fetched in pairs. Never unmapped: a guard may outlive its thread's registration.
#[repr(align(128))]
pub(crate) struct Slot {
    /// `stamp << 16 | nesting`. Written by the owning thread (and its signal handlers) only, and
    /// read by scans.
    word: AtomicU64,
    /// `FENCED` and `WATCHED`: what the end of a section has to look at, in one load.
    flags: AtomicU32,
    /// The system's number of the owning thread; `NOBODY`, or `EXITED` if it left a section open.
    owner: AtomicI32,
    /// Where the outermost section was opened.
    #[cfg(debug_assertions)]
    opened_at: AtomicPtr<Location<'static>>,
    /// The next slot of the registry; set before this one is published, then constant.
    pub(super) next_in_registry: AtomicPtr<Slot>,
    /// The next slot that has no thread; protected by the registry's lock.
    pub(super) next_free: AtomicPtr<Slot>,
}

impl Slot {
    /// An idle slot without a thread.
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            flags: AtomicU32::new(0),
            owner: AtomicI32::new(NOBODY),
            #[cfg(debug_assertions)]
            opened_at: AtomicPtr::new(ptr::null_mut()),
            next_in_registry: AtomicPtr::new(ptr::null_mut()),
            next_free: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Opens a section, nested or not. The strategy's barrier must follow.
    #[inline(always)]
    pub(super) fn enter(&self, stamp: impl FnOnce() -> GpSeq) {
        // A handler that interrupts us between the load and the store leaves the nesting as it
        // found it, and an outermost store is right whatever stamp was there.
        let word = self.word.load(Ordering::Relaxed);
        let entered = if word & NESTING == 0 {
            stamp().get() << STAMP_SHIFT | 1
        } else {
            rarely();
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
        // Pairs with the heavy barrier between `watch` and the scan that follows it: either that
        // scan sees the section's end, or we see the flag.
        asym::light();
        if self.flags.load(Ordering::Relaxed) != 0 {
            self.left();
        }
    }

    /// The rest of a section's end, where there is more to it.
    #[cold]
    #[inline(never)]
    fn left(&self) {
        if self.flags.load(Ordering::Relaxed) & FENCED != 0 {
            // In place of the light barrier above.
            asym::full();
        }
        if self.flags.load(Ordering::Relaxed) & WATCHED != 0
            && self.flags.fetch_and(!WATCHED, Ordering::AcqRel) & WATCHED != 0
        {
            super::ENGINE.reader_left();
        }
    }

    /// In the child of a fork: ends the sections of a thread that is gone.
    pub(super) fn clear(&self) {
        self.word.store(0, Ordering::Relaxed);
        self.flags.fetch_and(!WATCHED, Ordering::Relaxed);
        self.give_to(NOBODY);
    }

    /// Makes the slot that of a thread.
    pub(super) fn give_to(&self, owner: i32) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Says, before the slot is published, that its sections fence.
    pub(super) fn set_fenced(&self) {
        self.flags.store(FENCED, Ordering::Relaxed);
    }

    /// The system's number of the owning thread, or `NOBODY`, or `EXITED`.
    pub(super) fn owner(&self) -> i32 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Asks for a call of [`Engine::reader_left`](crate::gp::Engine::reader_left) when the section
    /// ends. A heavy barrier and another look must follow.
    pub(super) fn watch(&self) {
        self.flags.fetch_or(WATCHED, Ordering::AcqRel);
    }

    /// Who to name in a report.
    pub(super) fn holder(&self) -> Holder {
        #[cfg(debug_assertions)]
        // SAFETY: null, or from a `&'static Location`.
        let opened_at = unsafe { self.opened_at.load(Ordering::Relaxed).as_ref() };
        #[cfg(not(debug_assertions))]
        let opened_at = None;
        Holder::new(Some(self.owner()).filter(|&owner| owner > NOBODY), opened_at)
    }

    /// Notes where the outermost section is opened.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn note_place(&self) {
        #[cfg(debug_assertions)]
        if !self.occupied() {
            self.opened_at.store(ptr::from_ref(Location::caller()).cast_mut(), Ordering::Relaxed);
        }
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

/// Has the branch that calls it laid out of the common one's way: a jump around it shows in the cost
/// of a section.
#[cold]
#[inline]
fn rarely() {}

#[cold]
#[inline(never)]
fn nested_too_deeply() -> ! {
    let _ = writeln!(
        std::io::stderr(),
        "rcu: more than {NESTING} nested RCU sections in one thread (guards leaked?)"
    );
    process::abort();
}

#[cfg(all(test, not(rcu_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_sections_stamped_by_this_scan_are_skipped() {
        let slot = Slot::new();
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
