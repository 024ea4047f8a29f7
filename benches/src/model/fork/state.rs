//! What the fork model is made of: its parameters, its state, its property.

use super::threads::{Driver, Forker, Reader, Updater};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};
use crate::model::strategy::Strategy;

/// Threads: the one that forks, a driver, a reader, an updater.
const THREADS: usize = 4;
/// The machine's number of the forking thread.
pub(super) const FORKER: usize = 0;
/// The machine's number of the driver, in parent and child.
pub(super) const DRIVER: usize = 1;
/// The machine's number of the reader, in parent and child.
pub(super) const READER: usize = 2;
/// The machine's number of the other updater.
pub(super) const UPDATER: usize = 3;

/// The sequence.
pub(super) const SEQ: usize = 0;
/// 0 while the object is reachable, 1 after.
pub(super) const POINTER: usize = 1;
/// The forking thread's slot.
pub(super) const OWN_SLOT: usize = 2;
/// The slot of the parent's reader; in the child, of the new one.
pub(super) const READER_SLOT: usize = 3;
/// The slot of a thread that exited earlier.
pub(super) const LEAKED_SLOT: usize = 4;
/// The cookie that the other updater's object is queued with; 0: none yet.
pub(super) const QUEUED: usize = 5;

/// The machine of this model: weak threads may load the sequence and the pointer early.
pub(super) type Memory = Machine<THREADS, 6, 2>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// The child lowers the sequence to idle: the grace period it inherits never was.
    LowerSeq,
    /// The child clears the forking thread's slot too.
    ClearOwn,
    /// The child goes on from an inherited s+1 without a heavy barrier.
    NoHeavyInherited,
    /// The child clears no slots.
    KeepVanished,
    /// The child clears slots leaked by earlier exits too.
    ClearLeaked,
    /// The child ends an inherited s+2 without a scan.
    NoScanInherited,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LowerSeq => "child-lowers-seq",
            Self::ClearOwn => "child-clears-own-slot",
            Self::NoHeavyInherited => "no heavy from an inherited s+1",
            Self::KeepVanished => "vanished-slots-kept",
            Self::ClearLeaked => "leaked-slots-cleared",
            Self::NoScanInherited => "no-scan-from-inherited-s2",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fork {
    pub(super) strategy: Strategy,
    pub(super) mutation: Option<Mutation>,
    /// Whether the forking thread unlinks, or the updater.
    pub(super) own: bool,
    /// Whether a thread that exited earlier has leaked a section that holds the object.
    pub(super) leaked: bool,
    /// Whether the child has a reader of its own.
    pub(super) newborn: bool,
    /// Grace periods after which drivers stop.
    pub(super) grace_periods: u8,
}

impl Fork {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The sequence at which drivers stop.
    pub(super) fn last(&self) -> u8 {
        4 * self.grace_periods
    }

    /// Whether nothing happens any more in the child but that its driver looks at slots.
    fn is_quiet(&self, state: &State) -> bool {
        state.child
            && state.forker.is_done()
            && state.reader.is_done()
            && (state.driver.is_done() || state.driver.is_blocked(&state.machine))
            && (0..THREADS).all(|thread| state.machine.is_drained(thread))
    }

    /// Whether the object has been freed: its cookie is done, for all to see.
    fn is_freed(&self, state: &State) -> bool {
        let cookie = match self.own {
            true => state.forker.cookie(),
            false => state.machine.load(DRIVER, QUEUED),
        };
        // The updater stores no sequence, so it sees what is in memory.
        cookie != 0 && state.machine.load(UPDATER, SEQ) >= cookie
    }
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) forker: Forker,
    pub(super) driver: Driver,
    pub(super) reader: Reader,
    pub(super) updater: Updater,
    /// Whether this is the child.
    pub(super) child: bool,
    /// What the sequence was at the fork, if a grace period was in progress.
    pub(super) inherited: u8,
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Thread(usize, &'static str),
}

impl Model for Fork {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        let mut machine = Memory::new(1 << FORKER | 1 << READER);
        if self.leaked {
            machine.store(DRIVER, LEAKED_SLOT, 1, true);
            machine.fence(DRIVER);
        }
        State {
            machine,
            forker: Forker::default(),
            driver: Driver::default(),
            reader: Reader::default(),
            updater: Updater::new(!self.own),
            child: false,
            inherited: 0,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let first = out.len();
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        if !state.child {
            out.push((Step::Thread(FORKER, "FORKS"), self.forked(state)));
        }
        self.forker_steps(state, out);
        self.driver_steps(state, out);
        self.reader_steps(state, out);
        self.updater_steps(state, out);
        out[first..].iter_mut().for_each(|(_, next)| next.machine.settle());
    }

    fn violation(&self, state: &State) -> Option<String> {
        if state.machine.is_forgetful() {
            return Some("the machine's windows are too small for this model".to_owned());
        }
        if self.is_freed(state) {
            let held = [
                (state.forker.holds(), "the forking thread"),
                (state.reader.holds(), "a reader"),
                (self.leaked, "a leaked guard"),
            ];
            if let Some((_, who)) = held.into_iter().find(|&(holds, _)| holds) {
                return Some(format!("{who} uses an object that was freed"));
            }
        }
        let stuck = self.is_quiet(state) && !state.driver.is_done() && !self.leaked;
        stuck.then(|| "the child's grace period never ends, though no section is open".to_owned())
    }

    fn is_final(&self, state: &State) -> bool {
        self.is_quiet(state)
    }

    fn describe(&self, _: &State, step: Step, to: &State) -> String {
        let place = if to.child { "child " } else { "parent" };
        let name = |thread| ["F", "D", "R", "U"][thread];
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    SEQ => "seq",
                    POINTER => "pointer",
                    OWN_SLOT => "slot of F",
                    READER_SLOT => "slot of R",
                    LEAKED_SLOT => "leaked slot",
                    _ => "queued cookie",
                };
                let who = name(thread);
                format!("{place} {who} store buffer: {what} = {value} reaches memory")
            }
            Step::Machine(Background::Barrier { by, on }) => {
                format!("{place} {} the heavy barrier of {} arrives", name(on), name(by))
            }
            Step::Thread(thread, what) => format!("{place} {} {what}", name(thread)),
        }
    }
}
