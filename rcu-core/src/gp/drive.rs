//! Who drives grace periods: the background task, and callers that may sleep.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Engine, ReaderSet, Scan, Step};
use super::pace::Patience;
use super::stall::StallReport;
use crate::runtime::{self, Next, Task};
use crate::{GpSeq, GpState};

/// What the background driver remembers between two looks.
pub(crate) struct Paced<R: ReaderSet> {
    scan: Scan<R>,
    patience: Patience,
    last_start: Option<Instant>,
}

impl<R: ReaderSet> Paced<R> {
    pub(super) const fn new() -> Self {
        Self { scan: Scan::new(), patience: Patience::new(), last_start: None }
    }
}

impl<R: ReaderSet> Engine<R> {
    /// Asks for the grace period that ends at `cookie`: the background driver will run it. A cookie
    /// that this domain cannot have given out yet asks for the latest that it could.
    pub fn request(&'static self, cookie: GpSeq) {
        let _ = self.raise(&self.requested, cookie);
        if !self.active.swap(true, Ordering::SeqCst) {
            // Made from the whole engine, so that `run_paced` may find its way back.
            // SAFETY: a field of a valid engine.
            let task =
                unsafe { NonNull::new_unchecked(&raw mut (*NonNull::from(self).as_ptr()).task) };
            // SAFETY: `self` is static, and `active` was false: the task's last run has decided to
            // be done, or there was none.
            unsafe { runtime::gp().submit(task) };
        }
    }

    /// As [`request`](Engine::request), and has the background driver run it at once.
    pub fn request_expedited(&'static self, cookie: GpSeq) {
        let news = self.raise(&self.urgent, cookie);
        self.request(cookie);
        if news {
            runtime::gp().hurry(&self.task);
        }
    }

    /// Moves `asked` on to `cookie`, or as far as this domain has given cookies out; false if it was
    /// there already.
    fn raise(&self, asked: &AtomicU64, cookie: GpSeq) -> bool {
        let latest = self.peek().snapshot();
        let cookie = if latest.is_done(cookie) { cookie } else { latest };
        let mut seen = GpSeq::new(asked.load(Ordering::Relaxed));
        while !seen.is_done(cookie) {
            // SeqCst, with the swap of `active` that follows: pairs with `retire_task`. Either it
            // sees our request, or we see it gone and submit it anew.
            match asked.compare_exchange_weak(
                seen.get(),
                cookie.get(),
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => seen = GpSeq::new(now),
            }
        }
        false
    }

    /// Waits until the grace period that ends at `cookie` is over, or until `deadline`; false if it
    /// is not over by then. The background driver runs it; without one the caller does.
    ///
    /// The caller must know that it is not inside a section of this domain.
    ///
    /// # Panics
    ///
    /// If this domain cannot have given out the cookie yet.
    pub fn wait(&'static self, cookie: GpSeq, deadline: Option<Instant>) -> bool {
        if self.poll(cookie) {
            return true;
        }
        assert!(
            self.peek().snapshot().is_done(cookie),
            "waited for a cookie of another domain: {cookie:?} is in the future of this one"
        );
        self.request(cookie);
        if !runtime::start() {
            let done = self.drive(cookie, deadline);
            runtime::help();
            return done;
        }
        loop {
            let Some(left) = time_left(deadline) else { return self.poll(cookie) };
            self.waiters.wait(left, || self.peek().is_done(cookie));
            if self.poll(cookie) {
                return true;
            }
        }
    }

    /// Runs grace periods on the calling thread, at once, until the one that ends at `cookie` is
    /// over, or until `deadline`; false if it is not over by then. Others may drive at the same
    /// time; they share the work.
    ///
    /// The caller must know that it is not inside a section of this domain.
    pub fn drive(&self, cookie: GpSeq, deadline: Option<Instant>) -> bool {
        let mut scan = Scan::new();
        let mut patience = Patience::new();
        while !self.poll(cookie) {
            match self.step(&mut scan) {
                Step::Moved => patience.renew(),
                Step::Started => {
                    self.expedited.fetch_add(1, Ordering::Relaxed);
                }
                Step::Blocked => {
                    let Some(pause) = patience.pause() else { continue };
                    let Some(left) = time_left(deadline) else { return self.poll(cookie) };
                    let pause = left.map_or(pause, |left| left.min(pause));
                    // It hears of the end of any grace period, and of the reader's leaving.
                    self.waiters.wait(Some(pause), || {
                        self.peek().is_done(cookie) || !self.still_blocked(&mut scan)
                    });
                    if let Some(report) = self.stall_report(&scan) {
                        report.deliver();
                    }
                }
            }
        }
        true
    }

