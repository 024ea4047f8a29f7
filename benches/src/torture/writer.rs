//! The writer replaces the current element and waits, in every way there is; fake writers only
//! wait; and threads come and go.

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use super::Torture;
use super::checks::Check;
use super::interrupt::at_exit;
use super::pool::ELEMENTS;
use super::reader;
use super::rng::Rng;
use super::stats::Tally;
use super::subject::Subject;
use super::waits::{Kind, Waiter, pause};

/// Grace periods after which an element that has not moved, with nobody else about, is lost. Each
/// should move it.
const LOST_AFTER: u32 = 500;

/// Elements the writer leaves to their own notifiers at a time.
const CHAINED: usize = ELEMENTS / 2;

/// Waits of a drain in which nobody else is about.
const ALONE: u32 = 16;

/// Grace periods one on the heels of the other, without the pauses that all the kinds have together.
const BURST: u32 = 500;

struct Writer<F: Subject> {
    torture: &'static Torture<F>,
    waiter: Waiter<F>,
    current: usize,
    version: u64,
    /// Retired elements that this thread takes through the pipe.
    limbo: Vec<usize>,
    /// Expedited grace periods to go before it picks its waits again.
    burst: u32,
}

pub(super) fn run<F: Subject>(torture: &'static Torture<F>) {
    let waiter = Waiter::new(torture, 0);
    let current = torture.first;
    let mut writer = Writer { torture, waiter, current, version: 1, limbo: Vec::new(), burst: 0 };
    loop {
        if torture.gate.is_paused() {
            writer.drain();
            torture.merge(&mut writer.waiter.tally);
        }
        if !writer.waiter.sleeper.apart(|| torture.gate.pass()) {
            break;
        }
        writer.replace_one();
        torture.merge(&mut writer.waiter.tally);
    }
}

impl<F: Subject> Writer<F> {
    /// Replaces the current element and sees to the old one.
    fn replace_one(&mut self) {
        let pool = &self.torture.pool;
        let Some(new) = pool.take() else {
            self.waiter.tally.starved += 1;
            self.grace_period();
            return;
        };
        self.version += 1;
        pool.element(new).prepare(self.version);
        self.torture.publish(new);
        let old = std::mem::replace(&mut self.current, new);
        pool.element(old).retire();
        self.torture.progress();
        self.waiter.tally.replaced += 1;

        if self.burst == 0 && self.waiter.rng.one_in(32) {
            self.burst = BURST;
        }
        let elsewhere = ELEMENTS - 1 - pool.free_count() - self.limbo.len();
        if self.waiter.rng.one_in(4) && elsewhere < CHAINED {
            self.waiter.tally.chained += 1;
            pool.element(old).chain();
        } else {
            self.limbo.push(old);
            self.grace_period();
        }
        pause(&mut self.waiter.rng);
    }

    /// Waits for a grace period in some way; all elements in limbo are one older then.
    fn grace_period(&mut self) {
        let kind = if self.burst > 0 {
            self.burst -= 1;
            Kind::Expedited
        } else {
            Kind::pick(&mut self.waiter.rng)
        };
        self.waiter.wait(kind);
        self.limbo.retain(|&index| !self.torture.pool.element(index).bump());
    }

    /// Sees every element back to the free list, while all others wait at the gate.
    fn drain(&mut self) {
        let torture = self.torture;
        while !self.limbo.is_empty() && !torture.gate.is_stopped() {
            self.grace_period();
            torture.progress();
        }
        // Nobody else who may drive a grace period, and so hold notifiers in hand.
        self.waiter.sleeper.apart(|| {
            while torture.gate.parked() < torture.others && !torture.gate.is_stopped() {
                thread::sleep(Duration::from_micros(100));
            }
        });
        // With nobody about whose grace periods wake this thread by chance.
        for _ in 0..ALONE {
            self.wait_alone();
        }
        let mut free = torture.pool.free_count();
        let mut unmoved = 0;
        while free < ELEMENTS - 1 && unmoved < LOST_AFTER && !torture.gate.is_stopped() {
            self.wait_alone();
            let now = torture.pool.free_count();
            unmoved = if now > free { 0 } else { unmoved + 1 };
            free = now;
        }
        if !torture.gate.is_stopped() {
            torture.pool.audit(self.current, &torture.failures);
        }
    }

    /// Waits in a way that leaves the driving to the background thread.
    fn wait_alone(&mut self) {
        if !self.torture.gate.is_stopped() {
            let kind = Kind::pick_passive(&mut self.waiter.rng);
            self.waiter.wait(kind);
            self.torture.progress();
        }
    }
}

/// A fake writer: waits for grace periods and changes nothing.
pub(super) fn run_fake<F: Subject>(torture: &'static Torture<F>, number: usize) {
    let mut waiter = Waiter::new(torture, number);
    while waiter.sleeper.apart(|| torture.gate.pass()) {
        let kind = Kind::pick(&mut waiter.rng);
        waiter.wait(kind);
        torture.merge(&mut waiter.tally);
        if !waiter.rng.one_in(4) {
            let pause = Duration::from_micros(waiter.rng.below(2000) as u64);
            waiter.sleeper.apart(|| thread::sleep(pause));
        }
    }
}

/// Makes bursts of readers that live for a few sections.
pub(super) fn run_churn<F: Subject>(torture: &'static Torture<F>) {
    let mut rng = Rng::new();
    while torture.gate.pass() {
        let burst: Vec<_> = (0..1 + rng.below(4))
            .filter_map(|_| {
                let life = rng.below(20);
                let live = move || brief(torture, life);
                thread::Builder::new().name("torture-brief".into()).spawn(live).ok()
            })
            .collect();
        let mut tally = Tally { threads: burst.len() as u64, ..Tally::default() };
        torture.merge(&mut tally);
        for thread in burst {
            let panicked = thread.join().is_err();
            torture.failures.expect(!panicked, Check::ThreadPanic, || "a brief reader".into());
        }
        thread::sleep(Duration::from_micros(rng.below(4000) as u64));
    }
}

/// A short-lived reader. Some read once more while they exit.
fn brief<F: Subject>(torture: &'static Torture<F>, sections: usize) {
    if Rng::new().one_in(4) {
        at_exit(|| {
            // A panic in a destructor would end the process before anybody could say why.
            let ended = panic::catch_unwind(AssertUnwindSafe(|| few_sections(torture, 1)));
            torture.failures.expect(ended.is_ok(), Check::ThreadPanic, || "at exit".into());
        });
    }
    few_sections(torture, sections);
}

fn few_sections<F: Subject>(torture: &'static Torture<F>, sections: usize) {
    let mut rng = Rng::new();
    let mut tally = Tally::default();
    for _ in 0..sections {
        reader::section(torture, None, &mut rng, &mut tally);
    }
    torture.merge(&mut tally);
}
