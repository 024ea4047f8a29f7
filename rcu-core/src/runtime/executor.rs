//! The executor behind each background thread: a lock-free inbox, a list of tasks in hand, a futex
//! to sleep on.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::task::{Next, Task, ticks, time_of};
use super::{aborting, callback_scope};
use crate::{asym, futex};

/// Runs [`Task`]s on background threads; see [`gp`](super::gp) and [`reclaim`](super::reclaim).
pub struct Executor {
    /// Submitted tasks: pushed by anybody, taken whole by a driver.
    inbox: AtomicPtr<Task>,
    /// Whether a task in hand is hurried.
    hurry: AtomicBool,
    /// Whether all of them are.
    rush: AtomicBool,
    /// Threads that sleep, or are about to.
    sleepers: AtomicU32,
    /// Changes when a sleeper is to wake; what they sleep on.
    event: AtomicU32,
    /// The tasks in hand. Held to put and take them, never while one runs.
    hand: Mutex<Hand>,
}

/// The tasks an executor has taken from its inbox and that do not run now, linked through their own
/// nodes.
pub(super) struct Hand(*mut Task);

// SAFETY: tasks may be run by any thread; the list is used under its lock only.
unsafe impl Send for Hand {}

impl Executor {
    pub(super) const fn new() -> Self {
        Self {
            inbox: AtomicPtr::new(ptr::null_mut()),
            hurry: AtomicBool::new(false),
            rush: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            event: AtomicU32::new(0),
            hand: Mutex::new(Hand(ptr::null_mut())),
        }
    }

    /// Hands over a task, to be run at once and then again as it asks. Lock-free; never blocks and
    /// needs no memory. Without background threads the task waits for a thread that waits.
    ///
    /// A run must not panic (the process is aborted), nor wait for a grace period. On
    /// [`gp`](super::gp) it must be short and must not block or run anybody's callbacks either:
    /// every domain's grace periods share that thread.
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

    /// Has `task` run soon, if it is in hand and waits for its time. Otherwise its next wait is
    /// cut short.
    pub(crate) fn hurry(&self, task: &Task) {
        // Release, twice: pairs with the Acquire in `take_due`.
        task.hurried.store(true, Ordering::Release);
        self.hurry.store(true, Ordering::Release);
        self.wake();
    }

    /// Has every task in hand run soon: what they wait for has changed.
    pub(super) fn rush(&self) {
        self.rush.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes a thread if one sleeps. What it is to see must have been written before.
    fn wake(&self) {
        // Pairs with the fence in `sleep`: either the sleeper sees what is there, or we see it.
        asym::full();
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.event.fetch_add(1, Ordering::Release);
            futex::wake(&self.event, 1);
        }
    }

    /// Runs for ever: the body of a background thread.
    pub(super) fn run(&'static self) -> ! {
        loop {
            let due = self.turn(None);
            self.sleep(due);
        }
    }

    /// Runs what is due, until `end`. Returns when the next task in hand is. Any number of threads
    /// may be at it.
    pub(super) fn turn(&self, end: Option<Instant>) -> Option<Instant> {
        let now = Instant::now();
        let mut ran = false;
        // A task that waited for a grace period would wait for this thread.
        let _scope = callback_scope();
        loop {
            if ran && end.is_some_and(|end| Instant::now() >= end) {
                return Some(now);
            }
            ran = true;
            let mut hand = self.lock_hand();
            hand.accept(&self.inbox);
            if self.rush.swap(false, Ordering::Acquire) {
                hand.make_due();
            }
            let (task, run) =
                match hand.take_due(ticks(now), self.hurry.swap(false, Ordering::Acquire)) {
                    Ok(task) => task,
                    Err(earliest) => return earliest,
                };
            // The flag was for every hurried task, and this is one of maybe several.
            self.hurry.store(true, Ordering::Relaxed);
            drop(hand);
            // SAFETY: off every list, and the contract of `submit`. When it is done it may be
            // gone: it is not touched again.
            match aborting("a task", || unsafe { run(task, now) }) {
                Next::Done => {}
                Next::At(at) => {
                    let mut hand = self.lock_hand();
                    // SAFETY: not done, so still valid and ours.
                    unsafe {
                        hand.put(task, ticks(at));
                        // Under the lock: another driver may have taken the flag that was set for
                        // this task while it was in nobody's sight.
                        if task.as_ref().hurried.load(Ordering::Relaxed) {
                            self.hurry.store(true, Ordering::Relaxed);
                        }
                    }
                }
            }
        }
    }

