//! The gate all threads of a run pass: it can hold them up, for a stutter, and send them home.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(super) struct Gate {
    /// Whether to look at the state at all.
    closed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    paused: bool,
    stopped: bool,
    parked: usize,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        }
    }

    /// Goes through at once while the gate is open; waits while it is paused. False when it is time
    /// to go home.
    #[inline]
    pub(super) fn pass(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) || self.pass_closed()
    }

    #[cold]
    fn pass_closed(&self) -> bool {
        let mut state = self.lock();
        if state.paused && !state.stopped {
            state.parked += 1;
            while state.paused && !state.stopped {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.parked -= 1;
        }
        !state.stopped
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Whether a pause was asked for and is on.
    pub(super) fn is_paused(&self) -> bool {
        self.closed.load(Ordering::Relaxed) && {
            let state = self.lock();
            state.paused && !state.stopped
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.closed.load(Ordering::Relaxed) && self.lock().stopped
    }

    /// How many threads wait at the gate.
    pub(super) fn parked(&self) -> usize {
        self.lock().parked
    }

    pub(super) fn pause(&self) {
        self.change(|state| state.paused = true);
    }

    pub(super) fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    pub(super) fn stop(&self) {
        self.change(|state| state.stopped = true);
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        how(&mut state);
        self.closed.store(state.paused || state.stopped, Ordering::Relaxed);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
