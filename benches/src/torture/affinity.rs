//! Threads that are moved from CPU to CPU.

use std::mem::{self, MaybeUninit};
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::rng::Rng;

/// Between two moves.
const EVERY: Duration = Duration::from_millis(100);

/// Moves a thread now and then.
pub(super) struct Shuffle {
    /// The CPUs that we may use.
    allowed: libc::cpu_set_t,
    cpus: Vec<usize>,
    last: Instant,
    rng: Rng,
    pub(super) moves: u64,
}

impl Shuffle {
    pub(super) fn new() -> Self {
        // SAFETY: an empty set is all zero, and the call writes no more than the set.
        let allowed: libc::cpu_set_t = unsafe {
            let mut allowed = MaybeUninit::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), allowed.as_mut_ptr());
            allowed.assume_init()
        };
        // SAFETY: numbers that fit the set.
        let cpus = (0..libc::CPU_SETSIZE as usize)
            .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &allowed) });
        let cpus = cpus.collect();
        Self { allowed, cpus, last: Instant::now(), rng: Rng::new(), moves: 0 }
    }

    /// When it is time: confines one of `threads`, or the background thread, to some of the CPUs.
    pub(super) fn tick(&mut self, threads: &[JoinHandle<()>], background: Option<i32>) {
        if self.last.elapsed() < EVERY || self.cpus.is_empty() {
            return;
        }
        self.last = Instant::now();
        // SAFETY: an empty set is all zero.
        let mut some: libc::cpu_set_t = unsafe { mem::zeroed() };
        for _ in 0..1 + self.rng.below(self.cpus.len()) {
            let cpu = self.cpus[self.rng.below(self.cpus.len())];
            // SAFETY: a number that fits the set.
            unsafe { libc::CPU_SET(cpu, &mut some) };
        }
        let moved = match threads.get(self.rng.below(threads.len() + 1)) {
            // SAFETY: a thread that has not been joined; if it has ended this is an error.
            Some(thread) => unsafe {
                let set = size_of::<libc::cpu_set_t>();
                libc::pthread_setaffinity_np(thread.as_pthread_t(), set, &some) == 0
            },
            None => background.is_some_and(|background| confine(background, &some)),
        };
        self.moves += u64::from(moved);
    }

    /// Lets the background thread run anywhere again: it outlives the run.
    pub(super) fn finish(&self, background: Option<i32>) {
        if let Some(background) = background {
            confine(background, &self.allowed);
        }
    }
}

/// Confines a thread of ours; false if it cannot be.
fn confine(tid: i32, to: &libc::cpu_set_t) -> bool {
    // SAFETY: reads the set, which is valid.
    unsafe { libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), to) == 0 }
}
