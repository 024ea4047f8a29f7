//! Notifiers: intrusive nodes that are called once a cookie is done.

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::{self, NonNull};

use super::calls::calling;
use crate::GpSeq;
use crate::runtime::{aborting, callback_scope};
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::const_fn;

/// An intrusive node that is called once the cookie it was armed with is done.
///
/// Arming ([`Flavor::notify`](crate::Flavor::notify)) needs no memory and no lock. The call is
/// made by whichever thread finds the grace period over, which may be inside any call of a queue; so
/// it must call no queue and take no lock that a caller of one may hold. It must be short, must
/// not block or fork, and must not panic (the process is aborted): hand real work to
/// [`runtime::reclaim`](crate::runtime::reclaim).
/// When the call begins the node belongs to its owner again, who may free it or arm it anew, in the
/// call or later.
///
/// ```
/// use rcu_core::gp::Notifier;
/// use rcu_core::{Flavor, Rcu, runtime};
/// use std::ptr::NonNull;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static CALLED: AtomicBool = AtomicBool::new(false);
///
/// unsafe fn called(notifier: NonNull<Notifier>) {
///     // SAFETY: it came from `Box::into_raw` below and is ours again.
///     drop(unsafe { Box::from_raw(notifier.as_ptr()) });
///     CALLED.store(true, Ordering::Release);
/// }
///
/// let notifier = Box::into_raw(Box::new(Notifier::new(called)));
/// // SAFETY: not armed yet, and freed only by its call.
/// unsafe { Rcu.notify(NonNull::new(notifier).unwrap(), Rcu.get_state()) };
/// runtime::start();
/// while !CALLED.load(Ordering::Acquire) {
///     std::thread::yield_now();
/// }
/// ```
pub struct Notifier {
    /// Owned by the list the node is on.
    next: UnsafeCell<*mut Notifier>,
    /// Written when armed, before the node is published.
    cookie: UnsafeCell<GpSeq>,
    call: unsafe fn(NonNull<Notifier>),
}

// SAFETY: the cells belong to whoever holds the node: its owner while it is not armed, then the
// list, then the one thread that took it off the list; publication orders those.
unsafe impl Send for Notifier {}
// SAFETY: as above; a shared reference gives no access to the cells.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// A node that is not armed. `call` gets the node itself, whose address says whose it is.
    pub const fn new(call: unsafe fn(NonNull<Notifier>)) -> Self {
        Self {
            next: UnsafeCell::new(ptr::null_mut()),
            cookie: UnsafeCell::new(GpSeq::new(0)),
            call,
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// The armed notifiers of one domain: a stack that is only pushed to and taken whole, so that no
/// node can come back under somebody's feet.
pub(super) struct ArmedList {
    head: AtomicPtr<Notifier>,
}

impl ArmedList {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { head: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Publishes `node`, armed with `cookie`. The caller must look at the sequence afterwards,
    /// behind a full fence: see [`Engine::arm`](super::Engine::arm).
    ///
    /// # Safety
    ///
    /// `node` is valid, unarmed, and stays so until it is called.
    pub(super) unsafe fn push(&self, node: NonNull<Notifier>, cookie: GpSeq) {
        // SAFETY: unarmed, so its cells are the caller's, who lends them to us.
        unsafe { *node.as_ref().cookie.get() = cookie };
        // SAFETY: as above.
        unsafe { self.push_armed(node) };
    }

    /// Puts a node that carries its cookie already on the list.
    ///
    /// # Safety
    ///
    /// `node` is valid and this thread alone holds it.
    unsafe fn push_armed(&self, node: NonNull<Notifier>) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: not published yet, so the cell is ours.
            unsafe { *node.as_ref().next.get() = head };
            // Release: publishes the node's cells to the thread that takes the list.
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// Calls every node whose cookie is done by `now()`, puts the others back, and looks again if
    /// one of those is done meanwhile: whoever ended its grace period may have found the list empty.
    pub(super) fn call_done(&self, now: impl Fn() -> GpSeq) {
        if self.head.load(Ordering::Relaxed).is_null() {
            return;
        }
        // Between taking the list and putting nodes back no fork may happen: the child would not
        // find them.
        let _calling = calling();
        loop {
            // Acquire: pairs with the push's Release. The swap is an atomic read-modify-write, so
            // together with the callers' full fence it cannot miss a node whose pusher saw the old
            // sequence.
            let mut list = self.head.swap(ptr::null_mut(), Ordering::AcqRel);
            let seen = now();
            // The first of the cookies whose nodes are put back.
            let mut next_due: Option<GpSeq> = None;
            while let Some(node) = NonNull::new(list) {
                // SAFETY: taken off the list by us alone, and valid until called.
                let (next, cookie, call) = unsafe {
                    let node = node.as_ref();
                    (*node.next.get(), *node.cookie.get(), node.call)
                };
                list = next;
                if seen.is_done(cookie) {
                    // The owner gets all the ended sections did, as from a true poll.
                    crate::asym::full();
                    let _scope = callback_scope();
                    // SAFETY: the contract of arming; we never touch the node again.
                    aborting("a notifier", || unsafe { call(node) });
                } else {
                    next_due = match next_due {
                        Some(due) if cookie.is_done(due) => Some(due),
                        _ => Some(cookie),
                    };
                    // SAFETY: still ours.
                    unsafe { self.push_armed(node) };
                }
            }
            let Some(due) = next_due else { return };
            // Pairs with the fence of whoever ends a grace period: either they see what we put
            // back, or we see their sequence.
            crate::asym::full();
            if !now().is_done(due) {
                return;
            }
        }
    }
}
