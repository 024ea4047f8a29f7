//! The peer `liburcu-memb`: its measured loops are in C (`c/liburcu.c`), so that they inline.

use std::{
    sync::atomic::{AtomicU8, AtomicU64},
    time::Instant,
};

use super::section::{Case, UNROLLED};

pub(super) const NAME: &str = "liburcu-memb";

mod c {
    use std::sync::atomic::{AtomicU8, AtomicU64};

    unsafe extern "C" {
        pub(super) safe fn rcubench_liburcu_synchronize(count: u64);
        pub(super) fn rcubench_liburcu_register();
        pub(super) fn rcubench_liburcu_unregister();
        pub(super) fn rcubench_liburcu_sections(turns: u64);
        pub(super) fn rcubench_liburcu_nested(turns: u64);
        pub(super) fn rcubench_liburcu_read_until(
            stop: *const AtomicU8,
            sections: *const AtomicU64,
        );
    }
}

/// The calling thread as a reader of liburcu; it must not be registered twice.
pub(super) struct Registered(());

impl Registered {
    pub(super) fn new() -> Self {
        // SAFETY: the callers hold no other `Registered` on this thread.
        unsafe { c::rcubench_liburcu_register() };
        Registered(())
    }

    /// Opens and closes sections until `stop` is not zero, and counts them.
    pub(super) fn read_until(&self, stop: &AtomicU8, sections: &AtomicU64) {
        // SAFETY: the thread is registered, and both outlive the call, which uses them atomically.
        unsafe { c::rcubench_liburcu_read_until(stop, sections) };
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: registered by `new` and outside every section: the loops end those they open.
        unsafe { c::rcubench_liburcu_unregister() };
    }
}

/// Waits for `count` grace periods, one after another.
pub(super) fn synchronize(count: u64) {
    c::rcubench_liburcu_synchronize(count);
}

/// The cases of `refscale`.
pub(super) fn sections() -> [Case; 2] {
    let timed = |run: unsafe extern "C" fn(u64)| {
        move |count: u64| {
            let turns = count.div_ceil(UNROLLED);
            let _registered = Registered::new();
            let start = Instant::now();
            // SAFETY: the thread is registered.
            unsafe { run(turns) };
            start.elapsed().as_secs_f64() * 1e9 / (turns * UNROLLED) as f64
        }
    };
    let case = |bench, run| Case { bench, subject: NAME, timed: Box::new(timed(run)) };
    [
        case("refscale", c::rcubench_liburcu_sections),
        case("refscale/nested", c::rcubench_liburcu_nested),
    ]
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering::Relaxed, thread};

    use super::*;

    #[test]
    fn a_reader_reads_while_others_wait() {
        let (stop, sections) = (AtomicU8::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| Registered::new().read_until(&stop, &sections));
            while sections.load(Relaxed) == 0 {
                thread::yield_now();
            }
            synchronize(3);
            stop.store(1, Relaxed);
        });
        for case in super::sections() {
            assert!((case.timed)(1) > 0.0, "{}", case.bench);
        }
    }
}
