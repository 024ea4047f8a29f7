//! The subjects that can carry the table, a file each, and the list of them.
//!
//! To add one: write a file with a [`Subject`] in it and name it in [`ALL`].

pub(crate) mod crossbeam_epoch;
pub(crate) mod rwlock;

use std::time::Duration;

use super::{
    driver::{Run, Tally, drive},
    entry::Entry,
    latency::{Latencies, measure},
    reclaimer::{Reclaimer, Subject},
    table::Table,
    zipf::{Zipf, key_of},
};

/// Every subject, in the order of rows.
pub(crate) const ALL: &[TableSubject] = &[
    TableSubject::of::<crossbeam_epoch::CrossbeamEpoch>(),
    TableSubject::of::<rwlock::ReadWriteLock>(),
];

/// The subject that others are compared with.
pub(crate) const YARDSTICK: &str = "crossbeam-epoch";

/// A subject without its type.
#[derive(Debug)]
pub(crate) struct TableSubject {
    pub(crate) name: &'static str,
    /// Makes a table that holds so many keys.
    pub(crate) load: fn(u64) -> Box<dyn Carried>,
    /// [`measure`]: so many samples, none waited for longer than this.
    pub(crate) free_latency: fn(u64, Duration) -> Latencies,
}

impl TableSubject {
    const fn of<S: Subject>() -> Self {
        TableSubject {
            name: S::NAME,
            load: |keys| Box::new(Loaded::<S>::new(keys)),
            free_latency: measure::<S>,
        }
    }
}

/// A loaded table without its type.
pub(crate) trait Carried {
    fn run(&self, zipf: &Zipf, run: &Run) -> Tally;
    /// Waits for the garbage, and gives the entries that exist beyond those loaded: 0 if all is well.
    fn settle(&self) -> i64;
    /// Objects that wait, as the subject counts them.
    fn pending(&self) -> Option<usize>;
    /// Drops the table, and gives the entries that still exist: 0 if all is well.
    fn unload(self: Box<Self>) -> i64;
}

struct Loaded<S: Subject> {
    table: Table<S::Of<Entry>>,
    keys: i64,
}

impl<S: Subject> Loaded<S> {
    fn new(keys: u64) -> Self {
        let table = Table::new(S::make::<Entry>(), keys as usize);
        for rank in 0..keys {
            let added = table.insert(key_of(rank), rank);
            debug_assert!(added, "keys are distinct");
        }
        Loaded { table, keys: keys as i64 }
    }
}

impl<S: Subject> Carried for Loaded<S> {
    fn run(&self, zipf: &Zipf, run: &Run) -> Tally {
        drive(&self.table, zipf, run)
    }

    fn settle(&self) -> i64 {
        self.table.quiesce();
        self.table.ledger().live() - self.keys
    }

    fn pending(&self) -> Option<usize> {
        self.table.reclaimer().pending()
    }

    fn unload(self: Box<Self>) -> i64 {
        let ledger = self.table.ledger();
        self.table.quiesce();
        drop(self);
        ledger.live()
    }
}
