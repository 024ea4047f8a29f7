//! Panics: those that must not be, and those that are survived.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{mem, process};

/// Runs `body`, which must not panic because others depend on this thread; if it does, the process
/// ends with a message rather than hang later without one.
pub(crate) fn aborting<T>(what: &str, body: impl FnOnce() -> T) -> T {
    struct Bomb<'a>(&'a str);
    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            let _ = writeln!(
                std::io::stderr(),
                "rcu: {} panicked; every grace period depends on its thread",
                self.0
            );
            process::abort();
        }
    }
    let bomb = Bomb(what);
    let result = body();
    mem::forget(bomb);
    result
}

/// Runs somebody's code whose panic is nothing to the caller; true if it panicked.
///
/// ```
/// use rcu_core::runtime::survives;
/// assert!(!survives(|| {}));
/// assert!(survives(|| panic!("on purpose")));
/// ```
pub fn survives(body: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(()) => false,
        Err(payload) => {
            // What was panicked with may panic when it is dropped.
            if let Err(again) =
                catch_unwind(AssertUnwindSafe(|| drop::<Box<dyn Any + Send>>(payload)))
            {
                mem::forget(again);
            }
            true
        }
    }
}
