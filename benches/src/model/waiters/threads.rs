//! The programs of the waiters and of the task.

use super::state::{
    ACTIVE, EVENT, Memory, Mutation, Order, REQUESTED, SEQ, SLEEPERS, Sharing, State, Step, TASK,
};

/// Waits for the end of the grace period that its cookie names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    at: WaiterAt,
    drives: bool,
    cookie: u8,
    /// The event count it read.
    event: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum WaiterAt {
    Arrive,
    Snapshot,
    SnapshotAgain,
    Requested,
    Request(u8),
    Active,
    StoreActive,
    Submit,
    Poll,
    Announce,
    Event,
    Fence,
    Look,
    Sleep,
    Asleep,
    Retract,
    Advance(u8),
    End(End),
    Done,
}

/// What the end of a grace period has left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Fence,
    Look,
    Bump,
    Wake,
}

impl Waiter {
    /// One that has not come yet.
    pub(super) fn new(drives: bool) -> Self {
        Self { at: WaiterAt::Arrive, drives, cookie: 0, event: 0 }
    }

    /// Whether it has taken its cookie.
    pub(super) fn has_come(&self) -> bool {
        !matches!(self.at, WaiterAt::Arrive | WaiterAt::Snapshot)
    }

    /// Whether its cookie is done, or has been.
    pub(super) fn is_done(&self) -> bool {
        self.at == WaiterAt::Done
    }

    /// Whether somebody has to wake it.
    pub(super) fn is_asleep(&self) -> bool {
        self.at == WaiterAt::Asleep
    }

    /// Whether its next step is a fence and nothing else.
    pub(super) fn is_at_fence(&self) -> bool {
        matches!(self.at, WaiterAt::Arrive | WaiterAt::Fence | WaiterAt::End(End::Fence))
    }

    /// Whether it has read the event count and may yet sleep on it.
    pub(super) fn minds_event(&self) -> bool {
        matches!(self.at, WaiterAt::Fence | WaiterAt::Look | WaiterAt::Sleep)
    }

    /// What it waits for.
    pub(super) fn cookie(&self) -> u8 {
        self.cookie
    }

    fn wake(&mut self) {
        self.at = WaiterAt::Retract;
        self.event = 0;
    }
}

/// The background task, in an executor's hands or in nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Task {
    at: TaskAt,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum TaskAt {
    #[default]
    Idle,
    Look,
    Advance(u8),
    End(End),
    Retire,
    Recheck,
    RecheckSeq(u8),
    Reclaim,
}

impl Task {
    /// Whether its next step is a fence and nothing else.
    pub(super) fn is_at_fence(&self) -> bool {
        self.at == TaskAt::End(End::Fence)
    }

    /// Whether it is not being run.
    pub(super) fn is_idle(&self) -> bool {
        self.at == TaskAt::Idle
    }
}

/// The end of the first grace period that begins after `seq` was read.
fn snapshot(seq: u8) -> u8 {
    (seq + 3) & !1
}

impl Sharing {
    /// A read-modify-write.
    fn update(
        &self,
        machine: &mut Memory,
        thread: usize,
        location: usize,
        change: impl FnOnce(u8) -> Option<u8>,
    ) -> Option<u8> {
        if self.order == Order::AcqRel {
            return machine.update_acq_rel(thread, location, change);
        }
        machine.fence(thread);
        let old = machine.load(thread, location);
        if let Some(new) = change(old) {
            machine.compare_exchange(thread, location, old, new);
        }
        Some(old)
    }

    /// A compare-exchange; whether it succeeded.
    fn exchange(
        &self,
        machine: &mut Memory,
        thread: usize,
        location: usize,
        expected: u8,
        new: u8,
    ) -> Option<bool> {
        let change = |old| (old == expected).then_some(new);
        Some(self.update(machine, thread, location, change)? == expected)
    }

