//! The programs of the pushers, the ender, the reapers and the one who passes by.

use super::calls::Calls;
use super::state::{
    ARMED, ENDER, Mutation, Notifier, PASSER, SEQ, STACK, Shared, State, Step, WORKER,
};

/// Closes leaves and hands them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pusher {
    left: u8,
    at: PusherAt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PusherAt {
    Snapshot,
    Push(u8),
    Done,
}

impl Pusher {
    /// One that closes this many leaves.
    pub(super) fn new(leaves: u8) -> Self {
        Self { left: leaves, at: PusherAt::Snapshot }
    }

    /// Whether it has closed its last, or no grace period is left to wait for.
    pub(super) fn is_done(&self) -> bool {
        self.at == PusherAt::Done
    }

    /// What a trace adds to a step that led here.
    pub(super) fn detail(&self) -> String {
        match self.at {
            PusherAt::Push(cookie) => format!(": cookie {cookie}"),
            _ => String::new(),
        }
    }
}

/// Ends grace periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ender {
    ended: u8,
    done: bool,
}

impl Ender {
    /// Whether it has ended the last.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

/// The reaper that a notifier calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    at: ReapAt,
    /// The set of cookies it has to arm for.
    kept: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum ReapAt {
    #[default]
    Idle,
    Disarm,
    Lock,
    Take,
    LateDisarm,
    File,
    Rearm,
}

impl Worker {
    /// Whether its next step touches nothing but itself.
    pub(super) fn is_local(&self) -> bool {
        self.at == ReapAt::Rearm
    }

    /// Whether it waits to be called.
    pub(super) fn is_idle(&self) -> bool {
        self.at == ReapAt::Idle
    }
}

/// A reaper nobody called, such as a dequeue: reaps once if the lock is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Passer {
    #[default]
    TryLock,
    Take,
    File,
    Done,
}

impl Passer {
    /// Whether it has passed.
    pub(super) fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

impl Shared {
    /// Processes what is done and gives the set of cookies kept; ends the hold on the lock.
    fn process(&mut self, seq: u8) -> u8 {
        let (mut kept, mut processed) = (0, 0);
        for leaf in (0..4).filter(|leaf| self.filed >> leaf & 1 == 1) {
            if self.cookies[leaf] <= seq {
                self.cookies[leaf] = 0;
                processed |= 1 << leaf;
            } else {
                kept |= 1 << self.cookies[leaf];
            }
        }
        self.filed &= !processed;
        self.locked = false;
        kept
    }
}

impl Notifier {
    /// The steps of a thread that is neither arming nor calling.
    pub(super) fn thread_steps(&self, state: &State, thread: usize, out: &mut Vec<(Step, State)>) {
        match thread {
            ENDER => self.ender_steps(state, out),
            PASSER if self.passers > 0 => self.passer_steps(state, out),
            PASSER.. => {}
            WORKER.. => self.worker_steps(state, thread - WORKER, out),
            _ if thread < self.pushers => self.pusher_steps(state, thread, out),
            _ => {}
        }
    }

    fn pusher_steps(&self, state: &State, pusher: usize, out: &mut Vec<(Step, State)>) {
        let Pusher { left, at } = state.pushers[pusher];
        let leaf = usize::from(self.leaves - left) + pusher * usize::from(self.leaves);
        match at {
            PusherAt::Snapshot => {
                // Closing a leaf fences. The next grace period's end is enough if none is running.
                let mut next = *state;
                next.machine.fence(pusher);
                let seq = next.machine.load(pusher, SEQ);
                if seq == self.grace_periods {
                    next.pushers[pusher] = Pusher { left: 0, at: PusherAt::Done };
                    out.push((Step::Thread(pusher, "comes after the last grace period"), next));
                }
                for cookie in (seq + 1..=seq + 2).filter(|&it| it <= self.grace_periods) {
                    next.pushers[pusher].at = PusherAt::Push(cookie);
                    out.push((Step::Thread(pusher, "closes a leaf"), next));
                }
            }
            PusherAt::Push(cookie) => {
                let mut next = *state;
                let add = |stack| Some(stack | 1 << leaf);
                if next.machine.update_acq_rel(pusher, STACK, add).is_none() {
                    return;
                }
                next.shared.cookies[leaf] = cookie;
                next.calls[pusher] = Calls::Arm(cookie);
                let at = if left == 1 { PusherAt::Done } else { PusherAt::Snapshot };
                next.pushers[pusher] = Pusher { left: left - 1, at };
                out.push((Step::Thread(pusher, "pushes its leaf on the stack"), next));
            }
            PusherAt::Done => {}
        }
    }

