//! [`Pending`]: the queue as its users see it.

use crate::alloc::AllocError;
use crate::dequeue::Dequeued;
use crate::inner::Inner;
use crate::process::Process;
use crate::stats::Stats;
use rcu_core::runtime::{self, in_callback};
use rcu_core::{Flavor, Rcu};
use std::fmt;
use std::ptr::NonNull;

/// A queue of objects that wait for a grace period of `F`; `P` says what becomes of them then.
///
/// Each CPU has a part of its own. An object goes into an array, its *leaf*; when the leaf is full,
/// or a millisecond old, it gets a cookie as a whole, and a background thread processes it when
/// that cookie is done. Nothing is processed before, and nothing is lost when memory runs out
/// (see [`enqueue`](Pending::enqueue) for the one exception).
///
/// ```
/// use rcu_core::Rcu;
/// use rcu_pending::{Pending, Ptr, process_fn};
/// use std::ptr::NonNull;
///
/// let queue = Pending::new(Rcu, process_fn(|items: &[Ptr<u64>]| {
///     for item in items {
///         // SAFETY: boxes, enqueued once; no reader is left.
///         drop(unsafe { Box::from_raw(item.0.as_ptr()) });
///     }
/// }))?;
///
/// let unlinked = NonNull::from(Box::leak(Box::new(7)));
/// // SAFETY: the box is reachable no more, and is the queue's from here on.
/// unsafe { queue.enqueue(Ptr(unlinked)) };
/// queue.barrier();
/// assert_eq!(queue.count(), 0);
/// # Ok::<(), rcu_pending::alloc::AllocError>(())
/// ```
///
/// # Dropping
///
/// Dropping a queue waits until everything in it has been processed, except where it must not
/// wait: inside a section (or where that cannot be told) and inside a callback. Then background
/// threads see to it. `P` itself is dropped when the last of it is done, which may be a moment
/// later, on a background thread.
pub struct Pending<P: Process, F: Flavor = Rcu> {
    inner: NonNull<Inner<P, F>>,
}

// SAFETY: a counted reference to shared state that is `Send` and `Sync` by its fields.
unsafe impl<P: Process, F: Flavor> Send for Pending<P, F> {}
// SAFETY: as above.
unsafe impl<P: Process, F: Flavor> Sync for Pending<P, F> {}

impl<P: Process, F: Flavor> Pending<P, F> {
    /// Makes an empty queue, and starts the background threads if they do not run yet.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    ///
    /// ```
    /// use rcu_core::Rcu;
    /// use rcu_pending::{Pending, Ptr, process_fn};
    /// let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u64>]| {}))?;
    /// assert_eq!(queue.count(), 0);
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn new(flavor: F, process: P) -> Result<Self, AllocError> {
        let inner = Inner::try_new(flavor, process)?;
        runtime::start();
        Ok(Self { inner })
    }

    #[inline]
    fn inner(&self) -> &Inner<P, F> {
        // SAFETY: the reference this value counts for keeps it valid.
        unsafe { self.inner.as_ref() }
    }

    /// Enqueues an item: its object is processed once every section that might use it has ended.
    ///
    /// Never waits, so it may be called inside sections and callbacks. When there is no memory at
    /// all an item without a link is **leaked**: it stays valid for ever, is never processed, and
    /// is counted in [`Stats::leaked`]. Items with a link never are.
    ///
    /// # Safety
    ///
    /// - The object is unlinked: no section that begins after the call can reach it.
    /// - It stays valid, and is neither freed nor enqueued again, until it is processed or
    ///   dequeued.
    /// - `P` may be given it on any thread.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// # use std::ptr::NonNull;
    /// let queue = Pending::new(Rcu, process_fn(|items: &[Ptr<u8>]| {
    ///     // SAFETY: boxes, enqueued once.
    ///     items.iter().for_each(|item| drop(unsafe { Box::from_raw(item.0.as_ptr()) }));
    /// }))?;
    /// // SAFETY: a box that nobody else knows.
    /// unsafe { queue.enqueue(Ptr(NonNull::from(Box::leak(Box::new(1))))) };
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    #[inline]
    pub unsafe fn enqueue(&self, item: P::Item) {
        // SAFETY: guaranteed by the caller.
        if let Err(item) = unsafe { self.inner().enqueue(item) } {
            self.inner().leak(item);
        }
    }

