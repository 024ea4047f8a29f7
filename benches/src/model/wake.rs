//! Sleeping and waking for a reader: no driver sleeps for ever although no reader blocks it.
//!
//! A driver whose scan is blocked raises the flag beside that reader's slot, runs a heavy barrier,
//! looks once more, and sleeps if the event count is what it was before all that. A section's end
//! looks at its own flag; if it is raised, it lowers it, bumps the event count and wakes all.
//!
//! The grace period is at its scan from the start; whoever finds all readers outside ends it and
//! wakes those announced as sleepers. Each section of a reader blocks the scan, which is the worst
//! that a section can do; an optional last one, of a later grace period, stays open for ever and
//! blocks only who has not noticed that the grace period is over. Readers are weak; all
//! read-modify-writes order no more than acquire and release. A futex keeps its own promise: it
//! sleeps only if the word is what the sleeper expects, and a wake comes after the word's change.

mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use super::strategy::Strategy;
use state::{Mutation, Wake};

/// How a driver that a reader holds up sleeps, and how the reader's end wakes it.
#[derive(Debug)]
pub(crate) struct SleepAndWake;

/// How many of each, and what they do.
#[derive(Clone, Copy)]
struct Threads {
    drivers: usize,
    readers: usize,
    sections: u8,
    holds: bool,
    handler: bool,
    impatient: bool,
}

const ONE_DRIVER: Threads =
    Threads { drivers: 1, readers: 1, sections: 2, holds: false, handler: false, impatient: false };
const TWO_READERS: Threads = Threads { readers: 2, sections: 1, ..ONE_DRIVER };
const TWO_DRIVERS: Threads = Threads { drivers: 2, ..ONE_DRIVER };
const TIMEOUT: Threads = Threads { impatient: true, ..TWO_DRIVERS };
const HELD: Threads = Threads { sections: 1, holds: true, ..TWO_DRIVERS };
const HANDLER: Threads = Threads { handler: true, ..ONE_DRIVER };
const HANDLER_AND_TWO: Threads = Threads { handler: true, sections: 1, ..TWO_DRIVERS };
const CROSSED: Threads = Threads { drivers: 2, ..TWO_READERS };

/// Each mutation, what it is expected to come to under `Membarrier` and under `Fence`, and the
/// threads that show it, or that show nothing.
const MUTATIONS: &[(Mutation, [Expect; 2], &[Threads])] = &[
    (Mutation::NoSecondHeavy, [Expect::Found; 2], &[ONE_DRIVER]),
    (Mutation::NoRescan, [Expect::Found; 2], &[ONE_DRIVER]),
    (Mutation::FlagBeforeSlot, [Expect::Found; 2], &[ONE_DRIVER]),
    (
        Mutation::NoFenceInReader,
        [Expect::Benign("readers have no fence to lose"), Expect::Found],
        &[ONE_DRIVER],
    ),
    (Mutation::WakeOne, [Expect::Found; 2], &[TIMEOUT]),
    (Mutation::EventAfterFlag, [Expect::Found; 2], &[ONE_DRIVER]),
    (Mutation::ClearAtTimeout, [Expect::Found; 2], &[TIMEOUT]),
    (
        Mutation::BorrowedHeavy,
        [
            Expect::Found,
            Expect::Benign("a driver that saw the flag raised looks at the slot after that"),
        ],
        &[TIMEOUT, CROSSED],
    ),
    (Mutation::RescanWithoutSeq, [Expect::Found; 2], &[HELD]),
    (Mutation::EndWakesNobody, [Expect::Found; 2], &[HELD]),
];

/// Changes that are safe.
const VARIANTS: &[(Mutation, &[Threads])] = &[
    (Mutation::PlainClear, &[TWO_DRIVERS, CROSSED, HANDLER, HANDLER_AND_TWO]),
    (Mutation::BumpBeforeClear, &[TWO_DRIVERS, CROSSED, HANDLER, HANDLER_AND_TWO]),
    (Mutation::WakeOneNoTimeout, &[TWO_DRIVERS, CROSSED, HANDLER, HANDLER_AND_TWO]),
];

impl Threads {
    /// As it stands in tables.
    fn name(self) -> String {
        format!(
            "drivers: {}{}, readers: {}, sections of each: {}{}{}",
            self.drivers,
            if self.impatient { ", one with a timeout" } else { "" },
            self.readers,
            self.sections,
            if self.holds { " and one held for ever" } else { "" },
            if self.handler { " and one in a signal handler" } else { "" },
        )
    }

    /// This many threads, as a configuration.
    fn configuration(self, strategy: Strategy, mutation: Option<Mutation>) -> Configuration {
        let Self { drivers, readers, sections, holds, handler, impatient } = self;
        let model =
            Wake { strategy, mutation, drivers, readers, sections, holds, handler, impatient };
        Configuration { name: self.name(), check: Box::new(move || explore(&model)) }
    }
}

impl Protocol for SleepAndWake {
    fn name(&self) -> &'static str {
        "wake"
    }

    fn what(&self) -> &'static str {
        "drivers that sleep until a section ends: none sleeps for ever"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |subject, strategy: Strategy, expect, mutation, threads: &[Threads]| {
            let configuration = |it: &Threads| it.configuration(strategy, mutation);
            let configurations = threads.iter().map(configuration).collect();
            cases.push(Case { subject, mode: strategy.name(), expect, configurations });
        };
        let full = [
            ONE_DRIVER,
            TWO_READERS,
            TWO_DRIVERS,
            TIMEOUT,
            HELD,
            CROSSED,
            HANDLER,
            HANDLER_AND_TWO,
        ];
        let small = [ONE_DRIVER, HELD];
        let all = if bounds == Bounds::Full { &full[..] } else { &small[..] };
        for strategy in Strategy::BOTH {
            add(Subject::Correct, strategy, Expect::Safe, None, all);
        }
        for &(mutation, expect, threads) in MUTATIONS {
            let threads = if bounds == Bounds::Full { threads } else { &threads[..1] };
            for (strategy, expect) in Strategy::BOTH.into_iter().zip(expect) {
                let subject = Subject::Mutation(mutation.name());
                add(subject, strategy, expect, Some(mutation), threads);
            }
        }
        for &(mutation, threads) in VARIANTS {
            let threads = if bounds == Bounds::Full { threads } else { &[ONE_DRIVER] };
            for strategy in Strategy::BOTH {
                let subject = Subject::Variant(mutation.name());
                add(subject, strategy, Expect::Safe, Some(mutation), threads);
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::SleepAndWake;
    use crate::model::registry::check_small;

    #[test]
    fn nobody_sleeps_for_ever_but_under_a_mutation() {
        check_small(&SleepAndWake);
    }
}
