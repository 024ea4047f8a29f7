//! The programs of the updater, the driver and the readers.

use super::state::{
    DRIVER, HEAD, LINK, LOCK, Mutation, POINTER, READER, Registering, SEQ, SLOT, State, Step,
    UPDATER,
};
use crate::model::strategy::Strategy;

/// Unlinks, takes a cookie, polls, frees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Updater {
    #[default]
    Unlink,
    Fence,
    Snapshot,
    Poll(u8),
    Freed,
}

impl Updater {
    /// Whether the object is gone.
    pub(super) fn has_freed(&self) -> bool {
        *self == Self::Freed
    }

    /// Whether it has its cookie and has not freed.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Poll(_))
    }

    /// Whether it has freed, or waits for a grace period that the driver will not run.
    pub(super) fn is_done(&self, last: u8) -> bool {
        self.has_freed() || matches!(self, Self::Poll(cookie) if *cookie > last)
    }
}

/// Takes the sequence through grace periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Driver {
    at: DriverAt,
    s: u8,
    /// The slot it looks at next, plus one.
    cursor: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum DriverAt {
    #[default]
    Begin,
    EarlyHead,
    Heavy,
    HeavyWait,
    Middle,
    Head,
    Scan,
    Link,
    End,
    Done,
}

impl Driver {
    /// Whether it runs no more grace periods.
    pub(super) fn is_done(&self) -> bool {
        self.at == DriverAt::Done
    }

    /// Whether it waits for a slot.
    pub(super) fn is_scanning(&self) -> bool {
        self.at == DriverAt::Scan
    }
}

/// Registers, opens a section, exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    at: ReaderAt,
    slot: u8,
    stamp: u8,
    held: bool,
    leaks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ReaderAt {
    Unborn,
    Lock,
    Take,
    WriteLink,
    Push,
    Unlock,
    LoadSeq,
    Enter,
    Fence,
    Load,
    LatePush,
    Leave,
    LockAgain,
    GiveBack,
    UnlockAgain,
    Done,
}

impl Reader {
    /// Whether it holds the old object.
    pub(super) fn holds(&self) -> bool {
        self.held
    }

    /// Whether it has exited.
    pub(super) fn is_done(&self) -> bool {
        self.at == ReaderAt::Done
    }

    /// Whether it has exited with its section open.
    pub(super) fn has_leaked(&self) -> bool {
        self.leaks && self.is_done()
    }
}

/// A slot's contents while a section is open.
fn occupied(stamp: u8) -> u8 {
    stamp << 1 | 1
}

impl Registering {
    /// A reader that has done nothing.
    pub(super) fn new_reader(&self, reader: usize) -> Reader {
        let at = if reader >= self.old {
            ReaderAt::Unborn
        } else if self.has(Mutation::EnterBeforePush) || self.registered && reader == 0 {
            ReaderAt::LoadSeq
        } else {
            ReaderAt::Lock
        };
        Reader { at, slot: 0, stamp: 0, held: false, leaks: self.leaks && reader == 0 }
    }

