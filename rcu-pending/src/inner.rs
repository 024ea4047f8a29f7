//! The inner state of a queue, counted by reference: the user's handle holds one, and so does
//! every armed doorbell and every timer, so that what is still queued outlives the handle.

use crate::alloc::{self, AllocError, fault};
use crate::node::Reserve;
use crate::process::Process;
use crate::shard::Shard;
use crate::stats::Counters;
use rcu_core::percpu::PerCpu;
use rcu_core::runtime::{self, Next, Task};
use rcu_core::{Cookie, Flavor, GpSeq};
use std::alloc::Layout;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

pub(crate) struct Inner<P: Process, F: Flavor> {
    references: AtomicUsize,
    pub(crate) flavor: F,
    pub(crate) process: P,
    pub(crate) shards: PerCpu<Shard<P, F>>,
    pub(crate) counters: Counters,
    /// Held by a barrier: one at a time.
    pub(crate) barrier: Mutex<()>,
    /// Threads that sleep on `idle`; see `barrier.rs`.
    pub(crate) waiting: AtomicUsize,
    pub(crate) idle_lock: Mutex<()>,
    pub(crate) idle: Condvar,
    /// Drops the queue's state on the reclaim thread.
    teardown: Task,
    /// After the shards, which use its memory.
    pub(crate) reserve: Reserve,
}

impl<P: Process, F: Flavor> Inner<P, F> {
    /// Makes the state, with one reference.
    pub(crate) fn try_new(flavor: F, process: P) -> Result<NonNull<Self>, AllocError> {
        let layout = Layout::new::<Self>();
        let inner = alloc::allocate(layout)?.cast::<Self>();
        // Done for certain: at or before the end of the last grace period.
        let done = flavor.get_state().seq().get().wrapping_sub(8);
        let done = Cookie::from_seq(GpSeq::new(done));
        let shards = match fault::strikes() {
            true => None,
            false => PerCpu::try_new(|_| Shard::new(inner, done)),
        };
        let Some(shards) = shards else {
            // SAFETY: allocated above, and nobody knows it.
            unsafe { alloc::deallocate(inner.cast(), layout) };
            return Err(AllocError::new());
        };
        let value = Self {
            references: AtomicUsize::new(1),
            flavor,
            process,
            shards,
            counters: Counters::default(),
            barrier: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            idle_lock: Mutex::new(()),
            idle: Condvar::new(),
            teardown: Task::new(tear_down::<P, F>),
            reserve: Reserve::new(),
        };
        // SAFETY: allocated above for this type.
        unsafe { inner.write(value) };
        Ok(inner)
    }

    /// Takes a reference; the caller has one, or borrows from somebody who has.
    pub(crate) fn acquire(&self) {
        // Relaxed: a reference comes from a reference.
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a reference up. True: it was the last, and the state is the caller's to destroy.
    ///
    /// # Safety
    ///
    /// The reference is the caller's, who does not use it any more.
    unsafe fn release_last(inner: NonNull<Self>) -> bool {
        // No reference to the whole: somebody else may free it before this function returns.
        // SAFETY: valid while the caller's reference counts.
        let references = unsafe { &(*inner.as_ptr()).references };
        // Release and Acquire: whatever anybody did with the state comes before its end.
        if references.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// Gives a reference up, on a thread that may run the user's code.
    ///
    /// # Safety
    ///
    /// The reference is the caller's, who does not use it any more.
    pub(crate) unsafe fn release(inner: NonNull<Self>) {
        // SAFETY: valid while the reference is held; then ours alone.
        unsafe {
            if Self::release_last(inner) {
                Self::destroy(inner);
            }
        }
    }

    /// Gives a reference up, on a thread that must not run the user's code.
    ///
    /// # Safety
    ///
    /// As for [`Inner::release`].
    pub(crate) unsafe fn release_elsewhere(inner: NonNull<Self>) {
        // SAFETY: as in `release`; the task is submitted once, and lives until it has run.
        unsafe {
            if Self::release_last(inner) {
                let task = &raw mut (*inner.as_ptr()).teardown;
                runtime::reclaim().submit(NonNull::new_unchecked(task));
            }
        }
    }

    /// # Safety
    ///
    /// There is no reference any more.
    unsafe fn destroy(inner: NonNull<Self>) {
        // SAFETY: guaranteed by the caller; it was made in `try_new`.
        unsafe {
            // The user's `Drop` may panic, on a thread that must not.
            let dropped = catch_unwind(AssertUnwindSafe(|| inner.drop_in_place()));
            alloc::deallocate(inner.cast(), Layout::new::<Self>());
            if let Err(panic) = dropped {
                std::mem::forget(panic);
            }
        }
    }
}

/// # Safety
///
/// Called by the executor, with the `teardown` of a state that has no reference any more.
unsafe fn tear_down<P: Process, F: Flavor>(task: NonNull<Task>, _now: Instant) -> Next {
    // SAFETY: the task was derived from a pointer to the whole state.
    unsafe { Inner::<P, F>::destroy(task.byte_sub(offset_of!(Inner<P, F>, teardown)).cast()) };
    Next::Done
}
