//! Awaiting grace periods: on any executor, dropped at any time, woken outside every lock.

mod block_on;
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use block_on::block_on;
use common::in_child_process;
use rcu_core::gp::{Notifier, set_stall_hook};
use rcu_core::runtime::{self, Config, Mode};
use rcu_core::{Cookie, Flavor, Rcu, Wait};

/// Pieces of memory that are allocated.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: the system's allocator, counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A waker that does something, and counts.
struct Does<F: Fn() + Send + Sync> {
    wakes: AtomicUsize,
    what: F,
}

impl<F: Fn() + Send + Sync> Does<F> {
    fn new(what: F) -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), what })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Acquire)
    }
}

impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        // First: what follows may panic.
        self.wakes.fetch_add(1, Ordering::Release);
        (self.what)();
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Cookies of every kind, awaited one after the other.
async fn some_of_each() {
    for turn in 0..30 {
        let cookie = match turn % 3 {
            0 => Rcu.get_state(),
            1 => Rcu.start_poll(),
            _ => Rcu.start_poll_expedited(),
        };
        Rcu.wait(cookie).await;
        assert!(Rcu.poll(cookie));
    }
    Rcu.wait(Cookie::COMPLETED).await;
}

#[test]
fn on_a_bare_executor() {
    block_on(some_of_each());
}

