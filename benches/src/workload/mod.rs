//! The workload: one concurrent hash table, YCSB mixes over it, and the subjects that reclaim its
//! entries.
//!
//! The table is the same code for every subject, so that a difference between two rows is a
//! difference between two ways to reclaim memory. Every read is validated (see [`entry`]); a run is
//! good only if no read failed and every entry that was replaced has been freed.

pub(crate) mod driver;
pub(crate) mod entry;
pub(crate) mod latency;
pub(crate) mod ledger;
pub(crate) mod reclaimer;
pub(crate) mod rng;
pub(crate) mod subjects;
pub(crate) mod table;
pub(crate) mod ycsb;
pub(crate) mod zipf;