    /// As [`enqueue`](Pending::enqueue), but an item that would be leaked comes back.
    ///
    /// Never waits, never processes anything, and never enters the global allocator.
    ///
    /// # Errors
    ///
    /// The item, if it has no link and there is no memory at all. It has not been enqueued.
    ///
    /// # Safety
    ///
    /// As for [`enqueue`](Pending::enqueue).
    ///
    /// ```
    /// # use rcu_core::{Flavor, Rcu};
    /// # use rcu_pending::{Pending, Process, Ptr, process_fn};
    /// # use std::ptr::NonNull;
    /// # let free = |items: &[Ptr<u8>]| {
    /// #     // SAFETY: boxes, enqueued once.
    /// #     items.iter().for_each(|item| drop(unsafe { Box::from_raw(item.0.as_ptr()) }));
    /// # };
    /// let queue = Pending::new(Rcu, process_fn(free))?;
    /// let item = Ptr(NonNull::from(Box::leak(Box::new(1))));
    /// // SAFETY: a box that nobody else knows.
    /// if let Err(item) = unsafe { queue.enqueue_nosleep(item) } {
    ///     Rcu.synchronize();
    ///     free(&[item]);
    /// }
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    #[inline]
    pub unsafe fn enqueue_nosleep(&self, item: P::Item) -> Result<(), P::Item> {
        // SAFETY: guaranteed by the caller.
        unsafe { self.inner().enqueue(item) }
    }

    /// As [`enqueue`](Pending::enqueue), but an item that would be leaked is processed before this
    /// returns, after a grace period.
    ///
    /// # Panics
    ///
    /// Inside a section (where that can be told) and inside a callback, whether it would have to
    /// wait or not.
    ///
    /// # Safety
    ///
    /// As for [`enqueue`](Pending::enqueue).
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// # use std::ptr::NonNull;
    /// # let queue = Pending::new(Rcu, process_fn(|items: &[Ptr<u8>]| {
    /// #     // SAFETY: boxes, enqueued once.
    /// #     items.iter().for_each(|item| drop(unsafe { Box::from_raw(item.0.as_ptr()) }));
    /// # }))?;
    /// // SAFETY: a box that nobody else knows.
    /// unsafe { queue.enqueue_mightsleep(Ptr(NonNull::from(Box::leak(Box::new(1))))) };
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    #[inline]
    pub unsafe fn enqueue_mightsleep(&self, item: P::Item) {
        self.assert_may_wait("enqueue_mightsleep");
        // SAFETY: guaranteed by the caller.
        if let Err(item) = unsafe { self.inner().enqueue(item) } {
            self.inner().wait_and_process(item);
        }
    }

    /// Takes an item out of this CPU's part of the queue, for its object to be used again.
    ///
    /// Prefers objects whose grace period is over; the caller must see to it that others are not
    /// changed in a way that their readers must not see, nor freed, before their cookie is done.
    /// Never waits: where somebody else is at work it looks only at what is left.
    ///
    /// ```
    /// # use rcu_core::{Flavor, Rcu};
    /// # use rcu_pending::{Pending, Grace, Ptr, process_fn};
    /// # use std::ptr::NonNull;
    /// # let queue = Pending::new(Rcu, process_fn(|items: &[Ptr<u8>]| {
    /// #     // SAFETY: boxes, enqueued once.
    /// #     items.iter().for_each(|item| drop(unsafe { Box::from_raw(item.0.as_ptr()) }));
    /// # }))?;
    /// # // SAFETY: a box that nobody else knows.
    /// # unsafe { queue.enqueue(Ptr(NonNull::from(Box::leak(Box::new(1))))) };
    /// if let Some(dequeued) = queue.dequeue() {
    ///     if let Grace::NotYet(cookie) = dequeued.grace {
    ///         Rcu.cond_synchronize(cookie);
    ///     }
    ///     // SAFETY: a box of ours, and no reader is left.
    ///     drop(unsafe { Box::from_raw(dequeued.item.0.as_ptr()) });
    /// }
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn dequeue(&self) -> Option<Dequeued<P::Item, F>> {
        self.inner().dequeue()
    }