#[test]
fn on_tokio_with_one_thread() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async {
        let tasks: Vec<_> = (0..20).map(|_| tokio::spawn(some_of_each())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn on_tokio_with_several_threads() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    tokio.block_on(async {
        let reads: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn(async {
                    for _ in 0..500 {
                        drop(Rcu.read_lock());
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let waits: Vec<_> = (0..20).map(|_| tokio::spawn(some_of_each())).collect();
        for task in waits.into_iter().chain(reads) {
            task.await.unwrap();
        }
    });
}

/// A task that is aborted drops its future wherever it happens to be.
#[test]
fn aborted_tasks() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    tokio.block_on(async {
        for _ in 0..500 {
            let task = tokio::spawn(some_of_each());
            let other = tokio::spawn(Rcu.wait(Rcu.get_state()));
            tokio::task::yield_now().await;
            task.abort();
            other.await.unwrap();
            let _ = task.await; // done or aborted
        }
    });
    Rcu.synchronize();
}

#[test]
fn a_section_elsewhere_is_waited_for() {
    for _ in 0..50 {
        let (entered, has_entered) = mpsc::channel();
        let (leave, told) = mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            let guard = Rcu.read_lock();
            entered.send(()).unwrap();
            told.recv().unwrap();
            drop(guard);
        });
        has_entered.recv().unwrap();
        let cookie = Rcu.get_state();
        let mut wait = Rcu.wait(cookie);
        let waker = Does::new(|| ());
        for _ in 0..100 {
            assert!(poll(&mut wait, &waker.clone().into()).is_pending());
        }
        assert_eq!(waker.wakes(), 0);
        leave.send(()).unwrap();
        until(|| waker.wakes() == 1);
        assert!(poll(&mut wait, Waker::noop()).is_ready());
        assert!(poll(&mut wait, Waker::noop()).is_ready()); // and again, which nobody asks for
        reader.join().unwrap();
    }
}

/// Only the waker of the last poll is called.
#[test]
fn a_future_that_moves_to_another_task() {
    let (first, second) = (Does::new(|| ()), Does::new(|| ()));
    let guard = Rcu.read_lock();
    let cookie = Rcu.get_state();
    let (mut wait, first, second) = thread::spawn(move || {
        let mut wait = Rcu.wait(cookie);
        assert!(poll(&mut wait, &first.clone().into()).is_pending());
        assert!(poll(&mut wait, &second.clone().into()).is_pending());
        (wait, first, second)
    })
    .join()
    .unwrap();
    drop(guard);
    until(|| second.wakes() == 1);
    assert_eq!(first.wakes(), 0);
    assert_eq!(Arc::strong_count(&first), 1); // and is not kept
    assert!(poll(&mut wait, Waker::noop()).is_ready());
}

/// Polls on a thread without a section, as the test's own is in one.
fn polled_elsewhere(mut wait: Wait<Rcu>, waker: Waker) -> Wait<Rcu> {
    thread::spawn(move || {
        assert!(poll(&mut wait, &waker).is_pending());
        wait
    })
    .join()
    .unwrap()
}

#[test]
fn dropped_before_and_after_the_first_poll() {
    for _ in 0..100 {
        drop(Rcu.wait(Rcu.get_state()));
        let guard = Rcu.read_lock();
        let waker = Does::new(|| ());
        let wait = polled_elsewhere(Rcu.wait(Rcu.get_state()), waker.clone().into());
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(wait);
        assert_eq!(Arc::strong_count(&waker), 1);
        drop(guard);
        Rcu.synchronize();
        assert_eq!(waker.wakes(), 0);
    }
}

#[test]
fn ten_thousand_dropped_futures_leave_nothing() {
    const FUTURES: usize = 10_000;
    in_child_process("ten_thousand_dropped_futures_leave_nothing", &[], || {
        Rcu.synchronize();
        let waker = Does::new(|| ());
        let before = LIVE.load(Ordering::Relaxed);
        let guard = Rcu.read_lock();
        let waits = thread::spawn({
            let waker = Waker::from(waker.clone());
            move || {
                let mut waits: Vec<_> = (0..FUTURES).map(|_| Rcu.wait(Rcu.get_state())).collect();
                for wait in &mut waits {
                    assert!(poll(wait, &waker).is_pending());
                }
                waits
            }
        })
        .join()
        .unwrap();
        assert_eq!(Arc::strong_count(&waker), 1 + FUTURES);
        assert!(LIVE.load(Ordering::Relaxed) - before >= FUTURES as isize);
        drop(waits);
        // No task is kept alive by a future it has dropped...
        assert_eq!(Arc::strong_count(&waker), 1);
        drop(guard);
        Rcu.synchronize();
        // ...and the engine gives up its half when the grace period is over.
        until(|| LIVE.load(Ordering::Relaxed) - before < 100);
        assert_eq!(waker.wakes(), 0);
    });
}

/// Dropped by one thread while another ends the grace period and wakes.
#[test]
fn dropped_while_it_is_woken() {
    let waker = Does::new(|| ());
    for round in 0..1000 {
        let guard = Rcu.read_lock();
        let cookie = Rcu.get_state();
        let raw = Waker::from(waker.clone());
        let dropper = thread::spawn(move || {
            let mut waits: Vec<_> = (0..20).map(|_| Rcu.wait(cookie)).collect();
            for wait in &mut waits {
                assert!(poll(wait, &raw).is_pending());
            }
            drop(raw);
            waits
        });
        let waits = dropper.join().unwrap();
        drop(guard);
        for (i, mut wait) in waits.into_iter().enumerate() {
            match (round + i) % 3 {
                0 => thread::yield_now(),
                1 => drop(poll(&mut wait, Waker::noop())),
                _ => {}
            }
            drop(wait);
        }
    }
    Rcu.synchronize();
    // Those that were taken to be woken are given up when they have been.
    until(|| Arc::strong_count(&waker) == 1);
}

/// What wakes a future that holds up a thread of ours until another thread has used everything here
/// that takes a lock.
#[test]
fn wakers_are_called_outside_locks() {
    in_child_process("wakers_are_called_outside_locks", &[], || {
        for by_caller in [0, 1] {
            let (ask, asked) = mpsc::channel::<()>();
            let (answer, answered) = mpsc::channel::<()>();
            let answered = Mutex::new(answered);
            let busy = thread::spawn(move || {
                asked.recv().unwrap();
                unsafe fn nothing(_: NonNull<Notifier>) {}
                static NOTIFIERS: [Notifier; 4] = [const { Notifier::new(nothing) }; 4];
                // SAFETY: statics, each armed once.
                unsafe {
                    Rcu.notify(NonNull::from(&NOTIFIERS[by_caller]), Cookie::COMPLETED);
                    Rcu.notify(NonNull::from(&NOTIFIERS[by_caller + 2]), Rcu.get_state());
                }
                let mut wait = Rcu.wait(Rcu.get_state());
                let _ = poll(&mut wait, Waker::noop());
                drop(wait);
                thread::spawn(|| drop(Rcu.read_lock())).join().unwrap();
                set_stall_hook(|_| ());
                assert!(runtime::configure(Config::default()).is_err());
                runtime::drive(Duration::ZERO);
                println!("{}", Rcu.stats());
                let cookie = Rcu.start_poll_expedited();
                Rcu.synchronize_expedited();
                assert!(Rcu.poll(cookie));
                answer.send(()).unwrap();
            });
            let waker = Does::new(move || {
                ask.send(()).unwrap();
                answered.lock().unwrap().recv().unwrap();
            });
            let guard = Rcu.read_lock();
            let wait = polled_elsewhere(Rcu.wait(Rcu.get_state()), waker.clone().into());
            drop(guard);
            match by_caller {
                0 => Rcu.synchronize(),
                _ => Rcu.synchronize_expedited(),
            }
            busy.join().unwrap();
            until(|| waker.wakes() == 1);
            drop(wait);
        }
    });
}

/// Wakers that do what executors and careless people do; each is woken beside a well-behaved one,
/// and the next grace period works.
#[test]
fn wakers_may_use_what_woke_them() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static UNPROTECTED: AtomicBool = AtomicBool::new(false);
    unsafe fn rung(notifier: NonNull<Notifier>) {
        // SAFETY: from `Box::into_raw` below, and ours again.
        drop(unsafe { Box::from_raw(notifier.as_ptr()) });
        CALLS.fetch_add(1, Ordering::Release);
    }
    fn arm(cookie: Cookie<Rcu>) {
        let notifier = Box::leak(Box::new(Notifier::new(rung)));
        // SAFETY: fresh, and freed by its call only.
        unsafe { Rcu.notify(NonNull::from(notifier), cookie) };
    }
    let others: Arc<Mutex<Vec<Wait<Rcu>>>> = Arc::default();
    let opens_sections = || {
        let outer = Rcu.read_lock();
        let inner = Rcu.read_lock();
        // A panic here would be caught.
        if Rcu.poll(Rcu.get_state()) || Rcu.in_section() != Some(true) {
            UNPROTECTED.store(true, Ordering::Relaxed);
        }
        drop((outer, inner));
    };
    let drops_others = {
        let others = others.clone();
        move || others.lock().unwrap().clear()
    };
    let polls_others = {
        let others = others.clone();
        move || {
            for other in &mut *others.lock().unwrap() {
                let _ = poll(other, Waker::noop());
            }
        }
    };
    let wakers: [Arc<dyn Fn() + Send + Sync>; 7] = [
        Arc::new(opens_sections),
        Arc::new(|| arm(Cookie::COMPLETED)),
        Arc::new(|| arm(Rcu.get_state())),
        Arc::new(drops_others),
        Arc::new(polls_others),
        Arc::new(|| {
            Rcu.start_poll();
            Rcu.start_poll_expedited();
        }),
        Arc::new(|| std::panic::resume_unwind(Box::new("a waker's panic"))),
    ];
    for round in 0..70 {
        let what = wakers[round % wakers.len()].clone();
        let strange = Does::new(move || what());
        let plain = Does::new(|| ());
        let guard = Rcu.read_lock();
        let cookie = Rcu.get_state();
        let waits: Vec<_> = [plain.clone().into(), strange.clone().into(), plain.clone().into()]
            .into_iter()
            .map(|waker| polled_elsewhere(Rcu.wait(cookie), waker))
            .collect();
        others
            .lock()
            .unwrap()
            .extend((0..3).map(|_| polled_elsewhere(Rcu.wait(cookie), plain.clone().into())));
        drop(guard);
        if round % 2 == 0 {
            Rcu.synchronize_expedited(); // the waker runs on this thread, maybe
        }
        until(|| strange.wakes() == 1 && plain.wakes() >= 2);
        drop(waits);
        others.lock().unwrap().clear();
    }
    until(|| CALLS.load(Ordering::Acquire) == 20);
    assert!(!UNPROTECTED.load(Ordering::Relaxed));
    block_on(some_of_each());
}

