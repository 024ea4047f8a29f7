//! What needs a process of its own: strategies, sandboxes, leaked guards.

mod common;
mod sandbox;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Instant;
use std::{fs, mem, thread};

use common::in_child_process;
use rcu_core::gp::Notifier;
use rcu_core::runtime::{self, Next, Task, gp_interval};
use rcu_core::{Cookie, Flavor, GpSeq, Rcu, Strategy};

/// Readers against an updater that frees: what every mode must do.
fn exercise() {
    let shared = AtomicPtr::new(Box::into_raw(Box::new([7u64; 8])));
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let outer = Rcu.read_lock();
                    let inner = Rcu.read_lock();
                    // SAFETY: freed only after a grace period that our section holds up.
                    let value = unsafe { &*shared.load(Ordering::Acquire) };
                    assert!(value.iter().all(|&word| word == value[0]));
                    drop(outer);
                    drop(inner);
                }
            });
        }
        for turn in 0..500u64 {
            let old = shared.swap(Box::into_raw(Box::new([turn; 8])), Ordering::AcqRel);
            if turn % 8 == 0 {
                Rcu.synchronize()
            } else {
                Rcu.synchronize_expedited()
            }
            // SAFETY: unlinked, and a grace period has passed.
            unsafe {
                old.write([u64::MAX, 0, 1, 2, 3, 4, 5, 6]);
                drop(Box::from_raw(old));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // SAFETY: all threads are gone.
    drop(unsafe { Box::from_raw(shared.into_inner()) });
}

#[test]
fn a_sandbox_without_membarrier_gets_fences() {
    in_child_process("a_sandbox_without_membarrier_gets_fences", &[("RCU_STRATEGY", "")], || {
        sandbox::refuse(&[libc::SYS_membarrier], libc::EPERM);
        assert_eq!(Rcu.strategy(), Strategy::Fence);
        assert_eq!(Rcu.strategy_reason(), "the system refuses membarrier");
        let refused = Rcu.set_strategy(Strategy::Membarrier).unwrap_err();
        assert!(refused.to_string().contains("membarrier"), "{refused}");
        exercise();
    });
}

#[test]
fn the_environment_chooses_fences() {
    in_child_process("the_environment_chooses_fences", &[("RCU_STRATEGY", "fence")], || {
        assert_eq!(Rcu.strategy(), Strategy::Fence);
        exercise();
    });
}

#[test]
fn the_program_chooses_fences() {
    in_child_process("the_program_chooses_fences", &[("RCU_STRATEGY", "")], || {
        Rcu.set_strategy(Strategy::Fence).unwrap();
        assert_eq!(Rcu.strategy_reason(), "asked for by the program");
        exercise();
        assert!(Rcu.set_strategy(Strategy::Fence).is_ok());
    });
}

#[test]
fn a_strategy_in_use_is_frozen() {
    in_child_process("a_strategy_in_use_is_frozen", &[("RCU_STRATEGY", "")], || {
        drop(Rcu.read_lock());
        let (in_use, other) = match Rcu.strategy() {
            Strategy::Membarrier => (Strategy::Membarrier, Strategy::Fence),
            Strategy::Fence => (Strategy::Fence, Strategy::Membarrier),
        };
        assert!(Rcu.set_strategy(other).is_err());
        assert_eq!(Rcu.strategy(), in_use);
    });
}

/// Ending the section would free what safe code may still hold: a guard that a thread leaks keeps
/// its section open beyond the thread.
#[test]
fn a_guard_leaked_by_a_thread_that_exits_stops_grace_periods() {
    let name = "a_guard_leaked_by_a_thread_that_exits_stops_grace_periods";
    in_child_process(name, &[], || {
        Rcu.synchronize();
        thread::spawn(|| mem::forget(Rcu.read_lock())).join().unwrap();
        let started = Rcu.stats().grace_periods.started;
        let cookie = Rcu.get_state();
        thread::spawn(|| Rcu.synchronize_expedited());
        // The grace period begins, with the slot's thread long gone...
        while Rcu.stats().grace_periods.started == started {
            thread::yield_now();
        }
        // ...and does not end, whatever other threads do, register and exit.
        for _ in 0..200 {
            thread::spawn(|| drop(Rcu.read_lock())).join().unwrap();
            assert!(!Rcu.poll(cookie));
        }
    });
}

/// A thread that runs grace periods must not die quietly: everybody would hang.
#[test]
fn a_notifier_that_panics_ends_the_process_with_a_message() {
    unsafe fn panics(_: NonNull<Notifier>) {
        // A wait would never end on this thread; it is refused, by the panic this is about.
        Rcu.synchronize();
    }
    static NOTIFIER: Notifier = Notifier::new(panics);
    let name = "a_notifier_that_panics_ends_the_process_with_a_message";
    let died = std::panic::catch_unwind(|| {
        in_child_process(name, &[], || {
            // SAFETY: a static, armed once.
            unsafe { Rcu.notify(NonNull::from(&NOTIFIER), Rcu.get_state()) };
            Rcu.synchronize_expedited();
            loop {
                thread::park();
            }
        });
    });
    let message = died.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("inside a callback"), "{message}");
    assert!(message.contains("a notifier panicked"), "{message}");
}

