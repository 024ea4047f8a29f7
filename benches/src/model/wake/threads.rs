//! The programs of the drivers and of the readers.

use super::state::{EVENT, Mutation, SEQ, SLEEPERS, SLOT, State, Step, WAKE, Wake};
use crate::model::strategy::Strategy;

/// A slot's contents in a section that the scan has to wait for.
const BLOCKING: u8 = 1;
/// The same, in a section that only a scan of a grace period that is over takes for such.
const LATER: u8 = 2;

/// A driver of a grace period that is at its scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Driver {
    at: DriverAt,
    /// The slot it looks at next: those before it have been passed.
    cursor: u8,
    /// The event count it read.
    event: u8,
    /// Whether it found the flag raised already.
    borrows: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum DriverAt {
    #[default]
    Seq,
    Slot,
    Announce,
    Event,
    Flag,
    Heavy,
    HeavyWait,
    LateEvent,
    SeqAgain,
    SlotAgain,
    Sleep,
    Asleep,
    Retract(After),
    Advance,
    EndFence,
    EndLook,
    EndBump,
    EndWake,
    Done,
}

/// What a driver does when it is no longer announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum After {
    Look,
    Advance,
    Leave,
}

impl Driver {
    /// Whether it has left.
    pub(super) fn is_done(&self) -> bool {
        self.at == DriverAt::Done
    }

    /// Whether somebody has to wake it.
    pub(super) fn is_asleep(&self) -> bool {
        self.at == DriverAt::Asleep
    }

    fn wake(&mut self) {
        self.at = DriverAt::Retract(After::Look);
        self.event = 0;
    }
}

/// A reader whose sections block the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    at: ReaderAt,
    /// Sections yet to be left.
    sections: u8,
    /// Whether a signal handler has yet to open a section while another one's end is under way.
    handler: bool,
    /// Where that end goes on.
    interrupted: Option<ReaderAt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ReaderAt {
    Enter,
    EnterFence,
    EarlyFlag,
    Leave { raised: bool },
    LeaveFence,
    Flag,
    Clear,
    Bump,
    Wake,
    ClearLate,
    WakeLate,
    Hold,
    Done,
}

impl Reader {
    /// A reader that will open this many sections, and one more in a signal handler.
    pub(super) fn new(sections: u8, handler: bool) -> Self {
        Self { at: ReaderAt::Enter, sections, handler, interrupted: None }
    }

    /// Whether it has left its last section, or holds one for ever.
    pub(super) fn is_done(&self) -> bool {
        self.at == ReaderAt::Done
    }
}

