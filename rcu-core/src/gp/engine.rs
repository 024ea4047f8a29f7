//! [`Engine`]: the state machine of one domain's grace periods.
//!
//! Every step of the sequence is a compare-exchange from the value seen, by whoever drives, so any
//! number of threads may drive the same grace period; none of them blocks another. A driver that
//! finds a grace period started runs its own heavy barrier before it moves it on: a barrier that
//! somebody else may still be in the middle of proves nothing.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::Notifier;
use super::drive::{Paced, run_paced};
use super::notifier::ArmedList;
use super::stall::{Holder, StallWatch};
use super::stats::EngineStats;
use super::waiters::Waiters;
use crate::runtime::{self, Task};
use crate::{GpSeq, GpState, asym};

/// Where a domain's sequence starts: a few grace periods before it wraps, so that every run
/// crosses the wrap.
const FIRST: GpSeq = GpSeq::new(0u64.wrapping_sub(4 * 64));

/// What a flavour supplies to its [`Engine`]: how to order and how to see its readers.
///
/// # Safety
///
/// The engine ends grace periods on the word of an implementation. After `heavy` has returned, a
/// section whose opening is not visible to the caller must see everything that came before the
/// call; `quiescent` must be true only when every section that was open at its grace period's
/// heavy barrier has ended, and what those sections did happens before the return.
pub unsafe trait ReaderSet: Send + Sync + 'static {
    /// How far a scan has come; starts anew with each grace period and driver.
    type Cursor: Clone + Default + PartialEq + Send;

    /// The heavy barrier of this domain's strategy.
    fn heavy(&self);

    /// Looks at the readers, going on from `cursor`, in the grace period whose scan shows
    /// `scanning` as its sequence. False if one of them still holds it up.
    fn quiescent(&self, cursor: &mut Self::Cursor, scanning: GpSeq) -> bool;

    /// Asks the reader that `quiescent` stopped at to call [`Engine::reader_left`] when its section
    /// ends. The driver runs another heavy barrier and looks again before it sleeps. A set of
    /// readers that cannot do this is looked at from time to time.
    fn watch(&self, cursor: &Self::Cursor) {
        let _ = cursor;
    }

    /// Who it is that `quiescent` stopped at, for a report.
    fn holder(&self, cursor: &Self::Cursor) -> Option<Holder> {
        let _ = cursor;
        None
    }
}

/// The grace periods of one domain: sequence, requests, waiters and notifiers.
///
/// A flavour keeps one in a `static` and builds its [`Flavor`](crate::Flavor) calls from these; see
/// `Rcu` in this crate, and the deliberately broken flavours that `rcubench torture` must catch.
///
/// ```
/// use rcu_core::GpSeq;
/// use rcu_core::gp::{Engine, ReaderSet};
///
/// /// A domain that nobody reads.
/// struct Nobody;
/// // SAFETY: without readers there is nothing to order or to wait for.
/// unsafe impl ReaderSet for Nobody {
///     type Cursor = ();
///     fn heavy(&self) {}
///     fn quiescent(&self, _: &mut (), _: GpSeq) -> bool {
///         true
///     }
/// }
///
/// static ENGINE: Engine<Nobody> = Engine::new(Nobody);
/// let cookie = ENGINE.snapshot();
/// assert!(!ENGINE.poll(cookie));
/// ENGINE.drive(cookie, None);
/// assert!(ENGINE.poll(cookie));
/// ```
pub struct Engine<R: ReaderSet> {
    /// Read by every reader, written a few times a grace period.
    seq: CachePadded<AtomicU64>,
    /// The furthest cookie that somebody has asked for.
    pub(super) requested: CachePadded<AtomicU64>,
    /// The furthest cookie that somebody has asked for at once.
    pub(super) urgent: AtomicU64,
    /// Whether `task` is with the executor.
    pub(super) active: AtomicBool,
    /// Whether the background driver sleeps for a reader, or is about to.
    pub(super) napping: AtomicBool,
    pub(super) task: Task,
    /// Used by the task only; the lock is never contended.
    pub(super) paced: Mutex<Paced<R>>,
    pub(super) waiters: Waiters,
    armed: ArmedList,
    pub(super) stall: StallWatch,
    started: AtomicU64,
    pub(super) expedited: AtomicU64,
    readers: R,
}

/// One driver's scan: which grace period it is of, and how far it has come.
pub(super) struct Scan<R: ReaderSet> {
    pub(super) of: GpSeq,
    pub(super) cursor: Option<R::Cursor>,
}

impl<R: ReaderSet> Scan<R> {
    pub(super) const fn new() -> Self {
        Self { of: FIRST, cursor: None }
    }
}

pub(super) enum Step {
    /// The sequence moved, by this driver or by another.
    Moved,
    /// This driver began a grace period.
    Started,
    /// Readers hold it up.
    Blocked,
}

impl<R: ReaderSet> Engine<R> {
    /// The engine of a domain with these readers.
    pub const fn new(readers: R) -> Self {
        Self {
            seq: CachePadded::new(AtomicU64::new(FIRST.get())),
            requested: CachePadded::new(AtomicU64::new(FIRST.get())),
            urgent: AtomicU64::new(FIRST.get()),
            active: AtomicBool::new(false),
            napping: AtomicBool::new(false),
            task: Task::new(run_paced::<R>),
            paced: Mutex::new(Paced::new()),
            waiters: Waiters::new(),
            armed: ArmedList::new(),
            stall: StallWatch::new(),
            started: AtomicU64::new(0),
            expedited: AtomicU64::new(0),
            readers,
        }
    }

