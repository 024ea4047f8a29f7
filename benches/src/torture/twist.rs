//! Flavours that are [`Rcu`] in all but what they break.
//!
//! They are types of their own, so the flavours that are measured have none of this in them. What
//! torture hands to their readers is never deallocated and is made of atomics: running them is
//! wrong, not undefined.

use std::fmt::Debug;
use std::future::Future;
use std::ptr::NonNull;
use std::time::Duration;

use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, GpSeq, Rcu, RcuGuard};

use super::subject::Subject;

/// What is different from [`Rcu`]: an implementation overrides what it breaks. Cookies are those of
/// [`Rcu`] here, whatever they stand for.
pub(super) trait Twist: Copy + Debug + Unpin + Send + Sync + 'static {
    /// What `--flavor` calls it.
    const NAME: &'static str;

    fn read_lock(&self) -> RcuGuard {
        Rcu.read_lock()
    }

    fn get_state(&self) -> Cookie<Rcu> {
        Rcu.get_state()
    }

    fn start_poll(&self) -> Cookie<Rcu> {
        Rcu.start_poll()
    }

    fn start_poll_expedited(&self) -> Cookie<Rcu> {
        Rcu.start_poll_expedited()
    }

    fn poll(&self, cookie: Cookie<Rcu>) -> bool {
        Rcu.poll(cookie)
    }

    fn poll_any(&self, cookies: &[Cookie<Rcu>]) -> Option<usize> {
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Rcu>) {
        Rcu.cond_synchronize(cookie);
    }

    fn wait_timeout(&self, cookie: Cookie<Rcu>, timeout: Duration) -> bool {
        Rcu.wait_timeout(cookie, timeout)
    }

    /// What a future that was asked for `cookie` waits for.
    fn awaited(&self, cookie: Cookie<Rcu>) -> Cookie<Rcu> {
        cookie
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

    /// # Safety
    ///
    /// That of [`Flavor::notify`].
    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Rcu>) {
        // SAFETY: the caller's promise.
        unsafe { Rcu.notify(notifier, cookie) };
    }

    fn seq(&self) -> GpSeq {
        Rcu.seq()
    }
}

/// The flavour that a twist makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twisted<T>(pub(super) T);

fn outer<T>(cookie: Cookie<Rcu>) -> Cookie<Twisted<T>> {
    Cookie::from_seq(cookie.seq())
}

fn inner<T>(cookie: Cookie<Twisted<T>>) -> Cookie<Rcu> {
    Cookie::from_seq(cookie.seq())
}

// SAFETY: none, on purpose: twists break the contract. Only torture uses them.
unsafe impl<T: Twist> Flavor for Twisted<T> {
    type Guard<'a> = RcuGuard;

    fn read_lock(&self) -> RcuGuard {
        self.0.read_lock()
    }

    fn get_state(&self) -> Cookie<Self> {
        outer(self.0.get_state())
    }

    fn start_poll(&self) -> Cookie<Self> {
        outer(self.0.start_poll())
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        outer(self.0.start_poll_expedited())
    }

    fn poll(&self, cookie: Cookie<Self>) -> bool {
        self.0.poll(inner(cookie))
    }

    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        let cookies: Vec<_> = cookies.iter().copied().map(inner).collect();
        self.0.poll_any(&cookies)
    }

    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        self.0.cond_synchronize(inner(cookie));
    }

    fn wait_timeout(&self, cookie: Cookie<Self>, timeout: Duration) -> bool {
        self.0.wait_timeout(inner(cookie), timeout)
    }

    fn synchronize(&self) {
        self.0.synchronize();
    }

    fn synchronize_expedited(&self) {
        self.0.synchronize_expedited();
    }

    fn in_section(&self) -> Option<bool> {
        self.0.in_section()
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        // SAFETY: the caller's promise.
        unsafe { self.0.notify(notifier, inner(cookie)) };
    }
}

impl<T: Twist> Subject for Twisted<T> {
    const NAME: &'static str = T::NAME;

    fn seq(&self) -> GpSeq {
        self.0.seq()
    }

    fn future(&self, cookie: Cookie<Self>) -> impl Future<Output = ()> + Unpin {
        self.wait(outer(self.0.awaited(inner(cookie))))
    }
}

/// The cookie so many grace periods after `cookie`; before it if negative.
pub(super) fn later(cookie: Cookie<Rcu>, grace_periods: i64) -> Cookie<Rcu> {
    Cookie::from_seq(GpSeq::new(cookie.seq().get().wrapping_add_signed(4 * grace_periods)))
}