    /// The steps of one waiter.
    pub(super) fn waiter_steps(&self, state: &State, waiter: usize, out: &mut Vec<(Step, State)>) {
        use WaiterAt::*;
        let before = state.waiters[waiter];
        let mut next = *state;
        let State { machine, waiters, queued, latest, furthest, .. } = &mut next;
        let me = &mut waiters[waiter];
        let what = match before.at {
            Arrive => {
                machine.fence(waiter);
                me.at = Snapshot;
                "comes: full fence"
            }
            Snapshot | SnapshotAgain => {
                let seq = machine.load_acquire(waiter, SEQ);
                me.cookie = snapshot(seq);
                if me.at == Snapshot {
                    *latest = (*latest).max(seq);
                }
                *furthest = (*furthest).max(me.cookie);
                me.at = if me.drives { Poll } else { Requested };
                "takes a cookie"
            }
            Requested => {
                for (asked, machine) in state.machine.loads(waiter, REQUESTED) {
                    let mut next = State { machine, ..*state };
                    let enough = asked >= before.cookie;
                    next.waiters[waiter].at = if enough { Active } else { Request(asked) };
                    if enough {
                        // It loads nothing else early.
                        next.machine.harden(waiter);
                    }
                    let what = if enough { "finds its cookie asked for" } else { "must ask" };
                    out.push((Step::Thread(waiter, what), next));
                }
                return;
            }
            Request(asked) => {
                let cookie = me.cookie;
                let Some(asked) = self.exchange(machine, waiter, REQUESTED, asked, cookie) else {
                    return;
                };
                me.at = if asked { Active } else { Requested };
                if asked {
                    machine.harden(waiter);
                }
                if asked { "asks" } else { "is not the only one to ask" }
            }
            Active if self.has(Mutation::RequestWithoutSwap) => {
                let active = machine.load_acquire(waiter, ACTIVE) != 0;
                me.at = if active { Poll } else { StoreActive };
                if active { "finds the task in use" } else { "finds the task idle" }
            }
            Active => {
                if self.has(Mutation::LookThenSwap) && machine.load_acquire(waiter, ACTIVE) != 0 {
                    let mut next = *state;
                    next.waiters[waiter].at = Poll;
                    out.push((Step::Thread(waiter, "finds the task in use"), next));
                }
                let Some(old) = self.update(machine, waiter, ACTIVE, |_| Some(1)) else { return };
                me.at = if old == 0 { Submit } else { Poll };
                if old == 0 { "takes the idle task" } else { "finds the task in use" }
            }
            StoreActive => {
                if !machine.can_store(waiter) {
                    return;
                }
                machine.store(waiter, ACTIVE, 1, true);
                me.at = Submit;
                "takes the idle task"
            }
            Submit => {
                // A push with release: what came before is in memory.
                if !machine.is_drained(waiter) {
                    return;
                }
                *queued += 1;
                me.at = Poll;
                "submits the task"
            }
            Poll => {
                let seq = machine.load_acquire(waiter, SEQ);
                let done = seq >= me.cookie;
                me.at = match (done, me.drives) {
                    (true, _) => Done,
                    (false, true) => Advance(seq),
                    (false, false) => Announce,
                };
                if done { "polls: done" } else { "polls: not done" }
            }
            Announce => {
                if self.update(machine, waiter, SLEEPERS, |it| Some(it + 1)).is_none() {
                    return;
                }
                me.at = Event;
                "announces itself as a sleeper"
            }
            Event => {
                me.event = machine.load_acquire(waiter, EVENT);
                me.at = if self.has(Mutation::NoFenceWaiting) { Look } else { Fence };
                "reads the event count"
            }
            Fence => {
                machine.fence(waiter);
                me.at = Look;
                "fences"
            }
            Look => {
                let done = machine.load_acquire(waiter, SEQ) >= me.cookie;
                me.at = if done { Retract } else { Sleep };
                if done {
                    me.event = 0;
                }
                if done { "finds its cookie done" } else { "finds its cookie not done" }
            }
            Sleep => {
                machine.fence(waiter);
                if machine.load(waiter, EVENT) == me.event {
                    me.at = Asleep;
                    "sleeps"
                } else {
                    me.wake();
                    "does not sleep: the event count has moved"
                }
            }
            Asleep => return,
            Retract => {
                if self.update(machine, waiter, SLEEPERS, |it| Some(it - 1)).is_none() {
                    return;
                }
                me.at = if self.has(Mutation::NewCookieEachTime) { SnapshotAgain } else { Poll };
                "is no longer a sleeper"
            }
            Advance(seq) => {
                let Some(first) = self.exchange(machine, waiter, SEQ, seq, seq + 1) else {
                    return;
                };
                let ended = first && seq & 1 == 1;
                me.at = if ended { End(self.ended()) } else { Poll };
                if first { "moves the grace period on" } else { "is not the first to do so" }
            }
            End(end) => {
                let then = |at| Self::set_waiter(waiter, at);
                return self.end_steps(state, waiter, end, then, out);
            }
            Done => return,
        };
        out.push((Step::Thread(waiter, what), next));
    }

