//! Paired rounds: each round runs every case once for a short while, subjects next to each other,
//! so that a change of the machine's speed meets them alike.

use std::time::Duration;

use crate::{
    report::{human, progress::Progress, rows::Summary, verdict::Verdict},
    workload::{
        driver::{Limit, Run, Tally},
        subjects::{Carried, TableSubject},
        ycsb::Mix,
        zipf::Zipf,
    },
};

/// About how long a case runs in a round.
const SLICE: Duration = Duration::from_millis(250);
const FEWEST_ROUNDS: f64 = 5.0;
const MOST_ROUNDS: f64 = 51.0;

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) subjects: Vec<&'static TableSubject>,
    pub(crate) mixes: Vec<Mix>,
    pub(crate) threads: Vec<usize>,
    pub(crate) keys: u64,
    /// For all rounds of all cases together.
    pub(crate) seconds: Duration,
    /// Run each case once, for so long, behind a section that stays open.
    pub(crate) stall: Option<Duration>,
}

/// What came of one case: a subject, a mix, a number of threads.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) subject: &'static str,
    pub(crate) mix: Mix,
    pub(crate) threads: usize,
    /// Operations a second, by round.
    pub(crate) rates: Vec<f64>,
    /// The most entries that waited to be freed, by round.
    pub(crate) waiting: Vec<f64>,
    pub(crate) errors: u64,
}

impl Case {
    pub(crate) fn rate(&self) -> Summary {
        Summary::of(&self.rates)
    }

    fn name(&self) -> String {
        format!("{} {}, {}", self.mix.name(), self.subject, human::threads(self.threads))
    }
}

/// What came of a plan.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cases: Vec<Case>,
    pub(crate) stalled: bool,
    reads: u64,
    /// What went wrong, told one by one.
    wrong: Vec<String>,
    errors: u64,
    /// Entries that were replaced and never freed.
    left: i64,
    /// Runs after which a subject that knows held more than before.
    held: u64,
}

impl Plan {
    fn cases(&self) -> usize {
        self.subjects.len() * self.mixes.len() * self.threads.len()
    }

    fn rounds(&self) -> usize {
        if self.stall.is_some() {
            return 1;
        }
        let fitting = self.seconds.as_secs_f64() / (SLICE.as_secs_f64() * self.cases() as f64);
        fitting.clamp(FEWEST_ROUNDS, MOST_ROUNDS) as usize
    }

    fn limit(&self) -> Limit {
        let runs = (self.rounds() * self.cases()) as u32;
        let slice = self.stall.unwrap_or(self.seconds / runs);
        Limit::Time { warm: slice / 10, measure: slice - slice / 10 }
    }

    /// Runs all of it.
    pub(crate) fn run(&self, name: &'static str) -> Outcome {
        let zipf = Zipf::new(self.keys);
        let tables: Vec<Box<dyn Carried>> =
            self.subjects.iter().map(|subject| (subject.load)(self.keys)).collect();
        let mut outcome = self.empty();
        let mut progress = Progress::new(name, self.rounds() * self.cases());
        for round in 0..self.rounds() {
            for group in 0..self.cases() / self.subjects.len() {
                for turn in 0..self.subjects.len() {
                    // A different one goes first each time.
                    let subject = (turn + round + group) % self.subjects.len();
                    let case = &mut outcome.cases[group * self.subjects.len() + subject];
                    let run = Run {
                        mix: case.mix,
                        threads: case.threads,
                        limit: self.limit(),
                        seed: (round * self.cases() + group) as u64,
                        stall: self.stall.is_some(),
                    };
                    let table = &tables[subject];
                    let tally = table.run(&zipf, &run);
                    let left = table.settle();
                    progress.step(&case.take(&tally, self.keys));
                    outcome.judge(group * self.subjects.len() + subject, &tally, left, &**table);
                }
            }
        }
        drop(progress);
        for (subject, table) in self.subjects.iter().zip(tables) {
            let left = table.unload();
            outcome.forgotten(left, || format!("{} after its table was dropped", subject.name));
        }
        outcome
    }

    fn empty(&self) -> Outcome {
        let mut cases = Vec::new();
        for &threads in &self.threads {
            for &mix in &self.mixes {
                cases.extend(self.subjects.iter().map(|subject| Case {
                    subject: subject.name,
                    mix,
                    threads,
                    rates: Vec::new(),
                    waiting: Vec::new(),
                    errors: 0,
                }));
            }
        }
        let stalled = self.stall.is_some();
        Outcome { cases, stalled, reads: 0, wrong: Vec::new(), errors: 0, left: 0, held: 0 }
    }
}

impl Case {
    /// Adds a round, and tells of it.
    fn take(&mut self, tally: &Tally, keys: u64) -> String {
        self.rates.push(tally.ops_per_second);
        self.waiting.push((tally.peak_live - keys as i64).max(0) as f64);
        self.errors += tally.errors();
        format!("{}: {} ops/s", self.name(), human::count(tally.ops_per_second))
    }
}

