//! The background threads: how they look from outside, and life without them.

mod block_on;
mod common;
mod sandbox;

use std::fs;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use block_on::block_on;
use common::in_child_process;
use rcu_core::gp::Notifier;
use rcu_core::runtime::{self, Config, Mode, Next, Task};
use rcu_core::{Flavor, Rcu, Strategy};

/// The field of `/proc/self/task/ID/status`, of each thread of that name.
fn of_threads(name: &str, field: &str) -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    threads
        .filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name))
        .filter_map(|path| fs::read_to_string(path.join("status")).ok())
        .map(|status| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            line.unwrap().trim().to_string()
        })
        .collect()
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// The first CPU that this process may use.
fn a_cpu() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().split([',', '-']).next().unwrap().parse().unwrap()
}

/// Every signal but those that cannot be blocked (KILL, STOP and the C library's own two) and those
/// that a thread brings about itself (ILL, TRAP, BUS, FPE, SEGV, SYS).
const ALL_SIGNALS: u64 = !((1 << 8 | 1 << 18 | 1 << 31 | 1 << 32)
    | (1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30));

#[test]
fn names_number_and_affinity_are_as_configured() {
    in_child_process("names_number_and_affinity_are_as_configured", &[], || {
        let cpu = a_cpu();
        let config = |gp: &str| Config {
            gp_name: gp.into(),
            reclaim_name: "frees".into(),
            reclaim_threads: 3,
            cpus: Some(vec![1_000_000, cpu]), // one of which there is none
            ..Config::default()
        };
        runtime::configure(config("overwritten")).unwrap();
        runtime::configure(config("ends-them")).unwrap();
        // Neither of these starts threads.
        drop(Rcu.read_lock());
        Rcu.start_poll();
        assert_eq!(of_threads("ends-them", "Pid").len(), 0);
        assert!(runtime::start());
        assert!(runtime::start());
        Rcu.synchronize();
        // A new thread takes its name and its place itself.
        for (name, count) in [("ends-them", 1), ("frees", 3)] {
            until(|| of_threads(name, "Cpus_allowed_list") == vec![cpu.to_string(); count]);
            for blocked in of_threads(name, "SigBlk") {
                let blocked = u64::from_str_radix(&blocked, 16).unwrap();
                assert_eq!(blocked & ALL_SIGNALS, ALL_SIGNALS, "{name}: {blocked:#x}");
            }
        }
        assert_eq!(of_threads("overwritten", "Pid").len(), 0);

        // Too late, and nothing has changed.
        let refused = runtime::configure(Config { mode: Mode::Callers, ..config("late") });
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("started already"), "{message}");
        assert!(runtime::start());
        Rcu.synchronize();
        assert_eq!(of_threads("ends-them", "Pid").len(), 1);
        assert_eq!(of_threads("late", "Pid").len(), 0);
        // The starter's own signals are as before.
        assert_eq!(nix::sys::signal::SigSet::thread_get_mask().unwrap().iter().count(), 0);
    });
}

#[test]
fn defaults() {
    in_child_process("defaults", &[], || {
        Rcu.synchronize();
        until(|| of_threads("rcu-gp", "Pid").len() == 1);
        until(|| of_threads("rcu-reclaim", "Pid").len() == 1);
    });
}