    /// The readers.
    #[inline]
    pub const fn readers(&self) -> &R {
        &self.readers
    }

    /// The sequence as a reader stamps its section with it. Relaxed: a section that reads an old
    /// value only has the scan wait for it.
    #[inline]
    pub fn stamp(&self) -> GpSeq {
        GpSeq::new(self.seq.load(Ordering::Relaxed))
    }

    /// The sequence, with Acquire ordering. Whoever acts on a grace period it shows to be over must
    /// run a full fence first, as [`poll`](Engine::poll) does.
    #[inline]
    pub fn peek(&self) -> GpSeq {
        // Acquire: pairs with the AcqRel steps below, so that who sees a grace period over, or its
        // heavy barrier done, sees what came before.
        GpSeq::new(self.seq.load(Ordering::Acquire))
    }

    /// The end of the first grace period sure to cover what the caller did before: a full fence
    /// and a load.
    #[inline]
    pub fn snapshot(&self) -> GpSeq {
        // Full, in both strategies: an unlink that sat in our store buffer while the heavy barrier
        // went by would be seen by nobody's scan (docs/memory-ordering.md, "light snapshot").
        asym::full();
        self.peek().snapshot()
    }

    /// Whether the sequence has reached `cookie`; a full fence once it has.
    #[inline]
    pub fn poll(&self, cookie: GpSeq) -> bool {
        let done = self.peek().is_done(cookie);
        if done {
            asym::full();
        }
        done
    }

    /// Arms `notifier`; see [`Flavor::notify`](crate::Flavor::notify).
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn arm(&'static self, notifier: NonNull<Notifier>, cookie: GpSeq) {
        // SAFETY: the caller's promise.
        unsafe { self.armed.push(notifier, cookie) };
        // Pairs with the fence in `ended`: either that one finds the node, or we see its sequence.
        asym::full();
        if self.peek().is_done(cookie) {
            self.armed.call_done(|| self.peek());
        } else {
            self.request(cookie);
        }
    }

    /// Counts of this domain, and who holds it up at this moment.
    pub fn stats(&self) -> EngineStats {
        let seq = self.peek();
        let mut cursor = R::Cursor::default();
        let held_up = seq.state() == GpState::Scanning && !self.readers.quiescent(&mut cursor, seq);
        EngineStats {
            seq,
            started: self.started.load(Ordering::Relaxed),
            expedited: self.expedited.load(Ordering::Relaxed),
            waiting: self.waiters.count(),
            requested: !seq.is_done(GpSeq::new(self.requested.load(Ordering::Relaxed))),
            scanning_for: (seq.state() == GpState::Scanning).then(|| self.stall.age()),
            holder: if held_up { self.readers.holder(&cursor) } else { None },
        }
    }

    /// The task of the background driver.
    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Called by a reader that was [watched](ReaderSet::watch) and whose section has ended: all
    /// drivers look again.
    pub fn reader_left(&'static self) {
        self.waiters.wake();
        runtime::gp().hurry(&self.task);
    }

    /// Moves the grace period on by one step, starting one if there is none. Never blocks.
    pub(super) fn step(&self, scan: &mut Scan<R>) -> Step {
        let seq = self.peek();
        match seq.state() {
            GpState::Idle => {
                if self.advance(seq) {
                    self.started.fetch_add(1, Ordering::Relaxed);
                    return Step::Started;
                }
            }
            GpState::Started => {
                // Our own, whoever started it.
                self.readers.heavy();
                self.stall.begin();
                self.advance(seq);
            }
            GpState::Scanning => {
                // The Acquire load that gave `seq` comes before the scan: what it reads of the
                // slots is at least what the barrier before s+2 made visible.
                if scan.of != seq || scan.cursor.is_none() {
                    *scan = Scan { of: seq, cursor: Some(R::Cursor::default()) };
                }
                let cursor = scan.cursor.get_or_insert_default();
                if !self.readers.quiescent(cursor, seq) {
                    return Step::Blocked;
                }
                if self.advance(seq) {
                    self.ended();
                }
            }
        }
        Step::Moved
    }

    /// One step of the sequence; false if another driver was first.
    fn advance(&self, seen: GpSeq) -> bool {
        // AcqRel: the next driver, and who polls, sees what this one saw of the readers; the
        // compare-exchanges of one grace period form one chain.
        self.seq
            .compare_exchange(seen.get(), seen.next().get(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Tells all who wait that a grace period is over.
    pub(super) fn ended(&self) {
        // Pairs with the fences of `Waiters::wait` and of `arm`, and with the barrier of a
        // background driver that is about to sleep for a reader.
        asym::full();
        if self.napping.load(Ordering::Relaxed) {
            runtime::gp().hurry(&self.task);
        }
        self.waiters.wake();
        self.armed.call_done(|| self.peek());
    }
}

impl<R: ReaderSet> fmt::Debug for Engine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
