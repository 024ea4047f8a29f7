//! Readers wake those who sleep for them.
//!
//! A driver that sleeps looks again after a while by itself, which would hide a wake-up that is
//! lost. So in this program no sleep ends by itself: `syscall`, which the crate calls for its futex,
//! is this file's, and forgets the timeout. A lost wake-up is a test that never ends.
#![cfg(target_arch = "x86_64")]

mod common;

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{hint, thread};

use common::in_child_process;
use rcu_core::runtime::{self, Config};
use rcu_core::{Flavor, Rcu};

/// Sleeps that would have ended by themselves.
static SLEEPS: AtomicUsize = AtomicUsize::new(0);

/// In place of the C library's: the call as it is, but for the timeout of `FUTEX_WAIT`. (Std's own
/// futexes use `FUTEX_WAIT_BITSET`.)
///
/// # Safety
///
/// As that one.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: libc::c_long,
    a: usize,
    b: usize,
    c: usize,
    mut d: usize,
    e: usize,
    f: usize,
) -> libc::c_long {
    let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    if number == libc::SYS_futex && b as u32 as usize == wait && d != 0 {
        SLEEPS.fetch_add(1, Ordering::Relaxed);
        d = 0;
    }
    let result: libc::c_long;
    // SAFETY: the system's calling convention; what the call does is the caller's business.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
        if (-4095..0).contains(&result) {
            *libc::__errno_location() = -result as i32;
            return -1;
        }
    }
    result
}

const ROUNDS: usize = 2_000;

/// Sections end at every moment of a driver's way to sleep.
fn rounds(drivers: usize, wait: fn()) {
    thread::scope(|s| {
        for round in 0..ROUNDS {
            let guard = Rcu.read_lock();
            let inner = Rcu.read_lock();
            let slept = SLEEPS.load(Ordering::Relaxed);
            let started = Rcu.stats().grace_periods.started;
            let waiting: Vec<_> = (0..drivers).map(|_| s.spawn(wait)).collect();
            while Rcu.stats().grace_periods.started == started {
                thread::yield_now();
            }
            if round % 4 == 0 {
                // Certainly asleep, or all but: the section is open.
                while SLEEPS.load(Ordering::Relaxed) == slept {
                    thread::yield_now();
                }
            }
            // Up to some 30 us, about as long as a driver spins.
            (0..round * 7 % 16_000).for_each(|_| hint::spin_loop());
            drop(guard); // wakes them although a section is left: they must ask again
            if round % 3 == 0 {
                thread::yield_now();
            }
            drop(inner);
            waiting.into_iter().for_each(|driver| driver.join().unwrap());
        }
    });
}

fn callers_of_their_own() {
    rounds(1, || Rcu.synchronize_expedited());
    rounds(2, || Rcu.synchronize_expedited());
}

fn the_background_thread() {
    // Its only sleeps with a timeout are for readers, then.
    runtime::set_gp_interval(Duration::ZERO);
    runtime::configure(Config { gp_name: "sleepless".into(), ..Config::default() }).unwrap();
    assert!(runtime::start());
    rounds(1, || Rcu.synchronize());
}

#[test]
fn readers_wake_callers_that_drive() {
    in_child_process(
        "readers_wake_callers_that_drive",
        &[("RCU_STRATEGY", "")],
        callers_of_their_own,
    );
}

#[test]
fn readers_wake_callers_that_drive_with_fences() {
    in_child_process(
        "readers_wake_callers_that_drive_with_fences",
        &[("RCU_STRATEGY", "fence")],
        callers_of_their_own,
    );
}

#[test]
fn readers_wake_the_background_thread() {
    in_child_process(
        "readers_wake_the_background_thread",
        &[("RCU_STRATEGY", "")],
        the_background_thread,
    );
}

#[test]
fn readers_wake_the_background_thread_with_fences() {
    in_child_process(
        "readers_wake_the_background_thread_with_fences",
        &[("RCU_STRATEGY", "fence")],
        the_background_thread,
    );
}
