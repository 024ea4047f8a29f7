//! All ways for a thread to wait, and what they cost.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::in_child_process;
use rcu_core::runtime::{self, Config, Mode};
use rcu_core::{Cookie, Flavor, GpState, Rcu};

/// A thread that keeps a section open until told to end it.
struct Reader {
    leave: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Reader {
    fn enter() -> Self {
        let (leave, told) = mpsc::channel();
        let (entered, has_entered) = mpsc::channel();
        let thread = thread::spawn(move || {
            let guard = Rcu.read_lock();
            entered.send(()).unwrap();
            told.recv().unwrap();
            drop(guard);
        });
        has_entered.recv().unwrap();
        Self { leave, thread }
    }

    fn leave(self) {
        self.leave.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn configure(mode: Mode) {
    runtime::configure(Config { mode, ..Config::default() }).unwrap();
}

fn started() -> u64 {
    Rcu.stats().grace_periods.started
}

fn times_out_behind_a_reader() {
    let reader = Reader::enter();
    let cookie = Rcu.get_state();
    // Each of these returns while the reader is in: it leaves only afterwards.
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(3)] {
        assert!(!Rcu.wait_timeout(cookie, timeout));
        assert!(!Rcu.poll(cookie));
    }
    reader.leave();
    assert!(Rcu.wait_timeout(cookie, Duration::MAX)); // beyond what the clock can say
    assert!(Rcu.wait_timeout(cookie, Duration::ZERO));
    assert!(Rcu.wait_timeout(Cookie::COMPLETED, Duration::ZERO));
    assert!(Rcu.wait_timeout(Rcu.get_state(), Duration::MAX));
}

#[test]
fn a_wait_times_out_behind_a_reader_and_not_before_it_is_done() {
    times_out_behind_a_reader();
}

fn times_out_without_threads(mode: Mode) {
    configure(mode);
    assert!(!runtime::start());
    times_out_behind_a_reader();
}

#[test]
fn a_wait_of_one_who_drives_times_out_too() {
    in_child_process("a_wait_of_one_who_drives_times_out_too", &[], || {
        times_out_without_threads(Mode::Callers);
    });
}

#[test]
fn a_wait_beside_an_embedder_times_out_too() {
    in_child_process("a_wait_beside_an_embedder_times_out_too", &[], || {
        times_out_without_threads(Mode::External);
    });
}

#[test]
fn a_wait_with_a_timeout_inside_a_section_panics() {
    let guard = Rcu.read_lock();
    for cookie in [Cookie::COMPLETED, Rcu.get_state()] {
        let panic = std::panic::catch_unwind(|| Rcu.wait_timeout(cookie, Duration::ZERO));
        let panic = panic.unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("inside an RCU section"), "{message}");
    }
    drop(guard);
}

/// With an interval that no test lives to see the end of, only what is expedited comes.
#[test]
fn an_expedited_poll_does_not_wait_for_the_interval() {
    in_child_process("an_expedited_poll_does_not_wait_for_the_interval", &[], || {
        runtime::start();
        Rcu.synchronize(); // from here the interval counts
        runtime::set_gp_interval(Duration::from_secs(100_000));
        for _ in 0..50 {
            let unhurried = Rcu.start_poll();
            for _ in 0..1000 {
                assert!(!Rcu.poll(unhurried));
            }
            thread::yield_now();
            assert!(!Rcu.wait_timeout(unhurried, Duration::from_nanos(1)));
            let expedited = Rcu.start_poll_expedited();
            assert_eq!(unhurried, expedited); // nothing was begun in between
            while !Rcu.poll(expedited) {
                thread::yield_now();
            }
        }
        // And it expedites one that others sleep for.
        thread::scope(|s| {
            let sleeper = s.spawn(|| Rcu.synchronize());
            while Rcu.stats().grace_periods.waiting == 0 {
                thread::yield_now();
            }
            let cookie = Rcu.start_poll_expedited();
            sleeper.join().unwrap();
            Rcu.cond_synchronize(cookie);
        });
    });
}

const CROWD: usize = 16;

/// What `CROWD` threads cost that wait at the same time: the grace period that is under way when
/// they come, and the next, which covers all of them.
fn crowd(mode: Mode, wait: fn(Cookie<Rcu>)) {
    configure(mode);
    let reader = Reader::enter();
    let before = started();
    let arrived = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..CROWD {
            s.spawn(|| {
                let cookie = Rcu.start_poll();
                arrived.fetch_add(1, Ordering::Release);
                wait(cookie);
                assert!(Rcu.poll(cookie));
            });
        }
        while arrived.load(Ordering::Acquire) < CROWD
            || Rcu.stats().grace_periods.waiting < CROWD as u32
        {
            thread::yield_now();
        }
        reader.leave();
    });
    let cost = started() - before;
    assert!((1..=2).contains(&cost), "{CROWD} threads took {cost} grace periods");
}

