//! Hand-over of leaves by notifiers: no leaf is left lying once everything is quiet.
//!
//! Pushers put leaves on a shard's stack and arm the notifier of their cookie; the end of a grace
//! period calls the notifiers that are done; a called notifier's reaper disarms it, waits for the
//! reap lock, takes the stack, and re-arms what it keeps. Another reaper only tries the lock and
//! leaves notifiers alone. A cookie is the number of the grace period it waits for; two are live at
//! a time, so a shard has two notifiers.
//!
//! All threads are strong, but their read-modify-writes order no more than acquire and release, so
//! that the full fences have something to do.

mod calls;
mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use state::{Mutation, Notifier};

/// The hand-over from a shard's stack to its reapers.
#[derive(Debug)]
pub(crate) struct NotifierArming;

impl Protocol for NotifierArming {
    fn name(&self) -> &'static str {
        "notifier"
    }

    fn what(&self) -> &'static str {
        "leaves, notifiers and reapers of a shard: nothing is stranded at quiescence"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        // Pushers, leaves of each, threads passing by.
        let shapes: &[(usize, u8, usize)] = match bounds {
            Bounds::Small => &[(2, 1, 0)],
            Bounds::Full => &[(2, 1, 1), (1, 2, 1)],
        };
        let case = |subject, expect, mutation| {
            let configurations = shapes
                .iter()
                .map(|&(pushers, leaves, passers)| {
                    let model = Notifier { mutation, pushers, leaves, passers, grace_periods: 3 };
                    let name = format!(
                        "pushers: {pushers}, leaves of each: {leaves}, periods: 3, reapers: 2, \
                         passing by: {passers}"
                    );
                    Configuration { name, check: Box::new(move || explore(&model)) }
                })
                .collect();
            Case { subject, mode: "AcqRel", expect, configurations }
        };
        let mut cases = vec![case(Subject::Correct, Expect::Safe, None)];
        for mutation in Mutation::ALL {
            let subject = Subject::Mutation(mutation.name());
            cases.push(case(subject, Expect::Found, Some(mutation)));
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::registry::run_case;

    #[test]
    fn nothing_is_stranded_and_every_mutation_strands_something() {
        for case in NotifierArming.cases(Bounds::Small) {
            let result = run_case("notifier", &case);
            if let Some((configuration, found)) = result.found() {
                println!("{:?} {configuration}\n{found}", case.subject);
            }
            assert!(result.as_expected(), "{:?}", case.subject);
        }
    }
}
