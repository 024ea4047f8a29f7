//! Blocking signals around what a handler of the same thread must not see half done.

use nix::sys::signal::{SigSet, SigmaskHow};

/// Runs `body` with all signals blocked: no handler of this thread sees it half done, or needs a
/// lock that it holds.
pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let result = body();
    if let Ok(before) = before {
        // Setting back a mask that was just read cannot fail.
        let _ = before.thread_set_mask();
    }
    result
}
