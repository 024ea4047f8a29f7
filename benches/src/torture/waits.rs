//! The kinds of waiting for one grace period, each with the checks of its cookies.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rcu_core::gp::Notifier;
use rcu_core::{ACTIVE_COOKIES, Cookie};

use super::Torture;
use super::checks::{Check, Failures};
use super::futures::Executor;
use super::mailbox::Pair;
use super::rng::Rng;
use super::sleepers::Sleeper;
use super::stats::Tally;
use super::subject::Subject;

/// A way to wait for a grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Synchronize,
    Expedited,
    Cond,
    Timeout,
    Poll,
    PollExpedited,
    PollAny,
    Await,
    AwaitPolled,
    Notifier,
}

impl Kind {
    pub(crate) const ALL: [Kind; 10] = [
        Kind::Synchronize,
        Kind::Expedited,
        Kind::Cond,
        Kind::Timeout,
        Kind::Poll,
        Kind::PollExpedited,
        Kind::PollAny,
        Kind::Await,
        Kind::AwaitPolled,
        Kind::Notifier,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Synchronize => "synchronize",
            Kind::Expedited => "expedited",
            Kind::Cond => "cond",
            Kind::Timeout => "timeout",
            Kind::Poll => "poll",
            Kind::PollExpedited => "poll-expedited",
            Kind::PollAny => "poll-any",
            Kind::Await => "await",
            Kind::AwaitPolled => "await-polled",
            Kind::Notifier => "notifier",
        }
    }

    pub(super) fn pick(rng: &mut Rng) -> Kind {
        Kind::ALL[rng.below(Kind::ALL.len())]
    }

    /// One in which the caller leaves the work to the background thread.
    pub(super) fn pick_passive(rng: &mut Rng) -> Kind {
        loop {
            let kind = Kind::pick(rng);
            if kind != Kind::Expedited {
                return kind;
            }
        }
    }
}

/// Cookies that a thread keeps for later.
const KEPT: usize = 8;

/// One thread's waits: its pair of numbers, and the cookies it has seen.
pub(super) struct Waiter<F: Subject> {
    pub(super) torture: &'static Torture<F>,
    pair: &'static Pair,
    pub(super) sleeper: &'static Sleeper,
    live: Vec<Cookie<F>>,
    /// Some that were taken at any time.
    kept: Vec<Cookie<F>>,
    pub(super) rng: Rng,
    pub(super) tally: Tally,
}

impl<F: Subject> Waiter<F> {
    pub(super) fn new(torture: &'static Torture<F>, number: usize) -> Self {
        let sleeper = &torture.sleepers[number];
        sleeper.here();
        Self {
            torture,
            pair: &torture.pairs[number],
            sleeper,
            live: Vec::new(),
            kept: Vec::new(),
            rng: Rng::new(),
            tally: Tally::default(),
        }
    }

    /// Waits for a grace period that begins after the call, and checks that it says so.
    pub(super) fn wait(&mut self, kind: Kind) {
        let flavor = &self.torture.flavor;
        let failures = &self.torture.failures;
        if self.rng.one_in(8) {
            self.wait_for_kept();
        }
        let n = self.pair.write_before();
        // Not always: taking a cookie is a fence, which would stand in for one missing below.
        let early = self.rng.one_in(2).then(|| flavor.get_state());
        match kind {
            Kind::Synchronize => self.sleeper.asleep::<_, F>(None, || flavor.synchronize()),
            Kind::Expedited => flavor.synchronize_expedited(),
            Kind::Cond => {
                let cookie = flavor.get_state();
                self.sleeper.asleep(Some(cookie), || flavor.cond_synchronize(cookie));
            }
            Kind::Timeout => self.wait_timeout(),
            Kind::Poll => self.poll(flavor.start_poll()),
            Kind::PollExpedited => self.poll(flavor.start_poll_expedited()),
            Kind::PollAny => self.poll_any(),
            Kind::Await => self.await_one(Executor::Parks),
            Kind::AwaitPolled => self.await_one(Executor::Polls),
            Kind::Notifier => Called::wait(flavor, self.sleeper),
        }
        self.pair.write_after(n);
        self.sleeper.turn();
        self.tally.waits[kind as usize] += 1;
        if let Some(cookie) = early {
            failures.expect(flavor.poll(cookie), Check::CookieAfterGp, || {
                format!("{cookie:?}, taken before {} began, is not done after it", kind.name())
            });
        }
        failures.expect(flavor.poll(Cookie::COMPLETED), Check::CookieCompleted, || {
            "the completed cookie is not done".into()
        });
        self.count_live();
    }

