//! Notifiers and tasks: each armed node is called once, not before its cookie is done.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rcu_core::gp::Notifier;
use rcu_core::runtime::{self, Next, Task, gp_interval};
use rcu_core::{Cookie, Flavor, GpSeq, Rcu};

const THREADS: usize = 3;
const ROUNDS: usize = 3_000;

/// A notifier with what it must see when it is called; the notifier comes first.
#[repr(C)]
struct Bell {
    notifier: Notifier,
    cookie: Cookie<Rcu>,
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static EARLY: AtomicUsize = AtomicUsize::new(0);

unsafe fn ring(notifier: NonNull<Notifier>) {
    // SAFETY: the notifier is the first field of a `Bell` that came from `Box::into_raw`, and is
    // ours again: called a second time this would be a double free, which the allocator notices.
    let bell = unsafe { Box::from_raw(notifier.cast::<Bell>().as_ptr()) };
    if !Rcu.poll(bell.cookie) {
        EARLY.fetch_add(1, Ordering::Relaxed);
    }
    CALLS.fetch_add(1, Ordering::Release);
}

#[test]
fn each_armed_notifier_is_called_once_and_in_time() {
    runtime::start();
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        // Grace periods from several drivers, and sections that hold them up.
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                Rcu.synchronize_expedited();
            }
        });
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _guard = Rcu.read_lock();
                thread::yield_now();
            }
        });
        let armers: [_; THREADS] = std::array::from_fn(|_| {
            s.spawn(|| {
                for round in 0..ROUNDS {
                    // Old cookies, live ones, and one that is always done.
                    let now = Rcu.get_state();
                    let cookie = match round % 4 {
                        0 => Cookie::COMPLETED,
                        1 => Cookie::from_seq(GpSeq::new(now.seq().get().wrapping_sub(8))),
                        _ => now,
                    };
                    let bell = Box::new(Bell { notifier: Notifier::new(ring), cookie });
                    let bell = NonNull::from(Box::leak(bell));
                    // SAFETY: fresh, and freed only by its call.
                    unsafe { Rcu.notify(bell.cast(), cookie) };
                }
            })
        });
        armers.into_iter().for_each(|armer| armer.join().unwrap());
        while CALLS.load(Ordering::Acquire) < THREADS * ROUNDS {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(CALLS.load(Ordering::Relaxed), THREADS * ROUNDS);
    assert_eq!(EARLY.load(Ordering::Relaxed), 0);
}

static RUNS: AtomicU32 = AtomicU32::new(0);
static TOO_SOON: AtomicBool = AtomicBool::new(false);
static DUE: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::new(None);

/// Asks to be run again twice, then is done and submits itself anew, three times over.
unsafe fn again(task: NonNull<Task>, now: Instant) -> Next {
    let mut due = DUE.lock().unwrap();
    if due.is_some_and(|due| now < due) {
        TOO_SOON.store(true, Ordering::Relaxed);
    }
    let run = RUNS.fetch_add(1, Ordering::Release) + 1;
    if !run.is_multiple_of(3) {
        *due = Some(now + gp_interval());
        return Next::At(now + gp_interval());
    }
    *due = None;
    if run < 9 {
        // SAFETY: a static; this run has decided to be done.
        unsafe { runtime::reclaim().submit(task) };
    }
    Next::Done
}

static TASK: Task = Task::new(again);

#[test]
fn a_task_runs_when_it_asked_to_and_may_submit_itself() {
    runtime::start();
    // SAFETY: a static, submitted once from here.
    unsafe { runtime::reclaim().submit(NonNull::from(&TASK)) };
    while RUNS.load(Ordering::Acquire) < 9 {
        thread::yield_now();
    }
    assert!(!TOO_SOON.load(Ordering::Relaxed));
}
