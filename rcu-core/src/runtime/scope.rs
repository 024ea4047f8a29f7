//! Marking threads that run callbacks, where waiting could never end.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// Marks the calling thread as running callbacks until it is dropped; see [`callback_scope`].
///
/// ```
/// let scope = rcu_core::runtime::callback_scope();
/// drop(scope);
/// ```
#[derive(Debug)]
pub struct CallbackScope {
    /// The mark is the thread's.
    not_send: PhantomData<*mut ()>,
}

/// Marks the calling thread as running callbacks: calls that wait for a grace period panic there,
/// because the callbacks behind this one may be what they wait for.
///
/// ```
/// use rcu_core::runtime::{callback_scope, in_callback};
/// let scope = callback_scope();
/// assert!(in_callback());
/// drop(scope);
/// assert!(!in_callback());
/// ```
pub fn callback_scope() -> CallbackScope {
    CALLBACKS.with(|depth| depth.set(depth.get() + 1));
    CallbackScope { not_send: PhantomData }
}

/// Whether the calling thread is inside a [`callback_scope`].
///
/// ```
/// assert!(!rcu_core::runtime::in_callback());
/// ```
pub fn in_callback() -> bool {
    CALLBACKS.with(Cell::get) != 0
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        CALLBACKS.with(|depth| depth.set(depth.get() - 1));
    }
}
