//! Tasks: intrusive work items that an [`Executor`](super::Executor) runs until they are done.

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What a run of a [`Task`] asks for.
///
/// ```
/// use rcu_core::runtime::{Next, gp_interval};
/// let later = Next::At(std::time::Instant::now() + gp_interval());
/// assert!(matches!(later, Next::At(_)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the executor forgets the task and never touches it again.
    Done,
    /// To be run again at that time, or soon after.
    At(Instant),
}

/// An intrusive work item: a node and the function to run with it.
///
/// Submitting one needs no memory and no lock ([`Executor::submit`](super::Executor::submit), which
/// has an example).
pub struct Task {
    /// Owned by the list the task is on.
    pub(super) next: UnsafeCell<*mut Task>,
    /// When to run, by [`ticks`]; 0: at once. Belongs to the executor while it holds the task. A
    /// word and not an `Instant`: queues have three of these for each CPU.
    pub(super) due: UnsafeCell<u64>,
    /// Whether somebody wants it run before it is due.
    pub(super) hurried: AtomicBool,
    pub(super) run: unsafe fn(NonNull<Task>, Instant) -> Next,
}

// SAFETY: the cells belong to whoever holds the task: its submitter, then the executor's inbox,
// then the one thread that drives the executor; publication orders those.
unsafe impl Send for Task {}
// SAFETY: as above; a shared reference gives no access to the cells.
unsafe impl Sync for Task {}

impl Task {
    /// A task that `run` carries out: it is given the task itself, whose address says whose it is,
    /// and the time.
    pub const fn new(run: unsafe fn(NonNull<Task>, Instant) -> Next) -> Self {
        Self {
            next: UnsafeCell::new(ptr::null_mut()),
            due: UnsafeCell::new(0),
            hurried: AtomicBool::new(false),
            run,
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds from the first call to `at`, made odd: never 0.
pub(super) fn ticks(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*START).as_nanos()).map_or(u64::MAX, |n| n | 1)
}

/// The time that [`ticks`] gave a number for.
pub(super) fn time_of(ticks: u64) -> Instant {
    *START + Duration::from_nanos(ticks)
}
