//! The executor behind each background thread: a lock-free inbox, a list of tasks in hand, a futex
//! to sleep on.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use super::task::{Next, Task};
use super::{aborting, callback_scope};
use crate::{asym, futex};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

/// Runs [`Task`]s on one background thread; see [`gp`](super::gp) and [`reclaim`](super::reclaim).
pub struct Executor {
    /// Submitted tasks: pushed by anybody, taken whole by the driver.
    inbox: AtomicPtr<Task>,
    /// `ASLEEP` while its thread sleeps, or is about to.
    state: AtomicU32,
    /// The tasks in hand. Whoever holds the lock drives the executor.
    hand: Mutex<Hand>,
}

/// The tasks an executor has taken from its inbox, linked through their own nodes.
struct Hand(*mut Task);

// SAFETY: tasks may be run by any thread; the list is used under its lock only.
unsafe impl Send for Hand {}

impl Executor {
    pub(super) const fn new() -> Self {
        Self {
            inbox: AtomicPtr::new(ptr::null_mut()),
            state: AtomicU32::new(AWAKE),
            hand: Mutex::new(Hand(ptr::null_mut())),
        }
    }

    /// Hands over a task, to be run at once and then again as it asks. Lock-free; never blocks and
    /// needs no memory. Without background threads the task waits for a thread that waits.
    ///
    /// A run must not panic (the process is aborted), nor wait for a grace period. On [`gp`](super::gp) it must be short and must not block or run
    /// anybody's callbacks either: every domain's grace periods share that thread.
    ///
    /// ```
    /// use rcu_core::runtime::{self, Next, Task};
    /// use std::ptr::NonNull;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Instant;
    ///
    /// static RAN: AtomicBool = AtomicBool::new(false);
    /// unsafe fn run(_task: NonNull<Task>, _now: Instant) -> Next {
    ///     RAN.store(true, Ordering::Release);
    ///     Next::Done
    /// }
    /// static TASK: Task = Task::new(run);
    ///
    /// // SAFETY: lives for ever and is submitted once.
    /// unsafe { runtime::reclaim().submit(NonNull::from(&TASK)) };
    /// runtime::start();
    /// while !RAN.load(Ordering::Acquire) {
    ///     std::thread::yield_now();
    /// }
    /// ```
    ///
    /// # Safety
    ///
    /// `task` is valid and stays so, unmoved, until a run of it has decided to return
    /// [`Next::Done`]. It is not submitted again before that; from then on it may be, even before
    /// that run has returned.
    pub unsafe fn submit(&'static self, task: NonNull<Task>) {
        let mut head = self.inbox.load(Ordering::Relaxed);
        loop {
            // SAFETY: not published yet, so the caller lends us the cell.
            unsafe { *task.as_ref().next.get() = head };
            // Release: publishes the task to the driver's Acquire swap.
            match self.inbox.compare_exchange_weak(
                head,
                task.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(seen) => head = seen,
            }
        }
        self.wake();
    }

    /// Wakes the thread if it sleeps. What it is to see must have been written before.
    fn wake(&self) {
        // Pairs with the fence in `sleep`: either the sleeper sees the inbox, or we see it asleep.
        asym::full();
        if self.state.load(Ordering::Relaxed) == ASLEEP
            && self.state.swap(AWAKE, Ordering::Relaxed) == ASLEEP
        {
            futex::wake(&self.state, 1);
        }
    }

    /// Runs forever: the body of a background thread.
    pub(super) fn run(&'static self) -> ! {
        loop {
            let due = self.turn(self.hand.lock().unwrap_or_else(PoisonError::into_inner));
            self.sleep(due);
        }
    }

    /// Runs what is due, for a thread that waits while there are no background threads. Does
    /// nothing if another thread is at it.
    pub(super) fn help(&'static self) {
        match self.hand.try_lock() {
            Ok(hand) => drop(self.turn(hand)),
            Err(TryLockError::Poisoned(poisoned)) => drop(self.turn(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// One pass over the tasks: runs those that are due. Returns when the next one is.
    fn turn(&self, mut hand: MutexGuard<'_, Hand>) -> Option<Instant> {
        let now = Instant::now();
        // A task that waited for a grace period would wait for this thread.
        let _scope = callback_scope();
        // Acquire: pairs with the Release of `submit`.
        let mut list = self.inbox.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(task) = NonNull::new(list) {
            // SAFETY: taken from the inbox by us alone; valid until it is done.
            unsafe {
                let node = task.as_ref();
                list = *node.next.get();
                *node.due.get() = None;
                *node.next.get() = hand.0;
            }
            hand.0 = task.as_ptr();
        }

        let mut earliest: Option<Instant> = None;
        let mut rest = std::mem::replace(&mut hand.0, ptr::null_mut());
        while let Some(task) = NonNull::new(rest) {
            // SAFETY: in hand, so valid and ours.
            let (due, run) = unsafe {
                let node = task.as_ref();
                rest = *node.next.get();
                (*node.due.get(), node.run)
            };
            let at = match due {
                Some(at) if at > now => at,
                // SAFETY: off every list, and the contract of `submit`. When it is done it may be
                // gone: it is not touched again.
                _ => match aborting("a task", || unsafe { run(task, now) }) {
                    Next::Done => continue,
                    Next::At(at) => at,
                },
            };
            // SAFETY: not done, so still valid and ours.
            unsafe {
                let node = task.as_ref();
                *node.due.get() = Some(at);
                *node.next.get() = hand.0;
            }
            hand.0 = task.as_ptr();
            earliest = Some(earliest.map_or(at, |e| e.min(at)));
        }
        earliest
    }

    /// Sleeps until `due`, or for ever, unless somebody has submitted something.
    fn sleep(&self, due: Option<Instant>) {
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return,
            timeout => timeout,
        };
        self.state.store(ASLEEP, Ordering::Relaxed);
        // Pairs with the fence in `wake`.
        asym::full();
        if self.inbox.load(Ordering::Relaxed).is_null() {
            futex::wait(&self.state, ASLEEP, timeout);
        }
        self.state.store(AWAKE, Ordering::Relaxed);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}
