//! A hook for tests: pretends that there are N CPUs, and places a thread on one of them.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 0: the real ones.
static PRETENDED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// From now on [`possible_cpus`](super::possible_cpus) is `cpus`, or the real number again for 0.
/// What was made before keeps its size; CPU numbers beyond it wrap around.
///
/// ```
/// use rcu_core::percpu::{possible_cpus, testing};
/// testing::pretend_cpus(64);
/// assert_eq!(possible_cpus(), 64);
/// testing::pretend_cpus(0);
/// ```
pub fn pretend_cpus(cpus: usize) {
    PRETENDED.store(cpus, Ordering::Relaxed);
}

/// From now on the calling thread seems to run on `cpu`, or on its real one for `None`.
///
/// ```
/// use rcu_core::percpu::{current_cpu, testing};
/// testing::place_thread(Some(63));
/// assert_eq!(current_cpu(), 63);
/// testing::place_thread(None);
/// ```
pub fn place_thread(cpu: Option<usize>) {
    PLACED.set(cpu);
}

pub(super) fn pretended_cpus() -> Option<usize> {
    match PRETENDED.load(Ordering::Relaxed) {
        0 => None,
        cpus => Some(cpus),
    }
}

#[inline]
pub(super) fn pretended_cpu() -> Option<usize> {
    PLACED.get()
}
