//! The programs of the four threads, and the fork.

use super::state::{
    DRIVER, FORKER, Fork, LEAKED_SLOT, Memory, Mutation, OWN_SLOT, POINTER, QUEUED, READER,
    READER_SLOT, SEQ, State, Step, UPDATER,
};
use crate::model::strategy::Strategy;

/// A section of one thread, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Section {
    at: SectionAt,
    stamp: u8,
    held: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum SectionAt {
    #[default]
    LoadSeq,
    Enter,
    Fence,
    Load,
    Inside,
    Left,
}

/// The thread that forks: a section, and perhaps an update in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Forker {
    section: Section,
    update: Update,
    cookie: u8,
}

/// How far an update has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Update {
    #[default]
    Unlink,
    Fence,
    Snapshot,
    Done,
}

impl Forker {
    /// Whether its section is over.
    pub(super) fn is_done(&self) -> bool {
        self.section.at == SectionAt::Left
    }

    /// Whether it holds the old object.
    pub(super) fn holds(&self) -> bool {
        self.section.held
    }

    /// The cookie of what it unlinked, or 0.
    pub(super) fn cookie(&self) -> u8 {
        self.cookie
    }
}

/// The parent's reader, or the child's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    section: Section,
    /// Not there, or not yet there.
    unborn: Option<bool>,
}

impl Reader {
    /// Whether its section is over, or will never be.
    pub(super) fn is_done(&self) -> bool {
        self.section.at == SectionAt::Left || self.unborn == Some(false)
    }

    /// Whether it holds the old object.
    pub(super) fn holds(&self) -> bool {
        self.section.held
    }
}

/// The updater that is not the forking thread: queues its object for whoever reclaims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Updater {
    at: UpdaterAt,
    cookie: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum UpdaterAt {
    Unlink,
    Fence,
    Snapshot,
    Queue,
    Done,
}

impl Updater {
    /// One that unlinks, or one that does nothing.
    pub(super) fn new(unlinks: bool) -> Self {
        Self { at: if unlinks { UpdaterAt::Unlink } else { UpdaterAt::Done }, cookie: 0 }
    }
}

/// Takes the sequence through grace periods, in the parent and then in the child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Driver {
    at: DriverAt,
    s: u8,
    /// The slot it looks at next.
    cursor: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum DriverAt {
    #[default]
    Look,
    Begin,
    Heavy,
    HeavyWait,
    Middle,
    Scan,
    End,
    Done,
}

/// The slots, in the order of scans.
const SLOTS: [usize; 3] = [OWN_SLOT, READER_SLOT, LEAKED_SLOT];

/// A slot's contents while a section is open.
fn occupied(stamp: u8) -> u8 {
    stamp << 1 | 1
}

impl Driver {
    /// Whether it runs no more grace periods.
    pub(super) fn is_done(&self) -> bool {
        self.at == DriverAt::Done
    }

    /// Whether it waits for a slot.
    pub(super) fn is_blocked(&self, machine: &Memory) -> bool {
        let holds_up = |slot: u8| slot != 0 && slot != occupied(self.s + 2);
        self.at == DriverAt::Scan && holds_up(machine.load(DRIVER, SLOTS[usize::from(self.cursor)]))
    }
}

impl Fork {
    /// The child of this instant.
    pub(super) fn forked(&self, state: &State) -> State {
        let mut next = *state;
        let State { machine, .. } = &mut next;
        machine.fence(FORKER);
        [DRIVER, READER, UPDATER].into_iter().for_each(|thread| machine.vanish(thread));
        let seq = machine.load(FORKER, SEQ);
        let mut set = |location, value| {
            machine.store(FORKER, location, value, true);
            machine.fence(FORKER);
        };
        if !self.has(Mutation::KeepVanished) {
            set(READER_SLOT, 0);
        }
        if self.has(Mutation::ClearOwn) {
            set(OWN_SLOT, 0);
        }
        if self.has(Mutation::ClearLeaked) {
            set(LEAKED_SLOT, 0);
        }
        if self.has(Mutation::LowerSeq) {
            set(SEQ, seq & !3);
        }
        next.child = true;
        next.inherited = if seq & 3 == 0 { 0 } else { seq };
        next.driver = Driver::default();
        next.reader = Reader { unborn: Some(self.newborn), ..Reader::default() };
        next.updater = Updater::new(false);
        next
    }