    /// Before a driver sleeps for a reader: asks it for a wake-up, and looks again. Every time: the
    /// last wake-up took the request along.
    fn still_blocked(&self, scan: &mut Scan<R>) -> bool {
        let (of, Some(cursor)) = (scan.of, &mut scan.cursor) else { return false };
        loop {
            let before = cursor.clone();
            self.readers().watch(&before);
            // Between asking and looking: a reader whose leaving this look does not see sees that
            // it was asked.
            self.readers().heavy();
            // Somebody else may have ended the grace period; a section of the next one would then
            // be taken for one that holds this one up.
            if self.peek() != of || self.readers().quiescent(cursor, of) {
                return false;
            }
            if *cursor == before {
                return true;
            }
            // That one has left; now it is another that has not been asked.
        }
    }

    /// A report, if this scan has stalled and nobody has told of it.
    fn stall_report(&self, scan: &Scan<R>) -> Option<StallReport> {
        let age = self.stall.due(scan.of, || self.peek() == scan.of)?;
        Some(StallReport {
            cookie: scan.of.next(),
            age,
            holder: scan.cursor.as_ref().and_then(|cursor| self.readers().holder(cursor)),
        })
    }

    /// The background driver: goes on for as long as something is asked for, never blocking.
    fn run(&'static self, now: Instant) -> Next {
        self.napping.store(false, Ordering::Relaxed);
        let mut paced = self.hold_driver();
        loop {
            let seq = self.peek();
            if seq.is_done(GpSeq::new(self.requested.load(Ordering::Relaxed))) {
                // Whoever ended the grace period may have been stopped before telling.
                self.ended();
                if self.retire_task() {
                    return Next::Done;
                }
                continue;
            }
            let Paced { scan, patience, last_start } = &mut *paced;
            if seq.state() == GpState::Idle
                && seq.is_done(GpSeq::new(self.urgent.load(Ordering::Relaxed)))
                && let Some(due) = last_start.map(|last| last + runtime::gp_interval())
                && now < due
            {
                return Next::At(due);
            }
            match self.step(scan) {
                Step::Moved => patience.renew(),
                Step::Started => *last_start = Some(now),
                Step::Blocked => {
                    let Some(pause) = patience.pause() else { continue };
                    // Before the look at the sequence in there, and its barrier: pairs with the
                    // fence in `ended`.
                    self.napping.store(true, Ordering::Relaxed);
                    if !self.still_blocked(scan) {
                        self.napping.store(false, Ordering::Relaxed);
                        continue;
                    }
                    let report = self.stall_report(scan);
                    drop(paced);
                    if let Some(report) = report {
                        report.deliver();
                    }
                    return Next::At(now + pause);
                }
            }
        }
    }

    /// For a fork: the background driver is not at work while this is held.
    pub(crate) fn hold_driver(&self) -> MutexGuard<'_, Paced<R>> {
        self.paced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the child of a fork: nobody sleeps, nobody drives; what is asked for is asked for anew.
    pub(crate) fn resume_in_child(&'static self) {
        self.waiters.forget();
        // Where the task was, in a list or with a thread that is gone, the runtime has forgotten.
        self.active.store(false, Ordering::SeqCst);
        let asked = GpSeq::new(self.requested.load(Ordering::Relaxed));
        if !self.peek().is_done(asked) {
            self.request(asked);
        }
    }

    /// Lets the executor forget the task, unless somebody asked for more meanwhile.
    fn retire_task(&self) -> bool {
        self.active.swap(false, Ordering::SeqCst);
        // SeqCst: pairs with `request`.
        let asked = GpSeq::new(self.requested.load(Ordering::SeqCst));
        self.peek().is_done(asked) || self.active.swap(true, Ordering::SeqCst)
    }
}

/// What is left until `deadline`: `Some(None)` without one, `None` when it has passed.
fn time_left(deadline: Option<Instant>) -> Option<Option<Duration>> {
    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        Some(left) if left.is_zero() => None,
        left => Some(left),
    }
}

/// Runs the engine that `task` is part of.
///
/// # Safety
///
/// `task` points to the `task` field of a static `Engine<R>`, and was made from a pointer to the
/// whole of it.
pub(super) unsafe fn run_paced<R: ReaderSet>(task: NonNull<Task>, now: Instant) -> Next {
    let offset = std::mem::offset_of!(Engine<R>, task);
    // SAFETY: by the contract the engine lies around the task and lives for ever.
    let engine: &'static Engine<R> = unsafe { task.byte_sub(offset).cast().as_ref() };
    engine.run(now)
}
