//! The programs of the future and of the engine.

use super::state::{
    CANCELLED, Cancel, ENGINE, FIRED, FUTURE, LOCK, Mutation, REFERENCES, REGISTERING, SEQ, STATE,
    State, Step, TAKING, WAKER,
};

/// A future and the task that polls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Future {
    at: FutureAt,
    /// The waker of the latest poll: 1 or 2.
    waker: u8,
    /// Polls left that nobody asked for.
    polls: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FutureAt {
    Poll,
    Arm,
    Register,
    Write,
    Registered,
    TakeBack,
    WakeSelf,
    Recheck,
    Pending,
    Cancel,
    Take,
    TakeWaker,
    Taken,
    Drop,
    Free,
    Done,
}

impl Future {
    /// One that has not been polled.
    pub(super) fn new(polls: u8) -> Self {
        Self { at: FutureAt::Poll, waker: 1, polls }
    }

    /// Whether it is gone.
    pub(super) fn is_done(&self) -> bool {
        self.at == FutureAt::Done
    }

    /// Whether its task has been told to wait.
    pub(super) fn is_pending(&self) -> bool {
        self.at == FutureAt::Pending
    }

    /// Whether its latest waker is among those called.
    pub(super) fn is_woken(&self, woken: u8) -> bool {
        woken >> self.waker & 1 == 1
    }

    /// Whether it is about to write the waker's cell.
    pub(super) fn is_writing_waker(&self) -> bool {
        self.at == FutureAt::Write
    }
}

/// The engine, in the matter of this one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Engine {
    at: EngineAt,
    /// The waker it took.
    waker: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum EngineAt {
    #[default]
    EndGracePeriod,
    Fire,
    Wake,
    TakeWaker,
    Taken,
    LateFire,
    Call,
    Drop,
    Free,
    Done,
}

impl Engine {
    /// Whether it has nothing more to do with the node.
    pub(super) fn is_done(&self) -> bool {
        self.at == EngineAt::Done
    }

    /// Whether it is about to read the waker's cell.
    pub(super) fn is_reading_waker(&self) -> bool {
        self.at == EngineAt::TakeWaker
    }
}

impl State {
    /// Notes that a thread uses the node.
    fn touch(&mut self) {
        self.misused |= self.freed;
    }

    /// Frees the node and what is in it. For a thread with no stores on their way.
    fn free(&mut self, thread: usize) {
        self.misused |= self.freed;
        self.freed = true;
        if self.machine.load(thread, WAKER) != 0 {
            self.clones -= 1;
        }
    }
}

impl Cancel {
    /// Drops a reference; whether it was the last. `None`: has to wait.
    fn drop_reference(&self, state: &mut State, thread: usize) -> Option<bool> {
        let release = !self.has(Mutation::RelaxedDrop);
        let old = state.machine.update(thread, REFERENCES, release, |it| Some(it - 1))?;
        Some(old == 1)
    }

