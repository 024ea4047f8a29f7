//! Waiters that share grace periods by cookie, and the background task they ask for them.
//!
//! A waiter takes a cookie, asks for it, and sleeps on an event count until the cookie is done. The
//! task runs grace periods for as long as one is asked for, then lets itself be forgotten; who asks
//! for more submits it again. Some waiters drive grace periods themselves instead. Whoever ends one
//! wakes those announced as sleepers.
//!
//! No wake-up is lost, no request is forgotten, the task is never submitted while it is in use, and
//! no more than two grace periods end after the last waiter has come, however many they are. A
//! grace period has no readers here, so its sequence has two states: even idle, odd in progress.
//! All read-modify-writes order no more than acquire and release, and relaxed loads may come early.

mod state;
mod threads;

use super::engine::explore;
use super::registry::{Bounds, Case, Configuration, Expect, Protocol, Subject};
use state::{Mutation, Order, Sharing};

/// How waiters share grace periods and the task that runs them.
#[derive(Debug)]
pub(crate) struct WaiterSharing;

/// Waiters that ask the task, and waiters that drive.
type Shape = (usize, usize);

/// Each mutation, the waiters that show it, and what it comes to where read-modify-writes are full
/// barriers.
const MUTATIONS: &[(Mutation, Shape, Expect)] = &[
    (Mutation::NoFenceWaiting, (1, 0), Expect::Benign(RMW)),
    (Mutation::NoFenceEnding, (1, 0), Expect::Benign(RMW)),
    (Mutation::WakeOne, (2, 0), Expect::Found),
    (Mutation::RetireWithoutRecheck, (2, 0), Expect::Found),
    (Mutation::RetireByStore, (2, 0), Expect::Found),
    (Mutation::RequestWithoutSwap, (2, 0), Expect::Found),
    (Mutation::LookThenSwap, (2, 0), Expect::Benign(RMW)),
    (Mutation::NewCookieEachTime, (1, 0), Expect::Found),
];

const RMW: &str = "the read-modify-write before it is a full barrier there";

impl Protocol for WaiterSharing {
    fn name(&self) -> &'static str {
        "waiters"
    }

    fn what(&self) -> &'static str {
        "waiters and the task they ask: none is forgotten, two grace periods serve all"
    }

    fn cases(&self, bounds: Bounds) -> Vec<Case> {
        let case = |subject, order: Order, expect, mutation, shapes: &[Shape]| {
            let configuration = |&(sleepers, drivers): &Shape| {
                let model = Sharing { order, mutation, sleepers, drivers };
                let name = format!("waiters: {sleepers}, drivers: {drivers}");
                Configuration { name, check: Box::new(move || explore(&model)) }
            };
            let configurations = shapes.iter().map(configuration).collect();
            Case { subject, mode: order.name(), expect, configurations }
        };
        let two: &[Shape] = &[(2, 0), (1, 1)];
        let three: &[Shape] = if bounds == Bounds::Full { &[(3, 0), (2, 1)] } else { two };
        let mut cases = Vec::new();
        for (order, shapes) in [(Order::AcqRel, two), (Order::Full, three)] {
            cases.push(case(Subject::Correct, order, Expect::Safe, None, shapes));
        }
        for &(mutation, shape, on_x86) in MUTATIONS {
            for (order, expect) in [(Order::AcqRel, Expect::Found), (Order::Full, on_x86)] {
                let subject = Subject::Mutation(mutation.name());
                cases.push(case(subject, order, expect, Some(mutation), &[shape]));
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::WaiterSharing;
    use crate::model::registry::check_small;

    #[test]
    fn nobody_is_forgotten_and_nothing_runs_twice_but_under_a_mutation() {
        check_small(&WaiterSharing);
    }
}
