//! Waiters and notifiers against the end of a grace period.

#[path = "../../../rcu-core/src/gp/notifier.rs"]
#[allow(dead_code, unreachable_pub, rustdoc::broken_intra_doc_links, reason = "another crate's")]
mod notifier;
#[path = "../../../rcu-core/src/gp/waiters.rs"]
#[allow(dead_code, reason = "written for another crate")]
mod waiters;

mod calls {
    pub(super) struct Calling;
    pub(super) fn calling() -> Calling {
        Calling
    }
}

use std::panic::Location;
use std::ptr::NonNull;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use crate::{GpSeq, asym, explore};
use notifier::{ArmedList, Notifier};
use waiters::Waiters;

/// Who holds a grace period up: for `slot.rs`.
#[derive(Debug)]
pub(crate) struct Holder;

impl Holder {
    pub(crate) fn new(_: Option<i32>, _: Option<&'static Location<'static>>) -> Self {
        Self
    }
}

/// For `registry.rs`.
#[allow(dead_code, clippy::missing_safety_doc, reason = "as in rcu-core, where it is documented")]
pub(crate) unsafe trait ReaderSet {
    type Cursor;
    fn heavy(&self);
    fn quiescent(&self, cursor: &mut Self::Cursor, scanning: GpSeq) -> bool;
    fn watch(&self, cursor: &Self::Cursor);
    fn holder(&self, cursor: &Self::Cursor) -> Option<Holder>;
}

const BEFORE: u64 = 4;
const COOKIE: u64 = 8;

/// A sequence, and those who hear of its end, put together as `Engine` does.
struct Domain {
    seq: AtomicU64,
    waiters: Waiters,
    armed: ArmedList,
}

impl Domain {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            seq: AtomicU64::new(BEFORE),
            waiters: Waiters::new(),
            armed: ArmedList::new(),
        })
    }

    fn now(&self) -> GpSeq {
        GpSeq::new(self.seq.load(Ordering::Acquire))
    }

    /// As `Engine::ended`, with the step before it.
    fn end(&self, seq: u64) {
        self.seq.store(seq, Ordering::Release);
        asym::full();
        self.waiters.wake();
        self.armed.call_done(|| self.now());
    }

    /// As `Engine::arm`.
    fn arm(&self, node: NonNull<Notifier>, cookie: u64) {
        // SAFETY: the tests arm fresh nodes that they keep.
        unsafe { self.armed.push(node, GpSeq::new(cookie)) };
        asym::full();
        if self.now().is_done(GpSeq::new(cookie)) {
            self.armed.call_done(|| self.now());
        }
    }
}

#[test]
fn no_waiter_sleeps_through_the_end() {
    explore(3, || {
        let domain = Domain::new();
        let sleepers: Vec<_> = (0..2)
            .map(|_| {
                let domain = domain.clone();
                thread::spawn(move || {
                    let done = || domain.now().is_done(GpSeq::new(COOKIE));
                    while !done() {
                        domain.waiters.wait(None, done);
                    }
                })
            })
            .collect();
        domain.end(COOKIE);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

/// A notifier that counts its calls; the notifier comes first.
#[repr(C)]
struct Counted {
    notifier: Notifier,
    calls: AtomicUsize,
}

unsafe fn called(notifier: NonNull<Notifier>) {
    // SAFETY: the first field of a `Counted` that outlives the test's threads.
    let counted = unsafe { notifier.cast::<Counted>().as_ref() };
    counted.calls.fetch_add(1, Ordering::Relaxed);
}

fn counted() -> &'static Counted {
    // Leaked on purpose, as the list may hold it at any time.
    Box::leak(Box::new(Counted { notifier: Notifier::new(called), calls: AtomicUsize::new(0) }))
}

/// Arms a notifier while two drivers end grace periods: the first of them ends one that this cookie
/// does not name, and may have the node off the list meanwhile.
fn armed_meanwhile(cookies: [u64; 2]) {
    explore(3, move || {
        let domain = Domain::new();
        let nodes = cookies.map(|cookie| (counted(), cookie));
        let armer = {
            let domain = domain.clone();
            thread::spawn(move || {
                for (node, cookie) in nodes {
                    domain.arm(NonNull::from(node).cast(), cookie);
                }
            })
        };
        let other = {
            let domain = domain.clone();
            thread::spawn(move || domain.armed.call_done(|| domain.now()))
        };
        domain.end(COOKIE);
        armer.join().unwrap();
        other.join().unwrap();
        for (node, cookie) in nodes {
            let calls = node.calls.load(Ordering::Relaxed);
            assert_eq!(calls, usize::from(cookie <= COOKIE), "cookie {cookie}");
        }
        // What was not due is still there, and is called in its time.
        domain.end(COOKIE + 4);
        for (node, cookie) in nodes {
            assert_eq!(node.calls.load(Ordering::Relaxed), 1, "cookie {cookie}");
        }
    });
}

#[test]
fn a_notifier_armed_meanwhile_is_called_once() {
    armed_meanwhile([COOKIE, COOKIE]);
}

#[test]
fn a_notifier_of_the_next_grace_period_is_kept() {
    armed_meanwhile([COOKIE + 4, COOKIE]);
}
