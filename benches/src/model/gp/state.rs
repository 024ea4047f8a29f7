//! What the grace-period model is made of: its parameters, its state, its property.

use std::fmt::Write as _;

use super::driver::Driver;
use super::reader::Reader;
use super::updater::Updater;
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};
use crate::model::strategy::Strategy;

/// Threads at most, of all kinds.
pub(super) const THREADS: usize = 4;
/// Where the sequence is.
pub(super) const SEQ: usize = 0;
/// Where the first updater's pointer is; the second's is next to it. It holds 0 while the object
/// that updater will unlink is reachable, and 1 after.
pub(super) const POINTER: usize = 1;
/// Where the first reader's slot is; the second's is next to it.
pub(super) const SLOT: usize = 3;

/// The machine of this model: weak threads may load the sequence and the pointers early.
pub(super) type Memory = Machine<THREADS, 5, 3>;

/// How a heavy barrier reaches the other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heavy {
    /// Each at an instant of its own, as the real one does.
    EachAtItsOwn,
    /// All at once, as none does.
    AtOneInstant,
}

/// What the drivers' compare-exchanges order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Acquire and release, which is all the protocol asks for.
    AcqRel,
    /// Everything, as on x86.
    FullBarrier,
}

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Drivers go from s+1 to s+2 without a heavy barrier.
    NoHeavy,
    /// `get_state` has no fence.
    LightSnapshot,
    /// The scan also skips readers stamped s+1; they load seq relaxed as ever.
    SkipS1Relaxed,
    /// The same with an acquire load of seq in every section, which makes it safe.
    SkipS1Acquire,
    /// The heavy barrier comes after the scan.
    ScanBeforeHeavy,
    /// The cookie is one grace period too early: `(seq + 3) & !3`.
    SnapshotEarly,
    /// Drivers store the sequence instead of exchanging it.
    PlainStores,
    /// A driver that finds s+1 goes on without a heavy barrier of its own.
    NoOwnHeavy,
    /// Drivers load seq relaxed before they scan, so that the scan's loads may come before that.
    RelaxedLook,
    /// A nested section, opened by a signal handler before the outer one's fence, has no fence.
    FenceOutermostOnly,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoHeavy => "no-heavy",
            Self::LightSnapshot => "light-snapshot",
            Self::SkipS1Relaxed => "skip-s1-relaxed",
            Self::SkipS1Acquire => "skip-s1-acquire",
            Self::ScanBeforeHeavy => "scan-before-heavy",
            Self::SnapshotEarly => "snapshot-early",
            Self::PlainStores => "two-drivers-plain-stores",
            Self::NoOwnHeavy => "driver-skips-own-heavy",
            Self::RelaxedLook => "relaxed-load-before-scan",
            Self::FenceOutermostOnly => "fence-outermost-only",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gp {
    pub(super) strategy: Strategy,
    pub(super) heavy: Heavy,
    pub(super) exchange: Exchange,
    /// Whether barriers that change nothing arrive at once, which saves states.
    pub(super) settles: bool,
    pub(super) mutation: Option<Mutation>,
    pub(super) updaters: usize,
    pub(super) drivers: usize,
    pub(super) readers: usize,
    /// Outermost sections of each reader.
    pub(super) sections: u8,
    /// Whether a signal handler opens a section inside each reader's first, before its fence.
    pub(super) handler: bool,
    /// Grace periods after which the drivers stop.
    pub(super) grace_periods: u8,
}

impl Gp {
    /// The protocol as designed, without threads.
    pub(super) fn new(strategy: Strategy, grace_periods: u8) -> Self {
        Self {
            strategy,
            heavy: Heavy::EachAtItsOwn,
            exchange: Exchange::AcqRel,
            settles: true,
            mutation: None,
            updaters: 0,
            drivers: 0,
            readers: 0,
            sections: 0,
            handler: false,
            grace_periods,
        }
    }

    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The sequence at which the drivers stop.
    pub(super) fn last(&self) -> u8 {
        4 * self.grace_periods
    }

    /// The machine's number of a driver; updaters come first.
    pub(super) fn driver_thread(&self, driver: usize) -> usize {
        self.updaters + driver
    }

    /// The machine's number of a reader; readers come last.
    pub(super) fn reader_thread(&self, reader: usize) -> usize {
        self.updaters + self.drivers + reader
    }

