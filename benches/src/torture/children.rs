//! Forks in the middle of it all: a child opens sections and waits for grace periods, with the one
//! thread it has, and says by its status how it went.

use std::hint;
use std::mem::MaybeUninit;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rcu_core::Cookie;

use super::Torture;
use super::checks::Check;
use super::interrupt::Interruptible;
use super::reader::{self, Held};
use super::rng::Rng;
use super::sleepers::Sleeper;
use super::stats::Tally;
use super::subject::Subject;
use super::waits::Called;

/// Whether this process is a child. Set before anything else is done in it.
static CHILD: AtomicBool = AtomicBool::new(false);
/// How far the child has come.
static STEP: AtomicI32 = AtomicI32::new(0);

/// What a child does, in order.
const STEPS: [&str; 6] = [
    "keeping the section that was open at the fork",
    "opening sections",
    "an expedited grace period",
    "a section that holds grace periods up",
    "a grace period in the background",
    "a wait for a time, and a notifier",
];
/// Statuses: this and the step that went wrong, or in which it hung.
const WRONG: i32 = 16;
const HUNG: i32 = 32;
const PANICKED: i32 = 3;

pub(super) fn in_child() -> bool {
    CHILD.load(Ordering::Relaxed)
}

/// Forks a few times a second.
pub(super) fn run<F: Subject>(torture: &'static Torture<F>, alarm: u32) {
    let mut rng = Rng::new();
    let mut tally = Tally::default();
    reader::section(torture, None, &mut rng, &mut tally);
    let _interruptible = Interruptible::new(torture);
    while torture.gate.pass() {
        fork(torture, alarm, &mut rng);
        tally.children += 1;
        torture.merge(&mut tally);
        for _ in 0..10 + rng.below(60) {
            if torture.gate.is_open() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn fork<F: Subject>(torture: &'static Torture<F>, alarm: u32, rng: &mut Rng) {
    let flavor = &torture.flavor;
    let before = flavor.get_state();
    let open = rng.one_in(2).then(|| (flavor.read_lock(), Held::take(torture)));
    // SAFETY: the child uses only what keeps itself whole across a fork, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        CHILD.store(true, Ordering::Relaxed);
        end_by_alarm(alarm);
        let body = AssertUnwindSafe(|| live(torture, open, before));
        let status = match panic::catch_unwind(body) {
            Ok(Ok(())) => 0,
            Ok(Err(Wrong)) => WRONG + STEP.load(Ordering::Relaxed),
            Err(_) => PANICKED,
        };
        // SAFETY: ends the process, without the parent's buffers and destructors.
        unsafe { libc::_exit(status) };
    }
    if let Some((guard, held)) = open {
        held.check(torture, &mut Tally::default());
        drop(guard);
    }
    if child < 0 {
        return; // the system has none to give
    }
    if let Some(status) = wait_for(torture, child) {
        torture.failures.expect(status == 0, Check::ForkChild, || told(status));
    }
}

/// The status a child ended with; `None` if the run is over before it is.
fn wait_for<F: Subject>(torture: &Torture<F>, child: libc::pid_t) -> Option<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: writes the status, of a child of ours.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if torture.gate.is_stopped() => {
                // SAFETY: a child of ours that has not been waited for.
                unsafe {
                    libc::kill(child, libc::SIGKILL);
                    libc::waitpid(child, &raw mut status, 0);
                }
                return None;
            }
            0 => thread::sleep(Duration::from_millis(1)),
            _ => return Some(status),
        }
    }
}

fn told(status: libc::c_int) -> String {
    let step = |number: i32| STEPS[number as usize % STEPS.len()];
    if !libc::WIFEXITED(status) {
        return format!("the child of a fork ended with status {status:#x}");
    }
    match libc::WEXITSTATUS(status) {
        PANICKED => "the child of a fork panicked".into(),
        at if at >= HUNG => format!("the child of a fork hung: {}", step(at - HUNG)),
        at if at >= WRONG => format!("the child of a fork went wrong: {}", step(at - WRONG)),
        other => format!("the child of a fork ended with {other}"),
    }
}

/// Something did not hold; `STEP` says where.
struct Wrong;

fn expect(holds: bool) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong) }
}

/// All that a child does. Locks of the harness may be held by threads it does not have.
fn live<F: Subject>(
    torture: &'static Torture<F>,
    open: Option<(F::Guard<'_>, Held<F>)>,
    before: Cookie<F>,
) -> Result<(), Wrong> {
    let flavor = &torture.flavor;
    let step = |number| STEP.store(number, Ordering::Relaxed);
    let inside = |inside: bool| expect(flavor.in_section().is_none_or(|said| said == inside));

    step(0);
    if let Some((guard, held)) = open {
        inside(true)?;
        // Nobody changes anything here any more.
        let cookie = flavor.start_poll();
        expect(held.is_young() && held.is_same() && !flavor.poll(cookie))?;
        drop(guard);
    }
    step(1);
    for _ in 0..100 {
        inside(false)?;
        let outer = flavor.read_lock();
        let inner = flavor.read_lock();
        drop(outer);
        inside(true)?;
        drop(inner);
    }
    step(2);
    flavor.synchronize_expedited();
    expect(flavor.poll(before))?;
    step(3);
    let guard = flavor.read_lock();
    let held_up = flavor.start_poll_expedited();
    for _ in 0..100 {
        expect(!flavor.poll(held_up))?;
        hint::spin_loop();
    }
    drop(guard);
    step(4);
    // Starts background threads anew.
    flavor.synchronize();
    expect(flavor.poll(held_up))?;
    step(5);
    let cookie = flavor.get_state();
    while !flavor.wait_timeout(cookie, Duration::from_secs(1)) {}
    expect(flavor.poll(cookie))?;
    Called::wait(flavor, &Sleeper::new());
    Ok(())
}

/// Ends the child if it hangs, with a status that says where.
fn end_by_alarm(seconds: u32) {
    extern "C" fn end(_signal: libc::c_int) {
        // SAFETY: may be called in a handler, and does not return.
        unsafe { libc::_exit(HUNG + STEP.load(Ordering::Relaxed)) }
    }
    // SAFETY: all zero is a valid sigaction; the handler does what handlers may.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = end as *const () as usize;
        libc::sigaction(libc::SIGALRM, &action, ptr::null_mut());
        libc::alarm(seconds);
    }
}
