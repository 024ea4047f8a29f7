//! What needs a process of its own: strategies, sandboxes, leaked guards.

mod common;
mod sandbox;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::{mem, thread};

use common::in_child_process;
use rcu_core::gp::Notifier;
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

#[test]
fn a_cookie_of_the_future_is_refused() {
    let forged = Cookie::from_seq(GpSeq::new(Rcu.get_state().seq().get().wrapping_add(400)));
    let refused = std::panic::catch_unwind(|| Rcu.cond_synchronize(forged)).unwrap_err();
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains("in the future"), "{message}");
}
