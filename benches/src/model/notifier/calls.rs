//! What any thread may have to do with notifiers: arm one, and call those that are done.

use super::state::{ARMED, Mutation, NOTIFIERS, Notifier, SEQ, State, Step};

/// Where a thread is in arming or calling; the rest of its program waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Calls {
    /// In neither.
    #[default]
    Idle,
    /// About to arm for this cookie.
    Arm(u8),
    /// Armed; about to put the notifier on the engine's stack.
    Post(u8),
    /// Posted; about to fence.
    Fence(u8),
    /// Fenced; about to see whether the cookie is done.
    Look(u8),
    /// About to fence, then take: the end of a grace period.
    EndFence,
    /// About to see whether there are notifiers, and take them all.
    Take,
    /// Saw that there are some.
    TakeAll,
    /// Has this set, about to call those that are done.
    Call(u8),
    /// About to put this set back.
    PutBack(u8),
    /// Put this set back, about to fence.
    PutBackFence(u8),
    /// About to see whether one of this set is done by now.
    Recheck(u8),
}

impl Calls {
    /// Whether the thread goes on with its own program.
    pub(super) fn is_idle(&self) -> bool {
        *self == Self::Idle
    }

    /// Whether its next step is a fence and nothing else.
    pub(super) fn is_fence(&self) -> bool {
        matches!(self, Self::Fence(_) | Self::EndFence | Self::PutBackFence(_))
    }
}

/// The notifier of a cookie: two are live at a time.
pub(super) fn notifier_of(cookie: u8) -> usize {
    usize::from(cookie & 1)
}

impl Notifier {
    /// The next step of a thread that is arming or calling.
    pub(super) fn call_steps(&self, state: &State, thread: usize, out: &mut Vec<(Step, State)>) {
        let mut next = *state;
        let State { machine, shared, calls, .. } = &mut next;
        let now = &mut calls[thread];
        if now.is_fence() && !machine.is_drained(thread) {
            // A fence waits for the buffer.
            return;
        }
        // Which of a set of notifiers are done.
        let done = |set: u8, waits_for: &[u8; 2], seq: u8| {
            (0..2)
                .filter(|&it| set >> it & 1 == 1 && waits_for[it] <= seq)
                .fold(0, |a, it| a | 1 << it)
        };
        let what = match *now {
            Calls::Idle => return,
            Calls::Arm(cookie) => {
                let at = ARMED + notifier_of(cookie);
                let Some(old) = machine.update_acq_rel(thread, at, |_| Some(1)) else { return };
                *now = if old == 0 { Calls::Post(cookie) } else { Calls::Idle };
                if old == 0 { "arms" } else { "finds its notifier armed" }
            }
            Calls::Post(cookie) => {
                let notifier = notifier_of(cookie);
                let add = |set| Some(set | 1 << notifier);
                if machine.update_acq_rel(thread, NOTIFIERS, add).is_none() {
                    return;
                }
                shared.waits_for[notifier] = cookie;
                *now = match self.mutation {
                    Some(Mutation::NoLookAfterArming) => Calls::Idle,
                    Some(Mutation::NoFenceArming) => Calls::Look(cookie),
                    _ => Calls::Fence(cookie),
                };
                "posts its notifier"
            }
            Calls::Fence(cookie) => {
                *now = Calls::Look(cookie);
                "fences"
            }
            Calls::Look(cookie) if machine.load(thread, SEQ) >= cookie => {
                *now = Calls::Take;
                "finds its cookie done already"
            }
            Calls::Look(_) => {
                *now = Calls::Idle;
                "finds its cookie not done"
            }
            Calls::EndFence => {
                *now = Calls::Take;
                "fences"
            }
            Calls::Take if machine.load(thread, NOTIFIERS) == 0 => {
                *now = Calls::Idle;
                "finds no notifiers"
            }
            Calls::Take => {
                *now = Calls::TakeAll;
                "finds notifiers"
            }
            Calls::TakeAll => {
                let Some(set) = machine.update_acq_rel(thread, NOTIFIERS, |_| Some(0)) else {
                    return;
                };
                *now = if set == 0 { Calls::Idle } else { Calls::Call(set) };
                "takes all notifiers"
            }
            Calls::Call(set) => {
                let called = done(set, &shared.waits_for, machine.load(thread, SEQ));
                shared.called |= called;
                for notifier in (0..2).filter(|it| called >> it & 1 == 1) {
                    shared.waits_for[notifier] = 0;
                }
                let rest = set & !called;
                *now = if rest == 0 { Calls::Idle } else { Calls::PutBack(rest) };
                match (called, rest) {
                    (0, _) => "finds none of them done",
                    (_, 0) => "calls them",
                    _ => "calls one of them",
                }
            }
            Calls::PutBack(rest) => {
                let add = |set| Some(set | rest);
                if machine.update_acq_rel(thread, NOTIFIERS, add).is_none() {
                    return;
                }
                *now = if self.has(Mutation::NoRecheck) {
                    Calls::Idle
                } else {
                    Calls::PutBackFence(rest)
                };
                "puts the rest back"
            }
            Calls::PutBackFence(rest) => {
                *now = Calls::Recheck(rest);
                "fences"
            }
            Calls::Recheck(rest) => {
                // The set may be another's by now: then what is done is that one's business, and
                // taking them all once more does no harm.
                let again = done(rest, &shared.waits_for, machine.load(thread, SEQ)) != 0;
                *now = if again { Calls::Take } else { Calls::Idle };
                if again { "finds that one of the rest is done" } else { "leaves the rest" }
            }
        };
        out.push((Step::Thread(thread, what), next));
    }
}
