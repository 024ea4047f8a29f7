//! One run from beginning to end: starts the threads, stutters, watches for stalls, and collects
//! what came of it.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::affinity::Shuffle;
use super::checks::Check;
use super::interrupt::interrupt;
use super::report::Progress;
use super::rng::Rng;
use super::sleepers::WakeWatch;
use super::subject::{Subject, grace_periods};
use super::{Outcome, Torture, children, reader, writer};

/// When a run is over, if nothing fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Time(Duration),
    /// Steps of the writer; for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests, which must not depend on time"))]
    Steps(u64),
}

/// When a run that failed is over: other checks may notice too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settle {
    For(Duration),
    /// Once this one has failed; for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests, which must not depend on time"))]
    Until(Check),
}

/// The shape of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) readers: usize,
    pub(super) fakes: usize,
    pub(super) limit: Limit,
    /// Time between drains.
    pub(super) stutter: Duration,
    /// How long a run that failed goes on.
    pub(super) settle: Settle,
    /// Without a step for this long, the writer has stalled for good.
    pub(super) stalled: Duration,
    /// Seconds after which a forked child hangs.
    pub(super) alarm: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            readers: 2,
            fakes: 2,
            limit: Limit::Time(Duration::from_secs(30)),
            stutter: Duration::from_secs(1),
            settle: Settle::For(Duration::from_secs(1)),
            stalled: Duration::from_secs(20),
            alarm: 10,
        }
    }
}

/// Without a step for this long, it is worth a line.
const SLOW: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(2);
/// Between two lines of progress.
const REPORT: Duration = Duration::from_secs(1);

pub(super) fn run<F: Subject>(
    torture: &'static Torture<F>,
    plan: &Plan,
    progress: &mut Progress,
) -> Outcome {
    let begin = Instant::now();
    let threads = start(torture, plan);
    let mut shuffle = Shuffle::new();
    let mut wakes = WakeWatch::new(torture);
    let stutters = watch(torture, plan, &threads, begin, &mut shuffle, &mut wakes, progress);
    torture.gate.stop();
    shuffle.finish(wakes.background());
    // Who stalled will not end either.
    let stalled = [Check::WriterStall, Check::Wake].iter().any(|&it| torture.failures.has(it));
    collect(torture, threads, if stalled { plan.stalled / 20 } else { plan.stalled });
    progress.finish();
    Outcome {
        failures: torture.failures.list(),
        tally: torture.total(),
        stutters,
        interrupts: torture.interrupts.sections(),
        moves: shuffle.moves,
        grace_periods: grace_periods(torture.begin, torture.flavor.seq()),
        elapsed: begin.elapsed(),
    }
}

fn start<F: Subject>(torture: &'static Torture<F>, plan: &Plan) -> Vec<JoinHandle<()>> {
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        let spawned = thread::Builder::new().name(format!("torture-{name}")).spawn(body);
        spawned.expect("torture needs its threads")
    };
    let mut threads = vec![spawn("writer", Box::new(|| writer::run(torture)))];
    for me in 0..plan.readers {
        threads.push(spawn("reader", Box::new(move || reader::run(torture, me))));
    }
    for number in 1..=plan.fakes {
        threads.push(spawn("fake", Box::new(move || writer::run_fake(torture, number))));
    }
    threads.push(spawn("churn", Box::new(|| writer::run_churn(torture))));
    let alarm = plan.alarm;
    threads.push(spawn("fork", Box::new(move || children::run(torture, alarm))));
    threads
}

/// Returns when the run is over or has failed, with the number of drains.
fn watch<F: Subject>(
    torture: &'static Torture<F>,
    plan: &Plan,
    threads: &[JoinHandle<()>],
    begin: Instant,
    shuffle: &mut Shuffle,
    wakes: &mut WakeWatch<F>,
    progress: &mut Progress,
) -> u64 {
    let all = torture.others + 1;
    let mut stutters = 0;
    let mut paused = false;
    let mut last_stutter = begin;
    let mut last_report = begin;
    let mut failed: Option<Instant> = None;
    let mut rng = Rng::new();
    let mut steps = Steps { seen: 0, since: begin, warned: false };
    loop {
        thread::sleep(TICK);
        if !paused {
            // All but the writer; those that are not readers take no notice. In a drain nobody: a
            // signal cuts sleeps short, and would hide a wake-up that is missed.
            let (forks, others) = threads[1..].split_last().expect("there are always some");
            others.iter().for_each(interrupt);
            // A fork that is interrupted begins anew.
            if rng.one_in(8) {
                interrupt(forks);
            }
        }
        shuffle.tick(threads, wakes.background());
        wakes.look();
        torture.interrupts.record(&torture.failures);
        let now = Instant::now();
        if torture.failures.any() {
            let failed = *failed.get_or_insert(now);
            let settled = match plan.settle {
                Settle::For(time) => now - failed >= time,
                Settle::Until(check) => torture.failures.has(check),
            };
            if settled {
                return stutters;
            }
        }
        if threads.iter().any(JoinHandle::is_finished) {
            // Before it was told to: it panicked, which is recorded when it is joined.
            return stutters;
        }
        if steps.stalled(torture, now, plan.stalled, progress) {
            return stutters;
        }
        let over = match plan.limit {
            Limit::Time(time) => now - begin >= time,
            Limit::Steps(limit) => steps.seen >= limit,
        };
        if paused && torture.gate.parked() == all {
            stutters += 1;
            if over {
                return stutters;
            }
            torture.gate.resume();
            paused = false;
            last_stutter = now;
        } else if !paused && (over || now - last_stutter >= plan.stutter) {
            torture.gate.pause();
            paused = true;
        }
        if now - last_report >= REPORT {
            last_report = now;
            progress.show(now - begin, &torture.total(), torture.failures.list().len());
        }
    }
}

/// The writer's steps as the watch has seen them.
struct Steps {
    seen: u64,
    since: Instant,
    warned: bool,
}

impl Steps {
    fn stalled<F: Subject>(
        &mut self,
        torture: &Torture<F>,
        now: Instant,
        stalled: Duration,
        progress: &Progress,
    ) -> bool {
        let steps = torture.steps();
        if steps != self.seen {
            *self = Self { seen: steps, since: now, warned: false };
        }
        let still = now - self.since;
        if still >= SLOW && !self.warned {
            self.warned = true;
            progress.say(&format!("the writer has not moved for {} s", still.as_secs()));
        }
        if still >= stalled {
            torture.failures.record(
                Check::WriterStall,
                format!(
                    "no step for {} s; {} of {} threads wait at the gate; the sequence is at {:?}",
                    still.as_secs(),
                    torture.gate.parked(),
                    torture.others + 1,
                    torture.flavor.seq()
                ),
            );
        }
        still >= stalled
    }
}

/// Waits for the threads to end. One that does not is left behind.
fn collect<F: Subject>(torture: &Torture<F>, threads: Vec<JoinHandle<()>>, patience: Duration) {
    let begin = Instant::now();
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_owned();
        while !thread.is_finished() && begin.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        if !thread.is_finished() {
            let detail = format!("{name} did not end within {patience:?}");
            torture.failures.record(Check::WriterStall, detail);
        } else if thread.join().is_err() {
            torture.failures.record(Check::ThreadPanic, name);
        }
    }
}
