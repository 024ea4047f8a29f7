//! Grace periods that readers hold up: who is told, once, and of whom.

mod common;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use std::{mem, thread};

use common::in_child_process;
use rcu_core::gp::{Holder, StallReport, set_stall_hook, set_stall_timeout};
use rcu_core::runtime::{self, Config, Mode};
use rcu_core::{Cookie, Flavor, Rcu};

const TIMEOUT: Duration = Duration::from_millis(5);

static REPORTS: Mutex<Vec<StallReport>> = Mutex::new(Vec::new());

/// Reports go to `REPORTS`.
fn record() {
    set_stall_timeout(TIMEOUT);
    set_stall_hook(|report| REPORTS.lock().unwrap().push(report.clone()));
}

fn reports() -> Vec<StallReport> {
    REPORTS.lock().unwrap().clone()
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// The line of `slow_reader`'s section.
static LINE: AtomicUsize = AtomicUsize::new(0);

struct Reader {
    id: i32,
    leave: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// A thread that is in a section until told to leave.
fn slow_reader() -> Reader {
    let (leave, told) = mpsc::channel();
    let (tell, id) = mpsc::channel();
    let body = move || {
        LINE.store(line!() as usize + 1, Ordering::Relaxed);
        let outermost = Rcu.read_lock();
        let nested = Rcu.read_lock(); // not the place to name
        // SAFETY: takes nothing and touches nothing of ours.
        tell.send(unsafe { libc::gettid() }).unwrap();
        told.recv().unwrap();
        drop((outermost, nested));
    };
    let thread = thread::Builder::new().name("slow-reader".into()).spawn(body).unwrap();
    Reader { id: id.recv().unwrap(), leave, thread }
}

impl Reader {
    fn leave(self) {
        self.leave.send(()).unwrap();
        self.thread.join().unwrap();
    }

    fn is(&self, holder: &Option<Holder>) {
        let holder = holder.as_ref().unwrap();
        assert_eq!(holder.thread, Some(self.id));
        is_at(holder, LINE.load(Ordering::Relaxed));
        assert!(holder.to_string().contains(&format!("thread {} (slow-reader)", self.id)));
    }
}

/// In debug builds the place is known.
fn is_at(holder: &Holder, line: usize) {
    assert_eq!(holder.opened_at.is_some(), cfg!(debug_assertions));
    if let Some(place) = holder.opened_at {
        assert!(place.file().ends_with("stalls.rs"), "{place}");
        assert_eq!(place.line() as usize, line);
        assert!(holder.to_string().contains(&format!("section opened at {place}")), "{holder}");
    }
}

fn each_stall_is_reported_once(mode: Mode) {
    runtime::configure(Config { mode, ..Config::default() }).unwrap();
    record();
    Rcu.synchronize();
    for stall in 1..=3 {
        let reader = slow_reader();
        let cookie = Rcu.start_poll_expedited();
        while reports().len() < stall {
            assert!(!Rcu.wait_timeout(cookie, Duration::from_micros(100)));
        }
        // Other drivers look, many times and at the same time: they have nothing to add.
        thread::scope(|s| {
            let lookers = [(); 3].map(|()| {
                s.spawn(|| {
                    for _ in 0..20 {
                        assert!(!Rcu.wait_timeout(cookie, TIMEOUT / 20));
                        runtime::drive(Duration::ZERO);
                    }
                })
            });
            lookers.into_iter().for_each(|looker| looker.join().unwrap());
            s.spawn(|| Rcu.synchronize_expedited());
            until(|| Rcu.stats().grace_periods.waiting > 0);
            let stats = Rcu.stats();
            reader.is(&stats.grace_periods.holder);
            assert!(stats.grace_periods.scanning_for.unwrap() >= TIMEOUT);
            let text = stats.to_string();
            assert!(text.contains("(scanning)"), "{text}");
            let holder = format!("held up by thread {} (slow-reader)", reader.id);
            assert!(text.contains(&holder), "{text}");
            assert_eq!(reports().len(), stall);
            let report = &reports()[stall - 1];
            assert_eq!(report.cookie, cookie.seq());
            assert!(report.age >= TIMEOUT);
            reader.is(&report.holder);
            let text = report.to_string();
            let cookie = format!("the grace period {} waits for", cookie.seq().get());
            assert!(text.contains(&cookie), "{text}");
            reader.leave();
        });
        Rcu.cond_synchronize(cookie);
    }
    assert_eq!(reports().len(), 3);
    assert_eq!(Rcu.stats().grace_periods.holder, None);
    // Turned off.
    set_stall_timeout(Duration::ZERO);
    let reader = slow_reader();
    let cookie = Rcu.start_poll_expedited();
    (0..20).for_each(|_| assert!(!Rcu.wait_timeout(cookie, TIMEOUT)));
    reader.leave();
    Rcu.cond_synchronize(cookie);
    assert_eq!(reports().len(), 3);
}

#[test]
fn each_stall_is_reported_once_by_threads() {
    in_child_process("each_stall_is_reported_once_by_threads", &[], || {
        each_stall_is_reported_once(Mode::Threads);
    });
}

#[test]
fn each_stall_is_reported_once_by_callers() {
    in_child_process("each_stall_is_reported_once_by_callers", &[], || {
        each_stall_is_reported_once(Mode::Callers);
    });
}

/// Many drivers, some of them late: nobody reports a grace period that is over, or again.
#[test]
fn late_drivers_report_nothing() {
    in_child_process("late_drivers_report_nothing", &[], || {
        static WRONG: AtomicBool = AtomicBool::new(false);
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        set_stall_timeout(Duration::from_millis(1));
        set_stall_hook(|report| {
            // The only reader leaves when this is counted.
            if Rcu.poll(Cookie::from_seq(report.cookie)) {
                WRONG.store(true, Ordering::Relaxed);
            }
            REPORTS.lock().unwrap().push(report.clone());
            COUNT.fetch_add(1, Ordering::Release);
        });
        let stop = AtomicBool::new(false);
        thread::scope(|s| {
            for _ in 0..16 {
                s.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        Rcu.synchronize_expedited();
                    }
                });
            }
            for _ in 0..100 {
                let guard = Rcu.read_lock();
                let before = COUNT.load(Ordering::Acquire);
                until(|| COUNT.load(Ordering::Acquire) > before);
                drop(guard);
            }
            stop.store(true, Ordering::Relaxed);
        });
        let cookies: Vec<_> = reports().iter().map(|report| report.cookie).collect();
        let distinct: HashSet<_> = cookies.iter().collect();
        assert_eq!(distinct.len(), cookies.len());
        assert!(!WRONG.load(Ordering::Relaxed));
    });
}

