//! Registration against a scan: no section is missed by the scan that should wait for it.
//!
//! A thread takes a slot nobody uses, or makes one and pushes it on the registry's list, under a
//! lock; then it opens a section. A scan loads the list's head after its heavy barrier and keeps its
//! place in the list. A thread that exits gives its slot back, to be taken by another within one
//! scan; one that exits with a section open does not. A thread may be there from the start, and
//! then has its own instant of the heavy barrier, or be born at any time, and then has no stores on
//! their way and no early loads. The rest is as in [`gp`](super::gp), with one updater and one
//! driver.

mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use super::strategy::Strategy;
use state::{Mutation, Registering};

/// How threads and their slots come and go while a scan is under way.
#[derive(Debug)]
pub(crate) struct Registration;

/// How many readers there are, how many of them from the start, whether the first leaks a guard.
#[derive(Clone, Copy)]
struct Threads {
    old: usize,
    new: usize,
    leaks: bool,
    registered: bool,
    grace_periods: u8,
}

const ONE_OLD: Threads =
    Threads { old: 1, new: 0, leaks: false, registered: false, grace_periods: 2 };
const ONE_NEW: Threads = Threads { old: 0, new: 1, ..ONE_OLD };
const LEAK: Threads = Threads { leaks: true, ..ONE_OLD };
const TWO_OLD: Threads = Threads { old: 2, grace_periods: 1, ..ONE_OLD };
const OLD_AND_NEW: Threads = Threads { new: 1, grace_periods: 1, ..ONE_OLD };
const REUSE: Threads = Threads { registered: true, ..OLD_AND_NEW };
const LEAK_AND_NEW: Threads = Threads { leaks: true, ..OLD_AND_NEW };

/// Each mutation and the threads that show it.
const MUTATIONS: &[(Mutation, Threads)] = &[
    (Mutation::HeadBeforeHeavy, ONE_OLD),
    (Mutation::EnterBeforePush, ONE_OLD),
    (Mutation::PushRelaxed, TWO_OLD),
    (Mutation::GiveBackOpen, Threads { leaks: true, ..REUSE }),
    (Mutation::EndAtExit, LEAK),
    (Mutation::GiveBackRelaxed, REUSE),
];

impl Threads {
    /// As it stands in tables.
    fn name(self) -> String {
        format!(
            "readers: {}, born later: {}{}{}, periods: {}",
            self.old,
            self.new,
            if self.registered { ", one registered" } else { "" },
            if self.leaks { ", one leaks its guard" } else { "" },
            self.grace_periods,
        )
    }

    /// This many threads, as a configuration.
    fn configuration(self, strategy: Strategy, mutation: Option<Mutation>) -> Configuration {
        let Self { old, new, leaks, registered, grace_periods } = self;
        let model = Registering { strategy, mutation, old, new, leaks, registered, grace_periods };
        Configuration { name: self.name(), check: Box::new(move || explore(&model)) }
    }
}

impl Protocol for Registration {
    fn name(&self) -> &'static str {
        "registration"
    }

    fn what(&self) -> &'static str {
        "threads that come and go during a scan: no section is missed"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let full = [ONE_OLD, ONE_NEW, LEAK, TWO_OLD, OLD_AND_NEW, LEAK_AND_NEW];
        let small = full.map(|it| Threads { grace_periods: 1, ..it });
        let all = if bounds == Bounds::Full { &full[..] } else { &small[..3] };
        let mut cases = Vec::new();
        let mut add = |subject, strategy: Strategy, expect, mutation, threads: &[Threads]| {
            let configuration = |it: &Threads| it.configuration(strategy, mutation);
            let configurations = threads.iter().map(configuration).collect();
            cases.push(Case { subject, mode: strategy.name(), expect, configurations });
        };
        for strategy in Strategy::BOTH {
            add(Subject::Correct, strategy, Expect::Safe, None, all);
        }
        for &(mutation, threads) in MUTATIONS {
            for strategy in Strategy::BOTH {
                // The largest of them, and much the same in both.
                let large = match mutation {
                    Mutation::GiveBackOpen => strategy == Strategy::Membarrier,
                    Mutation::GiveBackRelaxed => strategy == Strategy::Fence,
                    _ => false,
                };
                if bounds == Bounds::Small && large {
                    continue;
                }
                let subject = Subject::Mutation(mutation.name());
                add(subject, strategy, Expect::Found, Some(mutation), &[threads]);
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::Registration;
    use crate::model::registry::check_small;

    #[test]
    fn no_section_is_missed_but_under_a_mutation() {
        check_small(&Registration);
    }
}
