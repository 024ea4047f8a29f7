//! `fork`: the child goes on with the one thread it has.
//!
//! Before the fork the forking thread takes every lock of this crate, each of them held for a moment
//! only, so that the child inherits none that nobody will release. Afterwards the child forgets the
//! threads that it does not have: their sections, their sleeps, the background threads, which start
//! again when something waits. What is pending stays. The sequence stays where it is: a grace period
//! in progress goes on, from `s+1` with a heavy barrier of the child's own, from `s+2` with a scan.

use std::cell::UnsafeCell;
use std::sync::MutexGuard;
use std::sync::Once;

use crate::gp::{self, CallGate};
use crate::runtime::{self, HeldRuntime};
use crate::{asym, rcu};

/// Every lock of this crate, in the order in which they are taken: a notifier that is being called
/// may want those behind, as it may run a waker, and so anybody's code.
struct Held {
    _driver: rcu::HeldDriver,
    _calls: CallGate,
    _hook: MutexGuard<'static, gp::HookSlot>,
    runtime: HeldRuntime,
    slots: rcu::HeldSlots,
}

/// Where the locks are between the handlers of one fork.
struct Shelf(UnsafeCell<Option<Held>>);

// SAFETY: written and taken only by a thread that holds all the locks.
unsafe impl Sync for Shelf {}

static SHELF: Shelf = Shelf(UnsafeCell::new(None));

/// Has the handlers called from now on. Idempotent.
pub(crate) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: functions that live for ever. Without memory there are no handlers, and a child
        // that uses RCU may find locks held.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
}

extern "C" fn before() {
    // Fields are made in the order written here.
    let held = Held {
        _driver: rcu::hold_driver(),
        _calls: gp::hold_calls(),
        _hook: gp::hold_hook(),
        runtime: runtime::hold(),
        slots: rcu::hold_slots(),
    };
    // SAFETY: we hold all the locks.
    unsafe { *SHELF.0.get() = Some(held) };
}

extern "C" fn after_in_parent() {
    // SAFETY: the locks are still ours.
    drop(unsafe { (*SHELF.0.get()).take() });
}

extern "C" fn after_in_child() {
    // SAFETY: the locks are still ours, and this is the only thread.
    let Some(mut held) = (unsafe { (*SHELF.0.get()).take() }) else { return };
    asym::register_again();
    held.slots.forget_others();
    held.runtime.forget_threads(rcu::driver_task());
    drop(held);
    rcu::resume_in_child();
}
