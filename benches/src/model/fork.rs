//! Fork at any instant: what cookies said before, they say in the child, and its grace periods end.
//!
//! The child is the memory image of one instant. The forking thread goes on, perhaps inside its own
//! section; all other threads are gone, with what was in their store buffers. The child clears the
//! slots of threads that the fork took, keeps the forking thread's and those leaked by earlier
//! exits, and goes on from the sequence as it is, with a driver of its own and, perhaps, a new
//! reader. Objects unlinked before the fork, by the forking thread or by another whose cookie is in
//! memory, are freed in the child once their cookies are done.
//!
//! To fork is a full barrier on the forking thread. Readers are weak; the rest is as in
//! [`gp`](super::gp). What was borrowed by threads that are gone is void.

mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use super::strategy::Strategy;
use state::{Fork, Mutation};

/// What a forked child makes of the state it inherits.
#[derive(Debug)]
pub(crate) struct ForkedChild;

/// Who unlinks, and which other slots there are.
#[derive(Clone, Copy)]
struct Setting {
    /// Whether the forking thread unlinks, inside its section, or another thread does.
    own: bool,
    /// Whether a thread that exited earlier has leaked a section.
    leaked: bool,
    /// Whether the child has a reader of its own.
    newborn: bool,
}

const OWN: Setting = Setting { own: true, leaked: false, newborn: false };
const OTHERS: Setting = Setting { own: false, ..OWN };
const OWN_LEAKED: Setting = Setting { leaked: true, ..OWN };
const OWN_NEWBORN: Setting = Setting { newborn: true, ..OWN };
const OTHERS_NEWBORN: Setting = Setting { newborn: true, ..OTHERS };

const FORK_IS_A_BARRIER: &str =
    "the fork is a barrier on the only thread left, and no later one has loaded before it";

/// Each mutation, what it comes to in both strategies, and the settings that show it, or that show
/// nothing.
const MUTATIONS: &[(Mutation, Expect, &[Setting])] = &[
    (Mutation::LowerSeq, Expect::Found, &[OWN]),
    (Mutation::ClearOwn, Expect::Found, &[OWN]),
    (
        Mutation::NoHeavyInherited,
        Expect::Benign(FORK_IS_A_BARRIER),
        &[OWN, OTHERS, OWN_NEWBORN, OTHERS_NEWBORN],
    ),
    (Mutation::KeepVanished, Expect::Found, &[OWN]),
    (Mutation::ClearLeaked, Expect::Found, &[OWN_LEAKED]),
    (Mutation::NoScanInherited, Expect::Found, &[OWN]),
];

impl Setting {
    /// As it stands in tables.
    fn name(self) -> String {
        format!(
            "{} unlinks{}{}",
            if self.own { "the forking thread" } else { "another thread" },
            if self.leaked { ", a leaked section" } else { "" },
            if self.newborn { ", a new reader in the child" } else { "" },
        )
    }

    /// This setting, as a configuration.
    fn configuration(
        self,
        strategy: Strategy,
        mutation: Option<Mutation>,
        grace_periods: u8,
    ) -> Configuration {
        let Self { own, leaked, newborn } = self;
        let model = Fork { strategy, mutation, own, leaked, newborn, grace_periods };
        Configuration { name: self.name(), check: Box::new(move || explore(&model)) }
    }
}

impl Protocol for ForkedChild {
    fn name(&self) -> &'static str {
        "fork"
    }

    fn what(&self) -> &'static str {
        "a child forked at any instant: cookies keep their meaning, grace periods end"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let full = [OWN, OTHERS, OWN_LEAKED, OWN_NEWBORN, OTHERS_NEWBORN];
        let all = if bounds == Bounds::Full { &full[..] } else { &full[..3] };
        let grace_periods = if bounds == Bounds::Full { 2 } else { 1 };
        let mut cases = Vec::new();
        let mut add = |subject, strategy: Strategy, expect, mutation, settings: &[Setting]| {
            let configuration = |it: &Setting| it.configuration(strategy, mutation, grace_periods);
            let configurations = settings.iter().map(configuration).collect();
            cases.push(Case { subject, mode: strategy.name(), expect, configurations });
        };
        for strategy in Strategy::BOTH {
            add(Subject::Correct, strategy, Expect::Safe, None, all);
        }
        for &(mutation, expect, settings) in MUTATIONS {
            let subject = match expect {
                Expect::Found => Subject::Mutation(mutation.name()),
                _ => Subject::Variant(mutation.name()),
            };
            let small = bounds == Bounds::Small;
            let settings = if small { &settings[..settings.len().min(2)] } else { settings };
            for strategy in Strategy::BOTH {
                add(subject, strategy, expect, Some(mutation), settings);
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::ForkedChild;
    use crate::model::registry::check_small;

    #[test]
    fn the_child_is_safe_and_goes_on_but_under_a_mutation() {
        check_small(&ForkedChild);
    }
}
