//! The reader: stamps its slot, loads the pointers, leaves; and a signal handler that does the same
//! in between.

use super::state::{Gp, Mutation, POINTER, SEQ, SLOT, State, Step};
use crate::model::strategy::Strategy;

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    at: At,
    /// Sections yet to be left.
    sections: u8,
    /// The sequence it loaded, until its slot holds it for good.
    stamp: u8,
    /// The set of updaters whose old objects it holds.
    pub(super) held: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    LoadSeq,
    Enter,
    HandlerEnter,
    HandlerFence,
    HandlerLoad(u8),
    HandlerLeave,
    Fence,
    Load(u8),
    Leave,
    Done,
}

/// A slot's contents while a section is open.
fn occupied(stamp: u8, nesting: u8) -> u8 {
    stamp << 2 | nesting
}

/// The stamp in an occupied slot.
pub(super) fn stamp_of(slot: u8) -> u8 {
    slot >> 2
}

impl Reader {
    /// A reader that will open this many sections.
    pub(super) fn new(sections: u8) -> Self {
        Self { at: At::LoadSeq, sections, stamp: 0, held: 0 }
    }

    /// Whether it has left its last section.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// A line of a trace, for a step from `self` to `to`.
    pub(super) fn text(&self, what: &str, to: &Self) -> String {
        match self.at {
            At::LoadSeq => format!("{what}: finds {}", to.stamp),
            At::Enter => format!("{what} (stamp {})", self.stamp),
            At::Load(pointer) | At::HandlerLoad(pointer) => {
                let age = if to.held >> pointer & 1 == 1 { "old" } else { "new" };
                format!("{what} {pointer}: finds the {age} object")
            }
            _ => what.to_owned(),
        }
    }
}

impl Gp {
    /// The steps of one reader.
    pub(super) fn reader_steps(&self, state: &State, reader: usize, out: &mut Vec<(Step, State)>) {
        let thread = self.reader_thread(reader);
        let slot = SLOT + reader;
        let before = state.readers[reader];
        let mut next = *state;
        let me = &mut next.readers[reader];
        let what = match before.at {
            At::LoadSeq if self.has(Mutation::SkipS1Acquire) => {
                me.stamp = next.machine.load_acquire(thread, SEQ);
                me.at = At::Enter;
                "enters: loads seq with acquire"
            }
            At::LoadSeq => {
                for (seq, machine) in state.machine.loads(thread, SEQ) {
                    let mut next = State { machine, ..*state };
                    next.readers[reader].stamp = seq;
                    next.readers[reader].at = At::Enter;
                    out.push((Step::Reader(reader, "enters: loads seq"), next));
                }
                return;
            }
            At::Load(pointer) | At::HandlerLoad(pointer) => {
                for (value, machine) in state.machine.loads(thread, POINTER + usize::from(pointer))
                {
                    let mut next = State { machine, ..*state };
                    let me = &mut next.readers[reader];
                    me.held |= u8::from(value == 0) << pointer;
                    let last = usize::from(pointer) + 1 == self.updaters;
                    me.at = match before.at {
                        At::Load(_) if last => At::Leave,
                        At::Load(_) => At::Load(pointer + 1),
                        _ if last => At::HandlerLeave,
                        _ => At::HandlerLoad(pointer + 1),
                    };
                    if me.at == At::Leave && me.sections == 1 {
                        next.machine.harden(thread);
                    }
                    out.push((Step::Reader(reader, "loads pointer"), next));
                }
                return;
            }
            At::Enter | At::HandlerEnter | At::HandlerLeave | At::Leave
                if !state.machine.can_store(thread) =>
            {
                return;
            }
            At::Enter => {
                next.machine.store(thread, slot, occupied(me.stamp, 1), true);
                me.at = if self.handler && me.sections == self.sections {
                    At::HandlerEnter
                } else {
                    self.entered()
                };
                if me.at != At::HandlerEnter {
                    me.stamp = 0;
                }
                "enters: the slot store is in its buffer"
            }
            At::HandlerEnter => {
                next.machine.store(thread, slot, occupied(me.stamp, 2), true);
                me.at = match self.strategy {
                    Strategy::Fence if !self.has(Mutation::FenceOutermostOnly) => At::HandlerFence,
                    _ => At::HandlerLoad(0),
                };
                "signal handler enters: the slot store is in its buffer"
            }
            At::HandlerFence => {
                next.machine.fence(thread);
                me.at = At::HandlerLoad(0);
                "signal handler enters: full fence"
            }
            At::HandlerLeave => {
                next.machine.store(thread, slot, occupied(me.stamp, 1), true);
                me.held = 0;
                me.stamp = 0;
                me.at = self.entered();
                "signal handler leaves: the slot store is in its buffer"
            }
            At::Fence => {
                next.machine.fence(thread);
                me.at = At::Load(0);
                "enters: full fence"
            }
            At::Leave => {
                next.machine.store(thread, slot, 0, true);
                me.held = 0;
                me.sections -= 1;
                me.at = if me.sections == 0 { At::Done } else { At::LoadSeq };
                "leaves: the slot store is in its buffer"
            }
            At::Done => return,
        };
        out.push((Step::Reader(reader, what), next));
    }

    /// What follows an outermost slot store.
    fn entered(&self) -> At {
        match self.strategy {
            Strategy::Membarrier => At::Load(0),
            Strategy::Fence => At::Fence,
        }
    }
}
