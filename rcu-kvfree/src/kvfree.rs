//! The process's queue of deferred frees, and the calls that go through it.

use std::fmt;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rcu_core::Rcu;
use rcu_core::runtime::callback_scope;
use rcu_pending::{Pending, Stats};

use crate::process::{Boxed, Bulk, PANICS, Retire, Retired};

/// Made with the first object; never dropped, so that what is pending stays reachable.
static QUEUE: OnceLock<Pending<Bulk, Rcu>> = OnceLock::new();

/// Objects that were leaked because there was no memory for a queue to put them in.
static LEAKED_WITHOUT_QUEUE: AtomicU64 = AtomicU64::new(0);

/// The queue; `None` if there is no memory for one.
pub(crate) fn queue() -> Option<&'static Pending<Bulk, Rcu>> {
    match QUEUE.get() {
        Some(queue) => Some(queue),
        None => make_queue(),
    }
}

#[cold]
fn make_queue() -> Option<&'static Pending<Bulk, Rcu>> {
    let queue = Pending::new(Rcu, Bulk).ok()?;
    if let Err(second) = QUEUE.set(queue) {
        // Another thread was first. Ours is empty, and its drop must not wait, as our caller may
        // not: in a callback it does not.
        let _scope = callback_scope();
        drop(second);
    }
    QUEUE.get()
}

/// Queues an object of a type with a head. Its maker has seen to it that there is a queue.
///
/// # Safety
///
/// As [`free_rcu`].
pub(crate) unsafe fn retire<T: Retire>(object: NonNull<T>) {
    match queue() {
        // SAFETY: the caller's promise.
        Some(queue) => unsafe { queue.enqueue(Retired::new(object)) },
        None => {
            LEAKED_WITHOUT_QUEUE.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Frees a box's value once a grace period has passed: drops it and gives back its memory, as part
/// of a batch, on a background thread.
///
/// Never waits. It needs a little memory from time to time (a queue's leaf for some thirty
/// objects), which does not come from the program's allocator. When there is none at all the
/// object is leaked, rather than freed early, and counted ([`kvfree_stats`]). An
/// [`RcuBox`](crate::RcuBox) never needs memory to be retired.
///
/// ```
/// use rcu_kvfree::{free_rcu, kvfree_rcu_barrier};
/// use std::ptr::NonNull;
/// use std::sync::atomic::{AtomicPtr, Ordering};
///
/// let shared = AtomicPtr::new(Box::into_raw(Box::new(1)));
/// let old = shared.swap(Box::into_raw(Box::new(2)), Ordering::AcqRel);
/// // SAFETY: a box's pointer, unlinked above and retired once.
/// unsafe { free_rcu(NonNull::new(old).unwrap()) };
/// kvfree_rcu_barrier(); // it is freed now
/// # drop(unsafe { Box::from_raw(shared.into_inner()) });
/// ```
///
/// A value that may not leave its thread cannot be retired, for it is dropped on another:
///
/// ```compile_fail,E0277
/// use rcu_kvfree::free_rcu;
/// use std::ptr::NonNull;
/// use std::rc::Rc;
///
/// let local = Box::into_raw(Box::new(Rc::new(1)));
/// unsafe { free_rcu(NonNull::new(local).unwrap()) };
/// ```
///
/// # Safety
///
/// `object` came from [`Box::into_raw`]. It has been unlinked: no section that begins from now on
/// can reach it. It is not retired or freed a second time, and the caller does not use it any more
/// outside sections that are open now.
pub unsafe fn free_rcu<T: Send + 'static>(object: NonNull<T>) {
    // SAFETY: the caller's promise; `Boxed<T>` is laid out like `T`.
    unsafe { retire(object.cast::<Boxed<T>>()) };
}

/// Waits until every object that was retired before the call has been freed.
///
/// # Panics
///
/// Inside a section and inside a callback (a value's destructor that a batch runs, for example),
/// unless nothing has ever been retired.
///
/// ```
/// use rcu_kvfree::{RcuBox, kvfree_rcu_barrier, kvfree_stats};
/// RcuBox::new([0u8; 100]).retire();
/// kvfree_rcu_barrier();
/// assert_eq!(kvfree_stats().queue.map_or(0, |queue| queue.objects), 0);
/// ```
#[track_caller]
pub fn kvfree_rcu_barrier() {
    if let Some(queue) = QUEUE.get() {
        queue.barrier();
    }
}

/// Counts of the deferred frees of this process.
///
/// ```
/// println!("{}", rcu_kvfree::kvfree_stats());
/// ```
pub fn kvfree_stats() -> KvfreeStats {
    let queue = QUEUE.get().map(Pending::stats);
    KvfreeStats {
        leaked: LEAKED_WITHOUT_QUEUE.load(Ordering::Relaxed)
            + queue.as_ref().map_or(0, |queue| queue.leaked as u64),
        panics: PANICS.load(Ordering::Relaxed),
        queue,
    }
}

/// What [`kvfree_stats`] counts.
///
/// ```
/// assert_eq!(rcu_kvfree::kvfree_stats().leaked, 0);
/// ```
#[derive(Clone, Debug)]
pub struct KvfreeStats {
    /// The queue's own counts; `None` as long as nothing has been retired.
    pub queue: Option<Stats>,
    /// Objects that were leaked because there was no memory to remember them.
    pub leaked: u64,
    /// Destructors that panicked; the objects' memory was given back, and the others went on.
    pub panics: u64,
}

impl fmt::Display for KvfreeStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.queue {
            Some(queue) => write!(f, "{queue}")?,
            None => write!(f, "nothing retired yet")?,
        }
        write!(f, "; leaked {}, destructors that panicked {}", self.leaked, self.panics)
    }
}
