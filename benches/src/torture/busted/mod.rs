//! Negative controls: flavours that are broken in one place each, which the harness must notice.

mod nowait;
mod wake;

use std::time::Duration;

use rcu_core::{Cookie, Flavor, Rcu};

use super::children;
use super::twist::{Twist, later};

pub(super) use nowait::NoWait;
pub(super) use wake::LostWake;

/// A snapshot names the end of the grace period before the one it should: one that may have begun
/// too early, or be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlyCookie;

impl Twist for EarlyCookie {
    const NAME: &'static str = "busted-cookie";

    fn get_state(&self) -> Cookie<Rcu> {
        later(Rcu.get_state(), -1)
    }

    fn start_poll(&self) -> Cookie<Rcu> {
        later(Rcu.start_poll(), -1)
    }

    fn start_poll_expedited(&self) -> Cookie<Rcu> {
        later(Rcu.start_poll_expedited(), -1)
    }
}

/// Names the cookie behind the one that is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrongIndex;

impl Twist for WrongIndex {
    const NAME: &'static str = "busted-poll-any";

    fn poll_any(&self, cookies: &[Cookie<Rcu>]) -> Option<usize> {
        Rcu.poll_any(cookies).map(|first| (first + 1).min(cookies.len() - 1))
    }
}

/// Says that the grace period is over when the time is.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeoutIsDone;

impl Twist for TimeoutIsDone {
    const NAME: &'static str = "busted-timeout";

    fn wait_timeout(&self, cookie: Cookie<Rcu>, timeout: Duration) -> bool {
        Rcu.wait_timeout(cookie, timeout);
        true
    }
}

/// Futures are ready a grace period early.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlyFuture;

impl Twist for EarlyFuture {
    const NAME: &'static str = "busted-wait";

    fn awaited(&self, cookie: Cookie<Rcu>) -> Cookie<Rcu> {
        later(cookie, -1)
    }
}

/// Waits for nothing in the child of a fork.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChildGoesOn;

impl Twist for ChildGoesOn {
    const NAME: &'static str = "busted-fork";

    fn synchronize(&self) {
        if !children::in_child() {
            Rcu.synchronize();
        }
    }

    fn synchronize_expedited(&self) {
        if !children::in_child() {
            Rcu.synchronize_expedited();
        }
    }
}
