//! [`Engine`]: the state machine of one domain's grace periods.
//!
//! Every step of the sequence is a compare-exchange from the value seen, by whoever drives, so any
//! number of threads may drive the same grace period; none of them blocks another. A driver that
//! finds a grace period started runs its own heavy barrier before it moves it on: a barrier that
//! somebody else may still be in the middle of proves nothing.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::Notifier;
use super::notifier::ArmedList;
use super::pace::Patience;
use super::waiters::Waiters;
use crate::runtime::{self, Next, Task};
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
    type Cursor: Default + Send;

    /// The heavy barrier of this domain's strategy.
    fn heavy(&self);

    /// Looks at the readers, going on from `cursor`, in the grace period whose scan shows
    /// `scanning` as its sequence. False if one of them still holds it up.
    fn quiescent(&self, cursor: &mut Self::Cursor, scanning: GpSeq) -> bool;
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
/// ENGINE.drive(cookie);
/// assert!(ENGINE.poll(cookie));
/// ```
pub struct Engine<R: ReaderSet> {
    /// Read by every reader, written a few times a grace period.
    seq: CachePadded<AtomicU64>,
    /// The furthest cookie that somebody has asked for.
    requested: CachePadded<AtomicU64>,
    /// Whether `task` is with the executor.
    active: AtomicBool,
    task: Task,
    /// Used by the task only; the lock is never contended.
    paced: Mutex<Paced<R>>,
    waiters: Waiters,
    armed: ArmedList,
    started: AtomicU64,
    expedited: AtomicU64,
    readers: R,
}

/// What the background driver remembers between two looks.
struct Paced<R: ReaderSet> {
    scan: Scan<R>,
    patience: Patience,
    last_start: Option<Instant>,
}

/// One driver's scan: which grace period it is of, and how far it has come.
struct Scan<R: ReaderSet> {
    of: GpSeq,
    cursor: Option<R::Cursor>,
}

impl<R: ReaderSet> Scan<R> {
    const fn new() -> Self {
        Self { of: FIRST, cursor: None }
    }
}

enum Step {
    /// The sequence moved, by this driver or by another.
    Moved,
    /// This driver began a grace period.
    Started,
    /// Readers hold it up.
    Blocked,
}

/// Counts of a domain; see [`Engine::stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineStats {
    /// Where the sequence stands.
    pub seq: GpSeq,
    /// Grace periods begun so far.
    pub started: u64,
    /// How many of them were begun by a caller that did not wait for the interval.
    pub expedited: u64,
}

