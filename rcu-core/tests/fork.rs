//! Forks in the middle of everything: the child goes on, with the one thread it has.

mod common;

use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::{mem, thread};

use common::in_child_process;
use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, Rcu};

/// Runs `body` in a forked child, and waits for it: it must end by itself and well. A child that
/// hangs is killed by its alarm and fails the test.
fn in_fork(body: impl FnOnce()) {
    // SAFETY: the child runs `body` on its one thread and leaves without unwinding into the parent's
    // frames; std's locks that other threads may have held are avoided by it.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::alarm(60);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            libc::_exit(i32::from(outcome.is_err()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        assert!(
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            "the child ended with status {status:#x}"
        );
    }
}

/// Ways of waiting, all of which must work in the child.
fn use_everything() {
    let guard = Rcu.read_lock();
    let cookie = Rcu.get_state();
    assert!(!Rcu.poll(cookie));
    drop(guard);
    Rcu.synchronize_expedited();
    assert!(Rcu.poll(cookie));
    Rcu.synchronize();
    Rcu.cond_synchronize(Rcu.start_poll());
}

#[test]
fn a_thousand_forks_in_the_middle_of_everything() {
    in_child_process("a_thousand_forks_in_the_middle_of_everything", &[], || {
        let stop = AtomicBool::new(false);
        let shared = AtomicPtr::new(Box::into_raw(Box::new(0usize)));
        thread::scope(|s| {
            // Grace periods of all kinds, sections that are open at most forks, threads that come
            // and go.
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Rcu.synchronize_expedited();
                }
            });
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Rcu.synchronize();
                }
            });
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _outer = Rcu.read_lock();
                    let _inner = Rcu.read_lock();
                    thread::yield_now();
                }
            });
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    thread::spawn(|| drop(Rcu.read_lock())).join().unwrap();
                }
            });
            for turn in 0..1000 {
                let before = Rcu.get_state();
                let guard = (turn % 3 == 0).then(|| Rcu.read_lock());
                // SAFETY: only this thread replaces it.
                let seen = unsafe { &*shared.load(Ordering::Acquire) };
                in_fork(|| {
                    if let Some(guard) = guard {
                        // Our own section is still open in the child, and still protects.
                        let held = Rcu.get_state();
                        assert_eq!(Rcu.in_section(), Some(true));
                        assert_eq!(*seen, turn);
                        for _ in 0..10 {
                            assert!(!Rcu.poll(held));
                        }
                        drop(guard);
                    }
                    if turn % 10 == 0 {
                        // Starts background threads in the child.
                        use_everything();
                    } else {
                        Rcu.synchronize_expedited();
                    }
                    Rcu.cond_synchronize(before);
                });
                let old = shared.swap(Box::into_raw(Box::new(turn + 1)), Ordering::AcqRel);
                // SAFETY: no other thread reads it.
                drop(unsafe { Box::from_raw(old) });
            }
            stop.store(true, Ordering::Relaxed);
        });
        // SAFETY: from `Box::into_raw`, and nobody is left.
        drop(unsafe { Box::from_raw(shared.into_inner()) });
    });
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

unsafe fn count(_: NonNull<Notifier>) {
    CALLS.fetch_add(1, Ordering::Release);
}

#[test]
fn what_was_pending_runs_in_the_child_too() {
    in_child_process("what_was_pending_runs_in_the_child_too", &[], || {
        static NOTIFIER: Notifier = Notifier::new(count);
        Rcu.synchronize(); // background threads run
        let guard = Rcu.read_lock(); // holds the grace period up
        // SAFETY: a static, armed once.
        unsafe { Rcu.notify(NonNull::from(&NOTIFIER), Rcu.get_state()) };
        in_fork(|| {
            drop(guard);
            assert_eq!(CALLS.load(Ordering::Acquire), 0);
            rcu_core::runtime::start();
            while CALLS.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
        });
        // Here the guard was dropped with the closure that was not run: the parent goes on too.
        while CALLS.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        assert_eq!(CALLS.load(Ordering::Acquire), 1);
    });
}

#[test]
fn sections_of_threads_that_are_gone_end_and_leaked_ones_do_not() {
    in_child_process("sections_of_threads_that_are_gone_end_and_leaked_ones_do_not", &[], || {
        // A thread that is in a section at the fork, and lives in the parent only.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (to_main, from_thread) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let _guard = Rcu.read_lock();
            to_main.send(()).unwrap();
            let mut byte = [0];
            std::io::Read::read_exact(&mut reader, &mut byte).unwrap();
            to_main.send(()).unwrap();
        });
        from_thread.recv().unwrap();
        in_fork(use_everything);

        std::io::Write::write_all(&mut &writer, &[1]).unwrap();
        from_thread.recv().unwrap();
        assert!(writer.as_raw_fd() >= 0);

        // A guard that a thread leaked before the fork stays open on both sides.
        thread::spawn(|| mem::forget(Rcu.read_lock())).join().unwrap();
        in_fork(|| {
            let cookie: Cookie<Rcu> = Rcu.start_poll_expedited();
            for _ in 0..100 {
                rcu_core::runtime::drive(std::time::Duration::from_millis(1));
                assert!(!Rcu.poll(cookie));
            }
        });
    });
}
