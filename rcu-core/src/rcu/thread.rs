//! What a thread knows of itself: its slot, found in thread-local storage, and its exit.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use super::ENGINE;
use super::slot::{EXITED, Slot};
use crate::asym::Strategy;
use crate::signals::without_signals;

thread_local! {
    // Without a destructor and constant: reading it is one instruction, at any time of a thread's
    // life.
    static READER: Reader =
        const { Reader { fast: Cell::new(ptr::null()), slot: Cell::new(ptr::null()) } };
}

struct Reader {
    /// The slot, if sections may be opened without a fence: null for a thread that is not
    /// registered and for the `Fence` strategy, so that one branch covers both.
    fast: Cell<*const Slot>,
    /// The slot, if there is one.
    slot: Cell<*const Slot>,
}

/// The calling thread's slot, if it is registered and its strategy needs no fence.
#[inline(always)]
pub(super) fn fast_slot() -> Option<&'static Slot> {
    // SAFETY: null or a slot, and slots live for ever.
    READER.with(|reader| unsafe { reader.fast.get().as_ref() })
}

/// The calling thread's slot, if it is registered.
pub(super) fn slot() -> Option<&'static Slot> {
    // SAFETY: null or a slot, and slots live for ever.
    READER.with(|reader| unsafe { reader.slot.get().as_ref() })
}

pub(super) fn in_section() -> bool {
    slot().is_some_and(Slot::occupied)
}

/// The calling thread's slot; registers it if need be.
pub(super) fn register() -> &'static Slot {
    if let Some(slot) = slot() {
        return slot;
    }
    without_signals(|| {
        // A handler may have been first, just before signals were blocked.
        if let Some(slot) = slot() {
            return slot;
        }
        let slot = ENGINE.readers().take_slot();
        READER.with(|reader| {
            reader.slot.set(slot);
            if ENGINE.readers().choice().strategy == Strategy::Membarrier {
                reader.fast.set(slot);
            }
        });
        // Last: it may allocate, and the allocator may open a section.
        call_at_exit(slot);
        slot
    })
}

/// Has `thread_exit` called for this thread. By a key of the C library, not by a Rust
/// thread-local's destructor: those all run earlier and may still open sections, and this one comes
/// again for what was opened after it.
fn call_at_exit(slot: &'static Slot) {
    if let Some(key) = exit_key() {
        // SAFETY: a key that was created; on failure (no memory) the slot is not used again, which
        // costs its 128 bytes.
        unsafe { libc::pthread_setspecific(key, ptr::from_ref(slot).cast()) };
    }
}

fn exit_key() -> Option<libc::pthread_key_t> {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: `key` is written; the destructor is a function that lives for ever.
        let error = unsafe { libc::pthread_key_create(&mut key, Some(thread_exit)) };
        (error == 0).then_some(key)
    })
}

extern "C" fn thread_exit(value: *mut libc::c_void) {
    let Some(slot) = NonNull::new(value.cast::<Slot>()) else { return };
    // SAFETY: the value is the slot that `call_at_exit` set.
    let slot = unsafe { slot.as_ref() };
    if slot.occupied() {
        // Another destructor may still drop the guard: ask to be called again, which the C library
        // does a few times. A guard that nobody drops keeps the slot occupied for ever: what safe
        // code borrowed through it may be borrowed for ever.
        slot.give_to(EXITED);
        call_at_exit(slot);
        return;
    }
    without_signals(|| {
        READER.with(|reader| {
            reader.fast.set(ptr::null());
            reader.slot.set(ptr::null());
        });
        ENGINE.readers().put_slot(slot);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flavor, Rcu};

    fn exit_value() -> *const Slot {
        // SAFETY: the key was created, or this thread could not have registered.
        unsafe { libc::pthread_getspecific(exit_key().unwrap()) }.cast_const().cast()
    }

    /// What the C library does when the thread exits: takes the value back, and hands it over.
    fn exit() {
        let slot = exit_value();
        // SAFETY: a live key.
        unsafe { libc::pthread_setspecific(exit_key().unwrap(), ptr::null()) };
        thread_exit(slot.cast_mut().cast());
    }

    #[test]
    fn a_thread_that_exits_gives_its_slot_back_once_it_is_idle() {
        std::thread::spawn(|| {
            let guard = Rcu.read_lock();
            let mine = slot().unwrap();
            exit();
            assert!(slot().is_some_and(|slot| ptr::eq(slot, mine)), "a guard is held");
            assert!(ptr::eq(exit_value(), mine), "asks to be called again");
            let other = std::thread::spawn(|| ptr::from_ref(register()).addr()).join().unwrap();
            assert_ne!(other, ptr::from_ref(mine).addr(), "an occupied slot is nobody else's");

            drop(guard);
            exit();
            assert!(slot().is_none() && fast_slot().is_none(), "the slot may be another's now");
            assert!(exit_value().is_null());
            drop(Rcu.read_lock()); // as later destructors do: registers anew
            assert!(slot().is_some());
        })
        .join()
        .unwrap();
    }
}