impl<R: ReaderSet> Engine<R> {
    /// The engine of a domain with these readers.
    pub const fn new(readers: R) -> Self {
        Self {
            seq: CachePadded::new(AtomicU64::new(FIRST.get())),
            requested: CachePadded::new(AtomicU64::new(FIRST.get())),
            active: AtomicBool::new(false),
            task: Task::new(run_paced::<R>),
            paced: Mutex::new(Paced {
                scan: Scan::new(),
                patience: Patience::new(),
                last_start: None,
            }),
            waiters: Waiters::new(),
            armed: ArmedList::new(),
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

    /// Asks for the grace period that ends at `cookie`: the background driver will run it. A cookie
    /// that this domain cannot have given out yet asks for the latest that it could.
    pub fn request(&'static self, cookie: GpSeq) {
        let latest = self.peek().snapshot();
        let cookie = if latest.is_done(cookie) { cookie } else { latest };
        let mut asked = GpSeq::new(self.requested.load(Ordering::Relaxed));
        while !asked.is_done(cookie) {
            // SeqCst, with the swap below: pairs with `retire_task`. Either it sees our request, or
            // we see it gone and submit it anew.
            match self.requested.compare_exchange_weak(
                asked.get(),
                cookie.get(),
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(seen) => asked = GpSeq::new(seen),
            }
        }
        if !self.active.swap(true, Ordering::SeqCst) {
            // Made from the whole engine, so that `run_paced` may find its way back.
            // SAFETY: a field of a valid engine.
            let task =
                unsafe { NonNull::new_unchecked(&raw mut (*NonNull::from(self).as_ptr()).task) };
            // SAFETY: `self` is static, and `active` was false: the task's last run has decided to
            // be done, or there was none.
            unsafe { runtime::gp().submit(task) };
        }
    }

    /// Waits until the grace period that ends at `cookie` is over. The background driver runs it;
    /// without one the caller does.
    ///
    /// The caller must know that it is not inside a section of this domain.
    ///
    /// # Panics
    ///
    /// If this domain cannot have given out the cookie yet.
    pub fn wait(&'static self, cookie: GpSeq) {
        if self.poll(cookie) {
            return;
        }
        assert!(
            self.peek().snapshot().is_done(cookie),
            "waited for a cookie of another domain: {cookie:?} is in the future of this one"
        );
        self.request(cookie);
        if !runtime::start() {
            self.drive(cookie);
            runtime::help();
            return;
        }
        while !self.poll(cookie) {
            self.waiters.wait(None, || self.peek().is_done(cookie));
        }
    }

    /// Runs grace periods on the calling thread, at once, until the one that ends at `cookie` is
    /// over. Others may drive at the same time; they share the work.
    ///
    /// The caller must know that it is not inside a section of this domain.
    pub fn drive(&self, cookie: GpSeq) {
        let mut scan = Scan::new();
        let mut patience = Patience::new();
        while !self.poll(cookie) {
            match self.step(&mut scan) {
                Step::Moved => patience.renew(),
                Step::Started => {
                    self.expedited.fetch_add(1, Ordering::Relaxed);
                }
                Step::Blocked => {
                    if let Some(pause) = patience.pause() {
                        self.waiters.wait(Some(pause), || self.peek().is_done(cookie));
                    }
                }
            }
        }
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

    /// Counts of this domain.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            seq: self.peek(),
            started: self.started.load(Ordering::Relaxed),
            expedited: self.expedited.load(Ordering::Relaxed),
        }
    }

    /// Moves the grace period on by one step, starting one if there is none. Never blocks.
    fn step(&self, scan: &mut Scan<R>) -> Step {
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
    fn ended(&self) {
        // Pairs with the fences of `Waiters::wait` and of `arm`.
        asym::full();
        self.waiters.wake();
        self.armed.call_done(|| self.peek());
    }

    /// The background driver: goes on for as long as something is asked for, never blocking.
    fn run(&'static self, now: Instant) -> Next {
        let mut paced = self.paced.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let seq = self.peek();
            if seq.is_done(GpSeq::new(self.requested.load(Ordering::Relaxed))) {
                if self.retire_task() {
                    return Next::Done;
                }
                continue;
            }
            if seq.state() == GpState::Idle
                && let Some(due) = paced.last_start.map(|last| last + runtime::gp_interval())
                && now < due
            {
                return Next::At(due);
            }
            let Paced { scan, patience, last_start } = &mut *paced;
            match self.step(scan) {
                Step::Moved => patience.renew(),
                Step::Started => *last_start = Some(now),
                Step::Blocked => {
                    if let Some(pause) = patience.pause() {
                        return Next::At(now + pause);
                    }
                }
            }
        }
    }

    /// Lets the executor forget the task, unless somebody asked for more meanwhile.
    fn retire_task(&self) -> bool {
        self.active.swap(false, Ordering::SeqCst);
        // SeqCst: pairs with `request`.
        let asked = GpSeq::new(self.requested.load(Ordering::SeqCst));
        self.peek().is_done(asked) || self.active.swap(true, Ordering::SeqCst)
    }
}

impl<R: ReaderSet> fmt::Debug for Engine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Runs the engine that `task` is part of.
///
/// # Safety
///
/// `task` points to the `task` field of a static `Engine<R>`, and was made from a pointer to the
/// whole of it.
unsafe fn run_paced<R: ReaderSet>(task: NonNull<Task>, now: Instant) -> Next {
    let offset = std::mem::offset_of!(Engine<R>, task);
    // SAFETY: by the contract the engine lies around the task and lives for ever.
    let engine: &'static Engine<R> = unsafe { task.byte_sub(offset).cast().as_ref() };
    engine.run(now)
}
