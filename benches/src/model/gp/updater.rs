//! The updater: unlink, take a cookie, wait until it is done, free.

use super::state::{Gp, Mutation, POINTER, SEQ, State, Step};

/// Where an updater is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Updater {
    at: At,
    cookie: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Unlink,
    Fence,
    Snapshot,
    Poll,
    Freed,
}

impl Updater {
    /// Whether its object is gone.
    pub(super) fn has_freed(&self) -> bool {
        self.at == At::Freed
    }

    /// Whether it has freed, or waits for a grace period that the drivers will not run.
    pub(super) fn is_done(&self, last: u8) -> bool {
        self.at == At::Freed || self.at == At::Poll && self.cookie > last
    }

    /// A line of a trace.
    pub(super) fn text(&self, what: &str, updater: usize) -> String {
        match self.at {
            At::Poll => format!("{what}: cookie {}", self.cookie),
            _ => format!("{what} (object {updater})"),
        }
    }
}

impl Gp {
    /// The steps of one updater.
    pub(super) fn updater_steps(
        &self,
        state: &State,
        updater: usize,
        out: &mut Vec<(Step, State)>,
    ) {
        let mut next = *state;
        let me = &mut next.updaters[updater];
        let what = match me.at {
            At::Unlink => {
                next.machine.store(updater, POINTER + updater, 1, true);
                me.at = if self.has(Mutation::LightSnapshot) { At::Snapshot } else { At::Fence };
                "unlinks: the pointer store is in its buffer"
            }
            At::Fence => {
                next.machine.fence(updater);
                me.at = At::Snapshot;
                "get_state: full fence, the unlink is in memory"
            }
            At::Snapshot => {
                let seq = next.machine.load(updater, SEQ);
                let ahead = if self.has(Mutation::SnapshotEarly) { 3 } else { 7 };
                me.cookie = (seq + ahead) & !3;
                me.at = At::Poll;
                "get_state: loads seq"
            }
            At::Poll if next.machine.load_acquire(updater, SEQ) >= me.cookie => {
                // Nothing depends on the cookie any more.
                me.cookie = 0;
                me.at = At::Freed;
                "polls: done, frees"
            }
            At::Poll | At::Freed => return,
        };
        out.push((Step::Updater(updater, what), next));
    }
}
