//! Forks while other threads are being started: the child starts background threads of its own.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::in_child_process;
use rcu_core::{Flavor, Rcu};

#[test]
fn a_child_starts_its_threads_whatever_others_were_in_the_middle_of() {
    let name = "a_child_starts_its_threads_whatever_others_were_in_the_middle_of";
    in_child_process(name, &[], || {
        let stop = AtomicBool::new(false);
        Rcu.synchronize();
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let burst = [(); 8].map(|()| thread::spawn(|| {}));
                        let _ = burst.map(|thread| thread.join().unwrap());
                    }
                });
            }
            for turn in 0..1000 {
                // SAFETY: the child uses only what keeps itself whole across a fork.
                let status = unsafe {
                    let child = libc::fork();
                    if child == 0 {
                        // It hangs if it needs a lock that a thread held which it does not have.
                        libc::alarm(20);
                        Rcu.synchronize();
                        libc::_exit(0);
                    }
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                    status
                };
                if status != 0 {
                    stop.store(true, Ordering::Relaxed);
                    panic!("child {turn} ended with status {status:#x}");
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
