//! What the model of sleep and wake is made of: its parameters, its state, its property.

use super::threads::{Driver, Reader};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};
use crate::model::strategy::Strategy;

/// Threads at most, of both kinds.
const THREADS: usize = 4;
/// Where the first reader's flag is; the second's is next to it.
pub(super) const WAKE: usize = 0;
/// Where the first reader's slot is; the second's is next to it.
pub(super) const SLOT: usize = 2;
/// What drivers sleep on.
pub(super) const EVENT: usize = 4;
/// How many drivers are announced as sleepers.
pub(super) const SLEEPERS: usize = 5;
/// Whether the grace period is over.
pub(super) const SEQ: usize = 6;

/// The machine of this model: weak threads may load their flags early.
pub(super) type Memory = Machine<THREADS, 7, 2>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// A driver raises the flag and runs no heavy barrier.
    NoSecondHeavy,
    /// A driver does not look again before it sleeps.
    NoRescan,
    /// A section's end loads the flag, then stores its slot.
    FlagBeforeSlot,
    /// In `Fence`, a section's end has no fence between its slot and the flag.
    NoFenceInReader,
    /// A section's end wakes one sleeper.
    WakeOne,
    /// A driver reads the event count after it has raised the flag.
    EventAfterFlag,
    /// A driver that leaves by timeout lowers the flag.
    ClearAtTimeout,
    /// A driver that finds the flag raised runs no heavy barrier of its own.
    BorrowedHeavy,
    /// The second look is at the slots only, not at the sequence.
    RescanWithoutSeq,
    /// The end of the grace period wakes nobody.
    EndWakesNobody,
    /// A section's end lowers its flag by a plain store.
    PlainClear,
    /// A section's end bumps the event count, then lowers its flag, then wakes.
    BumpBeforeClear,
    /// A section's end wakes one sleeper, and no driver ever gives up.
    WakeOneNoTimeout,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoSecondHeavy => "no-second-heavy",
            Self::NoRescan => "no-rescan",
            Self::FlagBeforeSlot => "flag-loaded-before-slot-stored",
            Self::NoFenceInReader => "no-fence-at-section-end",
            Self::WakeOne => "wake-one",
            Self::EventAfterFlag => "event-read-after-flag",
            Self::ClearAtTimeout => "clear-flag-at-timeout",
            Self::BorrowedHeavy => "flag-found-raised-no-heavy",
            Self::RescanWithoutSeq => "rescan-without-seq",
            Self::EndWakesNobody => "grace-period-end-wakes-nobody",
            Self::PlainClear => "flag lowered by a plain store",
            Self::BumpBeforeClear => "event bumped before flag is lowered",
            Self::WakeOneNoTimeout => "wake-one where nobody gives up",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub(super) strategy: Strategy,
    pub(super) mutation: Option<Mutation>,
    pub(super) drivers: usize,
    pub(super) readers: usize,
    /// Sections of each reader that block the scan, one after the other.
    pub(super) sections: u8,
    /// Whether each reader opens one more, of a later grace period, that never ends.
    pub(super) holds: bool,
    /// Whether a signal handler may open a section while a section's end is under way.
    pub(super) handler: bool,
    /// Whether the first driver may give up at any time.
    pub(super) impatient: bool,
}

impl Wake {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The machine's number of a reader; drivers come first.
    pub(super) fn reader_thread(&self, reader: usize) -> usize {
        self.drivers + reader
    }

    /// Whether all that is left to do is to be woken.
    fn is_quiet(&self, state: &State) -> bool {
        state.drivers[..self.drivers].iter().all(|it| it.is_done() || it.is_asleep())
            && state.readers[..self.readers].iter().all(Reader::is_done)
            && (0..THREADS).all(|thread| state.machine.is_drained(thread))
    }
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) drivers: [Driver; 2],
    pub(super) readers: [Reader; 2],
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Driver(usize, &'static str),
    Reader(usize, &'static str),
}

impl Model for Wake {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        let readers = (0..self.readers).map(|reader| 1 << self.reader_thread(reader)).sum();
        State {
            machine: Memory::new(readers),
            drivers: Default::default(),
            readers: std::array::from_fn(|_| Reader::new(self.sections, self.handler)),
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let first = out.len();
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        (0..self.drivers).for_each(|driver| self.driver_steps(state, driver, out));
        (0..self.readers).for_each(|reader| self.reader_steps(state, reader, out));
        out[first..].iter_mut().for_each(|(_, next)| next.machine.settle());
    }

    /// When nothing else is going to happen, nobody may be asleep: all sections have ended but those
    /// that concern no driver.
    fn violation(&self, state: &State) -> Option<String> {
        if state.machine.is_forgetful() {
            return Some("the machine's windows are too small for this model".to_owned());
        }
        let asleep = state.drivers.iter().position(Driver::is_asleep)?;
        self.is_quiet(state).then(|| format!("D{asleep} sleeps and nobody will wake it"))
    }

    fn is_final(&self, state: &State) -> bool {
        self.is_quiet(state) && !state.drivers.iter().any(Driver::is_asleep)
    }

    fn describe(&self, _: &State, step: Step, _: &State) -> String {
        let name = |thread| match thread {
            thread if thread < self.drivers => format!("D{thread}"),
            _ => format!("R{}", thread - self.drivers),
        };
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    SEQ => "seq",
                    SLEEPERS => "sleepers",
                    EVENT => "event",
                    SLOT.. => "slot",
                    _ => "flag",
                };
                format!("{:<3} store buffer: {what} = {value} reaches memory", name(thread))
            }
            Step::Machine(Background::Barrier { by, on }) => {
                format!("{:<3} the heavy barrier of {} arrives", name(on), name(by))
            }
            Step::Driver(driver, what) => format!("D{driver}  {what}"),
            Step::Reader(reader, what) => format!("R{reader}  {what}"),
        }
    }
}
