//! Starting the background threads.

use std::mem;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::config::{Config, Mode, State, state};
use super::executor::{Executor, HeldHand};
use super::task::Task;
use super::{GP, RECLAIM, pthread};

const NOT_STARTED: u8 = 0;
const NO_THREADS: u8 = 1;
const RUNNING: u8 = 2;

/// `State::running`, to be read without its lock.
static STATUS: AtomicU8 = AtomicU8::new(NOT_STARTED);

/// Starts the background threads if they do not run yet, and says whether they run.
///
/// False means that there are none, because the [mode](Mode) says so or because the system gave us
/// none, or not all; the calls that wait then do the work themselves. It is not tried again.
///
/// ```
/// assert!(rcu_core::runtime::start());
/// ```
pub fn start() -> bool {
    match STATUS.load(Ordering::Acquire) {
        NOT_STARTED => start_now(),
        status => status == RUNNING,
    }
}

#[cold]
fn start_now() -> bool {
    let mut state = state();
    if let Some(running) = state.running {
        return running;
    }
    let config = state.config.get_or_insert_default().clone();
    let running = config.mode == Mode::Threads && spawn_all(&config);
    state.running = Some(running);
    STATUS.store(if running { RUNNING } else { NO_THREADS }, Ordering::Release);
    running
}

fn spawn_all(config: &Config) -> bool {
    (0..config.reclaim_threads.max(1)).all(|_| spawn(&config.reclaim_name, config, &RECLAIM))
        && spawn(&config.gp_name, config, &GP)
}

/// Starts a thread that blocks all signals from outside: handlers run on the threads of those who
/// set them.
fn spawn(name: &str, config: &Config, executor: &'static Executor) -> bool {
    let cpus = config.cpus.as_deref().and_then(cpu_set);
    let spawned = pthread::spawn(name, move || {
        if let Some(cpus) = cpus {
            // Refused if none of them is there: the thread then runs anywhere.
            let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
        }
        executor.run()
    });
    let Some(thread) = spawned else { return false };
    if cpus.is_none() {
        run_where_main_does(thread);
    }
    schedule_like_main(thread);
    true
}

/// A new thread inherits the CPUs of its maker too. Those of one pinned thread could keep
/// everybody's grace periods from running, so it gets the main thread's; from outside, as it might
/// not run even to do this by itself.
fn run_where_main_does(thread: libc::pthread_t) {
    let Ok(cpus) = sched_getaffinity(Pid::this()) else { return };
    // SAFETY: the thread runs for ever; the set is read only.
    unsafe {
        libc::pthread_setaffinity_np(thread, size_of::<CpuSet>(), (&raw const cpus).cast());
    }
}

/// As with the CPUs: a new thread inherits a real-time policy, and this one is everybody's.
fn schedule_like_main(thread: libc::pthread_t) {
    // SAFETY: all zeroes is a value of this type.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    // SAFETY: the thread runs for ever; the parameters are ours.
    unsafe {
        let main = libc::getpid();
        let policy = libc::sched_getscheduler(main);
        if policy >= 0 && libc::sched_getparam(main, &raw mut parameters) == 0 {
            libc::pthread_setschedparam(thread, policy, &raw const parameters);
        }
    }
}

fn cpu_set(cpus: &[usize]) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    let known = cpus.iter().filter(|&&cpu| set.set(cpu).is_ok()).count();
    (known > 0).then_some(set)
}

/// For a fork: the runtime's locks.
pub(crate) struct HeldRuntime {
    state: MutexGuard<'static, State>,
    gp: HeldHand<'static>,
    reclaim: HeldHand<'static>,
}

pub(crate) fn hold() -> HeldRuntime {
    HeldRuntime { state: state(), gp: GP.hold(), reclaim: RECLAIM.hold() }
}

impl HeldRuntime {
    /// In the child of a fork: there are no background threads; they start again when something
    /// waits. `driver` is the task of an engine, which asks anew.
    pub(crate) fn forget_threads(&mut self, driver: &Task) {
        self.state.running = None;
        STATUS.store(NOT_STARTED, Ordering::Release);
        self.gp.forget(driver);
        self.reclaim.forget(driver);
    }
}
