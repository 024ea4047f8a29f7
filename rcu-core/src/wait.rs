//! [`Wait`]: awaiting a grace period.
//!
//! The future shares a node with the engine: a notifier and a waker. The engine holds a reference
//! to it until it has called the notifier, so a future that is dropped early leaves nothing
//! dangling; its node lives until that grace period is over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

use crate::gp::Notifier;
use crate::{Cookie, Flavor, runtime};

/// A future that is ready once a grace period is over; see [`Flavor::wait`].
///
/// ```
/// use rcu_core::{Flavor, Rcu};
/// let wait = Rcu.wait(Rcu.get_state());
/// drop(wait); // at any time
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<F: Flavor> {
    flavor: F,
    cookie: Cookie<F>,
    /// Made when it is first polled and has to wait.
    node: Option<Arc<Node>>,
}

/// What future and engine share.
#[repr(C)]
struct Node {
    /// First, so that its address is the node's.
    notifier: Notifier,
    waker: AtomicWaker,
}

impl<F: Flavor> Wait<F> {
    pub(crate) fn new(flavor: F, cookie: Cookie<F>) -> Self {
        Self { flavor, cookie, node: None }
    }

    /// The node, armed.
    fn arm(&mut self) -> &Node {
        let (flavor, cookie) = (&self.flavor, self.cookie);
        self.node.get_or_insert_with(|| {
            let node = Arc::new(Node { notifier: Notifier::new(over), waker: AtomicWaker::new() });
            let for_engine = Arc::into_raw(node.clone());
            // SAFETY: not null; the notifier is the node's first field; fresh, so not armed, and
            // kept by the reference that `over` gives up.
            unsafe { flavor.notify(NonNull::new_unchecked(for_engine.cast_mut()).cast(), cookie) };
            node
        })
    }
}

/// Called by the engine: the grace period is over.
///
/// # Safety
///
/// `notifier` is that of a node whose reference the engine held.
unsafe fn over(notifier: NonNull<Notifier>) {
    // SAFETY: from `Arc::into_raw` in `arm`, once.
    let node = unsafe { Arc::from_raw(notifier.cast::<Node>().as_ptr()) };
    if let Some(waker) = node.waker.take() {
        // A waker is somebody's code; its panic is nothing to us.
        runtime::survives(|| waker.wake());
    }
}

impl<F: Flavor + Unpin> Future for Wait<F> {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let cookie = self.cookie;
        if self.flavor.poll(cookie) {
            return Poll::Ready(());
        }
        assert!(
            self.flavor.in_section() != Some(true),
            "awaited an RCU grace period inside an RCU section: it cannot end before the section \
             does. Drop the guard first."
        );
        let threads = runtime::start();
        let node = self.arm();
        node.waker.register(context.waker());
        if !threads {
            // Nobody else will do it: one step of whatever is to be done, and come again.
            runtime::help();
            context.waker().wake_by_ref();
        }
        // After registering: whoever called the notifier before found no waker.
        if self.flavor.poll(cookie) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<F: Flavor> Drop for Wait<F> {
    fn drop(&mut self) {
        // The engine may keep the node for a while; not the waker.
        if let Some(node) = &self.node {
            drop(node.waker.take());
        }
    }
}

impl<F: Flavor> fmt::Debug for Wait<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}