    fn poll(&mut self, cookie: Cookie<F>) {
        while !self.torture.flavor.poll(cookie) {
            idle(&mut self.rng);
        }
    }

    /// Waits for a cookie of long ago, or of a moment ago.
    fn wait_for_kept(&mut self) {
        let flavor = &self.torture.flavor;
        if self.kept.is_empty() {
            return;
        }
        let cookie = self.kept[self.rng.below(self.kept.len())];
        self.sleeper.asleep(Some(cookie), || flavor.cond_synchronize(cookie));
        self.torture.failures.expect(flavor.poll(cookie), Check::CookieAfterGp, || {
            format!("{cookie:?} is not done after a wait for it")
        });
    }

    /// Waits with a limit, anew until it has waited long enough.
    fn wait_timeout(&mut self) {
        let Torture { flavor, failures, gate, .. } = self.torture;
        let cookie = match self.rng.below(3) {
            0 => flavor.get_state(),
            1 => flavor.start_poll(),
            _ => flavor.start_poll_expedited(),
        };
        loop {
            let timeout = match self.rng.below(6) {
                0 => Duration::ZERO,
                1 | 2 => Duration::from_nanos(1 + self.rng.below(50_000) as u64),
                3 | 4 => Duration::from_micros(1 + self.rng.below(3000) as u64),
                _ => Duration::from_secs(3600),
            };
            let before = self.rng.one_in(2) && flavor.poll(cookie);
            let begin = Instant::now();
            let said = self.sleeper.asleep(Some(cookie), || flavor.wait_timeout(cookie, timeout));
            let took = begin.elapsed();
            let done = flavor.poll(cookie);
            failures.expect(done || !said, Check::WaitTimeout, || {
                format!("a wait says {cookie:?} is done within {timeout:?}, poll does not")
            });
            failures.expect(said || !before, Check::WaitTimeout, || {
                format!("{cookie:?}, which was done, is not done after a wait of {timeout:?}")
            });
            failures.expect(said || took >= timeout, Check::WaitTimeout, || {
                format!("a wait of {timeout:?} ended in vain after {took:?}")
            });
            if said {
                return;
            }
            if gate.is_stopped() {
                // A flavour that never says so.
                return self.poll(cookie);
            }
            self.tally.expired += 1;
        }
    }

    /// Takes several cookies at different moments and waits for the first of them to be done.
    fn poll_any(&mut self) {
        let flavor = &self.torture.flavor;
        let mut cookies = vec![flavor.start_poll()];
        for _ in 0..1 + self.rng.below(4) {
            pause(&mut self.rng);
            cookies.push(flavor.get_state());
        }
        while self.ask_any(&cookies).is_none() {
            if self.torture.gate.is_stopped() {
                // A flavour that never says so.
                return self.poll(cookies[0]);
            }
            idle(&mut self.rng);
        }
        // Old ones and new ones, in any order; one of them is done.
        cookies.push(flavor.get_state());
        cookies.push(Cookie::COMPLETED);
        cookies.extend(&self.kept);
        for last in (1..cookies.len()).rev() {
            cookies.swap(last, self.rng.below(last + 1));
        }
        let found = self.ask_any(&cookies);
        self.torture.failures.expect(found.is_some(), Check::PollAny, || {
            "poll_any does not find the completed cookie".into()
        });
    }

