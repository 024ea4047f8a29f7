//! How long after an object is retired it is freed, on a system that does nothing else.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{
    reclaimer::{Reclaimer, Subject},
    rng::Rng,
};

/// Late objects in a row, from the first on, after which more samples would say nothing new.
const HOPELESS: u64 = 20;
/// The longest pause before a sample.
const GAP: Duration = Duration::from_millis(2);

/// What was seen.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// Nanoseconds, of the objects that were freed in time.
    freed: Histogram<u64>,
    /// Objects that were not.
    late: u64,
    cap: Duration,
}

/// A quantile: seen, or known only to lie beyond the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantile {
    Seen(Duration),
    Beyond(Duration),
}

impl Latencies {
    fn new(cap: Duration) -> Self {
        let freed = Histogram::new(3).expect("three digits are supported");
        Latencies { freed, late: 0, cap }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.freed.len() + self.late
    }

    /// The latency that a share `q` of the objects did not exceed.
    pub(crate) fn quantile(&self, q: f64) -> Quantile {
        let rank = (q * self.samples() as f64).ceil().max(1.0);
        if rank > self.freed.len() as f64 {
            return Quantile::Beyond(self.cap);
        }
        let within = rank / self.freed.len() as f64;
        Quantile::Seen(Duration::from_nanos(self.freed.value_at_quantile(within)))
    }

    pub(crate) fn min(&self) -> Quantile {
        self.quantile(0.0)
    }

    pub(crate) fn max(&self) -> Quantile {
        self.quantile(1.0)
    }
}

/// When an object was freed, in nanoseconds after it was made; 0 while it was not.
struct Fate {
    made: Instant,
    freed: AtomicU64,
    waiter: Thread,
}

/// The object: says when it is dropped.
struct Stamp(Arc<Fate>);

impl Drop for Stamp {
    fn drop(&mut self) {
        let after = self.0.made.elapsed().as_nanos() as u64;
        // Release: pairs with the waiter's Acquire.
        self.0.freed.store(after.max(1), Release);
        self.0.waiter.unpark();
    }
}

/// Retires `samples` objects, one at a time with short random pauses, and waits for each; one that
/// is not freed within `cap` is late.
pub(crate) fn measure<S: Subject>(samples: u64, cap: Duration) -> Latencies {
    let reclaimer = S::make::<Stamp>();
    let mut seen = Latencies::new(cap);
    let mut rng = Rng::new(17, 0);
    while seen.samples() < samples {
        thread::sleep(Duration::from_nanos(rng.below(GAP.as_nanos() as u64)));
        match once(&reclaimer, cap) {
            Some(nanos) => seen.freed.record(nanos).expect("the histogram grows"),
            None => {
                seen.late += 1;
                reclaimer.quiesce();
            }
        }
        if seen.freed.is_empty() && seen.late >= HOPELESS {
            break;
        }
    }
    reclaimer.quiesce();
    seen
}

fn once(reclaimer: &impl Reclaimer<Stamp>, cap: Duration) -> Option<u64> {
    let fate = Arc::new(Fate {
        made: Instant::now(),
        freed: AtomicU64::new(0),
        waiter: thread::current(),
    });
    let node = reclaimer.alloc(Stamp(Arc::clone(&fate)));
    // SAFETY: from `alloc`, never published, retired this once.
    unsafe { reclaimer.retire(node) };
    loop {
        let freed = fate.freed.load(Acquire);
        if freed != 0 {
            return Some(freed);
        }
        thread::park_timeout(cap.checked_sub(fate.made.elapsed())?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::subjects::rwlock::ReadWriteLock;

    #[test]
    fn a_free_on_the_spot_is_seen() {
        let seen = measure::<ReadWriteLock>(5, Duration::from_secs(3600));
        assert_eq!((seen.samples(), seen.late), (5, 0));
        assert!(matches!(seen.quantile(0.5), Quantile::Seen(_)));
    }

    #[test]
    fn late_objects_count_as_beyond() {
        let cap = Duration::from_millis(50);
        let mut seen = Latencies::new(cap);
        (1..=98).for_each(|nanos| seen.freed.record(nanos).unwrap());
        seen.late = 2;
        assert_eq!(seen.quantile(0.5), Quantile::Seen(Duration::from_nanos(50)));
        assert_eq!(seen.quantile(0.98), Quantile::Seen(Duration::from_nanos(98)));
        assert_eq!(seen.quantile(0.99), Quantile::Beyond(cap));
        assert_eq!(seen.min(), Quantile::Seen(Duration::from_nanos(1)));
    }
}
