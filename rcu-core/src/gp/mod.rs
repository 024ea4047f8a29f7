//! The grace-period engine that all flavours share.
//!
//! [`Engine`] owns the sequence, the requests, the waiters and the notifiers of one domain; a
//! flavour supplies a [`ReaderSet`]: which barrier its scan needs and how to see its readers.
//! `docs/internals.md` tells the protocol, `docs/memory-ordering.md` why it is right, and
//! `rcubench model gp` checks it.

mod calls;
mod drive;
mod engine;
mod notifier;
mod pace;
mod stall;
mod stats;
mod waiters;

pub(crate) use calls::{CallGate, hold_calls};
pub(crate) use drive::Paced;
pub use engine::{Engine, ReaderSet};
pub use notifier::Notifier;
pub use stall::{Holder, StallReport, set_stall_hook, set_stall_timeout};
pub(crate) use stall::{HookSlot, hold_hook};
pub use stats::EngineStats;
