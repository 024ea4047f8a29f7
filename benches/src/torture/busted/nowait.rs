//! Grace periods that wait for no reader.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rcu_core::gp::{Engine, Notifier, ReaderSet};
use rcu_core::{Cookie, GpSeq, Rcu};

use crate::torture::twist::Twist;

/// An engine of its own, which sees nobody.
#[derive(Clone, Copy, Debug)]
pub(in crate::torture) struct NoWait;

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

static ENGINE: Engine<Unseen> = Engine::new(Unseen);

impl Twist for NoWait {
    const NAME: &'static str = "busted-nowait";

    fn get_state(&self) -> Cookie<Rcu> {
        Cookie::from_seq(ENGINE.snapshot())
    }

    fn start_poll(&self) -> Cookie<Rcu> {
        let cookie = self.get_state();
        ENGINE.request(cookie.seq());
        cookie
    }

    fn start_poll_expedited(&self) -> Cookie<Rcu> {
        let cookie = self.get_state();
        ENGINE.request_expedited(cookie.seq());
        cookie
    }

    fn poll(&self, cookie: Cookie<Rcu>) -> bool {
        cookie == Cookie::COMPLETED || ENGINE.poll(cookie.seq())
    }

    fn cond_synchronize(&self, cookie: Cookie<Rcu>) {
        if !self.poll(cookie) {
            ENGINE.wait(cookie.seq(), None);
        }
    }

    fn wait_timeout(&self, cookie: Cookie<Rcu>, timeout: Duration) -> bool {
        self.poll(cookie) || ENGINE.wait(cookie.seq(), Instant::now().checked_add(timeout))
    }

    fn synchronize(&self) {
        ENGINE.wait(ENGINE.snapshot(), None);
    }

    fn synchronize_expedited(&self) {
        ENGINE.drive(ENGINE.snapshot(), None);
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Rcu>) {
        let end = if cookie == Cookie::COMPLETED { ENGINE.peek() } else { cookie.seq() };
        // SAFETY: the caller's promise.
        unsafe { ENGINE.arm(notifier, end) };
    }

    fn seq(&self) -> GpSeq {
        ENGINE.peek()
    }
}