#[test]
fn the_loser_of_a_race_is_dropped() {
    /// Ready with the index of the first of two that is.
    async fn first_of(a: impl Future<Output = ()>, b: impl Future<Output = ()>) -> usize {
        let (mut a, mut b) = (pin!(a), pin!(b));
        std::future::poll_fn(|context| {
            if a.as_mut().poll(context).is_ready() {
                return Poll::Ready(0);
            }
            b.as_mut().poll(context).map(|()| 1)
        })
        .await
    }
    let (entered, has_entered) = mpsc::channel();
    let (leave, told) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let early = Rcu.get_state();
        let guard = Rcu.read_lock();
        entered.send(early).unwrap();
        told.recv().unwrap();
        drop(guard);
    });
    let early = has_entered.recv().unwrap();
    let held = Rcu.get_state();
    for _ in 0..200 {
        let winner = first_of(Rcu.wait(held), Rcu.wait(Cookie::COMPLETED));
        assert_eq!(block_on(winner), 1);
        // One that has to sleep: another thread makes it ready.
        let ready = Arc::new(AtomicBool::new(false));
        let winner = block_on(first_of(Rcu.wait(held), {
            let ready = ready.clone();
            std::future::poll_fn(move |context| {
                if ready.load(Ordering::Acquire) {
                    return Poll::Ready(());
                }
                let (ready, waker) = (ready.clone(), context.waker().clone());
                thread::spawn(move || {
                    ready.store(true, Ordering::Release);
                    waker.wake();
                });
                Poll::Pending
            })
        }));
        assert_eq!(winner, 1);
    }
    leave.send(()).unwrap();
    let winner = first_of(Rcu.wait(held), std::future::pending());
    assert_eq!(block_on(winner), 0);
    assert!(Rcu.poll(early));
    reader.join().unwrap();
}

