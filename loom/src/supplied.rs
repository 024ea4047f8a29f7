//! What the files under test need of `rcu-core`.

pub(crate) mod asym {
    use loom::sync::atomic::{Ordering, fence};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Strategy {
        Membarrier,
        Fence,
    }

    impl std::fmt::Display for Strategy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{self:?}")
        }
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Choice {
        pub(crate) strategy: Strategy,
        pub(crate) reason: &'static str,
    }

    /// loom knows no asymmetric barriers: all of this is the `Fence` strategy.
    pub(crate) fn default_choice() -> Choice {
        Choice { strategy: Strategy::Fence, reason: "loom" }
    }

    pub(crate) fn register() -> Result<(), &'static str> {
        Err("loom")
    }

    pub(crate) fn light() {}

    pub(crate) fn full() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy(_: Strategy) {
        full();
    }
}

pub(crate) mod futex {
    use std::time::Duration;

    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        /// The system's queue of sleepers, of all words: wake-ups for nothing are allowed.
        static ref SLEEPERS: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    /// Looks at the word and goes to sleep as one step, as the system does. A sleeper whom nobody
    /// wakes is a deadlock, which loom reports.
    pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        let held = SLEEPERS.0.lock().unwrap();
        // A timeout may be over at any time.
        if timeout.is_none() && word.load(Ordering::Relaxed) == expected {
            drop(SLEEPERS.1.wait(held).unwrap());
        }
    }

    pub(crate) fn wake(_: &AtomicU32, _: i32) {
        let held = SLEEPERS.0.lock().unwrap();
        SLEEPERS.1.notify_all();
        drop(held);
    }
}

pub(crate) mod runtime {
    pub(crate) fn aborting<T>(_: &str, body: impl FnOnce() -> T) -> T {
        body()
    }

    pub(crate) fn callback_scope() -> Scope {
        Scope
    }

    pub(crate) struct Scope;
}

pub(crate) mod signals {
    pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> T {
        body()
    }
}

pub(crate) mod fork {
    pub(crate) fn watch_forks() {}
}

pub(crate) mod pages {
    use std::alloc::{Layout, alloc};
    use std::ptr::NonNull;

    /// Leaked, as slots are never unmapped.
    pub(crate) fn map_or_abort(bytes: usize) -> NonNull<u8> {
        let layout = Layout::from_size_align(bytes, 4096).unwrap();
        // SAFETY: not of size 0.
        NonNull::new(unsafe { alloc(layout) }).unwrap()
    }
}
