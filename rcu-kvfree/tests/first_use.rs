//! The very first use, in processes of their own.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may abort")]

use std::process::Command;
use std::ptr::{self, NonNull};
use std::sync::Barrier;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::{env, fs, thread};

use rcu_kvfree::{Flavor, Rcu, RcuBox, free_rcu, kvfree_rcu_barrier, rcu_core::runtime};

const CHILD: &str = "RCU_TEST_CHILD";

/// Runs `body` as the only test of a child process.
fn in_child_process(name: &str, body: impl FnOnce()) {
    if env::var(CHILD).as_deref() == Ok(name) {
        return body();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, name)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "child {}\n{printed}", output.status);
}

/// Of two threads that make the queue at once one throws its own away; it must not wait for a grace
/// period to do so, as `free_rcu` never waits.
#[test]
fn nobody_waits_when_two_threads_are_the_first() {
    for _ in 0..10 {
        in_child_process("nobody_waits_when_two_threads_are_the_first", || {
            let start = Barrier::new(2);
            let retired = AtomicUsize::new(0);
            thread::scope(|s| {
                s.spawn(|| {
                    // No grace period ends before both have returned.
                    let _guard = Rcu.read_lock();
                    while retired.load(Ordering::Acquire) < 2 {
                        thread::yield_now();
                    }
                });
                for _ in 0..2 {
                    s.spawn(|| {
                        let object = NonNull::from(Box::leak(Box::new(1u64)));
                        start.wait();
                        // SAFETY: a box's pointer, never published, retired once.
                        unsafe { free_rcu(object) };
                        retired.fetch_add(1, Ordering::Release);
                    });
                }
            });
            kvfree_rcu_barrier();
        });
    }
}

/// What `/proc` says of a thread of this process.
fn status_of(name: &str, field: &str) -> String {
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let status = fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            return line.trim_matches([':', '\t', ' ']).to_owned();
        }
    }
    panic!("no thread {name}");
}

/// A pinned thread that happens to be first must not pin everybody's background threads.
#[test]
fn background_threads_run_where_the_main_thread_may() {
    in_child_process("background_threads_run_where_the_main_thread_may", || {
        let main = fs::read_to_string("/proc/self/status").unwrap();
        let main = main.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        thread::spawn(|| {
            // SAFETY: all zeroes is the empty set.
            let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: the set is ours; 0 names the calling thread.
            unsafe {
                libc::CPU_SET(0, &mut one);
                assert_eq!(libc::sched_setaffinity(0, size_of_val(&one), &raw const one), 0);
            }
            assert!(runtime::start());
        })
        .join()
        .unwrap();
        for name in ["rcu-gp", "rcu-reclaim"] {
            // Set from outside, by the thread that has returned from `start`; the name is set by
            // the new thread itself.
            while !fs::read_dir("/proc/self/task").unwrap().any(|task| {
                let comm = fs::read_to_string(task.unwrap().path().join("comm"));
                comm.is_ok_and(|comm| comm.trim() == name)
            }) {
                thread::yield_now();
            }
            assert_eq!(status_of(name, "Cpus_allowed_list"), main.trim(), "{name}");
        }
    });
}

static PAGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

extern "C" fn open_page(_signal: libc::c_int) {
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: the page is mapped for ever.
    unsafe { libc::mprotect(page.cast(), 4096, libc::PROT_READ | libc::PROT_WRITE) };
}

/// A garbage collector's write barrier, say: the fault of a thread is handled on that thread, also
/// on ours.
#[test]
fn destructors_may_fault_and_be_mended_by_a_handler() {
    struct Touches;
    impl Drop for Touches {
        fn drop(&mut self) {
            // SAFETY: mapped; the handler makes it writable.
            unsafe { PAGE.load(Ordering::Relaxed).write_volatile(7) };
        }
    }
    in_child_process("destructors_may_fault_and_be_mended_by_a_handler", || {
        // SAFETY: a fresh mapping, and a handler that calls nothing but the system.
        unsafe {
            let (access, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let page = libc::mmap(ptr::null_mut(), 4096, access, kind, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            PAGE.store(page.cast(), Ordering::Relaxed);
            libc::signal(libc::SIGSEGV, open_page as *const () as libc::sighandler_t);
        }
        RcuBox::new(Touches).retire();
        // On the background thread, which this waits for without doing its work.
        while kvfree_pending() != 0 {
            thread::yield_now();
        }
        // SAFETY: mapped for ever, and readable since the handler has run.
        assert_eq!(unsafe { PAGE.load(Ordering::Relaxed).read_volatile() }, 7);
    });
}

fn kvfree_pending() -> usize {
    rcu_kvfree::kvfree_stats().queue.map_or(0, |queue| queue.objects)
}
