//! The timer of a shard: closes a leaf that stands open for too long.
//!
//! It runs while a leaf is open and at no other time, so an idle queue costs nothing. Its flag is
//! set and cleared under the shard's lock, together with the leaf's state.

use crate::inner::Inner;
use crate::process::Process;
use crate::shard::Shard;
use rcu_core::Flavor;
use rcu_core::runtime::{self, Next, Task, gp_interval};
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// No leaf has this number.
const NONE: u32 = 0;

/// The timer's part of a shard.
pub(crate) struct Flush {
    /// The number of the newest leaf. Written under the shard's lock; read by the timer.
    generation: AtomicU32,
    /// The leaf that was open when the timer looked last. The timer's own.
    seen: AtomicU32,
    /// Whether the timer runs. Under the shard's lock.
    running: AtomicBool,
    task: Task,
}

impl Flush {
    pub(crate) const fn new<P: Process, F: Flavor>() -> Self {
        Self {
            generation: AtomicU32::new(NONE),
            seen: AtomicU32::new(NONE),
            running: AtomicBool::new(false),
            task: Task::new(run::<P, F>),
        }
    }

    /// Counts a leaf. True: the timer must be started, once the shard's lock is released. With
    /// that lock held.
    pub(crate) fn leaf_opened(&self) -> bool {
        let number = self.generation.load(Relaxed).wrapping_add(1);
        self.generation.store(if number == NONE { NONE + 1 } else { number }, Relaxed);
        let start = !self.running.load(Relaxed);
        self.running.store(true, Relaxed);
        start
    }
}

const fn place<P: Process, F: Flavor>() -> usize {
    offset_of!(Shard<P, F>, flush) + offset_of!(Flush, task)
}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// Starts the timer; [`Flush::leaf_opened`] said so.
    #[cold]
    pub(crate) fn start_timer(&self) {
        self.inner().acquire();
        // SAFETY: within the shard. The task is not submitted (the flag was clear, and its last
        // run, if it is not over, has cleared it), and the reference keeps it valid.
        unsafe { runtime::gp().submit(NonNull::from(self).byte_add(place::<P, F>()).cast()) };
    }

    /// Closes the open leaf if it has been open since the timer looked last.
    fn flush(&self, now: Instant) -> Next {
        let flush = &self.flush;
        let open = flush.generation.load(Relaxed);
        if flush.seen.load(Relaxed) != open {
            flush.seen.store(open, Relaxed);
            return Next::At(now + gp_interval());
        }
        let Some(mut locked) = self.try_lock() else {
            return Next::At(now + gp_interval() / 8);
        };
        let open = flush.generation.load(Relaxed);
        if flush.seen.load(Relaxed) != open {
            flush.seen.store(open, Relaxed);
            return Next::At(now + gp_interval());
        }
        locked.close();
        flush.seen.store(NONE, Relaxed);
        flush.running.store(false, Relaxed);
        Next::Done
    }
}

/// A run of the timer, on the thread that runs grace periods: short, and none of the user's code.
///
/// # Safety
///
/// Called by the executor, with the task of a shard's timer.
unsafe fn run<P: Process, F: Flavor>(task: NonNull<Task>, now: Instant) -> Next {
    // SAFETY: the task was derived from a pointer to the whole shard, and the timer's reference
    // keeps that valid.
    let shard: &Shard<P, F> = unsafe { task.byte_sub(place::<P, F>()).cast().as_ref() };
    let next = shard.flush(now);
    if next == Next::Done {
        let inner = shard.inner_ptr();
        // SAFETY: the timer's reference, which `start_timer` took; the shard is not used any more.
        unsafe { Inner::release_elsewhere(inner) };
    }
    next
}