/// At least one thread is had, on any CPU if the system knows none of those asked for.
#[test]
fn numbers_that_make_no_sense() {
    in_child_process("numbers_that_make_no_sense", &[], || {
        let everywhere = {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            list.unwrap().trim().to_string()
        };
        runtime::configure(Config {
            reclaim_threads: 0,
            cpus: Some(vec![900, usize::MAX]),
            ..Config::default()
        })
        .unwrap();
        assert!(runtime::start());
        Rcu.synchronize();
        for name in ["rcu-gp", "rcu-reclaim"] {
            until(|| of_threads(name, "Cpus_allowed_list") == [everywhere.as_str()]);
        }
    });
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

fn arm_one() {
    unsafe fn rung(notifier: NonNull<Notifier>) {
        // SAFETY: from `Box::leak` below, and ours again.
        drop(unsafe { Box::from_raw(notifier.as_ptr()) });
        CALLS.fetch_add(1, Ordering::Release);
    }
    let notifier = Box::leak(Box::new(Notifier::new(rung)));
    // SAFETY: fresh, and freed by its call only.
    unsafe { Rcu.notify(NonNull::from(notifier), Rcu.get_state()) };
}

fn no_thread_to_be_had() {
    const READERS: usize = 2;
    let stop = AtomicBool::new(false);
    let stuck = AtomicBool::new(true);
    let reading = AtomicUsize::new(0);
    thread::scope(|s| {
        // These are there before threads run out.
        for reader in 0..READERS {
            let (stop, stuck, reading) = (&stop, &stuck, &reading);
            s.spawn(move || {
                let guard = Rcu.read_lock();
                reading.fetch_add(1, Ordering::Release);
                until(|| reader != 0 || !stuck.load(Ordering::Acquire));
                drop(guard);
                while !stop.load(Ordering::Relaxed) {
                    let _guard = Rcu.read_lock();
                    thread::yield_now();
                }
            });
        }
        until(|| reading.load(Ordering::Acquire) == READERS);
        sandbox::refuse(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
        assert!(thread::Builder::new().spawn(|| ()).is_err());

        // Asked for and armed before anybody noticed that there are no threads.
        let early = Rcu.start_poll();
        arm_one();
        assert!(!Rcu.wait_timeout(early, Duration::from_millis(1))); // the stuck reader
        assert!(!runtime::start());
        assert!(runtime::configure(Config::default()).is_err());
        stuck.store(false, Ordering::Release);
        assert!(Rcu.wait_timeout(early, Duration::MAX));
        for turn in 0..200 {
            (0..5).for_each(|_| arm_one());
            let cookie = Rcu.start_poll();
            match turn % 6 {
                0 => Rcu.synchronize(),
                1 => Rcu.synchronize_expedited(),
                2 => assert!(Rcu.wait_timeout(cookie, Duration::MAX)),
                3 => Rcu.cond_synchronize(cookie),
                4 => block_on(Rcu.wait(cookie)),
                _ => {
                    while !Rcu.poll(cookie) {
                        runtime::drive(Duration::ZERO);
                    }
                }
            }
            assert!(Rcu.poll(cookie));
        }
        // Whoever has waited has had everything called that was due.
        Rcu.synchronize();
        assert_eq!(CALLS.load(Ordering::Acquire), 1 + 200 * 5);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!runtime::start());
}

#[test]
fn no_thread_to_be_had_is_survived() {
    let envs = [("RCU_STRATEGY", "")];
    in_child_process("no_thread_to_be_had_is_survived", &envs, no_thread_to_be_had);
}

#[test]
fn no_thread_to_be_had_is_survived_with_fences() {
    let envs = [("RCU_STRATEGY", "fence")];
    in_child_process("no_thread_to_be_had_is_survived_with_fences", &envs, || {
        assert_eq!(Rcu.strategy(), Strategy::Fence);
        no_thread_to_be_had();
    });
}

/// A task that a passing driver has begun is not lost to the thread that stays: it is run again when
/// it asked to be, though that thread has gone to sleep meanwhile with nothing in sight.
#[test]
fn what_a_passing_driver_leaves_is_gone_on_with() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    unsafe fn run(_: NonNull<Task>, now: Instant) -> Next {
        if RUNS.fetch_add(1, Ordering::AcqRel) == 1 {
            return Next::Done;
        }
        // The first run, by the passing driver: wakes the thread that stays, which finds nothing
        // and sleeps again.
        SUBMITTED.store(true, Ordering::Release);
        until(|| ECHOED.load(Ordering::Acquire));
        until(|| of_threads("rcu-gp", "State") == ["S (sleeping)"]);
        Next::At(now + Duration::from_millis(1))
    }
    static SUBMITTED: AtomicBool = AtomicBool::new(false);
    static ECHOED: AtomicBool = AtomicBool::new(false);
    unsafe fn echo(_: NonNull<Task>, _: Instant) -> Next {
        ECHOED.store(true, Ordering::Release);
        Next::Done
    }
    static TASK: Task = Task::new(run);
    static ECHO: Task = Task::new(echo);

    in_child_process("what_a_passing_driver_leaves_is_gone_on_with", &[], || {
        // Not started yet, so it is this thread that takes the task.
        // SAFETY: a static, submitted once.
        unsafe { runtime::gp().submit(NonNull::from(&TASK)) };
        thread::scope(|s| {
            s.spawn(|| {
                until(|| SUBMITTED.load(Ordering::Acquire));
                assert!(runtime::start());
                // SAFETY: a static, submitted once.
                unsafe { runtime::gp().submit(NonNull::from(&ECHO)) };
            });
            runtime::drive(Duration::ZERO);
        });
        until(|| RUNS.load(Ordering::Acquire) == 2);
    });
}
