//! Busy readers, idle registered threads, and where threads run.

use std::{
    io,
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    thread,
};

use crossbeam_utils::CachePadded;
use rcu_core::{Flavor, Rcu};

use super::kind::Whose;
#[cfg(feature = "liburcu")]
use crate::scale::liburcu;
use crate::scale::section::body;

/// Enough for a thread that only sleeps.
const SMALL_STACK: usize = 32 * 1024;

/// The CPUs that the calling thread may use.
pub(crate) fn allowed_cpus() -> libc::cpu_set_t {
    // SAFETY: a set of bits, of which none is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is written, and is as large as is said.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    set
}

/// The number of the nth of these CPUs.
fn nth(cpus: &libc::cpu_set_t, n: usize) -> Option<usize> {
    // SAFETY: looks at bits of the set, and within it.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, cpus) }).nth(n)
}

fn run_on(cpus: &libc::cpu_set_t) {
    // SAFETY: reads a set as large as is said. Refused if none of them is there any more: the thread
    // then runs where it did.
    unsafe { libc::sched_setaffinity(0, size_of_val(cpus), cpus) };
}

/// Runs the calling thread on the nth of `cpus` only, if there is such a one.
fn pin_to(cpus: &libc::cpu_set_t, n: usize) {
    let Some(cpu) = nth(cpus, n) else { return };
    // SAFETY: a set of bits, of which none is a valid value.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes a bit that was found in a set of the same size.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    run_on(&one);
}

/// Readers at work.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    stop: CachePadded<AtomicU8>,
    /// Sections of the one reader there may be.
    sections: CachePadded<AtomicU64>,
}

impl Busy {
    /// Sections so far: what has changed when the reader has run.
    pub(crate) fn sections(&self) -> u64 {
        self.sections.load(Relaxed)
    }

    fn read(&self, whose: Whose) {
        match whose {
            Whose::Ours => {
                let mut count = 0;
                while self.stop.load(Relaxed) == 0 {
                    let guard = Rcu.read_lock();
                    body();
                    drop(guard);
                    count += 1;
                    self.sections.store(count, Relaxed);
                }
            }
            #[cfg(feature = "liburcu")]
            Whose::Liburcu => liburcu::Registered::new().read_until(&self.stop, &self.sections),
        }
    }
}

/// Runs `work` on the first CPU, beside a thread that reads without a pause on the second.
pub(crate) fn beside_reader<T>(whose: Whose, work: impl FnOnce(&Busy) -> T) -> T {
    let cpus = allowed_cpus();
    let busy = Busy::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin_to(&cpus, 1);
            busy.read(whose);
        });
        pin_to(&cpus, 0);
        let result = work(&busy);
        busy.stop.store(1, Relaxed);
        run_on(&cpus);
        result
    })
}

/// Runs `work` on the first CPU.
pub(crate) fn pinned<T>(work: impl FnOnce() -> T) -> T {
    let cpus = allowed_cpus();
    pin_to(&cpus, 0);
    let result = work();
    run_on(&cpus);
    result
}

/// Starts `threads` threads that register and then sleep until the process ends.
pub(crate) fn sleepers(threads: usize) -> io::Result<()> {
    for _ in 0..threads {
        let (tell, told) = std::sync::mpsc::channel();
        let body = move || {
            Rcu.register_thread();
            #[cfg(feature = "liburcu")]
            let _registered = liburcu::Registered::new();
            drop(tell);
            loop {
                thread::park();
            }
        };
        thread::Builder::new().stack_size(SMALL_STACK).spawn(body)?;
        // An error: the other end is gone, which is what the thread says when it has registered.
        let _ = told.recv() as Result<(), _>;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_updater_is_pinned_only_while_it_measures() {
        let count = |set: &libc::cpu_set_t| {
            // SAFETY: looks at the bits of a set.
            unsafe { libc::CPU_COUNT(set) }
        };
        let before = count(&allowed_cpus());
        let within = beside_reader(Whose::Ours, |busy| {
            while busy.sections() == 0 {
                thread::yield_now();
            }
            count(&allowed_cpus())
        });
        assert_eq!((within, count(&allowed_cpus())), (1, before));
        assert_eq!((pinned(|| count(&allowed_cpus())), count(&allowed_cpus())), (1, before));
    }

    #[test]
    fn sleepers_are_registered() {
        let before = Rcu.stats().threads;
        sleepers(3).unwrap();
        assert!(Rcu.stats().threads >= before.min(1) + 3);
    }
}
