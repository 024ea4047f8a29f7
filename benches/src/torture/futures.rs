//! Awaiting a grace period, on executors that are as small as can be: a thread that parks, and one
//! that polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::checks::Check;
use super::subject::Subject;
use super::waits::{Waiter, idle};

/// Lets the thread go on that polled.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// How a future is driven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Executor {
    /// Sleeps until it is woken.
    Parks,
    /// Polls again and again, whether it is woken or not.
    Polls,
}

impl<F: Subject> Waiter<F> {
    /// Awaits a grace period. Some futures are dropped early, for another one of the same cookie.
    pub(super) fn await_one(&mut self, executor: Executor) {
        let flavor = &self.torture.flavor;
        let cookie = flavor.get_state();
        let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
        let waker = Waker::from(unpark.clone());
        let mut future = flavor.future(cookie);
        loop {
            let unheard = executor == Executor::Polls && self.rng.one_in(2);
            let waker = if unheard { Waker::noop() } else { &waker };
            let before = self.rng.one_in(2) && flavor.poll(cookie);
            let ready = Pin::new(&mut future).poll(&mut Context::from_waker(waker));
            let done = flavor.poll(cookie);
            let failures = &self.torture.failures;
            failures.expect(ready.is_pending() || done, Check::WaitEarly, || {
                format!("a future of {cookie:?}, which is not done, is ready")
            });
            failures.expect(ready.is_ready() || !before, Check::WaitEarly, || {
                format!("a future of {cookie:?}, which is done, is pending")
            });
            if ready == Poll::Ready(()) {
                return;
            }
            if self.rng.one_in(8) {
                self.tally.dropped += 1;
                future = flavor.future(cookie);
            } else if executor == Executor::Polls {
                idle(&mut self.rng);
            } else {
                // Acquire: pairs with the Release in `wake`.
                while !unpark.woken.swap(false, Ordering::Acquire) {
                    self.sleeper.asleep(Some(cookie), thread::park);
                }
            }
        }
    }
}