    /// The steps of the future and its task.
    pub(super) fn future_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        use FutureAt::*;
        let mut next = *state;
        let before = state.future;
        if !matches!(before.at, Poll | Pending | Done | WakeSelf) && (state.armed || state.freed) {
            next.touch();
        }
        let ready = if self.has(Mutation::NoState) { Take } else { Cancel };
        let State { machine, future: me, woken, clones, armed, .. } = &mut next;
        let mut swap = |location, value| machine.update_acq_rel(FUTURE, location, |_| Some(value));
        let what = match before.at {
            Poll => {
                let done = machine.load_acquire(FUTURE, SEQ) != 0;
                me.at = match (done, *armed) {
                    (true, true) => ready,
                    (true, false) => Done,
                    (false, true) => Register,
                    (false, false) => Arm,
                };
                if done { "is polled: its cookie is done" } else { "is polled" }
            }
            Arm => {
                *armed = true;
                me.at = Register;
                "arms its node"
            }
            Register if self.has(Mutation::BareCell) => {
                me.at = Write;
                "begins to register its waker"
            }
            Register => {
                let Some(free) = machine.compare_exchange_acq_rel(FUTURE, LOCK, 0, REGISTERING)
                else {
                    return;
                };
                me.at = if free { Write } else { WakeSelf };
                if free { "begins to register its waker" } else { "finds its waker being taken" }
            }
            Write => {
                if !machine.can_store(FUTURE) {
                    return;
                }
                // The waker that was there, if any, is dropped.
                let old = machine.load(FUTURE, WAKER);
                *clones += u8::from(old == 0);
                machine.store(FUTURE, WAKER, me.waker, false);
                me.at = if self.has(Mutation::BareCell) { Recheck } else { Registered };
                "writes its waker"
            }
            Registered if self.has(Mutation::NoLookForTaking) => {
                if swap(LOCK, 0).is_none() {
                    return;
                }
                me.at = Recheck;
                "has registered its waker"
            }
            Registered => {
                let Some(alone) = machine.compare_exchange_acq_rel(FUTURE, LOCK, REGISTERING, 0)
                else {
                    return;
                };
                me.at = match alone {
                    false => TakeBack,
                    true if self.has(Mutation::NoRecheck) => Pending,
                    true => Recheck,
                };
                if alone { "has registered its waker" } else { "finds somebody waiting to take it" }
            }
            TakeBack => {
                if !machine.can_store(FUTURE) {
                    return;
                }
                machine.store(FUTURE, WAKER, 0, false);
                *clones -= 1;
                if machine.update_acq_rel(FUTURE, LOCK, |_| Some(0)).is_none() {
                    return;
                }
                me.at = WakeSelf;
                "takes its waker back"
            }
            WakeSelf => {
                *woken |= 1 << me.waker;
                me.at = if self.has(Mutation::NoRecheck) { Pending } else { Recheck };
                "calls its own waker"
            }
            Recheck => {
                let fired = match self.rechecks_cookie() {
                    true => machine.load_acquire(FUTURE, SEQ) != 0,
                    false => machine.load_acquire(FUTURE, STATE) == FIRED,
                };
                me.at = if fired { ready } else { Pending };
                if fired { "looks again: fired, ready" } else { "looks again: pending" }
            }
            Pending => {
                let mut dropped = *state;
                dropped.future.at = ready;
                out.push((Step::Thread(FUTURE, "is dropped"), dropped));
                if before.polls > 0 {
                    let mut again = *state;
                    let polls = before.polls - 1;
                    again.future = Future { at: Poll, waker: 3 - before.waker, polls };
                    again.woken = 0;
                    out.push((Step::Thread(FUTURE, "has another task"), again));
                }
                if !before.is_woken(state.woken) {
                    return;
                }
                me.at = Poll;
                *woken = 0;
                "has been woken"
            }
            Cancel => {
                if swap(STATE, CANCELLED).is_none() {
                    return;
                }
                me.at = if self.has(Mutation::FreeAtCancel) { Free } else { Drop };
                "goes: state = cancelled"
            }
            Take => {
                let Some(old) = machine.update_acq_rel(FUTURE, LOCK, |it| Some(it | TAKING)) else {
                    return;
                };
                me.at = if old == 0 { TakeWaker } else { Drop };
                "goes: comes to take its waker"
            }
            TakeWaker => {
                if !machine.can_store(FUTURE) {
                    return;
                }
                *clones -= u8::from(machine.load(FUTURE, WAKER) != 0);
                machine.store(FUTURE, WAKER, 0, false);
                me.at = Taken;
                "takes its waker"
            }
            Taken => {
                if machine.update_acq_rel(FUTURE, LOCK, |it| Some(it & !TAKING)).is_none() {
                    return;
                }
                me.at = Drop;
                "lets go of the waker's cell"
            }
            Drop => {
                let Some(last) = self.drop_reference(&mut next, FUTURE) else { return };
                next.future.at = if last { Free } else { Done };
                "drops its reference"
            }
            Free => {
                if !machine.is_drained(FUTURE) {
                    return;
                }
                me.at = Done;
                next.free(FUTURE);
                "frees the node"
            }
            Done => return,
        };
        out.push((Step::Thread(FUTURE, what), next));
    }

    /// The steps of the engine.
    pub(super) fn engine_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        use EngineAt::*;
        let mut next = *state;
        let before = state.engine;
        if !matches!(before.at, EndGracePeriod | Call | Done) && state.armed {
            next.touch();
        }
        let late = self.has(Mutation::TakeBeforeState);
        let bare = self.has(Mutation::BareCell);
        let take = if bare { TakeWaker } else { Wake };
        let State { machine, engine: me, woken, clones, armed, .. } = &mut next;
        let what = match before.at {
            EndGracePeriod => {
                if machine.update_acq_rel(ENGINE, SEQ, |_| Some(1)).is_none() {
                    return;
                }
                me.at = if late || self.has(Mutation::NoState) { take } else { Fire };
                "ends the grace period"
            }
            // Nothing to fire yet.
            _ if !*armed => return,
            Fire | LateFire => {
                let Some(old) = machine.update_acq_rel(ENGINE, STATE, |_| Some(FIRED)) else {
                    return;
                };
                me.at = match (before.at, old) {
                    (Fire, CANCELLED) => Drop,
                    (Fire, _) => take,
                    _ => Call,
                };
                if old == CANCELLED { "finds it cancelled" } else { "fires" }
            }
            Wake => {
                let Some(old) = machine.update_acq_rel(ENGINE, LOCK, |it| Some(it | TAKING)) else {
                    return;
                };
                me.at = match old {
                    0 => TakeWaker,
                    _ if late => LateFire,
                    _ => Drop,
                };
                if old == 0 { "comes to take the waker" } else { "leaves the waker to who has it" }
            }
            TakeWaker => {
                if !machine.can_store(ENGINE) {
                    return;
                }
                me.waker = machine.load(ENGINE, WAKER);
                machine.store(ENGINE, WAKER, 0, false);
                me.at = match (bare, late) {
                    (false, _) => Taken,
                    (true, true) => LateFire,
                    (true, false) => Call,
                };
                "takes the waker"
            }
            Taken => {
                if machine.update_acq_rel(ENGINE, LOCK, |it| Some(it & !TAKING)).is_none() {
                    return;
                }
                me.at = if late { LateFire } else { Call };
                "lets go of the waker's cell"
            }
            Call => {
                if me.waker != 0 {
                    *woken |= 1 << me.waker;
                    *clones -= 1;
                }
                *me = Engine { at: Drop, waker: 0 };
                "calls the waker, if there was one"
            }
            Drop => {
                let Some(last) = self.drop_reference(&mut next, ENGINE) else { return };
                next.engine.at = if last { Free } else { Done };
                "drops its reference"
            }
            Free => {
                if !machine.is_drained(ENGINE) {
                    return;
                }
                me.at = Done;
                next.free(ENGINE);
                "frees the node"
            }
            Done => return,
        };
        out.push((Step::Thread(ENGINE, what), next));
    }
}
