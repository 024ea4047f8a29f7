//! Blocking signals around what a handler of the same thread must not see half done.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Runs `body` with all signals blocked that come from outside: no handler of this thread sees it
/// half done, or needs a lock that it holds. Those that the thread itself brings about are not: a
/// sandbox or a garbage collector may rely on them anywhere.
pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> T {
    let mut signals = SigSet::all();
    // What the thread itself brings about: blocked, these end the process past their handler.
    for own in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSYS,
    ] {
        signals.remove(own);
    }
    let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let result = body();
    if let Ok(before) = before {
        // Setting back a mask that was just read cannot fail.
        let _ = before.thread_set_mask();
    }
    result
}
