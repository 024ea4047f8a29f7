//! The elements that readers look at and the writer replaces, and the pipe they go through.
//!
//! An element is in use, then retired (age 1), then gets one older with each grace period; at
//! [`PIPE_LEN`] it goes back to the free list. It is never deallocated, and all of it is atomic, so
//! that a reader who sees too much does no harm beyond failing the check.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;

use rcu_core::gp::Notifier;

use super::Torture;
use super::checks::{Check, Failures};
use super::children::in_child;
use super::mailbox::Note;
use super::stats::PIPE_LEN;
use super::subject::Subject;

/// How many elements there are.
pub(super) const ELEMENTS: usize = 10 * PIPE_LEN;

const IN_USE: u32 = 0;
/// Unlinked; no grace period has passed since.
pub(super) const RETIRED: u32 = 1;

pub(super) struct Element<F: Subject> {
    torture: &'static Torture<F>,
    index: usize,
    /// Which use of the element this is; 0 while it is free.
    mbtest: AtomicU64,
    age: AtomicU32,
    pub(super) note: Note,
    notifier: Notifier,
}

impl<F: Subject> Element<F> {
    fn new(torture: &'static Torture<F>, index: usize) -> Self {
        Self {
            torture,
            index,
            mbtest: AtomicU64::new(0),
            age: AtomicU32::new(PIPE_LEN as u32),
            note: Note::new(),
            notifier: Notifier::new(grow_older::<F>),
        }
    }

    pub(super) fn mbtest(&self) -> u64 {
        self.mbtest.load(Ordering::Relaxed)
    }

    pub(super) fn age(&self) -> u32 {
        self.age.load(Ordering::Relaxed)
    }

    /// Fills a free element in, for use number `version`; it may then be published.
    pub(super) fn prepare(&self, version: u64) {
        let failures = &self.torture.failures;
        failures.expect(self.mbtest() == 0, Check::FreeList, || {
            format!("element {} came off the free list in use", self.index)
        });
        failures.expect(self.note.is_empty(), Check::Mailbox, || {
            "a note was left in an element after its grace period".into()
        });
        self.age.store(IN_USE, Ordering::Relaxed);
        self.mbtest.store(version, Ordering::Relaxed);
    }

    /// Marks the element as unlinked.
    pub(super) fn retire(&self) {
        self.age.store(RETIRED, Ordering::Relaxed);
    }

    /// To be called after each grace period that began after the element was retired, by whoever
    /// has it in hand. True once it is back on the free list.
    pub(super) fn bump(&self) -> bool {
        let age = self.age() + 1;
        self.age.store(age, Ordering::Relaxed);
        if age == RETIRED + 1
            && let Some(content) = self.note.collect(&self.torture.failures)
        {
            self.torture.readers.deliver(content, &self.torture.failures);
        }
        if age < PIPE_LEN as u32 {
            return false;
        }
        self.mbtest.store(0, Ordering::Relaxed);
        self.torture.pool.put(self.index);
        true
    }

    /// Sends a retired element on its own through the pipe: its notifier is armed for a grace
    /// period, and again by each call, until it is free.
    pub(super) fn chain(&'static self) {
        let cookie = self.torture.flavor.get_state();
        let whole = std::ptr::from_ref(self).cast_mut();
        // From the whole element, so that the call may find its way back.
        // SAFETY: a field of a valid element.
        let notifier = unsafe { NonNull::new_unchecked(&raw mut (*whole).notifier) };
        // SAFETY: elements live for ever, and one that was just retired, or whose notifier is being
        // called, is not armed.
        unsafe { self.torture.flavor.notify(notifier, cookie) };
    }
}

/// A grace period of a chained element is over.
///
/// # Safety
///
/// `notifier` is that of a static `Element<F>`, and was made from a pointer to the whole of it.
unsafe fn grow_older<F: Subject>(notifier: NonNull<Notifier>) {
    let offset = std::mem::offset_of!(Element<F>, notifier);
    // SAFETY: by the contract the element lies around the notifier and lives for ever.
    let element: &'static Element<F> = unsafe { notifier.byte_sub(offset).cast().as_ref() };
    if in_child() {
        return; // locks may be held by threads that it does not have
    }
    if !element.bump() {
        element.chain();
    }
}

pub(super) struct Pool<F: Subject> {
    elements: OnceLock<Box<[Element<F>]>>,
    /// Indices of free elements, the longest free first.
    free: Mutex<Vec<usize>>,
}

impl<F: Subject> Pool<F> {
    /// A pool without elements, to be put into what they point to.
    pub(super) fn new() -> Self {
        Self { elements: OnceLock::new(), free: Mutex::new(Vec::new()) }
    }

    pub(super) fn fill(&self, torture: &'static Torture<F>) {
        let make = || (0..ELEMENTS).map(|index| Element::new(torture, index)).collect();
        self.elements.get_or_init(make);
        *self.free() = (0..ELEMENTS).collect();
    }

    #[inline]
    pub(super) fn element(&self, index: usize) -> &Element<F> {
        &self.elements.get().expect("the pool is filled before threads start")[index]
    }

    /// Takes the element that was freed last: it is the likeliest to have readers that are late.
    pub(super) fn take(&self) -> Option<usize> {
        self.free().pop()
    }

    fn put(&self, index: usize) {
        self.free().push(index);
    }

    pub(super) fn free_count(&self) -> usize {
        self.free().len()
    }

    /// With everything drained and `current` in use: every other element is free, and on the list
    /// once.
    pub(super) fn audit(&self, current: usize, failures: &Failures) {
        let mut free = self.free().clone();
        free.push(current);
        free.sort_unstable();
        failures.expect(free.iter().copied().eq(0..ELEMENTS), Check::FreeList, || {
            let lost: Vec<_> = (0..ELEMENTS).filter(|i| !free.contains(i)).collect();
            let twice: Vec<_> = free.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
            format!("after a drain elements {lost:?} are missing and {twice:?} are there twice")
        });
    }

    /// Never asleep: a notifier's call takes it, and must not block.
    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        loop {
            match self.free.try_lock() {
                Ok(free) => return free,
                Err(TryLockError::Poisoned(free)) => return free.into_inner(),
                Err(TryLockError::WouldBlock) => thread::yield_now(),
            }
        }
    }
}
