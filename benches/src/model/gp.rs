//! The grace period, the snapshot and the poll: no reader ever uses an object that was freed.
//!
//! Updaters unlink an object, take a cookie, poll it and free; drivers run grace periods as they
//! please; readers open sections and hold what they find. All are different threads. Readers are
//! weak (see [`machine`](super::machine)). A driver's exchange orders no more than acquire and
//! release do, so its scan may come before it is visible. Otherwise drivers and updaters are
//! strong, which loses nothing: each of their loads follows a fence or an acquire load, so to
//! execute it early is to take its step early.

mod driver;
mod reader;
mod state;
mod updater;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use super::strategy::Strategy;
use state::{Exchange, Gp, Heavy, Mutation};

/// The grace-period protocol of `rcu-core`.
#[derive(Debug)]
pub(crate) struct GracePeriod;

/// How many of each kind of thread, and what they do.
#[derive(Clone, Copy)]
struct Threads {
    updaters: usize,
    drivers: usize,
    readers: usize,
    sections: u8,
    handler: bool,
}

const TWO_READERS: Threads =
    Threads { updaters: 1, drivers: 1, readers: 2, sections: 2, handler: false };
const TWO_UPDATERS: Threads =
    Threads { updaters: 2, drivers: 1, readers: 1, sections: 2, handler: false };
const TWO_DRIVERS: Threads =
    Threads { updaters: 1, drivers: 2, readers: 1, sections: 2, handler: false };
const HANDLER: Threads =
    Threads { updaters: 1, drivers: 1, readers: 1, sections: 2, handler: true };
/// What most mutations are found with.
const LEAST: Threads = Threads { updaters: 1, drivers: 1, readers: 1, sections: 1, handler: false };

/// Grace periods the drivers run before they stop: one that a cookie may be too early for, and the
/// next.
const GRACE_PERIODS: u8 = 2;

/// Each mutation, what it is expected to come to under `Membarrier` and under `Fence`, and the
/// threads that show it, or that show nothing.
const MUTATIONS: &[(Mutation, [Expect; 2], &[Threads])] = &[
    (Mutation::NoHeavy, [Expect::Found; 2], &[LEAST]),
    (Mutation::LightSnapshot, [Expect::Found; 2], &[LEAST]),
    (
        Mutation::SkipS1Relaxed,
        [
            Expect::Found,
            Expect::Benign("the reader's fence keeps its pointer load behind its load of seq"),
        ],
        &[LEAST, TWO_READERS],
    ),
    (Mutation::ScanBeforeHeavy, [Expect::Found; 2], &[LEAST]),
    (Mutation::SnapshotEarly, [Expect::Found; 2], &[LEAST]),
    (Mutation::PlainStores, [Expect::Found; 2], &[Threads { sections: 1, ..TWO_DRIVERS }]),
    (
        Mutation::NoOwnHeavy,
        [
            Expect::Found,
            Expect::Benign("a driver that found s+1 scans after it was stored, fence or not"),
        ],
        &[Threads { sections: 1, ..TWO_DRIVERS }, TWO_DRIVERS],
    ),
    (Mutation::RelaxedLook, [Expect::Found; 2], &[Threads { sections: 1, ..TWO_DRIVERS }]),
    (
        Mutation::FenceOutermostOnly,
        [Expect::Benign("readers have no fence to lose"), Expect::Found],
        &[HANDLER],
    ),
];

impl Threads {
    /// As it stands in tables.
    fn name(self) -> String {
        let plural = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        format!(
            "{}, {}, {} of {}{}",
            plural(self.updaters, "updater"),
            plural(self.drivers, "driver"),
            plural(self.readers, "reader"),
            plural(usize::from(self.sections), "section"),
            if self.handler { " and one in a signal handler" } else { "" },
        )
    }

    /// This many threads, as a configuration of `gp`.
    fn configuration(self, gp: Gp) -> Configuration {
        let gp = Gp {
            updaters: self.updaters,
            drivers: self.drivers,
            readers: self.readers,
            sections: self.sections,
            handler: self.handler,
            ..gp
        };
        Configuration { name: self.name(), check: Box::new(move || explore(&gp)) }
    }

    /// The same threads with less to do.
    fn within(self, bounds: Bounds) -> Self {
        match bounds {
            Bounds::Full => self,
            Bounds::Small => Self { sections: 1, ..self },
        }
    }
}

impl Protocol for GracePeriod {
    fn name(&self) -> &'static str {
        "gp"
    }

    fn what(&self) -> &'static str {
        "grace period, snapshot and poll: nothing is freed that a section may still use"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |subject, expect, gp: Gp, threads: &[Threads]| {
            cases.push(Case {
                subject,
                mode: gp.strategy.name(),
                expect,
                configurations: threads
                    .iter()
                    .map(|threads| threads.within(bounds).configuration(gp))
                    .collect(),
            });
        };
        let full = bounds == Bounds::Full;
        let base = |strategy| Gp::new(strategy, GRACE_PERIODS);
        let all = [TWO_READERS, TWO_UPDATERS, TWO_DRIVERS, HANDLER];
        for strategy in Strategy::BOTH {
            add(Subject::Correct, Expect::Safe, base(strategy), &all);
        }
        for &(mutation, expect, threads) in MUTATIONS {
            for (strategy, expect) in Strategy::BOTH.into_iter().zip(expect) {
                // The largest of them, and much the same in both.
                if !full && mutation == Mutation::PlainStores && strategy == Strategy::Fence {
                    continue;
                }
                let gp = Gp { mutation: Some(mutation), ..base(strategy) };
                add(Subject::Mutation(mutation.name()), expect, gp, threads);
            }
        }
        for strategy in Strategy::BOTH {
            let gp = Gp { mutation: Some(Mutation::SkipS1Acquire), ..base(strategy) };
            let subject = Subject::Variant(Mutation::SkipS1Acquire.name());
            let two_readers = Threads { sections: 1, ..TWO_READERS };
            let threads = [two_readers, TWO_DRIVERS];
            add(subject, Expect::Safe, gp, if full { &threads } else { &threads[..1] });
        }
        for (mutation, name) in [
            (Mutation::NoHeavy, "no-heavy, full exchanges"),
            (Mutation::ScanBeforeHeavy, "scan-before-heavy, full exchanges"),
        ] {
            let gp = Gp {
                mutation: Some(mutation),
                exchange: Exchange::FullBarrier,
                ..base(Strategy::Fence)
            };
            let why = "where exchanges are full barriers, as on x86, the driver's fence adds none";
            add(Subject::Variant(name), Expect::Benign(why), gp, &[TWO_READERS]);
        }
        let gp = Gp {
            mutation: Some(Mutation::LightSnapshot),
            heavy: Heavy::AtOneInstant,
            ..base(Strategy::Membarrier)
        };
        let why = "heavy() taken for one instant hides the defect: that model proves too much";
        add(
            Subject::Variant("light-snapshot, heavy in one instant"),
            Expect::Benign(why),
            gp,
            if full { &all } else { &all[..1] },
        );
        cases
    }
}

#[cfg(test)]
mod tests;