#[test]
fn a_hook_that_panics_is_survived() {
    in_child_process("a_hook_that_panics_is_survived", &[], || {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        /// Panics when it is dropped, too.
        struct Nasty;
        impl Drop for Nasty {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("and again"));
            }
        }
        set_stall_timeout(TIMEOUT);
        set_stall_hook(|_| {
            CALLS.fetch_add(1, Ordering::Release);
            std::panic::resume_unwind(Box::new(Nasty));
        });
        Rcu.synchronize();
        for stall in 1..=3 {
            let reader = slow_reader();
            // By the background thread, then by this one.
            let cookie = Rcu.start_poll_expedited();
            until(|| CALLS.load(Ordering::Acquire) == stall);
            let driver = thread::spawn(|| Rcu.synchronize_expedited());
            reader.leave();
            Rcu.cond_synchronize(cookie);
            driver.join().unwrap();
        }
        runtime::start();
        // The lock of the hook is whole.
        record();
        let reader = slow_reader();
        let driver = thread::spawn(|| Rcu.synchronize_expedited());
        until(|| !reports().is_empty());
        reader.leave();
        driver.join().unwrap();
    });
}

#[test]
fn a_leaked_guard_is_named() {
    in_child_process("a_leaked_guard_is_named", &[], || {
        record();
        let line = line!() as usize + 1;
        thread::spawn(|| mem::forget(Rcu.read_lock())).join().unwrap();
        let cookie = Rcu.start_poll_expedited();
        runtime::start();
        until(|| !reports().is_empty());
        let report = &reports()[0];
        assert_eq!(report.cookie, cookie.seq());
        let holder = report.holder.as_ref().unwrap();
        assert_eq!(holder.thread, None);
        is_at(holder, line);
        for text in [report.to_string(), Rcu.stats().to_string()] {
            assert!(text.contains("a guard leaked by a thread that has exited"), "{text}");
        }
        assert!(!Rcu.poll(cookie));
    });
}

#[test]
fn without_a_hook_the_report_is_a_line_on_standard_error() {
    in_child_process("without_a_hook_the_report_is_a_line_on_standard_error", &[], || {
        let (output, input) = std::io::pipe().unwrap();
        // SAFETY: two open files.
        assert_eq!(unsafe { libc::dup2(input.as_raw_fd(), libc::STDERR_FILENO) }, 2);
        set_stall_timeout(TIMEOUT);
        Rcu.synchronize();
        let reader = slow_reader();
        let cookie = Rcu.start_poll_expedited();
        let line = BufReader::new(output).lines().next().unwrap().unwrap();
        let expected = format!("rcu: the grace period {} waits for ", cookie.seq().get());
        assert!(line.starts_with(&expected), "{line}");
        let expected = format!("now for thread {} (slow-reader)", reader.id);
        assert!(line.contains(&expected), "{line}");
        reader.leave();
    });
}
