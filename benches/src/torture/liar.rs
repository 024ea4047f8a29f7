//! Flavours that tell one lie each, for tests: every check must be seen to fail.

use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, GpSeq, Rcu, RcuGuard};

use super::subject::Subject;

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
    /// Waiting never ends.
    HangForEver,
    /// Opening a section panics.
    Panic,
}

/// [`Rcu`], with a lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liar(pub(super) Lie);

impl Liar {
    fn cookie(&self, cookie: Cookie<Rcu>) -> Cookie<Self> {
        let late = if self.0 == Lie::LateCookie { 8 } else { 0 };
        Cookie::from_seq(GpSeq::new(cookie.seq().get().wrapping_add(late)))
    }

    fn rcu(cookie: Cookie<Self>) -> Cookie<Rcu> {
        Cookie::from_seq(cookie.seq())
    }

    fn hang(&self) {
        if self.0 == Lie::HangForEver {
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

// SAFETY: no lie shortens a grace period.
unsafe impl Flavor for Liar {
    type Guard<'a> = RcuGuard;

    fn read_lock(&self) -> RcuGuard {
        assert_ne!(self.0, Lie::Panic, "a lie of a test");
        Rcu.read_lock()
    }

    fn get_state(&self) -> Cookie<Self> {
        self.cookie(Rcu.get_state())
    }

    fn start_poll(&self) -> Cookie<Self> {
        self.cookie(Rcu.start_poll())
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        self.cookie(Rcu.start_poll_expedited())
    }

    fn wait_timeout(&self, cookie: Cookie<Self>, _timeout: Duration) -> bool {
        self.cond_synchronize(cookie);
        true
    }

    fn poll(&self, cookie: Cookie<Self>) -> bool {
        let lie = self.0 == Lie::NeverCompleted && cookie == Cookie::COMPLETED;
        !lie && Rcu.poll(Self::rcu(cookie))
    }

    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        self.hang();
        // Not by `Rcu`'s own, which refuses cookies of the future.
        while !self.poll(cookie) {
            Rcu.synchronize();
        }
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
        if self.0 == Lie::NoSection { Some(false) } else { Rcu.in_section() }
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        if self.0 == Lie::LoseNotifiers && thread::current().name() == Some("rcu-gp") {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { Rcu.notify(notifier, Self::rcu(cookie)) };
    }
}

impl Subject for Liar {
    const NAME: &'static str = "liar";

    fn seq(&self) -> GpSeq {
        Rcu.stats().grace_periods.seq
    }
}
