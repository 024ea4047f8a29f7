//! The subjects that can carry the table, a file each, and the list of them.
//!
//! To add one: write a file with a [`Subject`] in it and name it in [`ALL`].

pub(crate) mod crossbeam_epoch;
pub(crate) mod kvfree;
pub(crate) mod rwlock;

use std::time::Duration;

use super::{
    driver::{Run, Tally, drive},
    entry::Entry,
    latency::{Latencies, measure},
    reclaimer::{Footprint, Reclaimer, Subject},
    table::Table,
    zipf::{Zipf, key_of},
};

/// Every subject, in the order of rows.
pub(crate) const ALL: &[TableSubject] = &[
    TableSubject::of::<kvfree::Kvfree>(),
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
    /// What the subject holds by its own account, if it knows.
    fn footprint(&self) -> Option<Footprint>;
    /// What it held when the table had been loaded.
    fn at_rest(&self) -> Option<Footprint>;
    /// Drops the table, and gives the entries that still exist: 0 if all is well.
    fn unload(self: Box<Self>) -> i64;
}

struct Loaded<S: Subject> {
    table: Table<S::Of<Entry>>,
    keys: i64,
    at_rest: Option<Footprint>,
}

impl<S: Subject> Loaded<S> {
    fn new(keys: u64) -> Self {
        let table = Table::new(S::make::<Entry>(), keys as usize);
        for rank in 0..keys {
            let added = table.insert(key_of(rank), rank);
            debug_assert!(added, "keys are distinct");
        }
        table.quiesce();
        let at_rest = table.reclaimer().footprint();
        Loaded { table, keys: keys as i64, at_rest }
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

    fn footprint(&self) -> Option<Footprint> {
        self.table.reclaimer().footprint()
    }

    fn at_rest(&self) -> Option<Footprint> {
        self.at_rest
    }

    fn unload(self: Box<Self>) -> i64 {
        let ledger = self.table.ledger();
        self.table.quiesce();
        drop(self);
        ledger.live()
    }
}

#[cfg(test)]
mod tests {
    use std::{ptr::NonNull, sync::Mutex};

    use super::*;
    use crate::workload::{driver::Limit, ycsb::Mix};

    /// The second negative control: frees nothing before it is dropped itself.
    #[derive(Debug)]
    struct Forgetful<T>(Mutex<Vec<Box<T>>>);

    struct Forgetting;

    impl Subject for Forgetting {
        const NAME: &'static str = "forgetting";
        type Of<T: Send + Sync + 'static> = Forgetful<T>;

        fn make<T: Send + Sync + 'static>() -> Forgetful<T> {
            Forgetful(Mutex::default())
        }
    }

    impl<T: Send + Sync + 'static> Reclaimer<T> for Forgetful<T> {
        type Guard<'a> = ();

        fn enter(&self) {}

        fn alloc(&self, value: T) -> NonNull<T> {
            NonNull::from(Box::leak(Box::new(value)))
        }

        unsafe fn retire(&self, node: NonNull<T>) {
            // SAFETY: from `Box` in `alloc`; the one thread of this test reads nothing meanwhile.
            self.0.lock().unwrap().push(unsafe { Box::from_raw(node.as_ptr()) });
        }

        unsafe fn dealloc(&self, node: NonNull<T>) {
            // SAFETY: from `Box` in `alloc`; the caller gives up the last pointer to it.
            drop(unsafe { Box::from_raw(node.as_ptr()) });
        }

        fn quiesce(&self) {}
    }

    fn left_after_a_run(subject: &TableSubject) -> (i64, i64, u64) {
        let table = (subject.load)(100);
        let limit = Limit::Ops(1_000);
        let run = Run { mix: Mix::A, threads: 1, limit, seed: 1, stall: false };
        let tally = table.run(&Zipf::new(100), &run);
        assert_eq!(tally.errors(), 0);
        (table.settle(), table.unload(), tally.ops - tally.reads)
    }

    #[test]
    fn what_is_never_freed_is_seen() {
        let (left, _, updates) = left_after_a_run(&TableSubject::of::<Forgetting>());
        assert_eq!(left, updates as i64);
    }

    #[test]
    fn every_subject_frees_what_it_is_given() {
        let _alone = kvfree::alone();
        for subject in ALL {
            let (left, after, _) = left_after_a_run(subject);
            assert_eq!((left, after), (0, 0), "{}", subject.name);
        }
    }
}
