#![doc = include_str!("../README.md")]

mod asym;
mod cookie;
mod flavor;
mod fork;
mod futex;
pub mod gp;
mod guard;
pub mod overload;
mod pages;
pub mod percpu;
pub mod ptr;
mod rcu;
pub mod runtime;
mod seq;
mod signals;
mod sync;
mod wait;

pub use asym::Strategy;
pub use cookie::{ACTIVE_COOKIES, Cookie};
pub use flavor::Flavor;
pub use guard::{Guard, Unprotected, unprotected};
pub use rcu::{Rcu, RcuGuard, RcuStats, StrategyFrozen};
pub use seq::{GpSeq, GpState, Word};
pub use wait::Wait;
