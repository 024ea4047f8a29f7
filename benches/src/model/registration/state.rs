//! What the model of registration is made of: its parameters, its state, its property.

use super::threads::{Driver, Reader, Updater};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};
use crate::model::strategy::Strategy;

/// Threads: an updater, a driver, two readers.
const THREADS: usize = 4;
/// The machine's number of the updater.
pub(super) const UPDATER: usize = 0;
/// The machine's number of the driver.
pub(super) const DRIVER: usize = 1;
/// The machine's number of the first reader.
pub(super) const READER: usize = 2;

/// The sequence.
pub(super) const SEQ: usize = 0;
/// 0 while the object is reachable, 1 after.
pub(super) const POINTER: usize = 1;
/// The registry's list: the number of its first slot plus one. The second slot made is before the
/// first in the list.
pub(super) const HEAD: usize = 2;
/// Whether the second slot's link to the first has been written.
pub(super) const LINK: usize = 3;
/// The first slot; the second is next to it.
pub(super) const SLOT: usize = 4;
/// The registry's lock.
pub(super) const LOCK: usize = 6;

/// The machine of this model: weak threads may load the sequence and the pointer early.
pub(super) type Memory = Machine<THREADS, 7, 2>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// The scan begins at what the list's head was before the heavy barrier.
    HeadBeforeHeavy,
    /// A thread enters its first section, then pushes its slot.
    EnterBeforePush,
    /// The list's head is stored relaxed.
    PushRelaxed,
    /// A thread that exits with a section open gives its slot back as it is.
    GiveBackOpen,
    /// A thread that exits with a section open ends it.
    EndAtExit,
    /// The lock is released by a relaxed store.
    GiveBackRelaxed,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HeadBeforeHeavy => "head-before-heavy",
            Self::EnterBeforePush => "enter-before-push",
            Self::PushRelaxed => "push-relaxed",
            Self::GiveBackOpen => "give-back-open-slot",
            Self::EndAtExit => "end-leaked-section-at-exit",
            Self::GiveBackRelaxed => "give-back-relaxed",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registering {
    pub(super) strategy: Strategy,
    pub(super) mutation: Option<Mutation>,
    /// Readers that are there from the start.
    pub(super) old: usize,
    /// Readers that are born at some time.
    pub(super) new: usize,
    /// Whether the first reader never leaves its section.
    pub(super) leaks: bool,
    /// Whether the first reader has registered before anything else happens.
    pub(super) registered: bool,
    pub(super) grace_periods: u8,
}

impl Registering {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Readers of both kinds.
    pub(super) fn readers(&self) -> usize {
        self.old + self.new
    }

    /// The sequence at which the driver stops.
    pub(super) fn last(&self) -> u8 {
        4 * self.grace_periods
    }
}

/// Slots without a thread, and slots made; used under the lock only.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Slots {
    pub(super) free: u8,
    pub(super) made: u8,
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) slots: Slots,
    pub(super) updater: Updater,
    pub(super) driver: Driver,
    pub(super) readers: [Reader; 2],
    /// Whether the scan followed a link that was not there yet.
    pub(super) astray: bool,
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Thread(usize, &'static str),
}

impl Model for Registering {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        let mut machine = Memory::new(((1 << self.old) - 1) << READER);
        if self.registered {
            machine.store(DRIVER, HEAD, 1, true);
            machine.fence(DRIVER);
            machine.fence(READER);
        }
        State {
            machine,
            slots: Slots { free: 0, made: self.registered.into() },
            updater: Updater::default(),
            driver: Driver::default(),
            readers: std::array::from_fn(|it| self.new_reader(it)),
            astray: false,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let first = out.len();
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        self.updater_steps(state, out);
        self.driver_steps(state, out);
        (0..self.readers()).for_each(|reader| self.reader_steps(state, reader, out));
        out[first..].iter_mut().for_each(|(_, next)| next.machine.settle());
    }

    fn violation(&self, state: &State) -> Option<String> {
        if state.machine.is_forgetful() {
            return Some("the machine's windows are too small for this model".to_owned());
        }
        if state.astray {
            return Some("the scan follows a link that has not been written".to_owned());
        }
        let holder = state.readers.iter().position(Reader::holds)?;
        state.updater.has_freed().then(|| format!("R{holder} uses an object that was freed"))
    }

    fn is_final(&self, state: &State) -> bool {
        let readers = state.readers[..self.readers()].iter().all(Reader::is_done);
        // A leaked guard stops grace periods for ever.
        let leaked = state.readers.iter().any(Reader::has_leaked);
        let driver = state.driver.is_done() || leaked && state.driver.is_scanning();
        let updater = state.updater.is_done(self.last()) || leaked && state.updater.is_waiting();
        readers && driver && updater && (0..THREADS).all(|it| state.machine.is_drained(it))
    }

    fn describe(&self, _: &State, step: Step, _: &State) -> String {
        let name = |thread| match thread {
            UPDATER => "U".to_owned(),
            DRIVER => "D".to_owned(),
            _ => format!("R{}", thread - READER),
        };
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    SEQ => "seq",
                    POINTER => "pointer",
                    HEAD => "head",
                    LINK => "link",
                    LOCK => "lock",
                    SLOT => "slot 0",
                    _ => "slot 1",
                };
                format!("{:<3} store buffer: {what} = {value} reaches memory", name(thread))
            }
            Step::Machine(Background::Barrier { by, on }) => {
                format!("{:<3} the heavy barrier of {} arrives", name(on), name(by))
            }
            Step::Thread(thread, what) => format!("{:<3} {what}", name(thread)),
        }
    }
}
