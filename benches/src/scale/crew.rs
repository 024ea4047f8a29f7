//! Runs the cases in paired rounds with a crew of threads that start each measurement together.

use std::{
    sync::{Barrier, Mutex},
    thread,
    time::Duration,
};

use super::section::Case;
use crate::report::progress::Progress;

/// A measurement's time is not cut shorter than this: clock reads must not show.
const SHORTEST: Duration = Duration::from_micros(200);
/// Tries at finding out how many operations fill a slice.
const TRIES: u32 = 4;

/// Costs in nanoseconds, by case and round.
pub(crate) type Costs = Vec<Vec<f64>>;

/// Measures every case once a round. Each cost is the mean over the crew's threads.
pub(crate) fn measure(
    cases: &[&Case],
    threads: usize,
    rounds: usize,
    time: Duration,
    progress: &mut Progress,
) -> Costs {
    let slice = (time / (rounds * cases.len()) as u32).max(SHORTEST);
    let counts: Vec<u64> = cases.iter().map(|case| calibrate(case, slice)).collect();
    let costs = Mutex::new(vec![vec![0.0; rounds]; cases.len()]);
    let start = Barrier::new(threads);
    // A thread that is done early would leave the others alone with the cores: the next case starts
    // only when all are done, and the barrier sees to that.
    let member = |mut done: Option<&mut Progress>| {
        for round in 0..rounds {
            for turn in 0..cases.len() {
                // A different one goes first each time.
                let case = (turn + round) % cases.len();
                start.wait();
                let cost = (cases[case].timed)(counts[case]);
                costs.lock().expect("no member panics with it")[case][round] += cost;
            }
            if let Some(progress) = done.as_mut() {
                progress.step(&format!("{threads} threads, round {} of {rounds}", round + 1));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| member(None));
        }
        member(Some(progress));
    });
    let mut costs = costs.into_inner().expect("no member panicked");
    costs.iter_mut().flatten().for_each(|cost| *cost /= threads as f64);
    costs
}

/// How many operations fill `slice` in one thread. Doubles as warm-up.
fn calibrate(case: &Case, slice: Duration) -> u64 {
    let mut count = 10_000;
    for _ in 0..TRIES {
        let cost = (case.timed)(count).max(1e-3);
        let wanted = (slice.as_secs_f64() * 1e9 / cost) as u64;
        // Cold starts are slow: grow by bounded steps, towards what was wanted last.
        count = wanted.clamp(1_000, count.saturating_mul(20));
    }
    count
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn every_case_has_a_cost_in_every_round() {
        let one = Case::op("test", "one", || _ = black_box(1));
        let two = Case::op("test", "two", || _ = black_box(2));
        let mut progress = Progress::new("test", 3);
        let costs = measure(&[&one, &two], 2, 3, Duration::from_millis(1), &mut progress);
        assert_eq!(costs.len(), 2);
        assert!(costs.iter().all(|of| of.len() == 3 && of.iter().all(|cost| *cost > 0.0)));
    }
}
