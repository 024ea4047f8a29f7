//! Runs the cases in paired rounds with a crew of threads that start each measurement together.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use super::section::Case;
use crate::report::{human, machine, progress::Progress};

/// A measurement's time is not cut shorter than this: clock reads must not show.
const SHORTEST: Duration = Duration::from_micros(200);
/// Operations to begin with, and the fewest ever timed at once.
const FIRST: u64 = 10_000;
const FEWEST: u64 = 1_000;
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
    // More threads than CPUs take turns, so that the crew needs a multiple of a slice.
    let turns = threads.div_ceil(machine::cpus());
    let slice = (time / (rounds * cases.len() * turns) as u32).max(SHORTEST);
    let counts: Vec<AtomicU64> = cases.iter().map(|_| AtomicU64::new(FIRST)).collect();
    let costs = Mutex::new(vec![vec![0.0; rounds]; cases.len()]);
    // Before each measurement: a thread that is done early would leave the others alone with the
    // cores, so the next case starts only when all are done.
    let together = Barrier::new(threads);
    let member = |mut leads: Option<&mut Progress>| {
        for (case, count) in cases.iter().zip(&counts) {
            calibrate(case, count, slice, &together, leads.is_some());
        }
        for round in 0..rounds {
            for turn in 0..cases.len() {
                // A different one goes first each time.
                let case = (turn + round) % cases.len();
                together.wait();
                let cost = (cases[case].timed)(counts[case].load(Relaxed));
                costs.lock().expect("no member panics with it")[case][round] += cost;
            }
            if let Some(progress) = leads.as_mut() {
                let threads = human::threads(threads);
                progress.step(&format!("{threads}, round {} of {rounds}", round + 1));
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

/// Finds how many operations fill `slice` with all members at work; the one that leads decides.
/// Doubles as warm-up.
fn calibrate(case: &Case, count: &AtomicU64, slice: Duration, together: &Barrier, leads: bool) {
    for _ in 0..TRIES {
        together.wait();
        // Relaxed: the barrier orders the leader's store with the others' loads.
        let tried = count.load(Relaxed);
        let cost = (case.timed)(tried).max(1e-3);
        together.wait();
        if leads {
            let wanted = (slice.as_secs_f64() * 1e9 / cost) as u64;
            // Cold starts are slow: grow by bounded steps, towards what was wanted last.
            count.store(wanted.clamp(FEWEST, tried.saturating_mul(20)), Relaxed);
        }
    }
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