    /// The steps of the forking thread but the fork.
    pub(super) fn forker_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let Forker { section, update, .. } = state.forker;
        if section.at == SectionAt::Inside && self.own && update != Update::Done {
            let mut next = *state;
            let State { machine, forker, .. } = &mut next;
            let what = match update {
                Update::Unlink => {
                    machine.store(FORKER, POINTER, 1, true);
                    forker.update = Update::Fence;
                    "unlinks: the pointer store is in its buffer"
                }
                Update::Fence => {
                    machine.fence(FORKER);
                    forker.update = Update::Snapshot;
                    "get_state: full fence"
                }
                Update::Snapshot | Update::Done => {
                    forker.cookie = (machine.load_acquire(FORKER, SEQ) + 7) & !3;
                    forker.update = Update::Done;
                    "get_state: loads seq"
                }
            };
            out.push((Step::Thread(FORKER, what), next));
            return;
        }
        self.section_steps(state, FORKER, section, OWN_SLOT, out, |state, section| {
            state.forker.section = section;
        });
    }

    /// The steps of the reader there is.
    pub(super) fn reader_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let Reader { section, unborn } = state.reader;
        match unborn {
            Some(false) => {}
            Some(true) => {
                let mut next = *state;
                next.machine.start(READER);
                next.reader.unborn = None;
                out.push((Step::Thread(READER, "is born"), next));
            }
            None => {
                self.section_steps(state, READER, section, READER_SLOT, out, |state, section| {
                    state.reader.section = section;
                })
            }
        }
    }

    fn section_steps(
        &self,
        state: &State,
        thread: usize,
        section: Section,
        slot: usize,
        out: &mut Vec<(Step, State)>,
        set: impl Fn(&mut State, Section),
    ) {
        let mut next = *state;
        let machine = &mut next.machine;
        let mut me = section;
        let what = match section.at {
            SectionAt::Enter | SectionAt::Inside if !machine.can_store(thread) => return,
            SectionAt::LoadSeq => {
                for (stamp, machine) in state.machine.loads(thread, SEQ) {
                    let mut next = State { machine, ..*state };
                    set(&mut next, Section { at: SectionAt::Enter, stamp, held: false });
                    out.push((Step::Thread(thread, "enters: loads seq"), next));
                }
                return;
            }
            SectionAt::Enter => {
                machine.store(thread, slot, occupied(me.stamp), true);
                me.stamp = 0;
                me.at = match self.strategy {
                    Strategy::Membarrier => SectionAt::Load,
                    Strategy::Fence => SectionAt::Fence,
                };
                "enters: the slot store is in its buffer"
            }
            SectionAt::Fence => {
                machine.fence(thread);
                me.at = SectionAt::Load;
                "enters: full fence"
            }
            SectionAt::Load => {
                for (value, machine) in state.machine.loads(thread, POINTER) {
                    let mut next = State { machine, ..*state };
                    let held = value == 0;
                    set(&mut next, Section { at: SectionAt::Inside, stamp: 0, held });
                    // No more early loads, and release stores only.
                    next.machine.harden(thread);
                    let what = if held { "finds the old object" } else { "finds the new one" };
                    out.push((Step::Thread(thread, what), next));
                }
                return;
            }
            SectionAt::Inside => {
                machine.store(thread, slot, 0, true);
                me.at = SectionAt::Left;
                me.held = false;
                "leaves: the slot store is in its buffer"
            }
            SectionAt::Left => return,
        };
        set(&mut next, me);
        out.push((Step::Thread(thread, what), next));
    }

    /// The steps of the other updater.
    pub(super) fn updater_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let mut next = *state;
        let State { machine, updater, .. } = &mut next;
        let what = match updater.at {
            UpdaterAt::Unlink => {
                machine.store(UPDATER, POINTER, 1, true);
                updater.at = UpdaterAt::Fence;
                "unlinks: the pointer store is in its buffer"
            }
            UpdaterAt::Fence => {
                machine.fence(UPDATER);
                updater.at = UpdaterAt::Snapshot;
                "get_state: full fence"
            }
            UpdaterAt::Snapshot => {
                updater.cookie = (machine.load(UPDATER, SEQ) + 7) & !3;
                updater.at = UpdaterAt::Queue;
                "get_state: loads seq"
            }
            UpdaterAt::Queue => {
                machine.store(UPDATER, QUEUED, updater.cookie, true);
                *updater = Updater::new(false);
                "queues the object: the store is in its buffer"
            }
            UpdaterAt::Done => return,
        };
        out.push((Step::Thread(UPDATER, what), next));
    }

    /// The steps of the driver.
    pub(super) fn driver_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        use DriverAt::*;
        let inherited = state.inherited;
        let mut next = *state;
        let State { machine, driver: me, .. } = &mut next;
        let advance = |machine: &mut Memory, by| {
            machine.update_acq_rel(DRIVER, SEQ, |seq| Some(seq + by)).is_some()
        };
        let what = match me.at {
            Look => {
                let seq = machine.load_acquire(DRIVER, SEQ);
                me.s = seq & !3;
                me.at = match seq & 3 {
                    _ if seq >= self.last() => Done,
                    0 => Begin,
                    1 if self.has(Mutation::NoHeavyInherited) && seq == inherited => Middle,
                    1 => Heavy,
                    _ if self.has(Mutation::NoScanInherited) && seq == inherited => End,
                    _ => Scan,
                };
                "loads seq"
            }
            Begin => {
                if !advance(machine, 1) {
                    return;
                }
                me.at = Heavy;
                "advances seq to s+1"
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
                if !advance(machine, 1) {
                    return;
                }
                me.at = Scan;
                "advances seq to s+2"
            }
            Scan if me.is_blocked(machine) => return,
            Scan => {
                me.cursor += 1;
                if usize::from(me.cursor) == SLOTS.len() {
                    me.cursor = 0;
                    me.at = End;
                }
                "passes a slot"
            }
            End => {
                if !advance(machine, 2) {
                    return;
                }
                me.at = Look;
                "advances seq to s+4"
            }
            Done => return,
        };
        out.push((Step::Thread(DRIVER, what), next));
    }
}
