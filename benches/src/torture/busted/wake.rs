//! Waits that miss their wake-up.

use std::ptr::NonNull;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, Rcu};

use crate::torture::twist::Twist;

/// Who waits looks at its cookie first and falls asleep then, without another look.
#[derive(Clone, Copy, Debug)]
pub(in crate::torture) struct LostWake;

static ASLEEP: Mutex<()> = Mutex::new(());
static OVER: Condvar = Condvar::new();

/// Between the look and the sleep: widened, for the grace period to end there.
const WINDOW: Duration = Duration::from_micros(500);

impl LostWake {
    fn wait(cookie: Cookie<Rcu>, timeout: Option<Duration>) -> bool {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let notifier = Box::into_raw(Box::new(Notifier::new(wake)));
        // SAFETY: not null, fresh, and freed by its call only.
        unsafe { Rcu.notify(NonNull::new_unchecked(notifier), cookie) };
        loop {
            if Rcu.poll(cookie) {
                return true;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            thread::sleep(WINDOW);
            let asleep = ASLEEP.lock().unwrap_or_else(PoisonError::into_inner);
            match left {
                Some(left) => drop(OVER.wait_timeout(asleep, left)),
                None => drop(OVER.wait(asleep)),
            }
        }
    }
}

/// The grace period of some waiter is over.
///
/// # Safety
///
/// `notifier` came from `Box::into_raw`.
unsafe fn wake(notifier: NonNull<Notifier>) {
    // SAFETY: the caller's promise; it is ours again.
    drop(unsafe { Box::from_raw(notifier.as_ptr()) });
    OVER.notify_all();
}

impl Twist for LostWake {
    const NAME: &'static str = "busted-wake";

    fn cond_synchronize(&self, cookie: Cookie<Rcu>) {
        Self::wait(cookie, None);
    }

    fn wait_timeout(&self, cookie: Cookie<Rcu>, timeout: Duration) -> bool {
        Self::wait(cookie, Some(timeout))
    }

    fn synchronize(&self) {
        Self::wait(Rcu.get_state(), None);
    }
}
