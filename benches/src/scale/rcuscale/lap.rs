//! One measurement: an operation is repeated for a while, and the middle of what it took is kept.
//!
//! The middle, because a wait of a tenth of a microsecond and a pre-emption of milliseconds do not
//! make a meaningful mean.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use rcu_core::runtime;

use super::{
    case::{Case, Setting},
    reader::{Busy, beside_reader, pinned},
};
use crate::report::rows::Summary;

/// Operations are timed so many together that reading the clock does not show.
const TIMED_AT_ONCE: Duration = Duration::from_micros(4);
/// Waits beside a busy reader whose mean is one sample.
const MEANT: usize = 16;
/// Tries at each number of operations: the quickest tells whether it is enough.
const TRIES: u32 = 3;

/// Measures one case for `slice`: nanoseconds an operation, the mean over the updaters.
pub(crate) fn measure(case: &Case, slice: Duration) -> f64 {
    // Before this thread is pinned: background threads go where their maker may go.
    runtime::start();
    let kind = case.kind();
    match case.setting {
        Setting::Updaters(1) | Setting::Registered(_) => repeat(kind.op, slice),
        Setting::Readers(0) => pinned(|| repeat(kind.op, slice)),
        Setting::Readers(_) => {
            beside_reader(kind.whose, |busy| repeat_beside(busy, kind.op, slice))
        }
        Setting::Updaters(updaters) => {
            let together = Barrier::new(updaters);
            let updater = || {
                together.wait();
                repeat(kind.op, slice)
            };
            let sum: f64 = thread::scope(|scope| {
                let all: Vec<_> = (0..updaters).map(|_| scope.spawn(updater)).collect();
                all.into_iter().map(|one| one.join().expect("updaters do not panic")).sum()
            });
            sum / updaters as f64
        }
    }
}

/// The median of what `op` took, over as many samples as fit into `slice`; at least one.
fn repeat(op: fn(u64), slice: Duration) -> f64 {
    let end = Instant::now() + slice;
    let at_once = enough(op);
    let mut samples = Vec::new();
    loop {
        samples.push(timed(op, at_once) / at_once as f64);
        if Instant::now() >= end {
            return Summary::of(&samples).median;
        }
    }
}

/// As `repeat`, beside a reader. Each wait is timed alone, and those in which the reader did not run,
/// because somebody else had its CPU, do not count.
fn repeat_beside(busy: &Busy, op: fn(u64), slice: Duration) -> f64 {
    let end = Instant::now() + slice;
    let mut waits = Vec::new();
    loop {
        let before = busy.sections();
        let nanos = timed(op, 1);
        if busy.sections() != before {
            waits.push(nanos);
        }
        if waits.len() >= MEANT && Instant::now() >= end {
            return middle_of_means(&waits);
        }
    }
}

/// The median of the means of so many waits each: some waits take several times as long as others,
/// and the median of single ones would hide that.
fn middle_of_means(waits: &[f64]) -> f64 {
    let means = waits.chunks_exact(MEANT).map(|waits| waits.iter().sum::<f64>() / MEANT as f64);
    Summary::of(&means.collect::<Vec<_>>()).median
}

/// How many operations take [`TIMED_AT_ONCE`]. Doubles as warm-up.
fn enough(op: fn(u64)) -> u64 {
    let mut count = 1;
    while (0..TRIES).any(|_| timed(op, count) < TIMED_AT_ONCE.as_nanos() as f64) {
        count *= 2;
    }
    count
}

/// Nanoseconds of all of them.
fn timed(op: fn(u64), count: u64) -> f64 {
    let start = Instant::now();
    op(count);
    start.elapsed().as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::rcuscale::kind::KINDS;

    #[test]
    fn long_waits_show_and_a_pre_emption_does_not() {
        let mut waits = [1.0, 3.0].repeat(3 * MEANT / 2);
        waits[0] = 1e6;
        assert_eq!(middle_of_means(&waits), 2.0);
    }

    #[test]
    fn every_condition_can_be_measured() {
        let conditions =
            [Setting::Updaters(1), Setting::Updaters(3), Setting::Readers(0), Setting::Readers(1)];
        for setting in conditions {
            for kind in (0..KINDS.len()).filter(|kind| KINDS[*kind].scales) {
                let nanos = measure(&Case { kind, setting }, Duration::from_micros(50));
                assert!(nanos > 0.0, "{setting:?} {:?}", KINDS[kind]);
            }
        }
    }
}