/// Runs `body`, which ends its process, in a child: what the child said.
fn dies(name: &str, body: impl FnOnce()) -> String {
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        in_child_process(name, &[("RCU_STRATEGY", "")], body);
    }));
    died.unwrap_err().downcast_ref::<String>().unwrap().clone()
}

#[test]
fn membarrier_taken_back_ends_the_process_with_a_message() {
    let message = dies("membarrier_taken_back_ends_the_process_with_a_message", || {
        drop(Rcu.read_lock());
        assert_eq!(Rcu.strategy(), Strategy::Membarrier);
        sandbox::refuse(&[libc::SYS_membarrier], libc::EPERM);
        Rcu.synchronize_expedited();
    });
    assert!(message.contains("RCU_STRATEGY=fence"), "{message}");
}

#[test]
fn nesting_too_deep_ends_the_process_with_a_message() {
    let message = dies("nesting_too_deep_ends_the_process_with_a_message", || {
        (0..=u16::MAX).for_each(|_| mem::forget(Rcu.read_lock()));
    });
    assert!(message.contains("guards leaked"), "{message}");
}

/// Without background threads nothing is lost: whoever waits does the work.
#[test]
fn a_process_that_gets_no_threads_does_the_work_itself() {
    static TASK_RAN: AtomicBool = AtomicBool::new(false);
    static CALLED: AtomicBool = AtomicBool::new(false);
    static TASK: Task = Task::new(run);
    static NOTIFIER: Notifier = Notifier::new(call);
    unsafe fn run(_: NonNull<Task>, _: Instant) -> Next {
        assert!(runtime::in_callback());
        TASK_RAN.store(true, Ordering::Relaxed);
        Next::Done
    }
    unsafe fn call(_: NonNull<Notifier>) {
        CALLED.store(true, Ordering::Relaxed);
    }
    in_child_process("a_process_that_gets_no_threads_does_the_work_itself", &[], || {
        // A reader that is there already, and holds up what follows for a while.
        let (opened, open) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let guard = Rcu.read_lock();
            opened.send(()).unwrap();
            (0..10_000).for_each(|_| thread::yield_now());
            drop(guard);
        });
        open.recv().unwrap();
        sandbox::refuse(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
        // SAFETY: statics, submitted and armed once.
        unsafe {
            runtime::reclaim().submit(NonNull::from(&TASK));
            Rcu.notify(NonNull::from(&NOTIFIER), Rcu.get_state());
        }
        let cookie = Rcu.start_poll();
        assert!(!runtime::start());
        Rcu.cond_synchronize(cookie);
        Rcu.synchronize();
        assert!(Rcu.poll(cookie));
        assert!(TASK_RAN.load(Ordering::Relaxed) && CALLED.load(Ordering::Relaxed));
    });
}

#[test]
fn grace_periods_that_nobody_expedites_keep_their_distance() {
    in_child_process("grace_periods_that_nobody_expedites_keep_their_distance", &[], || {
        Rcu.synchronize();
        let (begin, started) = (Instant::now(), Rcu.stats().grace_periods.started);
        (0..20).for_each(|_| Rcu.synchronize());
        // A start may have come just before the first look.
        let distances = (Rcu.stats().grace_periods.started - started - 1) as u32;
        assert!(begin.elapsed() >= distances * gp_interval());
        assert_eq!(Rcu.stats().grace_periods.expedited, 0);
        Rcu.synchronize_expedited();
        assert_eq!(Rcu.stats().grace_periods.expedited, 1);
    });
}

#[test]
fn background_threads_block_all_signals() {
    in_child_process("background_threads_block_all_signals", &[], || {
        assert!(runtime::start());
        Rcu.synchronize();
        let mut ours = 0;
        for task in fs::read_dir("/proc/self/task").unwrap() {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            if status.starts_with("Name:\trcu-") {
                let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
                let blocked = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
                assert_ne!(blocked & 1 << (libc::SIGTERM - 1), 0, "{status}");
                assert_ne!(blocked & 1 << (libc::SIGURG - 1), 0, "{status}");
                ours += 1;
            }
        }
        assert_eq!(ours, 2);
    });
}

#[test]
fn a_cookie_of_the_future_is_refused() {
    let forged = Cookie::from_seq(GpSeq::new(Rcu.get_state().seq().get().wrapping_add(400)));
    let refused = std::panic::catch_unwind(|| Rcu.cond_synchronize(forged)).unwrap_err();
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains("in the future"), "{message}");
}
