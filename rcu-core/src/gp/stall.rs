//! Stalls: grace periods that readers hold up for too long, and who is told of them.

use std::fmt;
use std::fs;
use std::io::Write;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::GpSeq;
use crate::runtime::survives;

/// A reader that holds a grace period up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The system's number of its thread; `None` if the thread is gone and its guard was leaked.
    pub thread: Option<i32>,
    /// Where the section was opened; known in debug builds.
    pub opened_at: Option<&'static Location<'static>>,
}

impl Holder {
    pub(crate) fn new(thread: Option<i32>, opened_at: Option<&'static Location<'static>>) -> Self {
        Self { thread, opened_at }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thread {
            Some(thread) => {
                write!(f, "thread {thread}")?;
                if let Ok(name) = fs::read_to_string(format!("/proc/self/task/{thread}/comm")) {
                    write!(f, " ({})", name.trim())?;
                }
            }
            None => f.write_str("a guard leaked by a thread that has exited")?,
        }
        match self.opened_at {
            Some(place) => write!(f, ", in a section opened at {place}"),
            None => Ok(()),
        }
    }
}

/// A grace period that has been waiting for a reader for longer than the
/// [stall timeout](set_stall_timeout).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StallReport {
    /// The cookie of the grace period.
    pub cookie: GpSeq,
    /// How long it has been waiting for readers.
    pub age: Duration,
    /// The first reader that it waits for.
    pub holder: Option<Holder>,
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the grace period {} waits for {:.1?}", self.cookie.get(), self.age)?;
        match &self.holder {
            Some(holder) => write!(f, ", now for {holder}"),
            None => f.write_str(", for a reader that has left just now"),
        }
    }
}

type Hook = Arc<dyn Fn(&StallReport) + Send + Sync>;

/// `None`: reports go to standard error.
pub(crate) type HookSlot = Option<Hook>;

static HOOK: Mutex<HookSlot> = Mutex::new(None);

/// For a fork: the hook's lock.
pub(crate) fn hold_hook() -> MutexGuard<'static, HookSlot> {
    HOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds; 0: never.
static TIMEOUT: AtomicU64 = AtomicU64::new(10_000);

/// Has `hook` called for each stall, instead of a line on standard error. It is called once a grace
/// period, with no lock held, by a thread that drives it: it must not wait for a grace period. If it
/// panics, that is ignored.
///
/// ```
/// use rcu_core::gp::set_stall_hook;
/// set_stall_hook(|report| eprintln!("stalled: {report}"));
/// ```
pub fn set_stall_hook(hook: impl Fn(&StallReport) + Send + Sync + 'static) {
    *hold_hook() = Some(Arc::new(hook));
}

/// How long a grace period may wait for readers before it is reported: 10 s unless set. Zero turns
/// reports off.
///
/// ```
/// use std::time::Duration;
/// rcu_core::gp::set_stall_timeout(Duration::from_secs(60));
/// ```
pub fn set_stall_timeout(timeout: Duration) {
    let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    TIMEOUT.store(if timeout.is_zero() { 0 } else { millis.max(1) }, Ordering::Relaxed);
}

impl StallReport {
    /// Gives the report to the hook, or prints it.
    pub(super) fn deliver(&self) {
        let hook = hold_hook().clone();
        match hook {
            Some(hook) => {
                survives(|| hook(self));
            }
            None => {
                let _ = writeln!(std::io::stderr(), "rcu: {self}");
            }
        }
    }
}

/// The age of one domain's scan.
pub(super) struct StallWatch {
    /// When the last scan began, by [`clock`].
    since: AtomicU64,
    /// The last scan that was reported.
    reported: AtomicU64,
}

impl StallWatch {
    pub(super) const fn new() -> Self {
        Self { since: AtomicU64::new(0), reported: AtomicU64::new(0) }
    }

    /// A scan is about to begin.
    pub(super) fn begin(&self) {
        self.since.store(clock(), Ordering::Relaxed);
    }

    /// How long ago the last scan began.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(clock().saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// The age of the scan `of`, if it is due to be reported; once each scan. `in_progress` says
    /// whether it is still the last that began: a driver that comes late knows of earlier ones.
    pub(super) fn due(&self, of: GpSeq, in_progress: impl FnOnce() -> bool) -> Option<Duration> {
        let timeout = TIMEOUT.load(Ordering::Relaxed);
        let reported = self.reported.load(Ordering::Relaxed);
        // Before `in_progress`, which then says that this is the age of `of`.
        let age = self.age();
        let late = timeout != 0 && age >= Duration::from_millis(timeout);
        if !late || reported == of.get() || !in_progress() {
            return None;
        }
        // Fails if this scan, or a later one, has been reported meanwhile.
        self.reported
            .compare_exchange(reported, of.get(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then_some(age)
    }
}

/// Milliseconds, by a clock that is cheap and a few of them coarse.
fn clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is written.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
