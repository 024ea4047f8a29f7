//! Runs a mix over a table with some threads, for a time or for a number of operations.

use std::{
    sync::{
        Barrier,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;

use super::{
    entry::{Entry, Fault},
    reclaimer::Reclaimer,
    rng::Rng,
    table::{Read, Table},
    ycsb::{Mix, Op, Ops},
    zipf::Zipf,
};

/// Operations between two looks at the clock's flag.
const STRIDE: u64 = 64;
/// How often the garbage is looked at while a run is under way.
const LOOK: Duration = Duration::from_millis(5);

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// After `warm` unmeasured and `measure` measured.
    Time { warm: Duration, measure: Duration },
    /// After so many operations in each thread. Only tests want that.
    #[cfg_attr(not(test), expect(dead_code, reason = "runs that do not depend on the clock"))]
    Ops(u64),
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) mix: Mix,
    pub(crate) threads: usize,
    pub(crate) limit: Limit,
    pub(crate) seed: u64,
    /// Hold one more section open, in a thread that does nothing else, until the run is over.
    pub(crate) stall: bool,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Over the measured part.
    pub(crate) ops_per_second: f64,
    /// These count warm-up too.
    pub(crate) ops: u64,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    /// Keys that were loaded, are never removed, and were not found.
    pub(crate) lost: u64,
    /// Reads that met a freed or damaged entry.
    pub(crate) faults: u64,
    pub(crate) first_fault: Option<Fault>,
    /// The most entries seen to exist at once.
    pub(crate) peak_live: i64,
}

impl Tally {
    /// Reads and updates that went wrong, in whichever way.
    pub(crate) fn errors(&self) -> u64 {
        self.lost + self.faults
    }

    fn add(&mut self, other: &Tally) {
        self.ops += other.ops;
        self.reads += other.reads;
        self.hits += other.hits;
        self.lost += other.lost;
        self.faults += other.faults;
        self.first_fault = self.first_fault.or(other.first_fault);
    }

    #[inline]
    fn count<R: Reclaimer<Entry>>(&mut self, table: &Table<R>, op: Op) {
        self.ops += 1;
        match op {
            Op::Update { key, seed } => self.lost += u64::from(!table.update(key, seed)),
            Op::Read { key } => {
                self.reads += 1;
                match table.read(key) {
                    Read::Hit(_) => self.hits += 1,
                    Read::Miss => self.lost += 1,
                    Read::Bad(fault) => {
                        self.faults += 1;
                        self.first_fault.get_or_insert(fault);
                    }
                }
            }
        }
    }
}

/// What the threads of a run share.
struct Field {
    start: Barrier,
    stop: AtomicBool,
    /// Operations done so far, by thread.
    done: Box<[CachePadded<AtomicU64>]>,
}

impl Field {
    fn done(&self) -> u64 {
        self.done.iter().map(|done| done.load(Relaxed)).sum()
    }
}

/// Runs `run` over `table`, which holds every key of `zipf`.
pub(crate) fn drive<R: Reclaimer<Entry>>(table: &Table<R>, zipf: &Zipf, run: &Run) -> Tally {
    let field = Field {
        start: Barrier::new(run.threads + 1 + usize::from(run.stall)),
        stop: AtomicBool::new(false),
        done: (0..run.threads).map(|_| CachePadded::default()).collect(),
    };
    thread::scope(|scope| {
        let field = &field;
        let workers: Vec<_> = (0..run.threads)
            .map(|thread| scope.spawn(move || work(table, zipf, run, field, thread)))
            .collect();
        let staller = run.stall.then(|| scope.spawn(|| stall(table, field)));
        field.start.wait();
        let mut tally = Tally { peak_live: table.ledger().live(), ..Tally::default() };
        if let Limit::Time { warm, measure } = run.limit {
            thread::sleep(warm);
            let (start, before) = (Instant::now(), field.done());
            while let Some(left) = measure.checked_sub(start.elapsed()) {
                thread::sleep(left.min(LOOK));
                tally.peak_live = tally.peak_live.max(table.ledger().live());
            }
            let (after, elapsed) = (field.done(), start.elapsed());
            tally.ops_per_second = (after - before) as f64 / elapsed.as_secs_f64();
            // Release: pairs with the staller's Acquire; workers need no order.
            field.stop.store(true, Release);
        }
        if let Some(staller) = staller {
            staller.thread().unpark();
        }
        // Joined one by one: a scope's own end does not wait for the threads' destructors, in which
        // some subjects hand their garbage on.
        for worker in workers {
            tally.add(&worker.join().expect("a worker panicked"));
        }
        tally
    })
}

fn work<R: Reclaimer<Entry>>(
    table: &Table<R>,
    zipf: &Zipf,
    run: &Run,
    field: &Field,
    thread: usize,
) -> Tally {
    let mut ops = Ops::new(run.mix, zipf, Rng::new(run.seed, thread as u64));
    let most = match run.limit {
        Limit::Time { .. } => u64::MAX,
        Limit::Ops(most) => most,
    };
    let mut tally = Tally::default();
    field.start.wait();
    while tally.ops < most && !field.stop.load(Relaxed) {
        for _ in 0..STRIDE.min(most - tally.ops) {
            tally.count(table, ops.next());
        }
        field.done[thread].store(tally.ops, Relaxed);
    }
    tally
}

fn stall<R: Reclaimer<Entry>>(table: &Table<R>, field: &Field) {
    let section = table.reclaimer().enter();
    field.start.wait();
    while !field.stop.load(Acquire) {
        thread::park();
    }
    drop(section);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{
        reclaimer::Subject, subjects::crossbeam_epoch::CrossbeamEpoch, zipf::key_of,
    };

    fn loaded(keys: u64) -> (Table<CrossbeamEpoch>, Zipf) {
        let table = Table::new(CrossbeamEpoch::make::<Entry>(), keys as usize);
        (0..keys).for_each(|rank| assert!(table.insert(key_of(rank), rank)));
        (table, Zipf::new(keys))
    }

    fn run(mix: Mix, threads: usize) -> Run {
        Run { mix, threads, limit: Limit::Ops(10_001), seed: 1, stall: false }
    }

    #[test]
    fn every_read_hits_and_every_replaced_entry_is_freed() {
        let (table, zipf) = loaded(500);
        for mix in Mix::ALL {
            let tally = drive(&table, &zipf, &run(mix, 3));
            assert_eq!((tally.ops, tally.errors()), (30_003, 0), "{mix:?}: {tally:?}");
            assert_eq!(tally.hits, tally.reads);
            table.quiesce();
            assert_eq!(table.ledger().live(), 500);
        }
    }

    #[test]
    fn a_key_that_is_missing_is_an_error() {
        let (table, zipf) = loaded(500);
        table.remove(key_of(0));
        let tally = drive(&table, &zipf, &run(Mix::A, 1));
        assert!(tally.lost > 0 && tally.faults == 0, "{tally:?}");
        let mut one = Tally::default();
        one.count(&table, Op::Update { key: key_of(0), seed: 1 });
        assert_eq!((one.lost, one.ops, one.reads), (1, 1, 0));
    }
}
