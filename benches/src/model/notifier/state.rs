//! What the notifier model is made of: its parameters, its state, its property.

use super::calls::Calls;
use super::threads::{Ender, Passer, Pusher, Worker};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};

/// Threads: two pushers, the ender of grace periods, two workers, one passing by.
const THREADS: usize = 6;
/// Number of the last grace period that has ended.
pub(super) const SEQ: usize = 0;
/// The shard's stack: the set of leaves on it.
pub(super) const STACK: usize = 1;
/// The engine's stack of notifiers: the set of those on it.
pub(super) const NOTIFIERS: usize = 2;
/// Whether the first notifier is armed; the second's is next to it.
pub(super) const ARMED: usize = 3;

/// The machine's number of the ender; pushers come first.
pub(super) const ENDER: usize = 2;
/// The machine's number of the first worker.
pub(super) const WORKER: usize = 3;
/// The machine's number of the thread that passes by.
pub(super) const PASSER: usize = 5;

/// The machine of this model: no thread loads early.
pub(super) type Memory = Machine<THREADS, 5, 0>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// A called reaper takes the stack, then disarms.
    TakeBeforeDisarm,
    /// A called reaper that finds the reap lock busy leaves.
    GiveUpOnBusyLock,
    /// A reaper does not arm for what it keeps.
    NoRearm,
    /// No fence between arming and looking whether the cookie is done.
    NoFenceArming,
    /// No fence between the end of a grace period and looking at the notifiers.
    NoFenceEnding,
    /// Notifiers put back are not looked at again.
    NoRecheck,
    /// A pusher that arms does not look whether the cookie is done already.
    NoLookAfterArming,
}

impl Mutation {
    /// In the order of tables.
    pub(super) const ALL: [Self; 7] = [
        Self::TakeBeforeDisarm,
        Self::GiveUpOnBusyLock,
        Self::NoRearm,
        Self::NoFenceArming,
        Self::NoFenceEnding,
        Self::NoRecheck,
        Self::NoLookAfterArming,
    ];

    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TakeBeforeDisarm => "take-before-disarm",
            Self::GiveUpOnBusyLock => "give-up-on-busy-lock",
            Self::NoRearm => "no-rearm",
            Self::NoFenceArming => "no-fence-arming",
            Self::NoFenceEnding => "no-fence-ending",
            Self::NoRecheck => "no-recheck-after-putting-back",
            Self::NoLookAfterArming => "no-look-after-arming",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notifier {
    pub(super) mutation: Option<Mutation>,
    pub(super) pushers: usize,
    /// Leaves of each pusher.
    pub(super) leaves: u8,
    /// Threads that reap without having been called: none or one.
    pub(super) passers: usize,
    pub(super) grace_periods: u8,
}

impl Notifier {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

/// What threads share under locks, or by handing it over.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Shared {
    /// The cookie of each leaf from its closing until it is processed.
    pub(super) cookies: [u8; 4],
    /// The cookie of each notifier, written by who armed it, until it is called.
    pub(super) waits_for: [u8; 2],
    /// The set of notifiers called whose reaper has not begun.
    pub(super) called: u8,
    /// Whether the reap lock is held.
    pub(super) locked: bool,
    /// The set of leaves in batches.
    pub(super) filed: u8,
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) shared: Shared,
    pub(super) pushers: [Pusher; 2],
    pub(super) ender: Ender,
    pub(super) workers: [Worker; 2],
    pub(super) passer: Passer,
    /// What each thread is doing with notifiers.
    pub(super) calls: [Calls; THREADS],
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Thread(usize, &'static str),
}

impl Notifier {
    /// Whether nothing more will happen.
    fn is_quiet(&self, state: &State) -> bool {
        state.pushers[..self.pushers].iter().all(Pusher::is_done)
            && state.ender.is_done()
            && state.workers.iter().all(Worker::is_idle)
            && (self.passers == 0 || state.passer.is_done())
            && state.calls.iter().all(Calls::is_idle)
            && state.shared.called == 0
            && (0..THREADS).all(|thread| state.machine.is_drained(thread))
    }
}

impl Model for Notifier {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State {
            machine: Memory::new(0),
            shared: Shared::default(),
            pushers: std::array::from_fn(|_| Pusher::new(self.leaves)),
            ender: Ender::default(),
            workers: Default::default(),
            passer: Passer::default(),
            calls: Default::default(),
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        for thread in 0..THREADS {
            // A step that touches nothing but its thread may as well come before all others.
            let local = if state.calls[thread].is_idle() {
                (WORKER..PASSER).contains(&thread) && state.workers[thread - WORKER].is_local()
            } else {
                state.calls[thread].is_fence() && state.machine.is_drained(thread)
            };
            if local {
                out.clear();
            }
            if state.calls[thread].is_idle() {
                self.thread_steps(state, thread, out);
            } else {
                self.call_steps(state, thread, out);
            }
            if local {
                return;
            }
        }
    }

    /// Whoever is quiet must have nothing left to do.
    fn violation(&self, state: &State) -> Option<String> {
        let left = state.shared.cookies.iter().position(|&cookie| cookie != 0)?;
        self.is_quiet(state)
            .then(|| format!("leaf {left} is stranded: nobody will look at it again"))
    }

    fn is_final(&self, state: &State) -> bool {
        self.is_quiet(state)
    }

    fn describe(&self, _: &State, step: Step, to: &State) -> String {
        let name = |thread: usize| match thread {
            ENDER => "ender".to_owned(),
            PASSER => "passer".to_owned(),
            WORKER.. => format!("reaper {}", thread - WORKER),
            _ => format!("pusher {thread}"),
        };
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    SEQ => format!("seq = {value}"),
                    STACK => format!("stack = {value:04b}"),
                    NOTIFIERS => format!("notifiers = {value:02b}"),
                    _ => format!("armed {} = {value}", location - ARMED),
                };
                format!("{:<9} store buffer: {what} reaches memory", name(thread))
            }
            Step::Machine(Background::Barrier { .. }) => "heavy barrier".to_owned(),
            Step::Thread(thread, what) => {
                let detail = match thread {
                    ENDER.. => String::new(),
                    _ => to.pushers[thread].detail(),
                };
                format!("{:<9} {what}{detail}", name(thread))
            }
        }
    }
}
