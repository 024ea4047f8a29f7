#![doc = include_str!("../README.md")]

pub mod alloc;
mod barrier;
mod batch;
mod darray;
mod dequeue;
mod doorbell;
mod enqueue;
mod flush;
mod genradix;
mod inner;
mod leaf;
mod list;
mod lock;
mod node;
mod process;
mod queue;
mod reap;
mod shard;
mod stats;

pub use dequeue::{Dequeued, Grace};
pub use list::Link;
pub use process::{Item, Process, ProcessFn, Ptr, process_fn};
pub use queue::Pending;
pub use stats::Stats;
