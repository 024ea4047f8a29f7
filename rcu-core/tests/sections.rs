//! Sections of many kinds against grace periods: nesting, churn, thread-local destructors.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use rcu_core::{ACTIVE_COOKIES, Cookie, Flavor, Rcu, RcuGuard};

#[test]
fn a_section_holds_up_the_grace_periods_that_cover_it() {
    let guard = Rcu.read_lock();
    let cookie = thread::spawn(|| {
        let cookie = Rcu.get_state();
        // The other thread's section is open until we return: this cannot be over, however often
        // we look.
        for _ in 0..1000 {
            assert!(!Rcu.poll(cookie));
        }
        cookie
    })
    .join()
    .unwrap();
    drop(guard);
    Rcu.cond_synchronize(cookie);
    assert!(Rcu.poll(cookie));
}

#[test]
fn only_the_outermost_guard_ends_a_section() {
    let (to_reader, from_main) = mpsc::channel::<()>();
    let (to_main, from_reader) = mpsc::channel();
    let reader = thread::spawn(move || {
        let outer = Rcu.read_lock();
        let inner = Rcu.read_lock();
        drop(outer); // not in order: the section lasts as long as any of them
        to_main.send(Rcu.in_section()).unwrap();
        from_main.recv().unwrap();
        drop(inner);
        to_main.send(Rcu.in_section()).unwrap();
    });
    assert_eq!(from_reader.recv().unwrap(), Some(true));
    let cookie = Rcu.start_poll();
    for _ in 0..1000 {
        assert!(!Rcu.poll(cookie));
    }
    to_reader.send(()).unwrap();
    assert_eq!(from_reader.recv().unwrap(), Some(false));
    reader.join().unwrap();
    Rcu.cond_synchronize(cookie);
}

#[test]
fn deep_nesting_counts_right() {
    let guards: Vec<_> = (0..10_000).map(|_| Rcu.read_lock()).collect();
    assert_eq!(Rcu.in_section(), Some(true));
    drop(guards);
    assert_eq!(Rcu.in_section(), Some(false));
    Rcu.synchronize();
}

#[test]
fn waiting_inside_a_section_panics_and_leaves_the_section_whole() {
    let guard = Rcu.read_lock();
    for wait in [
        || Rcu.synchronize(),
        || Rcu.synchronize_expedited(),
        || Rcu.cond_synchronize(Cookie::COMPLETED),
    ] {
        let panic = std::panic::catch_unwind(wait).unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("inside an RCU section"), "{message}");
    }
    assert_eq!(Rcu.in_section(), Some(true));
    drop(guard);
    Rcu.synchronize();
}

#[test]
fn cookies_of_a_section_are_not_done_at_its_end() {
    for _ in 0..200 {
        let guard = Rcu.read_lock();
        let cookie = Rcu.start_poll();
        thread::yield_now();
        assert_eq!(Rcu.poll_any(&[cookie]), None);
        let done = Cookie::COMPLETED;
        assert_eq!(Rcu.poll_any(&[cookie, done, done]), Some(1), "the first");
        drop(guard);
    }
}

#[test]
fn few_cookies_are_live_at_a_time() {
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                Rcu.synchronize_expedited();
            }
        });
        let mut live: Vec<Cookie<Rcu>> = Vec::new();
        for _ in 0..20_000 {
            let cookie = Rcu.get_state();
            if !live.contains(&cookie) {
                live.push(cookie);
            }
            live.retain(|&cookie| !Rcu.poll(cookie));
            assert!(live.len() <= ACTIVE_COOKIES, "{live:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Ten thousand short threads read while an updater swaps, waits and poisons.
#[test]
fn thread_churn() {
    const POISON: usize = usize::MAX;
    let shared = AtomicPtr::new(Box::into_raw(Box::new(AtomicUsize::new(1))));
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let updater = s.spawn(|| {
            let mut swaps = 0;
            while !stop.load(Ordering::Relaxed) || swaps == 0 {
                let fresh = Box::into_raw(Box::new(AtomicUsize::new(swaps + 2)));
                let old = shared.swap(fresh, Ordering::AcqRel);
                if swaps % 2 == 0 {
                    Rcu.synchronize_expedited()
                } else {
                    Rcu.synchronize()
                }
                // SAFETY: unlinked, and a grace period has passed.
                let old = unsafe { Box::from_raw(old) };
                old.store(POISON, Ordering::Relaxed);
                swaps += 1;
            }
        });
        for _ in 0..5_000 {
            let readers: [_; 2] = std::array::from_fn(|_| {
                s.spawn(|| {
                    for _ in 0..3 {
                        let guard = Rcu.read_lock();
                        // SAFETY: freed only after a grace period that our section holds up.
                        let value = unsafe { &*shared.load(Ordering::Acquire) };
                        assert_ne!(value.load(Ordering::Relaxed), POISON);
                        drop(guard);
                    }
                })
            });
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        }
        stop.store(true, Ordering::Relaxed);
        updater.join().unwrap();
    });
    // SAFETY: all threads are gone.
    drop(unsafe { Box::from_raw(shared.into_inner()) });
}

static READ_AT_EXIT: AtomicUsize = AtomicUsize::new(0);

fn read_at_exit() {
    let guard = Rcu.read_lock();
    assert_eq!(Rcu.in_section(), Some(true));
    drop(guard);
    assert_eq!(Rcu.in_section(), Some(false));
    READ_AT_EXIT.fetch_add(1, Ordering::Relaxed);
}

struct ReadsWhenDropped;

impl Drop for ReadsWhenDropped {
    fn drop(&mut self) {
        read_at_exit();
    }
}

extern "C" fn key_destructor(_value: *mut libc::c_void) {
    read_at_exit();
}

fn key() -> libc::pthread_key_t {
    let mut key = 0;
    // SAFETY: `key` is written; the destructor lives for ever.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(key_destructor)) }, 0);
    key
}

#[test]
fn sections_open_in_every_kind_of_thread_exit_code() {
    thread_local! {
        static READS: ReadsWhenDropped = const { ReadsWhenDropped };
        static HELD: RefCell<Option<RcuGuard>> = const { RefCell::new(None) };
    }
    // One key made before ours can have been, in this process, and one after.
    let early = key();
    Rcu.register_thread();
    let late = key();
    let before = READ_AT_EXIT.load(Ordering::Relaxed);
    for registered_first in [true, false] {
        thread::spawn(move || {
            let touch_locals = || {
                READS.with(|_| ());
                for key in [early, late] {
                    let mark = ptr::dangling::<u8>().cast();
                    // SAFETY: a live key; the value is only a mark.
                    assert_eq!(unsafe { libc::pthread_setspecific(key, mark) }, 0);
                }
            };
            if registered_first {
                Rcu.register_thread();
                touch_locals();
                // A guard that a thread-local's destructor drops.
                HELD.set(Some(Rcu.read_lock()));
            } else {
                touch_locals();
            }
        })
        .join()
        .unwrap();
        Rcu.synchronize();
    }
    assert_eq!(READ_AT_EXIT.load(Ordering::Relaxed) - before, 6);
}
