//! Signals at every instruction: handlers that open sections, in the middle of others' being opened
//! and ended, of waits, and of registration.
#![cfg(target_arch = "x86_64")]

mod common;

use std::arch::asm;
use std::collections::VecDeque;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use common::in_child_process;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rcu_core::{Flavor, Rcu};

const POISON: usize = usize::MAX;

/// What sections read and the updater retires.
static SHARED: AtomicPtr<AtomicUsize> = AtomicPtr::new(ptr::null_mut());
/// Grace periods that the updater has seen the end of.
static UPDATES: AtomicUsize = AtomicUsize::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// What handlers have found wrong; they cannot panic.
static WRONG: AtomicU32 = AtomicU32::new(0);
const RETIRED: u32 = 1;
const UNBALANCED: u32 = 2;
const ENDED_EARLY: u32 = 4;

fn expect(holds: bool, else_wrong: u32) {
    if !holds {
        WRONG.fetch_or(else_wrong, Ordering::Relaxed);
    }
}

fn load() -> &'static AtomicUsize {
    // SAFETY: set by `updating` before anybody reads. Poisoned when it is retired, and freed long
    // after; the callers are in sections.
    unsafe { &*SHARED.load(Ordering::Acquire) }
}

fn check(object: &AtomicUsize) {
    expect(object.load(Ordering::Relaxed) != POISON, RETIRED);
}

/// Stops the updater, also when a test fails.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        STOP.store(true, Ordering::Relaxed);
    }
}

/// Runs `body` while another thread swaps, waits for a grace period, and poisons.
fn updating(body: impl FnOnce()) {
    let fresh = |value| Box::into_raw(Box::new(AtomicUsize::new(value)));
    SHARED.store(fresh(0), Ordering::Release);
    thread::scope(|s| {
        s.spawn(|| {
            let mut retired = VecDeque::new();
            while !STOP.load(Ordering::Relaxed) {
                let update = UPDATES.load(Ordering::Relaxed) + 1;
                let old = SHARED.swap(fresh(update), Ordering::AcqRel);
                if update.is_multiple_of(16) {
                    Rcu.synchronize()
                } else {
                    Rcu.synchronize_expedited()
                }
                // SAFETY: unlinked, and a grace period has passed. Freed later, so that a section
                // that is not protected finds the poison.
                let old = unsafe { Box::from_raw(old) };
                old.store(POISON, Ordering::Relaxed);
                retired.push_back(old);
                if retired.len() > 10_000 {
                    retired.pop_front();
                }
                UPDATES.store(update, Ordering::Release);
            }
        });
        let _stop = Stop;
        body();
    });
    // SAFETY: from `fresh`, and all threads are gone.
    drop(unsafe { Box::from_raw(SHARED.load(Ordering::Acquire)) });
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
}

/// Grace periods go on ending.
fn more_updates() {
    let before = UPDATES.load(Ordering::Acquire);
    while UPDATES.load(Ordering::Acquire) < before + 3 {
        thread::yield_now();
    }
}

/// What the handlers do.
fn read_in_handler(long: bool) {
    let before = Rcu.in_section();
    let outer = Rcu.read_lock();
    let object = load();
    check(object);
    let inner = Rcu.read_lock();
    expect(Rcu.in_section() == Some(true), UNBALANCED);
    drop(outer);
    if long {
        // The updater, always at it, gets the time to end a grace period, which it must not.
        let cookie = Rcu.get_state();
        for _ in 0..10 {
            thread::yield_now();
            expect(!Rcu.poll(cookie), ENDED_EARLY);
            check(object);
        }
    }
    check(object);
    drop(inner);
    expect(Rcu.in_section() == before, UNBALANCED);
}

fn handle(signal: Signal, handler: extern "C" fn(libc::c_int)) {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers here use atomics, sections and system calls only.
    unsafe { sigaction(signal, &action) }.unwrap();
}

