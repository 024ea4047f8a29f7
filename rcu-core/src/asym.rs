//! Asymmetric memory barriers: a [`light`] one for the many, a [`heavy`] one for the few.
//!
//! Between a light barrier on one thread and a heavy one on another, the two threads are ordered
//! as if each had run a full fence; between two light ones nothing is promised, and a heavy
//! barrier does not order two light sides *through* a third thread: it is one full barrier on each
//! thread, **each at its own instant**.
//!
//! Two [`Strategy`]s do this. `Membarrier` makes the light side a compiler fence and the heavy one
//! Linux's `membarrier(PRIVATE_EXPEDITED)`. `Fence` makes both a sequentially consistent fence, and
//! interrupts nobody: for isolated or real-time CPUs and for systems without that call. Rust's
//! memory model knows no asymmetric fence, so what `Membarrier` relies on is the system's promise.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{Ordering, compiler_fence, fence};

/// How a domain's readers and its grace periods are ordered.
///
/// ```
/// use rcu_core::{Rcu, Strategy};
/// match Rcu.strategy() {
///     Strategy::Membarrier => println!("readers pay no fence"),
///     Strategy::Fence => println!("readers pay a fence: {}", Rcu.strategy_reason()),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Readers pay a compiler fence; a grace period interrupts each CPU that runs one of our
    /// threads, for a moment. If the system takes `membarrier` back later (a sandbox that is entered
    /// late), the process ends with a message.
    Membarrier,
    /// Readers pay a full fence on each entry; nobody is interrupted.
    Fence,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strategy::Membarrier => "membarrier",
            Strategy::Fence => "fence",
        })
    }
}

/// A strategy and why it was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) strategy: Strategy,
    pub(crate) reason: &'static str,
}

/// The environment variable that overrides the choice for a whole process.
const VARIABLE: &str = "RCU_STRATEGY";

/// What this process uses unless a domain is told otherwise: `RCU_STRATEGY` if it says `fence`,
/// else `Membarrier` where the system grants it.
pub(crate) fn default_choice() -> Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    *CHOICE.get_or_init(|| match (std::env::var(VARIABLE).as_deref(), register()) {
        (Ok("fence"), _) => {
            Choice { strategy: Strategy::Fence, reason: "asked for by RCU_STRATEGY=fence" }
        }
        (_, Err(reason)) => Choice { strategy: Strategy::Fence, reason },
        (Ok("membarrier" | "") | Err(_), Ok(())) => {
            Choice { strategy: Strategy::Membarrier, reason: "membarrier is available" }
        }
        (Ok(_), Ok(())) => Choice {
            strategy: Strategy::Membarrier,
            reason: "membarrier is available; RCU_STRATEGY is neither fence nor membarrier",
        },
    })
}

static REGISTERED: OnceLock<Result<(), &'static str>> = OnceLock::new();

/// Registers the process for private expedited membarriers and tries one. Idempotent; must have
/// succeeded before the first [`heavy`] barrier of a `Membarrier` domain.
pub(crate) fn register() -> Result<(), &'static str> {
    *REGISTERED.get_or_init(sys::register)
}

/// In the child of a fork: registers again, where the parent had. Whether a registration is inherited
/// is not documented.
pub(crate) fn register_again() {
    if REGISTERED.get().is_some_and(Result::is_ok)
        && let Err(reason) = sys::register()
    {
        fatal(format_args!("after a fork {reason}, and readers run without fences"));
    }
}

/// Ends the process: readers without a fence can no longer be waited for.
#[cold]
fn fatal(why: fmt::Arguments<'_>) -> ! {
    let _ = writeln!(std::io::stderr(), "rcu: {why}");
    std::process::abort();
}

/// The reader's side: keeps the compiler from moving memory accesses across it. In a `Fence`
/// domain the reader runs [`full`] instead.
#[inline(always)]
pub(crate) fn light() {
    compiler_fence(Ordering::SeqCst);
}

/// A full fence on this thread. On x86-64 current compilers make it a locked instruction on the
/// stack, which costs a fraction of `mfence`.
#[inline(always)]
pub(crate) fn full() {
    fence(Ordering::SeqCst);
}

/// The updater's side. Aborts the process if the system takes back a membarrier it granted:
/// readers without a fence could no longer be waited for.
#[inline]
pub(crate) fn heavy(strategy: Strategy) {
    match strategy {
        Strategy::Membarrier => sys::membarrier(),
        // Needed where the step before it is less than a full barrier (docs/memory-ordering.md).
        Strategy::Fence => full(),
    }
}

mod sys {
    use std::sync::atomic::{Ordering, compiler_fence};

    fn call(command: libc::c_int) -> libc::c_long {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
    }

    pub(super) fn register() -> Result<(), &'static str> {
        let wanted = libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED
            | libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
        let offered = call(libc::MEMBARRIER_CMD_QUERY);
        if offered < 0 {
            return Err("the system refuses membarrier");
        }
        if offered as libc::c_int & wanted != wanted {
            return Err("the system has no private expedited membarrier");
        }
        if call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0 {
            return Err("registering for membarrier failed");
        }
        // Some systems offer the command and refuse it when it is used.
        if call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 {
            return Err("membarrier was offered and then refused");
        }
        Ok(())
    }

    pub(super) fn membarrier() {
        compiler_fence(Ordering::SeqCst);
        let mut tries = 0;
        while call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 {
            let error = std::io::Error::last_os_error();
            // The system may be out of memory for a moment.
            if error.raw_os_error() == Some(libc::ENOMEM) && tries < 1000 {
                tries += 1;
                std::thread::yield_now();
                continue;
            }
            super::fatal(format_args!(
                "membarrier failed ({}) after it had worked; readers can no longer be waited for. \
                 If a sandbox was entered late, enter it before the first section, or set \
                 RCU_STRATEGY=fence.",
                error
            ));
        }
        compiler_fence(Ordering::SeqCst);
    }
}