    fn ender_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let mut next = *state;
        if next.ender.done {
            return;
        }
        if next.ender.ended == self.grace_periods {
            next.ender.done = true;
            out.push((Step::Thread(ENDER, "has no more grace periods"), next));
            return;
        }
        let ended = next.ender.ended + 1;
        if next.machine.update_acq_rel(ENDER, SEQ, |_| Some(ended)).is_none() {
            return;
        }
        next.ender.ended = ended;
        next.calls[ENDER] =
            if self.has(Mutation::NoFenceEnding) { Calls::Take } else { Calls::EndFence };
        out.push((Step::Thread(ENDER, "ends a grace period"), next));
    }

    fn worker_steps(&self, state: &State, worker: usize, out: &mut Vec<(Step, State)>) {
        let thread = WORKER + worker;
        let mut next = *state;
        let State { machine, shared, workers, calls, .. } = &mut next;
        let me = &mut workers[worker];
        let late = self.has(Mutation::TakeBeforeDisarm);
        let mut disarm = || machine.update_acq_rel(thread, ARMED + worker, |_| Some(0));
        let what = match me.at {
            ReapAt::Idle if shared.called >> worker & 1 == 1 => {
                shared.called &= !(1 << worker);
                me.at = if late { ReapAt::Lock } else { ReapAt::Disarm };
                "has been called"
            }
            ReapAt::Idle => return,
            ReapAt::Disarm => {
                if disarm().is_none() {
                    return;
                }
                me.at = ReapAt::Lock;
                "disarms its notifier"
            }
            ReapAt::Lock if !shared.locked => {
                shared.locked = true;
                me.at = ReapAt::Take;
                "takes the reap lock"
            }
            ReapAt::Lock if self.has(Mutation::GiveUpOnBusyLock) => {
                me.at = ReapAt::Idle;
                "finds the reap lock busy and leaves"
            }
            ReapAt::Lock => return,
            ReapAt::Take => {
                let Some(taken) = machine.update_acq_rel(thread, STACK, |_| Some(0)) else {
                    return;
                };
                shared.filed |= taken;
                me.at = if late { ReapAt::LateDisarm } else { ReapAt::File };
                "takes the stack"
            }
            ReapAt::LateDisarm => {
                if disarm().is_none() {
                    return;
                }
                me.at = ReapAt::File;
                "disarms its notifier"
            }
            ReapAt::File => {
                let kept = shared.process(machine.load(thread, SEQ));
                let arms = kept != 0 && !self.has(Mutation::NoRearm);
                me.kept = if arms { kept } else { 0 };
                me.at = if arms { ReapAt::Rearm } else { ReapAt::Idle };
                "processes what is done, unlocks"
            }
            ReapAt::Rearm => {
                let cookie = me.kept.trailing_zeros() as u8;
                me.kept &= !(1 << cookie);
                if me.kept == 0 {
                    me.at = ReapAt::Idle;
                }
                calls[thread] = Calls::Arm(cookie);
                "re-arms for a cookie it keeps"
            }
        };
        out.push((Step::Thread(thread, what), next));
    }

    fn passer_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let mut next = *state;
        let State { machine, shared, passer, .. } = &mut next;
        let what = match *passer {
            Passer::TryLock if shared.locked => {
                *passer = Passer::Done;
                "finds the reap lock busy and leaves"
            }
            Passer::TryLock => {
                shared.locked = true;
                *passer = Passer::Take;
                "takes the reap lock"
            }
            Passer::Take => {
                let Some(taken) = machine.update_acq_rel(PASSER, STACK, |_| Some(0)) else {
                    return;
                };
                shared.filed |= taken;
                *passer = Passer::File;
                "takes the stack"
            }
            Passer::File => {
                shared.process(machine.load(PASSER, SEQ));
                *passer = Passer::Done;
                "processes what is done, unlocks"
            }
            Passer::Done => return,
        };
        out.push((Step::Thread(PASSER, what), next));
    }
}