impl Wake {
    /// The steps of one driver.
    pub(super) fn driver_steps(&self, state: &State, driver: usize, out: &mut Vec<(Step, State)>) {
        use DriverAt::*;
        if self.impatient && driver == 0 && matches!(state.drivers[0].at, Seq | SeqAgain | Asleep) {
            let mut next = *state;
            if self.has(Mutation::ClearAtTimeout) {
                let flag = WAKE + usize::from(state.drivers[0].cursor);
                next.machine.store(0, flag, 0, true);
            }
            let at = if state.drivers[0].at == Seq { Done } else { Retract(After::Leave) };
            next.drivers[0] = Driver { at, ..Driver::default() };
            out.push((Step::Driver(driver, "gives up"), next));
        }
        let mut next = *state;
        let State { machine, drivers, .. } = &mut next;
        let me = &mut drivers[driver];
        let blocked_at = SLOT + usize::from(me.cursor);
        let what = match me.at {
            Seq | SeqAgain => {
                let again = me.at == SeqAgain;
                if machine.load_acquire(driver, SEQ) != 0 {
                    let at = if again { Retract(After::Leave) } else { Done };
                    *me = Driver { at, ..Driver::default() };
                    "finds the grace period over"
                } else {
                    me.at = if again { SlotAgain } else { Slot };
                    "finds the grace period at its scan"
                }
            }
            Slot | SlotAgain => {
                let again = me.at == SlotAgain;
                if machine.load_acquire(driver, blocked_at) == 0 {
                    me.cursor += 1;
                    if usize::from(me.cursor) < self.readers {
                        // What it knows of the one it waited for says nothing of the next.
                        me.at = if again { Event } else { me.at };
                    } else {
                        let at = if again { Retract(After::Advance) } else { Advance };
                        *me = Driver { at, ..Driver::default() };
                    }
                    "scans: idle"
                } else {
                    me.at = if again { Sleep } else { Announce };
                    "scans: blocked"
                }
            }
            Announce => {
                if machine.update_acq_rel(driver, SLEEPERS, |it| Some(it + 1)).is_none() {
                    return;
                }
                me.at = if self.has(Mutation::EventAfterFlag) { Flag } else { Event };
                "announces itself as a sleeper"
            }
            Event | LateEvent => {
                me.event = machine.load_acquire(driver, EVENT);
                let late = self.has(Mutation::EventAfterFlag);
                me.at = match me.at {
                    LateEvent => SeqAgain,
                    _ if late => Heavy,
                    _ => Flag,
                };
                "reads the event count"
            }
            Flag if !machine.can_store(driver) => return,
            Flag => {
                let flag = WAKE + usize::from(me.cursor);
                me.borrows =
                    self.has(Mutation::BorrowedHeavy) && machine.load_acquire(driver, flag) != 0;
                if !me.borrows {
                    machine.store(driver, flag, 1, true);
                }
                me.at = Heavy;
                "raises the flag"
            }
            Heavy => {
                let skips = self.has(Mutation::NoSecondHeavy) || me.borrows;
                let (fence, heavy) = match self.strategy {
                    Strategy::Membarrier => (skips, !skips),
                    Strategy::Fence => (!skips, false),
                };
                if fence {
                    machine.fence(driver);
                }
                if heavy {
                    machine.heavy(driver);
                }
                me.borrows = false;
                me.at = if heavy { HeavyWait } else { self.after_heavy() };
                if skips { "runs no heavy barrier" } else { "heavy()" }
            }
            HeavyWait if machine.heavy_is_over(driver) => {
                me.at = self.after_heavy();
                "heavy() returns"
            }
            HeavyWait => return,
            Sleep => {
                machine.fence(driver);
                if machine.load(driver, EVENT) == me.event {
                    me.at = Asleep;
                    "sleeps"
                } else {
                    me.wake();
                    "does not sleep: the event count has moved"
                }
            }
            Asleep => return,
            Retract(after) => {
                if machine.update_acq_rel(driver, SLEEPERS, |it| Some(it - 1)).is_none() {
                    return;
                }
                me.at = match after {
                    After::Look => Seq,
                    After::Advance => Advance,
                    After::Leave => Done,
                };
                "is no longer a sleeper"
            }
            Advance => {
                let Some(first) = machine.compare_exchange_acq_rel(driver, SEQ, 0, 1) else {
                    return;
                };
                me.at = if first && !self.has(Mutation::EndWakesNobody) { EndFence } else { Done };
                "ends the grace period"
            }
            EndFence => {
                machine.fence(driver);
                me.at = EndLook;
                "fences"
            }
            EndLook => {
                let sleepers = machine.load(driver, SLEEPERS) != 0;
                me.at = if sleepers { EndBump } else { Done };
                if sleepers { "finds sleepers" } else { "finds no sleepers" }
            }
            EndBump => {
                if machine.update_acq_rel(driver, EVENT, |it| Some(it + 1)).is_none() {
                    return;
                }
                me.at = EndWake;
                "bumps the event count"
            }
            EndWake => {
                machine.fence(driver);
                me.at = Done;
                drivers.iter_mut().filter(|it| it.is_asleep()).for_each(Driver::wake);
                "wakes all"
            }
            Done => return,
        };
        out.push((Step::Driver(driver, what), next));
    }

    /// What follows the heavy barrier behind the flag.
    fn after_heavy(&self) -> DriverAt {
        match self.mutation {
            Some(Mutation::NoRescan) => DriverAt::Sleep,
            Some(Mutation::RescanWithoutSeq) => DriverAt::SlotAgain,
            Some(Mutation::EventAfterFlag) => DriverAt::LateEvent,
            _ => DriverAt::SeqAgain,
        }
    }

