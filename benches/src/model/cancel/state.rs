//! What the model of a wait future is made of: its parameters, its state, its property.

use super::threads::{Engine, Future};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};

/// Threads: the one that has the future, and the engine's.
const THREADS: usize = 2;
/// The machine's number of the future's thread.
pub(super) const FUTURE: usize = 0;
/// The machine's number of the engine's thread.
pub(super) const ENGINE: usize = 1;

/// Whether the cookie is done.
pub(super) const SEQ: usize = 0;
/// The node's state: waiting, fired or cancelled.
pub(super) const STATE: usize = 1;
/// The node's waker: 0 for none.
pub(super) const WAKER: usize = 2;
/// What is being done to the waker.
pub(super) const LOCK: usize = 3;
/// References to the node.
pub(super) const REFERENCES: usize = 4;

/// The engine has fired.
pub(super) const FIRED: u8 = 1;
/// The future has been dropped.
pub(super) const CANCELLED: u8 = 2;
/// The waker is being registered.
pub(super) const REGISTERING: u8 = 1;
/// The waker is being taken.
pub(super) const TAKING: u8 = 2;

/// The machine of this model: stores may be overtaken, no load comes early.
pub(super) type Memory = Machine<THREADS, 5, 0>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// A poll does not look again after it has registered its waker.
    NoRecheck,
    /// Dropping the future frees the node.
    FreeAtCancel,
    /// The engine takes the waker, then moves the state.
    TakeBeforeState,
    /// References are dropped relaxed.
    RelaxedDrop,
    /// The waker's cell has no lock.
    BareCell,
    /// Who registers does not look whether somebody came to take the waker meanwhile.
    NoLookForTaking,
    /// The second look of a poll is at the cookie.
    RecheckCookie,
    /// The same, and there is no state; dropping the future takes the waker.
    NoState,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoRecheck => "no-recheck-after-registering",
            Self::FreeAtCancel => "free-at-cancel",
            Self::TakeBeforeState => "take-waker-before-state",
            Self::RelaxedDrop => "reference-dropped-relaxed",
            Self::BareCell => "waker-cell-without-lock",
            Self::NoLookForTaking => "registering ignores taking",
            Self::RecheckCookie => "second look at the cookie",
            Self::NoState => "no state word",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancel {
    pub(super) mutation: Option<Mutation>,
    /// Polls of a pending future that was not woken.
    pub(super) polls: u8,
}

impl Cancel {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether the second look is at the cookie.
    pub(super) fn rechecks_cookie(&self) -> bool {
        self.has(Mutation::RecheckCookie) || self.has(Mutation::NoState)
    }
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) future: Future,
    pub(super) engine: Engine,
    /// Whether the engine knows the node.
    pub(super) armed: bool,
    pub(super) freed: bool,
    /// Whether the node was used, or freed, after it was freed.
    pub(super) misused: bool,
    /// The set of wakers called and not yet answered by a poll.
    pub(super) woken: u8,
    /// Clones of wakers that are somewhere.
    pub(super) clones: u8,
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Thread(usize, &'static str),
}

impl Cancel {
    /// Whether nothing more happens but that a woken task polls or that the future is dropped.
    fn is_quiet(&self, state: &State) -> bool {
        (state.future.is_done() || state.future.is_pending())
            && (state.engine.is_done() || !state.armed)
            && (0..THREADS).all(|thread| state.machine.is_drained(thread))
    }
}

impl Model for Cancel {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        let mut machine = Memory::new(0b11);
        // Both references are there from the start; the engine's counts once the node is armed.
        machine.store(FUTURE, REFERENCES, 2, true);
        machine.fence(FUTURE);
        State {
            machine,
            future: Future::new(self.polls),
            engine: Engine::default(),
            armed: false,
            freed: false,
            misused: false,
            woken: 0,
            clones: 0,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        self.future_steps(state, out);
        self.engine_steps(state, out);
    }

    fn violation(&self, state: &State) -> Option<String> {
        let stores_left = (0..THREADS).any(|thread| !state.machine.is_drained(thread));
        if state.misused || state.freed && stores_left {
            return Some("the node is used after it was freed".to_owned());
        }
        if state.future.is_writing_waker() && state.engine.is_reading_waker() {
            return Some("the waker's cell is written and read at once".to_owned());
        }
        if !self.is_quiet(state) {
            return None;
        }
        if state.future.is_pending() && !state.future.is_woken(state.woken) {
            return Some("the future is pending, and its task will not be woken".to_owned());
        }
        let over = state.future.is_done();
        if over && state.armed && !state.freed {
            return Some("the node is never freed".to_owned());
        }
        (over && state.clones != 0).then(|| "a waker is never dropped".to_owned())
    }

    fn is_final(&self, state: &State) -> bool {
        self.is_quiet(state) && state.future.is_done()
    }

    fn describe(&self, _: &State, step: Step, _: &State) -> String {
        let name = |thread| if thread == FUTURE { "future" } else { "engine" };
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = ["seq", "state", "waker", "waker lock", "references"][location];
                format!("{} store buffer: {what} = {value} reaches memory", name(thread))
            }
            Step::Machine(Background::Barrier { .. }) => "heavy barrier".to_owned(),
            Step::Thread(thread, what) => format!("{} {what}", name(thread)),
        }
    }
}
