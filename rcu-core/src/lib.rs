#![doc = include_str!("../README.md")]

mod asym;
mod cookie;
mod flavor;
mod futex;
pub mod gp;
mod guard;
mod pages;
pub mod percpu;
pub mod ptr;
mod rcu;
pub mod runtime;
mod seq;

pub use asym::Strategy;
pub use cookie::{ACTIVE_COOKIES, Cookie};
pub use flavor::Flavor;
pub use guard::{Guard, Unprotected, unprotected};
pub use rcu::{Rcu, RcuGuard, StrategyFrozen};
pub use seq::{GpSeq, GpState, Word};
