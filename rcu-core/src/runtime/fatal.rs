//! What must not panic, and what happens if it does.

use std::io::Write;
use std::process;

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
    std::mem::forget(bomb);
    result
}