    /// The steps of one reader.
    pub(super) fn reader_steps(&self, state: &State, reader: usize, out: &mut Vec<(Step, State)>) {
        use ReaderAt::*;
        let thread = self.reader_thread(reader);
        let (slot, flag) = (SLOT + reader, WAKE + reader);
        let before = state.readers[reader];
        if before.handler && matches!(before.at, LeaveFence | Flag | Clear | Bump | Wake) {
            let mut next = *state;
            let interrupted = Some(before.at);
            next.readers[reader] = Reader { at: Enter, handler: false, interrupted, ..before };
            out.push((Step::Reader(reader, "is interrupted by a signal handler"), next));
        }
        let mut next = *state;
        let State { machine, drivers, readers } = &mut next;
        let me = &mut readers[reader];
        let fences = self.strategy == Strategy::Fence;
        let what = match before.at {
            Enter | Leave { .. } | Hold if !machine.can_store(thread) => return,
            Enter => {
                machine.store(thread, slot, BLOCKING, true);
                me.at = if fences { EnterFence } else { self.entered() };
                "enters"
            }
            EnterFence => {
                machine.fence(thread);
                me.at = self.entered();
                "enters: full fence"
            }
            EarlyFlag | Flag => {
                for (raised, machine) in state.machine.loads(thread, flag) {
                    let mut next = State { machine, ..*state };
                    let raised = raised != 0;
                    if before.at == EarlyFlag {
                        next.readers[reader].at = Leave { raised };
                    } else {
                        self.go_on(&mut next, reader, raised);
                    }
                    let what = if raised { "finds its flag raised" } else { "finds no flag" };
                    out.push((Step::Reader(reader, what), next));
                }
                return;
            }
            Leave { raised } => {
                machine.store(thread, slot, 0, true);
                if self.has(Mutation::FlagBeforeSlot) {
                    self.go_on(&mut next, reader, raised);
                } else {
                    let fences = fences && !self.has(Mutation::NoFenceInReader);
                    me.at = if fences { LeaveFence } else { Flag };
                }
                "leaves: the slot store is in its buffer"
            }
            LeaveFence => {
                machine.fence(thread);
                me.at = Flag;
                "leaves: full fence"
            }
            Clear | ClearLate => {
                let then = if before.at == Clear { Bump } else { WakeLate };
                if self.has(Mutation::PlainClear) {
                    if !machine.can_store(thread) {
                        return;
                    }
                    machine.store(thread, flag, 0, false);
                    me.at = then;
                } else {
                    let Some(old) = machine.update_acq_rel(thread, flag, |_| Some(0)) else {
                        return;
                    };
                    if old != 0 || then == WakeLate {
                        me.at = then;
                    } else {
                        self.next_section(&mut next, reader);
                    }
                }
                "lowers its flag"
            }
            Bump => {
                if machine.update_acq_rel(thread, EVENT, |it| Some(it + 1)).is_none() {
                    return;
                }
                me.at = if self.has(Mutation::BumpBeforeClear) { ClearLate } else { Wake };
                "bumps the event count"
            }
            Wake | WakeLate => {
                machine.fence(thread);
                let asleep = drivers.map(|it| it.is_asleep());
                let one =
                    matches!(self.mutation, Some(Mutation::WakeOne | Mutation::WakeOneNoTimeout))
                        && asleep == [true; 2];
                self.next_section(&mut next, reader);
                if one {
                    for chosen in 0..2 {
                        let mut next = next;
                        next.drivers[chosen].wake();
                        out.push((Step::Reader(reader, "wakes one"), next));
                    }
                    return;
                }
                next.drivers.iter_mut().filter(|it| it.is_asleep()).for_each(Driver::wake);
                "wakes all"
            }
            Hold if machine.load(thread, SEQ) != 0 => {
                machine.store(thread, slot, LATER, true);
                machine.harden(thread);
                me.at = Done;
                "enters, never to leave"
            }
            Hold | Done => return,
        };
        out.push((Step::Reader(reader, what), next));
    }

    /// What a reader does in its section.
    fn entered(&self) -> ReaderAt {
        match self.mutation {
            Some(Mutation::FlagBeforeSlot) => ReaderAt::EarlyFlag,
            _ => ReaderAt::Leave { raised: false },
        }
    }

    /// What a reader does once it has seen its flag.
    fn go_on(&self, next: &mut State, reader: usize, raised: bool) {
        if raised {
            let late = self.has(Mutation::BumpBeforeClear);
            next.readers[reader].at = if late { ReaderAt::Bump } else { ReaderAt::Clear };
        } else {
            self.next_section(next, reader);
        }
    }

    /// The end of a section is over.
    fn next_section(&self, next: &mut State, reader: usize) {
        let me = &mut next.readers[reader];
        if let Some(at) = me.interrupted.take() {
            me.at = at;
            return;
        }
        me.sections -= 1;
        me.at = match me.sections {
            0 if self.holds => ReaderAt::Hold,
            0 => ReaderAt::Done,
            _ => ReaderAt::Enter,
        };
        if me.at == ReaderAt::Done {
            next.machine.harden(self.reader_thread(reader));
        }
    }
}