    /// Asks for the first that is done, and checks the answer.
    fn ask_any(&mut self, cookies: &[Cookie<F>]) -> Option<usize> {
        let Torture { flavor, failures, .. } = self.torture;
        let one_by_one = || cookies.iter().position(|&cookie| flavor.poll(cookie));
        let before = self.rng.one_in(2).then(one_by_one).flatten();
        let said = flavor.poll_any(cookies);
        let is_done = |index: usize| cookies.get(index).is_some_and(|&cookie| flavor.poll(cookie));
        failures.expect(said.is_none_or(is_done), Check::PollAny, || {
            format!("poll_any says that number {said:?} of {cookies:?} is done, poll does not")
        });
        let no_later = |before| said.is_some_and(|said| said <= before);
        failures.expect(before.is_none_or(no_later), Check::PollAny, || {
            format!("number {before:?} of {cookies:?} was done, poll_any says {said:?}")
        });
        said
    }

    /// Takes a cookie and counts those of this thread that are live.
    fn count_live(&mut self) {
        let flavor = &self.torture.flavor;
        let cookie = flavor.get_state();
        if self.kept.len() < KEPT {
            self.kept.push(cookie);
        } else if self.rng.one_in(4) {
            self.kept[self.rng.below(KEPT)] = cookie;
        }
        if !self.live.contains(&cookie) {
            self.live.push(cookie);
        }
        // Oldest first, all taken before the first look: the oldest that is live at its look bounds
        // those behind it.
        self.live.retain(|&cookie| !flavor.poll(cookie));
        self.torture.failures.expect(self.live.len() <= ACTIVE_COOKIES, Check::CookieCount, || {
            format!("{} distinct cookies are live: {:?}", self.live.len(), self.live)
        });
    }
}

/// Takes a cookie inside a section: it must not be done.
pub(super) fn take_in_section<F: Subject>(
    flavor: &F,
    failures: &Failures,
    rng: &mut Rng,
) -> Cookie<F> {
    let cookie = match rng.below(128) {
        0 => flavor.start_poll(),
        1 => flavor.start_poll_expedited(),
        _ => flavor.get_state(),
    };
    let done =
        if rng.one_in(2) { flavor.poll(cookie) } else { flavor.poll_any(&[cookie]).is_some() };
    failures.expect(!done, Check::CookieFresh, || {
        format!("{cookie:?} is done as soon as it was taken, inside a section")
    });
    cookie
}

/// A moment between two looks at a cookie.
pub(super) fn idle(rng: &mut Rng) {
    match rng.below(4) {
        0 => thread::sleep(Duration::from_micros(50)),
        1 => pause(rng),
        _ => thread::yield_now(),
    }
}

/// Up to a few microseconds.
pub(super) fn pause(rng: &mut Rng) {
    for _ in 0..rng.below(200) {
        std::hint::spin_loop();
    }
}

/// A notifier that lets the thread go on that armed it.
#[repr(C)]
pub(super) struct Called {
    notifier: Notifier,
    thread: Thread,
    done: AtomicBool,
}

impl Called {
    pub(super) fn wait<F: Subject>(flavor: &F, sleeper: &Sleeper) {
        let called = Called {
            notifier: Notifier::new(Self::call),
            thread: thread::current(),
            done: AtomicBool::new(false),
        };
        let cookie = flavor.get_state();
        // SAFETY: not armed before; stays where it is until its call has stored `done`.
        unsafe { flavor.notify(NonNull::from(&called).cast(), cookie) };
        // Acquire: pairs with the Release in `call`.
        while !called.done.load(Ordering::Acquire) {
            sleeper.asleep(Some(cookie), thread::park);
        }
    }

    /// # Safety
    ///
    /// `notifier` is the first field of a `Called` that stays valid until `done` is set.
    unsafe fn call(notifier: NonNull<Notifier>) {
        // SAFETY: by the contract, and `repr(C)`.
        let called = unsafe { notifier.cast::<Called>().as_ref() };
        let thread = called.thread.clone();
        called.done.store(true, Ordering::Release);
        // It may be gone now; the handle is ours.
        thread.unpark();
    }
}
