//! The checks, by the names they are reported under, and the record of those that failed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One thing that must hold; a failing run names those that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// No section sees an element that was retired before a grace period which is over.
    ReaderPipe,
    /// No section sees an element that was freed, or freed and used again.
    Mbtest,
    /// What was written before a grace period is seen after it, on either side.
    Mailbox,
    /// A cookie that was just taken inside a section is not done.
    CookieFresh,
    /// The completed cookie is done.
    CookieCompleted,
    /// A cookie taken inside a section is not done when that section ends.
    CookieInSection,
    /// A cookie taken before a whole grace period is done after it.
    CookieAfterGp,
    /// No more than `ACTIVE_COOKIES` distinct cookies are live at a time.
    CookieCount,
    /// `poll_any` finds a cookie that is done, the first, when there is one.
    PollAny,
    /// `wait_timeout` says whether its cookie is done, and waits its time for that.
    WaitTimeout,
    /// A future is ready when its cookie is done, and not before.
    WaitEarly,
    /// Who waits is woken when the grace period is over.
    Wake,
    /// The child of a fork opens sections and waits, as its parent does.
    ForkChild,
    /// When all is drained, every element is on the free list, once.
    FreeList,
    /// The writer and the drain get on.
    WriterStall,
    /// `in_section` tells the truth.
    SectionState,
    /// No thread of the harness panics.
    ThreadPanic,
}

impl Check {
    pub(crate) const ALL: [Check; 17] = [
        Check::ReaderPipe,
        Check::Mbtest,
        Check::Mailbox,
        Check::CookieFresh,
        Check::CookieCompleted,
        Check::CookieInSection,
        Check::CookieAfterGp,
        Check::CookieCount,
        Check::PollAny,
        Check::WaitTimeout,
        Check::WaitEarly,
        Check::Wake,
        Check::ForkChild,
        Check::FreeList,
        Check::WriterStall,
        Check::SectionState,
        Check::ThreadPanic,
    ];

    /// The stable name that reports and scripts use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Check::ReaderPipe => "reader-pipe",
            Check::Mbtest => "mbtest",
            Check::Mailbox => "mailbox",
            Check::CookieFresh => "cookie-fresh",
            Check::CookieCompleted => "cookie-completed",
            Check::CookieInSection => "cookie-in-section",
            Check::CookieAfterGp => "cookie-after-gp",
            Check::CookieCount => "cookie-count",
            Check::PollAny => "poll-any",
            Check::WaitTimeout => "wait-timeout",
            Check::WaitEarly => "wait-early",
            Check::Wake => "wake",
            Check::ForkChild => "fork-child",
            Check::FreeList => "free-list",
            Check::WriterStall => "writer-stall",
            Check::SectionState => "section-state",
            Check::ThreadPanic => "thread-panic",
        }
    }
}

/// A check that failed in a run.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) check: Check,
    /// How often.
    pub(crate) times: u64,
    /// When first, from the start of the run.
    pub(crate) first_after: Duration,
    /// What was seen that first time.
    pub(crate) detail: String,
}

/// Collects failures from all threads.
pub(super) struct Failures {
    begin: Instant,
    any: AtomicBool,
    times: [AtomicU64; Check::ALL.len()],
    firsts: Mutex<Vec<Failure>>,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            any: AtomicBool::new(false),
            times: [const { AtomicU64::new(0) }; Check::ALL.len()],
            firsts: Mutex::new(Vec::new()),
        }
    }

    /// Records a failure of `check` unless `holds`.
    #[inline]
    pub(super) fn expect(&self, holds: bool, check: Check, detail: impl FnOnce() -> String) {
        if !holds {
            self.record(check, detail());
        }
    }

    #[cold]
    pub(super) fn record(&self, check: Check, detail: String) {
        if self.times[check as usize].fetch_add(1, Ordering::Relaxed) == 0 {
            let first = Failure { check, times: 0, first_after: self.begin.elapsed(), detail };
            self.firsts.lock().unwrap_or_else(PoisonError::into_inner).push(first);
            self.any.store(true, Ordering::Release);
        }
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn has(&self, check: Check) -> bool {
        self.times[check as usize].load(Ordering::Relaxed) != 0
    }

    /// All of them, in the order in which they first came up.
    pub(super) fn list(&self) -> Vec<Failure> {
        let mut list = self.firsts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for failure in &mut list {
            failure.times = self.times[failure.check as usize].load(Ordering::Relaxed);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_indices_agree() {
        for (i, check) in Check::ALL.into_iter().enumerate() {
            assert_eq!(check as usize, i);
            assert!(Check::ALL[..i].iter().all(|other| other.name() != check.name()));
        }
    }

    #[test]
    fn failures_keep_the_first_detail_and_count_all() {
        let failures = Failures::new();
        failures.expect(true, Check::Mbtest, || unreachable!());
        assert!(!failures.any());
        failures.expect(false, Check::Mbtest, || "first".into());
        failures.record(Check::Mbtest, "second".into());
        assert!(failures.any());
        let list = failures.list();
        assert_eq!((list.len(), list[0].times, list[0].detail.as_str()), (1, 2, "first"));
    }
}