    /// Such as `R0`, for the machine's number of a thread.
    fn thread_name(&self, thread: usize) -> String {
        if thread < self.updaters {
            format!("U{thread}")
        } else if thread < self.updaters + self.drivers {
            format!("D{}", thread - self.updaters)
        } else {
            format!("R{}", thread - self.updaters - self.drivers)
        }
    }
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) updaters: [Updater; 2],
    pub(super) drivers: [Driver; 2],
    pub(super) readers: [Reader; 2],
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Updater(usize, &'static str),
    Driver(usize, &'static str),
    Reader(usize, &'static str),
}

impl Model for Gp {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        let readers = (0..self.readers).map(|reader| 1 << self.reader_thread(reader)).sum();
        State {
            machine: Memory::new(readers),
            updaters: Default::default(),
            drivers: std::array::from_fn(|_| self.new_driver()),
            readers: std::array::from_fn(|_| Reader::new(self.sections)),
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let first = out.len();
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        (0..self.updaters).for_each(|updater| self.updater_steps(state, updater, out));
        (0..self.drivers).for_each(|driver| self.driver_steps(state, driver, out));
        (0..self.readers).for_each(|reader| self.reader_steps(state, reader, out));
        if self.settles {
            out[first..].iter_mut().for_each(|(_, next)| next.machine.settle());
        }
        if self.has(Mutation::RelaxedLook) {
            for (step, next) in &mut out[first..] {
                self.load_slots_early(state, *step, next);
            }
        }
    }

    /// A reader may use what it holds at any moment of its section: it must not be freed at any.
    fn violation(&self, state: &State) -> Option<String> {
        // Only plain stores make the sequence go back and so give it a history this long.
        if state.machine.is_forgetful() && !self.has(Mutation::PlainStores) {
            return Some("the machine's windows are too small for this model".to_owned());
        }
        for (reader, held) in state.readers.iter().map(|reader| reader.held).enumerate() {
            for updater in 0..self.updaters {
                if held >> updater & 1 == 1 && state.updaters[updater].has_freed() {
                    return Some(format!(
                        "R{reader} uses the object that U{updater} unlinked and freed"
                    ));
                }
            }
        }
        None
    }

    fn is_final(&self, state: &State) -> bool {
        let readers = state.readers[..self.readers].iter().all(Reader::is_done);
        let drivers = state.drivers[..self.drivers].iter().all(Driver::is_done);
        let updaters = state.updaters[..self.updaters].iter().all(|it| it.is_done(self.last()));
        readers && drivers && updaters && (0..THREADS).all(|it| state.machine.is_drained(it))
    }

    fn describe(&self, from: &State, step: Step, to: &State) -> String {
        let (who, mut line) = match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    SEQ => format!("seq = {value}"),
                    SLOT.. => slot_text(location - SLOT, value),
                    _ => format!("pointer {} = new", location - POINTER),
                };
                (thread, format!("store buffer: {what} reaches memory"))
            }
            Step::Machine(Background::Barrier { by, on }) => {
                let by = self.thread_name(by);
                (on, format!("the heavy barrier of {by} arrives: buffer drained, early loads void"))
            }
            Step::Updater(at, what) => (at, to.updaters[at].text(what, at)),
            Step::Driver(at, what) => (self.driver_thread(at), from.drivers[at].text(what)),
            Step::Reader(at, what) => {
                (self.reader_thread(at), from.readers[at].text(what, &to.readers[at]))
            }
        };
        for by in 0..THREADS {
            let arrived = self.arrived(from, to, by);
            for on in (0..THREADS).filter(|on| arrived >> on & 1 == 1) {
                if !matches!(step, Step::Machine(Background::Barrier { .. })) || on != who {
                    let (by, on) = (self.thread_name(by), self.thread_name(on));
                    let _ =
                        write!(line, "; the barrier of {by} arrives on {on} (nothing to drain)");
                }
            }
        }
        format!("{:<3} {line}", self.thread_name(who))
    }
}

impl Gp {
    /// The set of threads on which the heavy barrier of `by` arrived between two states.
    pub(super) fn arrived(&self, from: &State, to: &State, by: usize) -> u8 {
        // A barrier that starts and arrives in one step is awaited neither before nor after.
        let started = to.drivers.iter().zip(&from.drivers).enumerate().any(|(at, (new, old))| {
            self.driver_thread(at) == by && new.waits_for_heavy() && !old.waits_for_heavy()
        });
        let before = if started { self.all_but(by) } else { from.machine.awaited(by) };
        before & !to.machine.awaited(by)
    }

    /// The set of this configuration's threads without one.
    fn all_but(&self, thread: usize) -> u8 {
        let threads = self.updaters + self.drivers + self.readers;
        ((1 << threads) - 1) & !(1 << thread)
    }
}

/// A slot's contents in words.
fn slot_text(reader: usize, value: u8) -> String {
    match value {
        0 => format!("slot {reader} = idle"),
        _ => format!("slot {reader} = stamp {}, nesting {}", value >> 2, value & 3),
    }
}
