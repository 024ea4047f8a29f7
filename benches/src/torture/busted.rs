//! Negative controls: flavours that are broken in one place each, which the harness must notice.
//!
//! They are types of their own, so the flavours that are measured have none of this in them. What
//! torture hands to their readers is never deallocated and is made of atomics: running them is
//! wrong, not undefined.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rcu_core::gp::{Engine, Notifier, ReaderSet};
use rcu_core::{Cookie, Flavor, GpSeq, Rcu, RcuGuard};

use super::subject::Subject;

/// Grace periods that wait for no reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoWait;

/// Readers whom nobody looks at.
struct Unseen;

// SAFETY: none, on purpose: `quiescent` breaks the contract. Only torture uses this engine.
unsafe impl ReaderSet for Unseen {
    type Cursor = ();

    fn heavy(&self) {
        Rcu.heavy_barrier();
    }

    fn quiescent(&self, (): &mut (), _scanning: GpSeq) -> bool {
        true
    }
}

static NO_WAIT: Engine<Unseen> = Engine::new(Unseen);

// SAFETY: none, on purpose; see `Unseen`.
unsafe impl Flavor for NoWait {
    type Guard<'a> = RcuGuard;

    fn read_lock(&self) -> RcuGuard {
        Rcu.read_lock()
    }

    fn get_state(&self) -> Cookie<Self> {
        Cookie::from_seq(NO_WAIT.snapshot())
    }

    fn start_poll(&self) -> Cookie<Self> {
        let cookie = self.get_state();
        NO_WAIT.request(cookie.seq());
        cookie
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        let cookie = self.get_state();
        NO_WAIT.request_expedited(cookie.seq());
        cookie
    }

    fn wait_timeout(&self, cookie: Cookie<Self>, timeout: Duration) -> bool {
        self.poll(cookie) || NO_WAIT.wait(cookie.seq(), Instant::now().checked_add(timeout))
    }

    fn poll(&self, cookie: Cookie<Self>) -> bool {
        cookie == Cookie::COMPLETED || NO_WAIT.poll(cookie.seq())
    }

    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        if !self.poll(cookie) {
            NO_WAIT.wait(cookie.seq(), None);
        }
    }

    fn synchronize(&self) {
        NO_WAIT.wait(NO_WAIT.snapshot(), None);
    }

    fn synchronize_expedited(&self) {
        NO_WAIT.drive(NO_WAIT.snapshot(), None);
    }

    fn in_section(&self) -> Option<bool> {
        Rcu.in_section()
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        let end = if cookie == Cookie::COMPLETED { NO_WAIT.peek() } else { cookie.seq() };
        // SAFETY: the caller's promise.
        unsafe { NO_WAIT.arm(notifier, end) };
    }
}

impl Subject for NoWait {
    const NAME: &'static str = "busted-nowait";

    fn seq(&self) -> GpSeq {
        NO_WAIT.peek()
    }
}

/// [`Rcu`], but a snapshot names the end of the grace period before the one it should: one that may
/// have begun too early, or be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlyCookie;

impl EarlyCookie {
    /// The cookie that is one grace period too early.
    fn early(cookie: Cookie<Rcu>) -> Cookie<Self> {
        Cookie::from_seq(GpSeq::new(cookie.seq().get().wrapping_sub(4)))
    }

    fn rcu(cookie: Cookie<Self>) -> Cookie<Rcu> {
        Cookie::from_seq(cookie.seq())
    }
}

// SAFETY: none, on purpose: its snapshots break the contract. Only torture uses it.
unsafe impl Flavor for EarlyCookie {
    type Guard<'a> = RcuGuard;

    fn read_lock(&self) -> RcuGuard {
        Rcu.read_lock()
    }

    fn get_state(&self) -> Cookie<Self> {
        Self::early(Rcu.get_state())
    }

    fn start_poll(&self) -> Cookie<Self> {
        Self::early(Rcu.start_poll())
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        Self::early(Rcu.start_poll_expedited())
    }

    fn wait_timeout(&self, cookie: Cookie<Self>, timeout: Duration) -> bool {
        Rcu.wait_timeout(Self::rcu(cookie), timeout)
    }

    fn poll(&self, cookie: Cookie<Self>) -> bool {
        Rcu.poll(Self::rcu(cookie))
    }

    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        Rcu.cond_synchronize(Self::rcu(cookie));
    }

    fn synchronize(&self) {
        Rcu.synchronize();
    }

    fn synchronize_expedited(&self) {
        Rcu.synchronize_expedited();
    }

    fn in_section(&self) -> Option<bool> {
        Rcu.in_section()
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        // SAFETY: the caller's promise.
        unsafe { Rcu.notify(notifier, Self::rcu(cookie)) };
    }
}

impl Subject for EarlyCookie {
    const NAME: &'static str = "busted-cookie";

    fn seq(&self) -> GpSeq {
        Rcu.stats().grace_periods.seq
    }
}
