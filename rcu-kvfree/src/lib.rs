#![doc = include_str!("../README.md")]

mod cell;
mod kvfree;
mod process;
mod rcu_box;

pub use cell::RcuCell;
pub use kvfree::{KvfreeStats, free_rcu, kvfree_rcu_barrier, kvfree_stats};
pub use rcu_box::{NoMemory, RcuBox};
pub use rcu_core::{self, Cookie, Flavor, Rcu, RcuGuard, Strategy};
pub use rcu_pending::{self, Pending};

/// Runs the code of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Runs the code of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
struct Guide;