    /// The steps of the task.
    pub(super) fn task_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        use TaskAt::*;
        let mut next = *state;
        let State { machine, task, queued, .. } = &mut next;
        let what = match task.at {
            Idle if *queued > 0 => {
                *queued -= 1;
                task.at = Look;
                "is taken from the inbox"
            }
            Idle => return,
            Look => {
                let mut now = *machine;
                let seq = now.load_acquire(TASK, SEQ);
                for (asked, machine) in now.loads(TASK, REQUESTED) {
                    let mut next = State { machine, ..*state };
                    next.task.at = if seq >= asked { Retire } else { Advance(seq) };
                    let what = if seq >= asked { "finds nothing to do" } else { "finds work" };
                    out.push((Step::Thread(TASK, what), next));
                }
                return;
            }
            Advance(seq) => {
                let Some(first) = self.exchange(machine, TASK, SEQ, seq, seq + 1) else {
                    return;
                };
                let ended = first && seq & 1 == 1;
                task.at = if ended { End(self.ended()) } else { Look };
                if first { "moves the grace period on" } else { "is not the first to do so" }
            }
            End(end) => return self.end_steps(state, TASK, end, Self::set_task, out),
            Retire => {
                if self.has(Mutation::RetireByStore) {
                    if !machine.can_store(TASK) {
                        return;
                    }
                    machine.store(TASK, ACTIVE, 0, true);
                } else if self.update(machine, TASK, ACTIVE, |_| Some(0)).is_none() {
                    return;
                }
                task.at = if self.has(Mutation::RetireWithoutRecheck) { Idle } else { Recheck };
                "retires"
            }
            Recheck => {
                for (asked, machine) in state.machine.loads(TASK, REQUESTED) {
                    let mut next = State { machine, ..*state };
                    next.task.at = RecheckSeq(asked);
                    out.push((Step::Thread(TASK, "looks once more at what is asked for"), next));
                }
                return;
            }
            RecheckSeq(asked) => {
                let done = machine.load_acquire(TASK, SEQ) >= asked;
                task.at = if done { Idle } else { Reclaim };
                if done { "is done" } else { "finds that more is asked for" }
            }
            Reclaim => {
                let Some(old) = self.update(machine, TASK, ACTIVE, |_| Some(1)) else { return };
                task.at = if old == 0 { Look } else { Idle };
                if old == 0 { "goes on" } else { "has been submitted by who asked" }
            }
        };
        out.push((Step::Thread(TASK, what), next));
    }

    /// How the end of a grace period begins.
    fn ended(&self) -> End {
        if self.has(Mutation::NoFenceEnding) { End::Look } else { End::Fence }
    }

    fn set_waiter(waiter: usize, at: Option<End>) -> impl Fn(&mut State) {
        move |state| state.waiters[waiter].at = at.map_or(WaiterAt::Poll, WaiterAt::End)
    }

    fn set_task(at: Option<End>) -> impl Fn(&mut State) {
        move |state| state.task.at = at.map_or(TaskAt::Look, TaskAt::End)
    }

    /// The steps of a thread that has ended a grace period; `then` moves it on, to its own program
    /// at last.
    fn end_steps<F: Fn(&mut State)>(
        &self,
        state: &State,
        thread: usize,
        end: End,
        then: impl Fn(Option<End>) -> F,
        out: &mut Vec<(Step, State)>,
    ) {
        let mut next = *state;
        let (after, what) = match end {
            End::Fence => {
                next.machine.fence(thread);
                (Some(End::Look), "fences")
            }
            End::Look => {
                for (sleepers, machine) in state.machine.loads(thread, SLEEPERS) {
                    let mut next = State { machine, ..*state };
                    let any = sleepers != 0;
                    then(any.then_some(End::Bump))(&mut next);
                    let what = if any { "finds sleepers" } else { "finds no sleepers" };
                    out.push((Step::Thread(thread, what), next));
                }
                return;
            }
            End::Bump => {
                if self.update(&mut next.machine, thread, EVENT, |it| Some(it + 1)).is_none() {
                    return;
                }
                (Some(End::Wake), "bumps the event count")
            }
            End::Wake => {
                next.machine.fence(thread);
                then(None)(&mut next);
                let asleep = (0..3).filter(|&it| state.waiters[it].is_asleep());
                if self.has(Mutation::WakeOne) && asleep.clone().count() > 1 {
                    for chosen in asleep {
                        let mut next = next;
                        next.waiters[chosen].wake();
                        out.push((Step::Thread(thread, "wakes one"), next));
                    }
                    return;
                }
                asleep.for_each(|it| next.waiters[it].wake());
                (None, "wakes all")
            }
        };
        then(after)(&mut next);
        out.push((Step::Thread(thread, what), next));
    }
}