impl Outcome {
    fn judge(&mut self, case: usize, tally: &Tally, left: i64, table: &dyn Carried) {
        let case = &self.cases[case];
        let name = case.name();
        self.reads += tally.reads;
        self.errors += tally.errors();
        if tally.errors() > 0 {
            let (lost, faults, first) = (tally.lost, tally.faults, tally.first_fault);
            self.wrong.push(format!("{name}: {lost} keys lost, {faults} bad reads ({first:?})"));
        }
        self.forgotten(left, || name.clone());
        if let Some(held) = table.footprint()
            && (held.objects != 0 || table.at_rest().is_some_and(|rest| rest.bytes != held.bytes))
        {
            self.held += 1;
            self.wrong.push(format!("{name}: still holds {held:?}, at rest {:?}", table.at_rest()));
        }
    }

    fn forgotten(&mut self, left: i64, whose: impl FnOnce() -> String) {
        if left != 0 {
            self.left += left.abs();
            self.wrong.push(format!("{}: {left} entries too many are left", whose()));
        }
    }

    /// Adds the checks of the whole plan.
    pub(crate) fn verdict(&self, verdict: &mut Verdict) {
        for wrong in &self.wrong {
            println!("  wrong: {wrong}");
        }
        let reads = human::count(self.reads as f64);
        verdict.check(self.errors == 0, format!("{} errors in {reads} reads", self.errors));
        let told = match self.left {
            0 => "every replaced entry freed".to_owned(),
            left => format!("{left} entries not freed, or freed twice"),
        };
        verdict.check(self.left == 0, told);
        let told = match self.held {
            0 => "queues as empty as before".to_owned(),
            runs => format!("queues not empty after {runs} runs"),
        };
        verdict.check(self.held == 0, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{reclaimer::Footprint, subjects};

    fn plan(seconds: u64) -> Plan {
        Plan {
            subjects: subjects::ALL[..2].iter().collect(),
            mixes: Mix::ALL.to_vec(),
            threads: vec![1, 2],
            keys: 100,
            seconds: Duration::from_secs(seconds),
            stall: None,
        }
    }

    #[test]
    fn rounds_fill_the_time() {
        for seconds in [1, 30, 3600] {
            let plan = plan(seconds);
            let Limit::Time { warm, measure } = plan.limit() else { panic!("not timed") };
            let whole = (warm + measure) * (plan.rounds() * plan.cases()) as u32;
            assert!(whole.abs_diff(plan.seconds) < Duration::from_millis(1), "{whole:?}");
        }
        assert_eq!(plan(1).rounds(), 5);
        assert_eq!(plan(30).rounds(), 10);
    }

    #[test]
    fn a_plan_runs_and_is_good() {
        let _alone = subjects::kvfree::alone();
        let plan = Plan { seconds: Duration::from_millis(30), ..plan(1) };
        let outcome = plan.run("test");
        assert!(outcome.cases.iter().all(|case| case.rates.len() == plan.rounds()));
        let mut verdict = Verdict::default();
        outcome.verdict(&mut verdict);
        assert!(verdict.good(), "{verdict}");
    }

    #[test]
    fn cases_stand_by_threads_then_mix_then_subject() {
        let cases = plan(1).empty().cases;
        assert_eq!(cases.len(), 12);
        assert_eq!((cases[3].threads, cases[3].mix), (1, Mix::B));
        assert_eq!(cases[3].subject, subjects::ALL[1].name);
        assert_eq!((cases[6].threads, cases[6].mix), (2, Mix::A));
    }

    /// A table whose subject holds so many bytes, and held none at rest.
    struct Holds(usize);

    impl Carried for Holds {
        fn run(&self, _: &Zipf, _: &Run) -> Tally {
            Tally::default()
        }

        fn settle(&self) -> i64 {
            0
        }

        fn footprint(&self) -> Option<Footprint> {
            Some(Footprint { objects: 0, bytes: self.0 })
        }

        fn at_rest(&self) -> Option<Footprint> {
            Some(Footprint { objects: 0, bytes: 0 })
        }

        fn unload(self: Box<Self>) -> i64 {
            0
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_judged() {
        let fault = Tally { faults: 1, ..Tally::default() };
        let cases = [
            (Tally::default(), 0, 0),
            (fault, 0, 0),
            (Tally::default(), 1, 0),
            (Tally::default(), 0, 1),
        ];
        for (case, (tally, left, bytes)) in cases.iter().enumerate() {
            let mut outcome = plan(1).empty();
            outcome.judge(0, tally, *left, &Holds(*bytes));
            let mut verdict = Verdict::default();
            outcome.verdict(&mut verdict);
            assert_eq!(verdict.good(), case == 0, "{case}: {verdict}");
        }
    }

    #[test]
    fn errors_and_leaks_are_told() {
        let mut outcome = plan(1).empty();
        let mut verdict = Verdict::default();
        outcome.verdict(&mut verdict);
        assert!(verdict.good());
        outcome.forgotten(-1, || "someone".to_owned());
        outcome.verdict(&mut verdict);
        assert!(!verdict.good());
    }
}
