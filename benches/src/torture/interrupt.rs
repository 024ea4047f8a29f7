//! Sections in odd places: in signal handlers, which come at any instruction of a reader, and in
//! destructors of thread-local values, which run while a thread exits.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::Torture;
use super::checks::{Check, Failures};
use super::reader::Held;
use super::subject::Subject;

/// Ignored by default, so a late one does no harm.
const SIGNAL: libc::c_int = libc::SIGURG;

thread_local! {
    // Constant and without a destructor: a handler may look at it at any time.
    static HERE: Cell<Option<&'static dyn Interrupt>> = const { Cell::new(None) };
}

/// A run, to a handler that does not know its flavour.
trait Interrupt: Sync {
    /// One section. Must not allocate or lock.
    fn section(&self);
}

/// What handlers saw; they leave it here, for recording a failure takes a lock.
#[derive(Default)]
pub(super) struct Seen {
    sections: AtomicU64,
    pipe: AtomicU64,
    mbtest: AtomicU64,
    state: AtomicU64,
}

impl<F: Subject> Interrupt for &'static Torture<F> {
    fn section(&self) {
        let seen = &self.interrupts;
        let count = |when: bool, counter: &AtomicU64| {
            if when {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        let before = self.flavor.in_section();
        let guard = self.flavor.read_lock();
        let held = Held::take(self);
        for _ in 0..seen.sections.load(Ordering::Relaxed) % 64 * 16 {
            std::hint::spin_loop();
        }
        count(self.flavor.in_section() == Some(false), &seen.state);
        count(!held.is_young(), &seen.pipe);
        count(!held.is_same(), &seen.mbtest);
        drop(guard);
        count(self.flavor.in_section() != before, &seen.state);
        count(true, &seen.sections);
    }
}

impl Seen {
    pub(super) fn sections(&self) -> u64 {
        self.sections.load(Ordering::Relaxed)
    }

    /// Records what went wrong in handlers since the last time.
    pub(super) fn record(&self, failures: &Failures) {
        let found = [
            (Check::ReaderPipe, &self.pipe),
            (Check::Mbtest, &self.mbtest),
            (Check::SectionState, &self.state),
        ];
        for (check, counter) in found {
            let times = counter.swap(0, Ordering::Relaxed);
            failures.expect(times == 0, check, || format!("in a signal handler, {times} times"));
        }
    }
}

/// Lets the calling thread be interrupted until it is dropped. The thread must have opened a
/// section before: a handler must not be the first to.
pub(super) struct Interruptible(());

impl Interruptible {
    pub(super) fn new<F: Subject>(torture: &'static Torture<F>) -> Self {
        install();
        // A reference to a reference, both for ever.
        let run: &'static dyn Interrupt = Box::leak(Box::new(torture));
        HERE.set(Some(run));
        Self(())
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

/// Interrupts a thread, wherever it is.
pub(super) fn interrupt(thread: &JoinHandle<()>) {
    // SAFETY: a thread that has not been joined; if it has ended this is an error or does nothing.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGNAL) };
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all zero is a valid sigaction: no flags, nothing blocked.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: a valid action, whose handler only does what handlers may.
        let failed = unsafe { libc::sigaction(SIGNAL, &action, ptr::null_mut()) };
        assert_eq!(failed, 0, "a handler can be set for an ordinary signal");
    });
}

extern "C" fn on_signal(_signal: libc::c_int) {
    if let Some(run) = HERE.get() {
        run.section();
    }
}

/// Runs `last` when the calling thread exits, from a thread-local value's destructor.
pub(super) fn at_exit(last: impl FnOnce() + 'static) {
    struct Last(RefCell<Option<Box<dyn FnOnce()>>>);

    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(last) = self.0.take() {
                last();
            }
        }
    }

    thread_local! {
        static LAST: Last = const { Last(RefCell::new(None)) };
    }
    LAST.with(|slot| slot.0.replace(Some(Box::new(last))));
}
