//! What the model of waiter sharing is made of: its parameters, its state, its property.

use super::threads::{Task, Waiter};
use crate::model::engine::Model;
use crate::model::machine::{Background, Machine};

/// Threads at most: three waiters and the task's.
const THREADS: usize = 4;
/// The machine's number of the task's thread; waiters come first.
pub(super) const TASK: usize = 3;
/// The furthest cookie asked for.
pub(super) const REQUESTED: usize = 0;
/// How many waiters are announced as sleepers.
pub(super) const SLEEPERS: usize = 1;
/// What they sleep on.
pub(super) const EVENT: usize = 2;
/// Whether the task is in use.
pub(super) const ACTIVE: usize = 3;
/// The sequence.
pub(super) const SEQ: usize = 4;

/// Grace periods that may end after the last waiter has come: the one in progress, and the next.
const ENOUGH: u8 = 2;

/// The machine of this model: the request and the number of sleepers may be loaded early.
pub(super) type Memory = Machine<THREADS, 5, 2>;

/// The one thing that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// No fence between announcing a sleeper and looking at the sequence.
    NoFenceWaiting,
    /// No fence between the end of a grace period and looking for sleepers.
    NoFenceEnding,
    /// The end of a grace period wakes one sleeper.
    WakeOne,
    /// The task retires without another look at what is asked for.
    RetireWithoutRecheck,
    /// The task retires by a store, not by a swap.
    RetireByStore,
    /// Who asks looks whether the task is in use, and then says so by a store.
    RequestWithoutSwap,
    /// Who asks looks whether the task is in use, and swaps only if it is not.
    LookThenSwap,
    /// A waiter that wakes takes a new cookie.
    NewCookieEachTime,
}

impl Mutation {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoFenceWaiting => "no-fence-waiting",
            Self::NoFenceEnding => "no-fence-ending",
            Self::WakeOne => "wake-one",
            Self::RetireWithoutRecheck => "retire-without-recheck",
            Self::RetireByStore => "retire-by-store",
            Self::RequestWithoutSwap => "request-without-swap",
            Self::LookThenSwap => "request-looks-before-swap",
            Self::NewCookieEachTime => "new-cookie-at-each-wake",
        }
    }
}

/// What read-modify-writes order, and what else is like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Acquire and release; relaxed loads may come early.
    AcqRel,
    /// Everything, and loads come in order, as on x86.
    Full,
}

impl Order {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AcqRel => "AcqRel",
            Self::Full => "x86",
        }
    }
}

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing {
    pub(super) order: Order,
    pub(super) mutation: Option<Mutation>,
    /// Waiters that ask the task.
    pub(super) sleepers: usize,
    /// Waiters that drive; they come after the others.
    pub(super) drivers: usize,
}

impl Sharing {
    /// Whether this is the thing that is different.
    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Waiters of both kinds.
    fn waiters(&self) -> usize {
        self.sleepers + self.drivers
    }

    /// Every state one step away.
    fn all_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        // A fence with nothing to drain may as well come before all else: what is loaded behind it
        // may then be older, not newer.
        let drained = |thread| state.machine.is_drained(thread);
        let fence = (0..self.waiters()).find(|&it| state.waiters[it].is_at_fence() && drained(it));
        if let Some(waiter) = fence {
            return self.waiter_steps(state, waiter, out);
        }
        if state.task.is_at_fence() && drained(TASK) {
            return self.task_steps(state, out);
        }
        state.machine.background(|step, machine| {
            out.push((Step::Machine(step), State { machine, ..*state }));
        });
        (0..self.waiters()).for_each(|waiter| self.waiter_steps(state, waiter, out));
        self.task_steps(state, out);
    }

    /// Whether nothing happens any more but that somebody wakes.
    fn is_quiet(&self, state: &State) -> bool {
        state.waiters[..self.waiters()].iter().all(|it| it.is_done() || it.is_asleep())
            && state.task.is_idle()
            && state.queued == 0
            && (0..THREADS).all(|thread| state.machine.is_drained(thread))
    }
}

/// Everything the future depends on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct State {
    pub(super) machine: Memory,
    pub(super) waiters: [Waiter; 3],
    pub(super) task: Task,
    /// How many times the task is in the executor's inbox.
    pub(super) queued: u8,
    /// What the sequence was when the latest waiter came.
    pub(super) latest: u8,
    /// The furthest cookie anybody has taken.
    pub(super) furthest: u8,
}

/// Who did what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Machine(Background),
    Thread(usize, &'static str),
}

impl Model for Sharing {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State {
            machine: Memory::new(match self.order {
                Order::AcqRel => (1 << THREADS) - 1,
                Order::Full => 0,
            }),
            waiters: std::array::from_fn(|it| Waiter::new(it >= self.sleepers)),
            task: Task::default(),
            queued: 0,
            latest: 0,
            furthest: 0,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let first = out.len();
        self.all_steps(state, out);
        for (_, next) in &mut out[first..] {
            // A count that nobody compares may as well start anew.
            if !next.waiters.iter().any(Waiter::minds_event) {
                next.machine.forget(EVENT);
            }
        }
    }

    fn violation(&self, state: &State) -> Option<String> {
        if state.machine.is_forgetful() {
            return Some("the machine's windows are too small for this model".to_owned());
        }
        if state.queued > 1 {
            return Some("the task is in the executor's inbox twice".to_owned());
        }
        let waiters = &state.waiters[..self.waiters()];
        let seq = (0..THREADS).map(|it| state.machine.load(it, SEQ)).max().unwrap_or(0);
        if waiters.iter().all(Waiter::has_come) && seq / 2 > state.latest / 2 + ENOUGH {
            return Some("a third grace period has ended since the last waiter came".to_owned());
        }
        if seq > state.furthest {
            return Some("a grace period has begun that nobody waits for".to_owned());
        }
        let asleep = waiters.iter().position(Waiter::is_asleep)?;
        self.is_quiet(state).then(|| {
            let cookie = waiters[asleep].cookie();
            if seq >= cookie {
                format!("W{asleep} sleeps, though its cookie {cookie} is done")
            } else {
                format!("the request of W{asleep} for {cookie} is forgotten")
            }
        })
    }

    fn is_final(&self, state: &State) -> bool {
        self.is_quiet(state) && !state.waiters.iter().any(Waiter::is_asleep)
    }

    fn describe(&self, _: &State, step: Step, to: &State) -> String {
        let name = |thread| match thread {
            TASK => "task".to_owned(),
            _ => format!("W{thread}"),
        };
        match step {
            Step::Machine(Background::Flush { thread, location, value }) => {
                let what = match location {
                    REQUESTED => "requested",
                    SLEEPERS => "sleepers",
                    EVENT => "event",
                    ACTIVE => "active",
                    _ => "seq",
                };
                format!("{:<4} store buffer: {what} = {value} reaches memory", name(thread))
            }
            Step::Machine(Background::Barrier { .. }) => "heavy barrier".to_owned(),
            Step::Thread(TASK, what) => format!("task {what}"),
            Step::Thread(thread, what) => {
                format!("{:<4} {what} (cookie {})", name(thread), to.waiters[thread].cookie())
            }
        }
    }
}
