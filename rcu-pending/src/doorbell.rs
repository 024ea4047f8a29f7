//! Doorbells: how a shard hears that a grace period is over.
//!
//! There is one for each cookie that can be live. Whoever hands something over does so first and
//! rings then; ringing arms the bell unless it is armed. When the grace period is over the bell
//! calls a reaper, and only that reaper disarms it, *before* it takes what was handed over: so
//! either it takes what a ringer left, or the ringer finds the bell disarmed and arms it. It then
//! waits for the reap lock, and rings again for each cookie that it keeps something for.
//!
//! The invariant, which [`Shard::assert_attended`] states: nothing waits in a shard for a cookie
//! whose bell is not armed, unless a reaper that was called is under way.

use crate::inner::Inner;
use crate::process::Process;
use crate::shard::{Shard, parity};
use rcu_core::gp::Notifier;
use rcu_core::overload::{Backlog, overload, rules};
use rcu_core::runtime::{self, Next, Task};
use rcu_core::{ACTIVE_COOKIES, Cookie, Flavor};
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::time::Instant;

const _: () = assert!(ACTIVE_COOKIES == 2, "one bell per parity");

/// The bells of one shard, by the parity of the cookie.
pub(crate) struct Doorbells {
    bells: [Bell; 2],
    armed: [AtomicBool; 2],
    /// Reapers that bells have called and that do not hold the reap lock yet: 2 at most.
    answering: AtomicU16,
    /// How many objects waited when a grace period was last hurried, or fewer since.
    hurried_at: AtomicU32,
}

#[repr(C)]
struct Bell {
    notifier: Notifier,
    task: Task,
}

impl Doorbells {
    pub(crate) const fn new<P: Process, F: Flavor>() -> Self {
        const fn bell<P: Process, F: Flavor, const PARITY: usize>() -> Bell {
            Bell { notifier: Notifier::new(called), task: Task::new(answer::<P, F, PARITY>) }
        }
        Self {
            bells: [bell::<P, F, 0>(), bell::<P, F, 1>()],
            armed: [AtomicBool::new(false), AtomicBool::new(false)],
            answering: AtomicU16::new(0),
            hurried_at: AtomicU32::new(0),
        }
    }
}

/// Where in a shard the bell of a parity is.
const fn place<P: Process, F: Flavor>(parity: usize) -> usize {
    offset_of!(Shard<P, F>, bells) + offset_of!(Doorbells, bells) + parity * size_of::<Bell>()
}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// Sees to it that a reaper comes when `cookie` is done. What it is to find must have been
    /// handed over before. Not with the shard's lock held.
    pub(crate) fn ring(&self, cookie: Cookie<F>) {
        let parity = parity(cookie);
        // Release: pairs with the Acquire in `answer`, which then takes what we handed over.
        // A bell that is armed for an older cookie will do: its reaper rings for ours.
        let armed = self.bells.armed[parity].swap(true, Ordering::AcqRel);
        self.hurry_if_overloaded();
        if armed {
            return;
        }
        self.inner().acquire();
        // SAFETY: within the shard. The notifier is not armed (we have just set the flag), and the
        // reference keeps it valid; `answer` gives that up.
        unsafe {
            let notifier = NonNull::from(self).byte_add(place::<P, F>(parity)).cast();
            self.inner().flavor.notify(notifier, cookie);
        }
    }

    /// Has the grace period of what was just handed over run at once, if too much has come since
    /// that was last done. What came before is covered; if it is still here, then because those who
    /// process it cannot keep up, and more grace periods would not help.
    fn hurry_if_overloaded(&self) {
        let objects = self.objects.load(Ordering::Relaxed);
        let now = u32::try_from(objects).unwrap_or(u32::MAX);
        let last = self.bells.hurried_at.load(Ordering::Relaxed);
        let grown = now.saturating_sub(last) as usize;
        let each = self.bytes.load(Ordering::Relaxed) / objects.max(1);
        let backlog = Backlog { objects: grown, bytes: grown.saturating_mul(each) };
        if overload(&rules(), backlog).is_some() {
            self.bells.hurried_at.store(now, Ordering::Relaxed);
            self.inner().flavor.start_poll_expedited();
        } else if now < last {
            self.bells.hurried_at.store(now, Ordering::Relaxed);
        }
    }

    /// Asserts that somebody will come for `cookie`. With the reap lock held.
    pub(crate) fn assert_attended(&self, cookie: Cookie<F>) {
        // Acquire: pairs with the Release of the disarming; who disarmed is counted as answering,
        // and stays so until we release the reap lock.
        debug_assert!(
            self.bells.armed[parity(cookie)].load(Ordering::Acquire)
                || self.bells.answering.load(Ordering::Acquire) > 0,
            "nobody will come for {cookie:?}"
        );
    }
}

/// The bell's notifier: called by whoever finds the cookie done, and must be short.
///
/// # Safety
///
/// Called by the engine, with the notifier of a bell.
unsafe fn called(notifier: NonNull<Notifier>) {
    // SAFETY: the notifier was derived from a pointer to the whole shard. The task is not
    // submitted: the bell is armed, and `answer` disarms it. Its reference keeps it valid.
    unsafe {
        let task = notifier.byte_add(offset_of!(Bell, task)).cast();
        runtime::reclaim().submit(task);
    }
}

/// The bell's reaper, on the reclaim thread.
///
/// # Safety
///
/// Called by the executor, with the task of the bell of that parity.
unsafe fn answer<P: Process, F: Flavor, const PARITY: usize>(
    task: NonNull<Task>,
    _now: Instant,
) -> Next {
    // SAFETY: the task was derived from a pointer to the whole shard, and the bell's reference
    // keeps that valid until the end of this function.
    let shard: &Shard<P, F> = unsafe {
        let bell = task.byte_sub(offset_of!(Bell, task));
        bell.byte_sub(place::<P, F>(PARITY)).cast().as_ref()
    };
    shard.bells.answering.fetch_add(1, Ordering::Relaxed);
    // Acquire: pairs with the Release in `ring`: what was handed over by those who found the bell
    // armed is there to be taken now. Release: with `assert_attended`.
    shard.bells.armed[PARITY].swap(false, Ordering::AcqRel);
    shard.reap(|| {
        // Under the reap lock.
        shard.bells.answering.fetch_sub(1, Ordering::Relaxed);
    });
    let inner = shard.inner_ptr();
    // SAFETY: the bell's reference, which `ring` took. The shard is not used any more.
    unsafe { Inner::release(inner) };
    Next::Done
}
