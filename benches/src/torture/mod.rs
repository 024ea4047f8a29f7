//! `rcubench torture`: the checks of the kernel's rcutorture, against our flavours and against
//! broken ones.
//!
//! A writer replaces the one element that readers look at and sends the old ones through a pipe of
//! grace periods ([`pool`]); readers look in sections of many lengths ([`reader`]); every kind of
//! wait is used ([`waits`], [`futures`]), and it is seen that who waits is woken ([`sleepers`]); signals
//! come ([`interrupt`]), threads come and go and change their CPU ([`affinity`]), and children are
//! forked ([`children`]). What must hold has a name ([`checks::Check`]), and a failing run says which
//! did not. The broken flavours ([`busted`]) show that the checks can fail.

mod affinity;
mod busted;
mod checks;
mod children;
mod clog;
pub(crate) mod flavors;
mod futures;
mod gate;
mod interrupt;
#[cfg(test)]
mod liar;
mod mailbox;
mod pool;
mod reader;
mod report;
mod rng;
mod sleepers;
mod stats;
mod subject;
mod supervise;
#[cfg(test)]
mod tests;
mod twist;
mod waits;
mod writer;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rcu_core::{GpSeq, runtime};

use crate::{
    cli::{Common, TortureArgs},
    report::{
        machine,
        output::Output,
        verdict::{Unusable, Verdict},
    },
};

pub(crate) use checks::Failure;
use checks::Failures;
use gate::Gate;
use mailbox::{Pair, Readers};
use pool::{Element, Pool};
use sleepers::Sleeper;
pub(crate) use stats::Tally;
use subject::Subject;
use supervise::{Limit, Plan};

/// What to torture, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// One of [`flavors::names`].
    pub(crate) flavor: String,
    /// How long, without the drain at the end.
    pub(crate) seconds: Duration,
    /// Long-lived readers. There are other threads besides.
    pub(crate) threads: usize,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Checks that failed, the first first.
    pub(crate) failures: Vec<Failure>,
    pub(crate) tally: Tally,
    /// Times that everything was drained and counted.
    pub(crate) stutters: u64,
    /// Sections in signal handlers.
    pub(crate) interrupts: u64,
    /// Times that a thread was confined to other CPUs.
    pub(crate) moves: u64,
    /// Grace periods of the flavour.
    pub(crate) grace_periods: u64,
    pub(crate) elapsed: Duration,
}

/// The command: runs each flavour asked for, one after the other.
pub(crate) fn command(common: &Common, args: &TortureArgs) -> Result<Verdict, Unusable> {
    let threads = match common.threads[..] {
        [] => machine::cpus(),
        [threads] => threads,
        _ => return Err(Unusable("torture takes one number of threads".to_owned())),
    };
    let flavors = match &args.flavor[..] {
        [] => vec![flavors::DEFAULT.to_owned()],
        flavors => flavors.to_vec(),
    };
    let seconds = common.seconds / flavors.len() as u32;
    let mut output = Output::open(common.json.as_deref(), None)?;
    let mut verdict = Verdict::default();
    for flavor in flavors {
        let options = Options { flavor, seconds, threads };
        let outcome = run(&options)?;
        report::print(&options, &outcome);
        output.object(&report::object(&options, &outcome));
        for failure in &outcome.failures {
            verdict.check(false, format!("{}: {}", options.flavor, failure.check.name()));
        }
        if outcome.failures.is_empty() {
            verdict.check(true, format!("{}: every check held", options.flavor));
        }
    }
    Ok(verdict)
}

/// Runs torture, showing progress on standard error.
pub(crate) fn run(options: &Options) -> Result<Outcome, Unusable> {
    flavors::find(&options.flavor)?(options)
}

fn run_flavor<F: Subject>(flavor: F, options: &Options) -> Result<Outcome, Unusable> {
    if options.threads == 0 || options.threads > mailbox::MOST_READERS {
        return Err(Unusable(format!("threads must be 1 to {}", mailbox::MOST_READERS)));
    }
    if !runtime::start() {
        return Err(Unusable("the system gives us no background threads".to_owned()));
    }
    let plan =
        Plan { readers: options.threads, limit: Limit::Time(options.seconds), ..Plan::default() };
    let torture = Torture::new(flavor, &plan);
    Ok(supervise::run(torture, &plan, &mut report::Progress::new()))
}

/// All that the threads of one run share. It lives for ever: a run that fails may leave threads
/// and notifiers behind.
struct Torture<F: Subject> {
    flavor: F,
    failures: Failures,
    gate: Gate,
    pool: Pool<F>,
    /// The element that is in use at the beginning.
    first: usize,
    /// Index of the element that readers look at.
    current: AtomicUsize,
    readers: Readers,
    clog: clog::Clog,
    /// What signal handlers saw.
    interrupts: interrupt::Seen,
    /// One for each thread that waits: the writer's, then those of the fake writers.
    pairs: Box<[Pair]>,
    /// What they show of their sleep, in the same order.
    sleepers: Box<[Sleeper]>,
    /// Threads that pass the gate, without the writer.
    others: usize,
    /// Steps of the writer and of its drains.
    steps: AtomicU64,
    begin: GpSeq,
    total: Mutex<Tally>,
}

impl<F: Subject> Torture<F> {
    fn new(flavor: F, plan: &Plan) -> &'static Self {
        let torture: &'static Self = Box::leak(Box::new(Self {
            failures: Failures::new(),
            gate: Gate::new(),
            pool: Pool::new(),
            first: pool::ELEMENTS - 1,
            current: AtomicUsize::new(pool::ELEMENTS - 1),
            readers: Readers::new(plan.readers),
            clog: clog::Clog::new(),
            interrupts: interrupt::Seen::default(),
            pairs: (0..1 + plan.fakes).map(|_| Pair::new()).collect(),
            sleepers: (0..1 + plan.fakes).map(|_| Sleeper::new()).collect(),
            // And the one that makes brief readers, and the one that forks.
            others: plan.readers + plan.fakes + 2,
            steps: AtomicU64::new(0),
            begin: flavor.seq(),
            total: Mutex::new(Tally::default()),
            flavor,
        }));
        torture.pool.fill(torture);
        let first = torture.pool.take();
        assert_eq!(first, Some(torture.first), "the free list gives its last first");
        torture.pool.element(torture.first).prepare(1);
        torture
    }

    /// The element in use, for a section.
    #[inline]
    fn current(&'static self) -> &'static Element<F> {
        // Acquire: pairs with the Release in `publish`.
        self.pool.element(self.current.load(Ordering::Acquire))
    }

    /// Makes a prepared element the one in use. The writer alone does this; a plain store, for an
    /// atomic exchange would be a full barrier, which the waits must bring themselves.
    fn publish(&self, index: usize) {
        self.current.store(index, Ordering::Release);
    }

    fn progress(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    fn merge(&self, tally: &mut Tally) {
        self.total.lock().unwrap_or_else(PoisonError::into_inner).take(tally);
    }

    fn total(&self) -> Tally {
        self.total.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