    /// As [`dequeue`](Pending::dequeue), but looks at the other CPUs' parts too.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// assert!(queue.dequeue_from_all().is_none());
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn dequeue_from_all(&self) -> Option<Dequeued<P::Item, F>> {
        self.inner().dequeue_from_all()
    }

    /// Waits until everything that was enqueued before the call has been processed or dequeued.
    ///
    /// Does the work itself if nobody else does.
    ///
    /// # Panics
    ///
    /// Inside a section (where that can be told) and inside a callback.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// queue.barrier();
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn barrier(&self) {
        self.assert_may_wait("barrier");
        self.inner().barrier();
    }

    /// How many objects wait: enqueued, and neither processed nor dequeued. Exact, but for what
    /// other threads do meanwhile.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// assert_eq!((queue.count(), queue.bytes()), (0, 0));
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn count(&self) -> usize {
        self.inner().count().0
    }

    /// The bytes of the objects that wait, as [`Item::bytes`](crate::Item::bytes) has them.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// # let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// assert_eq!(queue.bytes(), 0);
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn bytes(&self) -> usize {
        self.inner().count().1
    }

    /// Counts of everything; they print as one line.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// # let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// let stats = queue.stats();
    /// assert_eq!(stats.leaked, 0);
    /// println!("{stats}");
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.inner().stats()
    }

    /// Ends the queue: waits until everything in it has been processed, always.
    ///
    /// # Panics
    ///
    /// Inside a section (where that can be told) and inside a callback.
    ///
    /// ```
    /// # use rcu_core::Rcu;
    /// # use rcu_pending::{Pending, Ptr, process_fn};
    /// let queue = Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {}))?;
    /// queue.close();
    /// # Ok::<(), rcu_pending::alloc::AllocError>(())
    /// ```
    pub fn close(self) {
        self.assert_may_wait("close");
        self.inner().barrier();
        let inner = self.inner;
        std::mem::forget(self);
        // SAFETY: the reference of the value that was forgotten.
        unsafe { Inner::release(inner) };
    }

    /// Whether the calling thread is known to be where it must not wait.
    #[inline]
    fn must_not_wait(&self) -> Option<&'static str> {
        if self.inner().flavor.in_section() == Some(true) {
            Some("a section")
        } else if in_callback() {
            Some("a callback")
        } else {
            None
        }
    }

    #[inline]
    fn assert_may_wait(&self, call: &str) {
        if let Some(place) = self.must_not_wait() {
            refuse(call, place);
        }
    }
}

#[cold]
fn refuse(call: &str, place: &str) -> ! {
    panic!("Pending::{call} inside {place}: it may have to wait for that to end");
}

impl<P: Process, F: Flavor> Drop for Pending<P, F> {
    fn drop(&mut self) {
        if self.inner().flavor.in_section().is_none() || self.must_not_wait().is_some() {
            // The bells and timers hold references of their own, and finish it.
            self.inner().close_leaves();
        } else {
            self.inner().barrier();
        }
        // SAFETY: this value's reference.
        unsafe { Inner::release(self.inner) };
    }
}

impl<P: Process, F: Flavor> fmt::Debug for Pending<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("stats", &self.stats()).finish()
    }
}
