//! The kinds of waiting for one grace period, each with the checks of its cookies.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rcu_core::gp::Notifier;
use rcu_core::{ACTIVE_COOKIES, Cookie};

use super::Torture;
use super::checks::{Check, Failures};
use super::mailbox::Pair;
use super::rng::Rng;
use super::subject::Subject;

/// A way to wait for a grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Synchronize,
    Expedited,
    Cond,
    Poll,
    PollAny,
    Notifier,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Synchronize, Kind::Expedited, Kind::Cond, Kind::Poll, Kind::PollAny, Kind::Notifier];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Synchronize => "synchronize",
            Kind::Expedited => "expedited",
            Kind::Cond => "cond",
            Kind::Poll => "poll",
            Kind::PollAny => "poll-any",
            Kind::Notifier => "notifier",
        }
    }

    pub(super) fn pick(rng: &mut Rng) -> Kind {
        Kind::ALL[rng.below(Kind::ALL.len())]
    }
}

/// One thread's waits: its pair of numbers, and the cookies it has seen.
pub(super) struct Waiter<F: Subject> {
    torture: &'static Torture<F>,
    pair: &'static Pair,
    live: Vec<Cookie<F>>,
    pub(super) rng: Rng,
}

impl<F: Subject> Waiter<F> {
    pub(super) fn new(torture: &'static Torture<F>, number: usize) -> Self {
        Self { torture, pair: &torture.pairs[number], live: Vec::new(), rng: Rng::new() }
    }

    /// Waits for a grace period that begins after the call, and checks that it says so.
    pub(super) fn wait(&mut self, kind: Kind) {
        let flavor = &self.torture.flavor;
        let failures = &self.torture.failures;
        let n = self.pair.write_before();
        // Not always: taking a cookie is a fence, which would stand in for one missing below.
        let early = self.rng.one_in(2).then(|| flavor.get_state());
        match kind {
            Kind::Synchronize => flavor.synchronize(),
            Kind::Expedited => flavor.synchronize_expedited(),
            Kind::Cond => flavor.cond_synchronize(flavor.get_state()),
            Kind::Poll => {
                let cookie = flavor.start_poll();
                while !flavor.poll(cookie) {
                    idle(&mut self.rng);
                }
            }
            Kind::PollAny => self.poll_any(),
            Kind::Notifier => Called::wait(flavor),
        }
        self.pair.write_after(n);
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

    /// Takes several cookies at different moments and waits for the first of them to be done.
    fn poll_any(&mut self) {
        let flavor = &self.torture.flavor;
        let mut cookies = vec![flavor.start_poll()];
        for _ in 0..1 + self.rng.below(4) {
            pause(&mut self.rng);
            cookies.push(flavor.get_state());
        }
        let done = loop {
            match flavor.poll_any(&cookies) {
                Some(i) => break i,
                None => idle(&mut self.rng),
            }
        };
        let failures = &self.torture.failures;
        failures.expect(flavor.poll(cookies[done]), Check::CookieCompleted, || {
            format!("poll_any calls {:?} done, poll does not", cookies[done])
        });
        cookies.push(Cookie::COMPLETED);
        failures.expect(flavor.poll_any(&cookies).is_some(), Check::CookieCompleted, || {
            "poll_any does not find the completed cookie".into()
        });
    }

    /// Takes a cookie and counts those of this thread that are live.
    fn count_live(&mut self) {
        let flavor = &self.torture.flavor;
        let cookie = flavor.get_state();
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
    let cookie = if rng.one_in(64) { flavor.start_poll() } else { flavor.get_state() };
    let done =
        if rng.one_in(2) { flavor.poll(cookie) } else { flavor.poll_any(&[cookie]).is_some() };
    failures.expect(!done, Check::CookieFresh, || {
        format!("{cookie:?} is done as soon as it was taken, inside a section")
    });
    cookie
}

/// A moment between two looks at a cookie.
fn idle(rng: &mut Rng) {
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
struct Called {
    notifier: Notifier,
    thread: Thread,
    done: AtomicBool,
}

impl Called {
    fn wait<F: Subject>(flavor: &F) {
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
            thread::park();
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