/// Instructions stepped.
static STEPS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn after_each_instruction(_: libc::c_int) {
    // SAFETY: this thread's; what is interrupted may be about to read it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let step = STEPS.fetch_add(1, Ordering::Relaxed);
    // 61 is prime: in a few rounds this comes to every instruction.
    read_in_handler(step.is_multiple_of(61));
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Runs `body` with the processor's trap flag set: after each of its instructions comes a SIGTRAP.
/// The thread must be registered, as registration blocks signals and a trap cannot be.
fn stepped(body: impl FnOnce()) {
    // SAFETY: the stack is as it was afterwards.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    body();
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
}

/// Steps through `body` many times. Its sections must be whole at its end.
fn step_through(what: &str, rounds: usize, at_least: usize, body: impl Fn()) {
    for round in 0..rounds {
        let before = STEPS.load(Ordering::Relaxed);
        stepped(&body);
        let steps = STEPS.load(Ordering::Relaxed) - before;
        assert!(steps >= at_least, "{what}: only {steps} instructions were stepped");
        assert_eq!(Rcu.in_section(), Some(false), "{what}");
        assert_eq!(WRONG.load(Ordering::Relaxed), 0, "{what}");
        if round.is_multiple_of(rounds / 4) {
            more_updates();
        }
    }
}

fn at_every_instruction() {
    handle(Signal::SIGTRAP, after_each_instruction);
    updating(|| {
        Rcu.register_thread();
        step_through("a section", 600, 10, || drop(Rcu.read_lock()));
        step_through("a section that reads", 300, 15, || {
            let guard = Rcu.read_lock();
            let object = load();
            check(object);
            expect(Rcu.in_section() == Some(true), UNBALANCED);
            check(object);
            drop(guard);
        });
        step_through("nested sections", 300, 40, || {
            let outermost = Rcu.read_lock();
            let object = load();
            let middle = Rcu.read_lock();
            let innermost = Rcu.read_lock();
            check(object);
            drop(outermost);
            check(object);
            drop(innermost);
            check(object);
            drop(middle);
        });
        step_through("one section after the other", 300, 30, || {
            for _ in 0..3 {
                let guard = Rcu.read_lock();
                check(load());
                drop(guard);
            }
        });
        step_through("cookies", 200, 10, || {
            let cookie = Rcu.get_state();
            let guard = Rcu.read_lock();
            let own = Rcu.get_state();
            expect(!Rcu.poll(own), ENDED_EARLY);
            drop(guard);
            std::hint::black_box(Rcu.poll(cookie));
        });
        step_through("a grace period", 50, 20, || Rcu.synchronize_expedited());
        more_updates();
    });
}

#[test]
fn handlers_read_at_every_instruction() {
    in_child_process(
        "handlers_read_at_every_instruction",
        &[("RCU_STRATEGY", "")],
        at_every_instruction,
    );
}

#[test]
fn handlers_read_at_every_instruction_with_fences() {
    in_child_process(
        "handlers_read_at_every_instruction_with_fences",
        &[("RCU_STRATEGY", "fence")],
        at_every_instruction,
    );
}

thread_local! {
    /// Whether this thread's handlers may read: it registers, or is registered.
    static MAY_READ: AtomicBool = const { AtomicBool::new(false) };
    /// Signals handled by this thread.
    static HANDLED: AtomicUsize = const { AtomicUsize::new(0) };
}

fn handled() -> usize {
    HANDLED.with(|handled| handled.load(Ordering::Relaxed))
}

static READS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn in_the_storm(_: libc::c_int) {
    // SAFETY: this thread's; what is interrupted may be about to read it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    HANDLED.with(|handled| handled.fetch_add(1, Ordering::Relaxed));
    if MAY_READ.with(|may| may.load(Ordering::Relaxed)) {
        READS.fetch_add(1, Ordering::Relaxed);
        read_in_handler(false);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Threads register, read and exit under a storm of signals whose handlers read.
fn storm() {
    const THREADS: usize = 600;
    handle(Signal::SIGUSR1, in_the_storm);
    updating(|| {
        for thread in 0..THREADS {
            static FINISHED: AtomicBool = AtomicBool::new(false);
            FINISHED.store(false, Ordering::Relaxed);
            let registers = thread::spawn(move || {
                while handled() == 0 {} // the storm is there
                MAY_READ.with(|may| may.store(true, Ordering::Relaxed));
                if thread.is_multiple_of(2) {
                    Rcu.register_thread();
                }
                let guard = Rcu.read_lock();
                let object = load();
                let before = handled();
                while handled() == before {
                    check(object);
                }
                check(object);
                drop(guard);
                expect(Rcu.in_section() == Some(false), UNBALANCED);
                FINISHED.store(true, Ordering::Release);
                // And on to the end of the thread, in the storm.
            });
            while !FINISHED.load(Ordering::Acquire) || !registers.is_finished() {
                // SAFETY: not joined, so the number is still this thread's.
                unsafe { libc::pthread_kill(registers.as_pthread_t(), libc::SIGUSR1) };
            }
            registers.join().unwrap();
            if thread.is_multiple_of(100) {
                more_updates();
            }
        }
    });
    assert!(READS.load(Ordering::Relaxed) >= THREADS);
}

#[test]
fn signals_storm_at_threads_that_register() {
    in_child_process("signals_storm_at_threads_that_register", &[("RCU_STRATEGY", "")], storm);
}

#[test]
fn signals_storm_at_threads_that_register_with_fences() {
    in_child_process(
        "signals_storm_at_threads_that_register_with_fences",
        &[("RCU_STRATEGY", "fence")],
        storm,
    );
}
