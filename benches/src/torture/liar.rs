//! Flavours that tell one lie each, for tests: every check must be seen to fail.

use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, Rcu, RcuGuard, runtime};

use super::children;
use super::twist::{Twist, later};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Snapshots are two grace periods later than they need be.
    LateCookie,
    /// The completed cookie is not done.
    NeverCompleted,
    /// Nobody is ever in a section.
    NoSection,
    /// Notifiers armed by the call of another are forgotten.
    LoseNotifiers,
    /// All others are.
    LoseWakeUps,
    /// Waiting never ends.
    HangForEver,
    /// Opening a section panics.
    Panic,
    /// `poll_any` finds nothing.
    NoneIsDone,
    /// Waiting for a time says that it was for nothing.
    TimeoutNeverDone,
    /// Waiting for a time takes none.
    NoTimeout,
    /// Futures are ready late.
    LateFuture,
    /// Nobody is in a section, in a forked child.
    NoSectionInChild,
    /// A forked child never comes back from a wait.
    ChildHangs,
}

/// [`Rcu`], with a lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liar(pub(super) Lie);

impl Liar {
    fn cookie(&self, cookie: Cookie<Rcu>) -> Cookie<Rcu> {
        if self.0 == Lie::LateCookie { later(cookie, 2) } else { cookie }
    }

    fn hang(&self) {
        if self.0 == Lie::HangForEver || self.0 == Lie::ChildHangs && children::in_child() {
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

impl Twist for Liar {
    const NAME: &'static str = "liar";

    fn read_lock(&self) -> RcuGuard {
        assert_ne!(self.0, Lie::Panic, "a lie of a test");
        Rcu.read_lock()
    }

    fn get_state(&self) -> Cookie<Rcu> {
        self.cookie(Rcu.get_state())
    }

    fn start_poll(&self) -> Cookie<Rcu> {
        self.cookie(Rcu.start_poll())
    }

    fn start_poll_expedited(&self) -> Cookie<Rcu> {
        self.cookie(Rcu.start_poll_expedited())
    }

    fn poll(&self, cookie: Cookie<Rcu>) -> bool {
        let lie = self.0 == Lie::NeverCompleted && cookie == Cookie::COMPLETED;
        !lie && Rcu.poll(cookie)
    }

    fn poll_any(&self, cookies: &[Cookie<Rcu>]) -> Option<usize> {
        if self.0 == Lie::NoneIsDone {
            return None;
        }
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Rcu>) {
        self.hang();
        // Not by `Rcu`'s own, which refuses cookies of the future.
        while !self.poll(cookie) {
            Rcu.synchronize();
        }
    }

    fn wait_timeout(&self, cookie: Cookie<Rcu>, timeout: Duration) -> bool {
        match self.0 {
            Lie::TimeoutNeverDone => {
                Rcu.wait_timeout(cookie, timeout);
                false
            }
            Lie::NoTimeout => Rcu.poll(cookie),
            _ => {
                self.cond_synchronize(cookie);
                true
            }
        }
    }

    fn awaited(&self, cookie: Cookie<Rcu>) -> Cookie<Rcu> {
        if self.0 == Lie::LateFuture { later(cookie, 1) } else { cookie }
    }

    fn synchronize(&self) {
        self.hang();
        Rcu.synchronize();
    }

    fn synchronize_expedited(&self) {
        self.hang();
        Rcu.synchronize_expedited();
    }

    fn in_section(&self) -> Option<bool> {
        let lie = match self.0 {
            Lie::NoSection => true,
            Lie::NoSectionInChild => children::in_child(),
            _ => false,
        };
        if lie { Some(false) } else { Rcu.in_section() }
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Rcu>) {
        let by_another = runtime::in_callback();
        if self.0 == Lie::LoseNotifiers && by_another || self.0 == Lie::LoseWakeUps && !by_another {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { Rcu.notify(notifier, cookie) };
    }
}