#[test]
fn many_who_wait_share_two_grace_periods() {
    in_child_process("many_who_wait_share_two_grace_periods", &[], || {
        crowd(Mode::Threads, |cookie| Rcu.cond_synchronize(cookie));
    });
}

#[test]
fn many_who_drive_share_two_grace_periods() {
    in_child_process("many_who_drive_share_two_grace_periods", &[], || {
        crowd(Mode::Callers, |cookie| Rcu.cond_synchronize(cookie));
    });
}

/// `synchronize` takes its cookie itself, so this covers that it takes the right one: the threads
/// are known to be in it when they are known to sleep.
fn crowd_of(mode: Mode, synchronize: fn()) {
    configure(mode);
    let reader = Reader::enter();
    let before = started();
    thread::scope(|s| {
        (0..CROWD).for_each(|_| drop(s.spawn(synchronize)));
        while Rcu.stats().grace_periods.waiting < CROWD as u32 {
            thread::yield_now();
        }
        reader.leave();
    });
    let cost = started() - before;
    assert!((1..=2).contains(&cost), "{CROWD} threads took {cost} grace periods");
}

#[test]
fn many_synchronize_at_the_price_of_two() {
    in_child_process("many_synchronize_at_the_price_of_two", &[], || {
        crowd_of(Mode::Threads, || Rcu.synchronize());
    });
}

#[test]
fn many_synchronize_expedited_at_the_price_of_two() {
    in_child_process("many_synchronize_expedited_at_the_price_of_two", &[], || {
        crowd_of(Mode::Threads, || Rcu.synchronize_expedited());
    });
}

#[test]
fn many_synchronize_without_threads_at_the_price_of_two() {
    in_child_process("many_synchronize_without_threads_at_the_price_of_two", &[], || {
        crowd_of(Mode::Callers, || Rcu.synchronize());
    });
}

#[test]
fn nobody_waits_for_what_an_earlier_grace_period_covered() {
    in_child_process("nobody_waits_for_what_an_earlier_grace_period_covered", &[], || {
        let old = Rcu.get_state();
        Rcu.synchronize();
        let recent = Rcu.get_state();
        Rcu.synchronize_expedited();
        let before = started();
        let noop = std::task::Waker::noop();
        for cookie in [old, recent, Cookie::COMPLETED] {
            Rcu.cond_synchronize(cookie);
            assert!(Rcu.wait_timeout(cookie, Duration::ZERO));
            let mut wait = std::pin::pin!(Rcu.wait(cookie));
            assert!(wait.as_mut().poll(&mut std::task::Context::from_waker(noop)).is_ready());
        }
        let stats = Rcu.stats().grace_periods;
        assert_eq!(stats.started, before);
        assert_eq!((stats.seq.state(), stats.requested), (GpState::Idle, false));

        // Nor is one begun for all the requests that the next covers.
        let reader = Reader::enter();
        let mut last = Rcu.start_poll();
        (1..1000).for_each(|_| last = Rcu.start_poll());
        reader.leave();
        Rcu.cond_synchronize(last);
        assert!(started() - before <= 2);
    });
}

/// Cookies taken and waited for in every way at once, behind readers that come and go.
#[test]
fn all_ways_at_once() {
    let stop = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while stop.load(Ordering::Relaxed) < 3 {
                    let _outer = Rcu.read_lock();
                    let _inner = Rcu.read_lock();
                    thread::yield_now();
                }
            });
        }
        for way in 0..3 {
            let stop = &stop;
            s.spawn(move || {
                for turn in 0..300 {
                    let cookie = match turn % 3 {
                        0 => Rcu.get_state(),
                        1 => Rcu.start_poll(),
                        _ => Rcu.start_poll_expedited(),
                    };
                    match (way + turn) % 4 {
                        0 => Rcu.cond_synchronize(cookie),
                        1 => while !Rcu.wait_timeout(cookie, Duration::from_micros(50)) {},
                        2 => Rcu.synchronize(),
                        _ => Rcu.synchronize_expedited(),
                    }
                    assert!(Rcu.poll(cookie));
                    assert_eq!(Rcu.poll_any(&[cookie]), Some(0));
                }
                stop.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
}