#[test]
fn awaiting_inside_a_section_panics() {
    let guard = Rcu.read_lock();
    let mut wait = Rcu.wait(Rcu.get_state());
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut wait, Waker::noop()))).unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("awaited an RCU grace period inside an RCU section"), "{message}");
    }
    assert_eq!(Rcu.in_section(), Some(true));
    drop(guard);
    block_on(wait); // whole
}

/// Without background threads whoever waits does the work.
fn without_threads(mode: Mode) {
    runtime::configure(Config { mode, ..Config::default() }).unwrap();
    assert!(!runtime::start());
    block_on(some_of_each());
    Rcu.synchronize();
    Rcu.synchronize_expedited();
    // Nobody waits, so nothing happens; then somebody drives.
    for cookie in [Rcu.start_poll(), Rcu.start_poll_expedited()] {
        for _ in 0..1000 {
            assert!(!Rcu.poll(cookie));
        }
    }
    let cookie = Rcu.start_poll();
    assert!(runtime::drive(Duration::ZERO).is_some() || Rcu.poll(cookie));
    while !Rcu.poll(cookie) {
        runtime::drive(Duration::from_millis(1));
    }
    assert_eq!(runtime::drive(Duration::MAX), None);

    // A future that is only polled once is woken by whoever drives, also behind a reader.
    let waker = Does::new(|| ());
    let guard = Rcu.read_lock();
    let mut wait = polled_elsewhere(Rcu.wait(Rcu.get_state()), waker.clone().into());
    let woken_itself = waker.wakes(); // to drive the next step
    assert_eq!(woken_itself, 1);
    wait = polled_elsewhere(wait, waker.clone().into());
    drop(guard);
    if mode == Mode::External {
        while waker.wakes() < 3 {
            runtime::drive(Duration::ZERO);
        }
        assert!(poll(&mut wait, Waker::noop()).is_ready());
    } else {
        block_on(wait);
    }

    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async {
        let tasks: Vec<_> = (0..5).map(|_| tokio::spawn(some_of_each())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let names = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    assert!(names.into_iter().all(|name| !name.starts_with("rcu-")));
}

#[test]
fn in_the_mode_callers() {
    in_child_process("in_the_mode_callers", &[], || without_threads(Mode::Callers));
}

#[test]
fn in_the_mode_external() {
    in_child_process("in_the_mode_external", &[], || without_threads(Mode::External));
}
