//! How the work is done: set once, before it begins.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who does the work that nobody waits for; see the [module](super).
///
/// ```
/// use rcu_core::runtime::Mode;
/// assert_eq!(Mode::default(), Mode::Threads);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Background threads.
    #[default]
    Threads,
    /// Those who wait.
    Callers,
    /// The embedder, by [`drive`](super::drive), and those who wait.
    External,
}

/// What [`configure`] sets.
///
/// ```
/// use rcu_core::runtime::{Config, configure};
/// let config = Config { gp_name: "grace-periods".into(), cpus: Some(vec![0]), ..Config::default() };
/// configure(config).unwrap();
/// assert!(rcu_core::runtime::start());
/// assert!(configure(Config::default()).is_err()); // too late
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Who does the work.
    pub mode: Mode,
    /// The name of the thread that runs grace periods.
    pub gp_name: String,
    /// The name of the threads that run callbacks and free.
    pub reclaim_name: String,
    /// How many of the latter there are; at least 1.
    pub reclaim_threads: usize,
    /// The CPUs that all of them are confined to, if any. Numbers that the system does not know are
    /// ignored; if it knows none of them, so is the whole list.
    pub cpus: Option<Vec<usize>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            gp_name: "rcu-gp".into(),
            reclaim_name: "rcu-reclaim".into(),
            reclaim_threads: 1,
            cpus: None,
        }
    }
}

/// Nobody can change any more how the work is done: it has begun.
///
/// ```
/// use rcu_core::runtime::{Config, configure, start};
/// start();
/// println!("{}", configure(Config::default()).unwrap_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyStarted(());

impl fmt::Display for AlreadyStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime has started already: configure it before anything waits or is queued",
        )
    }
}

impl Error for AlreadyStarted {}

/// Configured, and what came of it.
pub(super) struct State {
    pub(super) config: Option<Config>,
    /// Whether threads run; `None` before anybody asked, and in the child of a fork.
    pub(super) running: Option<bool>,
}

static STATE: Mutex<State> = Mutex::new(State { config: None, running: None });

pub(super) fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets how the work is done, before the runtime starts.
///
/// # Errors
///
/// [`AlreadyStarted`], and then nothing has changed.
///
/// ```
/// use rcu_core::runtime::{Config, Mode, configure, start};
/// use rcu_core::{Flavor, Rcu};
///
/// configure(Config { mode: Mode::Callers, ..Config::default() }).unwrap();
/// assert!(!start()); // there are no threads
/// Rcu.synchronize(); // whoever waits does the work
/// ```
pub fn configure(config: Config) -> Result<(), AlreadyStarted> {
    let mut state = state();
    if state.running.is_some() {
        return Err(AlreadyStarted(()));
    }
    state.config = Some(config);
    Ok(())
}
