//! A future that waits for a grace period, and may be dropped at any time: no wake-up is lost, and
//! its node is freed once and not used after.
//!
//! The node is shared by the future and the engine, each with a reference: a state word, a cell for
//! the waker with a lock word of two bits after the manner of `AtomicWaker`, a count of references.
//! The first poll arms it. A poll looks at the cookie, registers its waker, and looks at the state
//! again; the engine, once the cookie is done, moves the state, takes the waker and calls it, holding
//! nothing; dropping the future moves the state. Each then drops its reference. A task may poll
//! again before it is woken, with another waker.
//!
//! All read-modify-writes order no more than acquire and release; plain stores may be overtaken.

mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use state::{Cancel, Mutation};

/// A wait that is polled, woken and dropped.
#[derive(Debug)]
pub(crate) struct WaitFuture;

const MUTATIONS: &[Mutation] = &[
    Mutation::NoRecheck,
    Mutation::FreeAtCancel,
    Mutation::TakeBeforeState,
    Mutation::RelaxedDrop,
    Mutation::BareCell,
];

const VARIANTS: &[Mutation] =
    &[Mutation::RecheckCookie, Mutation::NoState, Mutation::NoLookForTaking];

impl Protocol for WaitFuture {
    fn name(&self) -> &'static str {
        "cancel"
    }

    fn what(&self) -> &'static str {
        "a future polled, fired and dropped: woken in time, freed once"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let polls = if bounds == Bounds::Full { 4 } else { 2 };
        let case = |subject, expect, mutation| {
            let model = Cancel { mutation, polls };
            let name = format!("polls with a waker not yet called: {polls}");
            let check = Box::new(move || explore(&model));
            let configurations = vec![Configuration { name, check }];
            Case { subject, mode: "AcqRel", expect, configurations }
        };
        let mut cases = vec![case(Subject::Correct, Expect::Safe, None)];
        for &mutation in MUTATIONS {
            let subject = Subject::Mutation(mutation.name());
            cases.push(case(subject, Expect::Found, Some(mutation)));
        }
        for &mutation in VARIANTS {
            let subject = Subject::Variant(mutation.name());
            cases.push(case(subject, Expect::Safe, Some(mutation)));
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::WaitFuture;
    use crate::model::registry::check_small;

    #[test]
    fn woken_in_time_and_freed_once_but_under_a_mutation() {
        check_small(&WaitFuture);
    }
}
