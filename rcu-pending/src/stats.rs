//! Counters, and what is said about a queue.

use crate::inner::Inner;
use crate::node::NODE_SIZE;
use crate::process::Process;
use crate::shard::{Shard, bytes_of};
use rcu_core::Flavor;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counters of rare events.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) leaked: AtomicUsize,
    pub(crate) leaked_bytes: AtomicUsize,
    pub(crate) panics: AtomicUsize,
    pub(crate) early: AtomicUsize,
    pub(crate) carried: AtomicUsize,
    pub(crate) listed: AtomicUsize,
}

/// The state of a queue; see [`Pending::stats`](crate::Pending::stats).
///
/// ```
/// let stats = rcu_pending::Stats::default();
/// assert!(stats.to_string().starts_with("0 objects"));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Objects that have been enqueued and neither processed nor dequeued.
    pub objects: usize,
    /// Their bytes, as [`Item::bytes`](crate::Item::bytes) has them.
    pub bytes: usize,
    /// Objects without a link that were lost because there was no memory at all.
    pub leaked: usize,
    /// Their bytes.
    pub leaked_bytes: usize,
    /// How often [`Process::process`] panicked.
    pub panics: usize,
    /// How often objects were about to be processed too early, and kept. Should be 0.
    pub early: usize,
    /// Intrusive objects that found their shard locked and went by its inbox.
    pub carried: usize,
    /// Intrusive objects that went onto a list because there was no memory for a leaf.
    pub listed: usize,
    /// Leaves and inner nodes of radix trees in use, 512 bytes each.
    pub nodes: usize,
    /// Bytes the queue has mapped for them, used or not. They go back when the queue is gone.
    pub mapped: usize,
    /// Bytes the queue uses for itself, without unused nodes.
    pub used: usize,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} objects ({} bytes) pending in {} nodes, {} bytes used, {} mapped; \
             {} by inbox, {} by list; {} leaked ({} bytes), {} panics, {} early",
            self.objects,
            self.bytes,
            self.nodes,
            self.used,
            self.mapped,
            self.carried,
            self.listed,
            self.leaked,
            self.leaked_bytes,
            self.panics,
            self.early,
        )
    }
}

impl<P: Process, F: Flavor> Inner<P, F> {
    /// Objects and bytes, each shard's with its lock held: exact unless others enqueue meanwhile.
    pub(crate) fn count(&self) -> (usize, usize) {
        let mut total = (0_usize, 0_usize);
        for shard in self.shards.iter() {
            let mut locked = shard.lock();
            let open = locked.open_items();
            let (items, bytes) = (open.len(), bytes_of(open));
            // Acquire: pairs with the Release of `discount`.
            let items = items.wrapping_add(shard.objects.load(Ordering::Acquire));
            let bytes = bytes.wrapping_add(shard.bytes.load(Ordering::Relaxed));
            total = (total.0.wrapping_add(items), total.1.wrapping_add(bytes));
        }
        total
    }

    pub(crate) fn stats(&self) -> Stats {
        let (objects, bytes) = self.count();
        let shards = self.shards.iter();
        let nodes = shards.map(|shard| shard.nodes.load(Ordering::Relaxed) as usize).sum::<usize>();
        let heap = self.shards.iter().map(|shard| shard.lock_reap().batches.heap_bytes());
        let fixed = size_of::<Self>() + self.shards.len() * size_of::<Shard<P, F>>();
        let event = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Stats {
            objects,
            bytes,
            leaked: event(&self.counters.leaked),
            leaked_bytes: event(&self.counters.leaked_bytes),
            panics: event(&self.counters.panics),
            early: event(&self.counters.early),
            carried: event(&self.counters.carried),
            listed: event(&self.counters.listed),
            nodes,
            mapped: self.reserve.mapped(),
            used: fixed + heap.sum::<usize>() + nodes * NODE_SIZE,
        }
    }
}

/// Says what should not have happened, on the error stream; needs no memory, and does not mind if
/// there is no such stream.
#[cold]
pub(crate) fn report(what: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "rcu-pending: {what}");
}