    /// As [`turn`](Executor::turn), for a thread that does not stay. One that does may have looked
    /// while a task was with us, and sleep without knowing when it is due.
    pub(super) fn visit(&self, end: Option<Instant>) -> Option<Instant> {
        let due = self.turn(end);
        if due.is_some() {
            // Has it look again, even if it is only about to sleep.
            self.hurry.store(true, Ordering::Release);
            self.wake();
        }
        due
    }

    /// For a fork: the lock of the tasks in hand.
    pub(super) fn hold(&self) -> HeldHand<'_> {
        HeldHand { executor: self, hand: self.lock_hand() }
    }

    fn lock_hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `due`, or for ever, unless there is something to do.
    fn sleep(&self, due: Option<Instant>) {
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return,
            timeout => timeout,
        };
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        let event = self.event.load(Ordering::Acquire);
        // Pairs with the fence in `wake`.
        asym::full();
        if self.inbox.load(Ordering::Relaxed).is_null()
            && !self.hurry.load(Ordering::Relaxed)
            && !self.rush.load(Ordering::Relaxed)
        {
            futex::wait(&self.event, event, timeout);
        }
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An executor whose tasks stay where they are.
pub(super) struct HeldHand<'a> {
    executor: &'a Executor,
    hand: MutexGuard<'a, Hand>,
}

impl HeldHand<'_> {
    /// In the child of a fork: nobody sleeps, and `gone` is in no list any more.
    pub(super) fn forget(&mut self, gone: &Task) {
        self.executor.sleepers.store(0, Ordering::Relaxed);
        self.hand.accept(&self.executor.inbox);
        self.hand.remove(gone);
    }
}

impl Hand {
    /// Takes out a task, if it is there.
    fn remove(&mut self, task: &Task) {
        let mut link: *mut *mut Task = &raw mut self.0;
        // SAFETY: as in `take_due`.
        unsafe {
            while let Some(node) = NonNull::new(*link) {
                if ptr::eq(node.as_ptr(), task) {
                    *link = *node.as_ref().next.get();
                    return;
                }
                link = node.as_ref().next.get();
            }
        }
    }

    /// Takes over what was submitted, to be run at once.
    fn accept(&mut self, inbox: &AtomicPtr<Task>) {
        // Acquire: pairs with the Release of `submit`.
        let mut list = inbox.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(task) = NonNull::new(list) {
            // SAFETY: taken from the inbox by us alone; valid until it is done.
            unsafe {
                list = *task.as_ref().next.get();
                self.put(task, 0);
            }
        }
    }

    /// Adds a task that is due then, by `ticks`.
    ///
    /// # Safety
    ///
    /// The task is valid and on no list, and the caller holds it.
    unsafe fn put(&mut self, task: NonNull<Task>, due: u64) {
        // SAFETY: the caller's promise.
        unsafe {
            *task.as_ref().due.get() = due;
            *task.as_ref().next.get() = self.0;
        }
        self.0 = task.as_ptr();
    }

    /// Makes every task due.
    fn make_due(&mut self) {
        let mut task = self.0;
        // SAFETY: tasks in hand are valid, and ours by the lock.
        while let Some(node) = unsafe { task.as_ref() } {
            // SAFETY: as above.
            unsafe {
                *node.due.get() = 0;
                task = *node.next.get();
            }
        }
    }

    /// Takes out a task that is due, or hurried; or says when the first is due.
    fn take_due(&mut self, now: u64, hurry: bool) -> Result<DueTask, Option<Instant>> {
        let mut earliest = u64::MAX;
        let mut link: *mut *mut Task = &raw mut self.0;
        // SAFETY: tasks in hand are valid, and ours by the lock; `link` is the head or the link of
        // one of them.
        unsafe {
            while let Some(task) = NonNull::new(*link) {
                let node = task.as_ref();
                let hurried = hurry && node.hurried.swap(false, Ordering::Acquire);
                let due = *node.due.get();
                if due <= now || hurried {
                    *link = *node.next.get();
                    return Ok((task, node.run));
                }
                earliest = earliest.min(due);
                link = node.next.get();
            }
        }
        Err((earliest != u64::MAX).then(|| time_of(earliest)))
    }
}

/// A task taken out of hand, and what runs it.
type DueTask = (NonNull<Task>, unsafe fn(NonNull<Task>, Instant) -> Next);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}
