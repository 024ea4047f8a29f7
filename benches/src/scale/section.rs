//! A read-side section as something to be timed, and the loop that times it.

use std::{
    hint::black_box,
    sync::atomic::{Ordering::SeqCst, compiler_fence},
    time::{Duration, Instant},
};

/// A way to open a read-side section. Monomorphised into the loop below, so that it inlines.
pub(crate) trait Section: Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether a thread may open a section inside another.
    const NESTS: bool;
    /// Ends the section when it is dropped.
    type Guard<'a>
    where
        Self: 'a;

    fn enter(&self) -> Self::Guard<'_>;

    /// An open and a close with nothing between that the compiler could move or merge across.
    #[inline(always)]
    fn section(&self) {
        let guard = self.enter();
        body();
        drop(guard);
    }
}

/// Nothing, but the compiler does not know: costs no instruction.
#[inline(always)]
pub(crate) fn body() {
    compiler_fence(SeqCst);
}

/// Operations in one turn of [`time`]'s loop.
pub(crate) const UNROLLED: u64 = 16;

/// Runs `op` about `count` times, rounded up to whole turns, and gives the time of one in
/// nanoseconds. The loop's own cost, a counter and a branch in sixteen, is left in.
#[inline(always)]
pub(crate) fn time(count: u64, op: impl Fn()) -> f64 {
    let turns = count.div_ceil(UNROLLED);
    let start = Instant::now();
    for turn in 0..turns {
        black_box(turn);
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
        op();
    }
    nanos(start.elapsed()) / (turns * UNROLLED) as f64
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Something that can be timed: given a count, says what one costs.
pub(crate) type Timed = Box<dyn Fn(u64) -> f64 + Send + Sync>;

/// A row to be: what is timed, and how.
pub(crate) struct Case {
    pub(crate) bench: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) timed: Timed,
}

impl Case {
    /// A case that is any operation, as `poll`.
    pub(crate) fn op(
        bench: &'static str,
        subject: &'static str,
        op: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Case { bench, subject, timed: Box::new(move |count| time(count, &op)) }
    }

    /// The cases of a section: alone and, where it can, inside another.
    pub(crate) fn section<S: Section + Default>() -> Vec<Self> {
        let section = S::default();
        let mut cases = vec![Case::op("refscale", S::NAME, move || section.section())];
        if S::NESTS {
            let section = S::default();
            let timed = move |count| {
                let outer = section.enter();
                let nanos = time(count, || section.section());
                drop(outer);
                nanos
            };
            cases.push(Case { bench: "refscale/nested", subject: S::NAME, timed: Box::new(timed) });
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use super::*;

    #[test]
    fn the_loop_runs_whole_turns() {
        for (count, runs) in [(1, UNROLLED), (UNROLLED, UNROLLED), (UNROLLED + 1, 2 * UNROLLED)] {
            let seen = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&seen);
            let case = Case::op("test", "test", move || _ = counter.fetch_add(1, Relaxed));
            assert!((case.timed)(count) >= 0.0);
            assert_eq!(seen.load(Relaxed), runs);
        }
    }
}
