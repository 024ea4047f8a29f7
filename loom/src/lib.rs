//! loom runs of the lock-free parts of `rcu-core`: every interleaving, up to a bound on preemptions,
//! under the C11 memory model as loom has it (which lacks load buffering and treats every fence and
//! SeqCst access conservatively; `rcubench model` covers store buffers and early loads).
//!
//! The files under test are included from `rcu-core` as they are; what they need of the rest of that
//! crate is supplied here, cut down.

#![cfg(test)]

#[path = "../../rcu-core/src/sync.rs"]
#[allow(dead_code, unused_imports, reason = "written for another crate")]
mod sync;

mod supplied;
use supplied::{asym, fork, futex, pages, runtime, signals};

mod gp;
mod rcu;

use rcu_core::GpSeq;

/// Explores `body`, with at most this many preemptions in one execution.
fn explore(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