    /// The steps of the updater.
    pub(super) fn updater_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let mut next = *state;
        let State { machine, updater, .. } = &mut next;
        let what = match *updater {
            Updater::Unlink => {
                machine.store(UPDATER, POINTER, 1, true);
                *updater = Updater::Fence;
                "unlinks: the pointer store is in its buffer"
            }
            Updater::Fence => {
                machine.fence(UPDATER);
                *updater = Updater::Snapshot;
                "get_state: full fence"
            }
            Updater::Snapshot => {
                *updater = Updater::Poll((machine.load(UPDATER, SEQ) + 7) & !3);
                "get_state: loads seq"
            }
            Updater::Poll(cookie) if machine.load_acquire(UPDATER, SEQ) >= cookie => {
                *updater = Updater::Freed;
                "polls: done, frees"
            }
            Updater::Poll(_) | Updater::Freed => return,
        };
        out.push((Step::Thread(UPDATER, what), next));
    }

    /// The steps of the driver.
    pub(super) fn driver_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        use DriverAt::*;
        let mut next = *state;
        let State { machine, driver: me, astray, .. } = &mut next;
        let early = self.has(Mutation::HeadBeforeHeavy);
        let what = match me.at {
            Begin if me.s == self.last() => {
                *me = Driver { at: Done, ..Driver::default() };
                "is done"
            }
            Begin => {
                if machine.update_acq_rel(DRIVER, SEQ, |s| Some(s + 1)).is_none() {
                    return;
                }
                me.at = if early { EarlyHead } else { Heavy };
                "advances seq to s+1"
            }
            EarlyHead => {
                me.cursor = machine.load_acquire(DRIVER, HEAD);
                me.at = Heavy;
                "loads the list's head"
            }
            Heavy => {
                me.at = match self.strategy {
                    Strategy::Fence => {
                        machine.fence(DRIVER);
                        Middle
                    }
                    Strategy::Membarrier => {
                        machine.heavy(DRIVER);
                        HeavyWait
                    }
                };
                "heavy()"
            }
            HeavyWait if machine.heavy_is_over(DRIVER) => {
                me.at = Middle;
                "heavy() returns"
            }
            HeavyWait => return,
            Middle => {
                if machine.update_acq_rel(DRIVER, SEQ, |s| Some(s + 1)).is_none() {
                    return;
                }
                me.at = match me.cursor {
                    _ if !early => Head,
                    0 => End,
                    _ => Scan,
                };
                "advances seq to s+2"
            }
            Head => {
                me.cursor = machine.load_acquire(DRIVER, HEAD);
                me.at = if me.cursor == 0 { End } else { Scan };
                "loads the list's head"
            }
            Scan => {
                let slot = machine.load_acquire(DRIVER, SLOT + usize::from(me.cursor) - 1);
                if slot != 0 && slot != occupied(me.s + 2) {
                    return;
                }
                me.cursor -= 1;
                me.at = if me.cursor == 0 { End } else { Link };
                "passes a slot"
            }
            Link => {
                *astray = machine.load(DRIVER, LINK) == 0;
                me.at = Scan;
                "follows the link to the next"
            }
            End => {
                if machine.update_acq_rel(DRIVER, SEQ, |s| Some(s + 2)).is_none() {
                    return;
                }
                *me = Driver { at: Begin, s: me.s + 4, cursor: 0 };
                "advances seq to s+4"
            }
            Done => return,
        };
        out.push((Step::Thread(DRIVER, what), next));
    }

    /// The steps of one reader.
    pub(super) fn reader_steps(&self, state: &State, reader: usize, out: &mut Vec<(Step, State)>) {
        use ReaderAt::*;
        let thread = READER + reader;
        let before = state.readers[reader];
        let mut next = *state;
        let State { machine, slots, readers, .. } = &mut next;
        let me = &mut readers[reader];
        let slot = SLOT + usize::from(me.slot);
        let what = match before.at {
            WriteLink | Push | Unlock | Enter | LatePush | Leave | GiveBack | UnlockAgain
                if !machine.can_store(thread) =>
            {
                return;
            }
            Unborn => {
                machine.start(thread);
                me.at = Lock;
                "is born"
            }
            Lock | LockAgain => {
                // Acquire, and no release: what came before may come later.
                let take = |held| (held == 0).then_some(1);
                if machine.update(thread, LOCK, false, take) != Some(0) {
                    return;
                }
                me.at = if before.at == Lock { Take } else { GiveBack };
                "takes the lock"
            }
            Take => {
                if slots.free != 0 {
                    me.slot = slots.free.trailing_zeros() as u8;
                    slots.free &= !(1 << me.slot);
                    me.at = Unlock;
                    "takes a slot that another gave back"
                } else {
                    me.slot = slots.made;
                    slots.made += 1;
                    me.at = if me.slot == 0 { Push } else { WriteLink };
                    "makes a slot"
                }
            }
            WriteLink => {
                machine.store(thread, LINK, 1, false);
                me.at = Push;
                "writes the slot's link"
            }
            Push | LatePush => {
                let release = !self.has(Mutation::PushRelaxed);
                machine.store(thread, HEAD, me.slot + 1, release);
                me.at = if before.at == Push { Unlock } else { Leave };
                "pushes its slot on the list"
            }
            Unlock => {
                let release = !self.has(Mutation::GiveBackRelaxed);
                machine.store(thread, LOCK, 0, release);
                me.at = LoadSeq;
                "lets go of the lock"
            }
            LoadSeq => {
                for (seq, machine) in state.machine.loads(thread, SEQ) {
                    let mut next = State { machine, ..*state };
                    next.readers[reader].stamp = seq;
                    next.readers[reader].at = Enter;
                    out.push((Step::Thread(thread, "enters: loads seq"), next));
                }
                return;
            }
            Enter => {
                machine.store(thread, slot, occupied(me.stamp), true);
                me.stamp = 0;
                me.at = if self.strategy == Strategy::Fence { Fence } else { Load };
                "enters: the slot store is in its buffer"
            }
            Fence => {
                machine.fence(thread);
                me.at = Load;
                "enters: full fence"
            }
            Load => {
                for (value, machine) in state.machine.loads(thread, POINTER) {
                    let mut next = State { machine, ..*state };
                    let late = self.has(Mutation::EnterBeforePush);
                    let me = &mut next.readers[reader];
                    me.held = value == 0;
                    me.at = if late { LatePush } else { Leave };
                    if reader != 0 || !self.has(Mutation::GiveBackRelaxed) {
                        // No more loads; and its stores but the lock's are release stores, in order.
                        next.machine.harden(thread);
                    }
                    let what =
                        if value == 0 { "finds the old object" } else { "finds the new one" };
                    out.push((Step::Thread(thread, what), next));
                }
                return;
            }
            Leave if me.leaks => {
                let ends = self.has(Mutation::EndAtExit);
                if ends {
                    machine.store(thread, slot, 0, true);
                }
                let gives = self.has(Mutation::GiveBackOpen);
                me.at = if gives { LockAgain } else { Done };
                if ends { "exits, ending its section" } else { "exits with its section open" }
            }
            Leave => {
                machine.store(thread, slot, 0, true);
                me.held = false;
                me.at = if self.has(Mutation::EnterBeforePush) { Done } else { LockAgain };
                "leaves: the slot store is in its buffer"
            }
            GiveBack => {
                slots.free |= 1 << me.slot;
                me.at = UnlockAgain;
                "gives its slot back"
            }
            UnlockAgain => {
                let release = !self.has(Mutation::GiveBackRelaxed);
                machine.store(thread, LOCK, 0, release);
                *me = Reader { at: Done, slot: 0, ..*me };
                "lets go of the lock, exits"
            }
            Done => return,
        };
        out.push((Step::Thread(thread, what), next));
    }
}
