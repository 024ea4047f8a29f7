//! Atomics and locks: the standard ones, or loom's where the package `loom` builds a file for itself.

#[cfg(not(rcu_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, atomic};

#[cfg(rcu_loom)]
pub(crate) use {
    loom::sync::{Mutex, MutexGuard, atomic},
    std::sync::{OnceLock, PoisonError},
};

/// Makes a function `const` where constructors of atomics are.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(rcu_loom))]
        $(#[$meta])*
        $vis const fn $($rest)*

        #[cfg(rcu_loom)]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_fn;
