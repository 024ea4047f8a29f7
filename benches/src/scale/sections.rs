//! The sections that `refscale` times, and the list of its cases.
//!
//! To add a subject: a type with [`Section`], and a line in [`all`].

use std::{
    hint::black_box,
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use crossbeam_epoch::{Guard, pin};
use crossbeam_utils::CachePadded;
use rcu_core::{Flavor, Rcu, RcuGuard};

use super::section::{Case, Section, body};

/// The cases of every subject, its headline row first.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::section::<OurRcu>());
    cases.push(poll());
    #[cfg(feature = "liburcu")]
    cases.extend(super::liburcu::sections());
    cases.extend(Case::section::<CrossbeamEpoch>());
    cases.extend(Case::section::<ReadWriteLock>());
    cases.extend(Case::section::<Exclusive>());
    cases
}

/// What the loop around all of them costs, whoever is measured.
pub(crate) fn empty_loop() -> Case {
    Case::op("refscale/empty-loop", "none", body)
}

/// A poll that is not done: nobody asks for the grace period it names.
fn poll() -> Case {
    let cookie = Rcu.get_state();
    Case::op("poll", "rcu", move || {
        black_box(Rcu.poll(black_box(cookie)));
    })
}

#[derive(Debug, Default)]
struct OurRcu;

impl Section for OurRcu {
    const NAME: &'static str = "rcu";
    const NESTS: bool = true;
    type Guard<'a> = RcuGuard;

    #[inline(always)]
    fn enter(&self) -> RcuGuard {
        Rcu.read_lock()
    }
}

#[derive(Debug, Default)]
struct CrossbeamEpoch;

impl Section for CrossbeamEpoch {
    const NAME: &'static str = "crossbeam-epoch";
    const NESTS: bool = true;
    type Guard<'a> = Guard;

    #[inline(always)]
    fn enter(&self) -> Guard {
        pin()
    }
}

#[derive(Debug, Default)]
struct ReadWriteLock(CachePadded<RwLock<()>>);

impl Section for ReadWriteLock {
    const NAME: &'static str = "rwlock";
    // A second shared hold in one thread can deadlock behind a writer.
    const NESTS: bool = false;
    type Guard<'a> = RwLockReadGuard<'a, ()>;

    #[inline(always)]
    fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Exclusive(CachePadded<Mutex<()>>);

impl Section for Exclusive {
    const NAME: &'static str = "mutex";
    const NESTS: bool = false;
    type Guard<'a> = MutexGuard<'a, ()>;

    #[inline(always)]
    fn enter(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
