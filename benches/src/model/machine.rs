//! The machine the modelled threads run on: shared memory, a store buffer per thread, loads that
//! may be older than they look, and heavy barriers that reach each thread at its own instant.
//!
//! - A *strong* thread is an x86 one: stores leave its buffer in order, loads read its own buffer
//!   first and memory otherwise, at once.
//! - A *weak* thread's loads may have been executed early: each may return any value its location
//!   had since the thread's last barrier, but never one older than it has read from that location
//!   before. Its stores may leave the buffer in any order that keeps each location's own order and
//!   lets no release store overtake an earlier store. (Release stores stay behind earlier loads by
//!   themselves: a load has its value once its step is taken.)
//! - A full barrier on a thread, whoever asked for it, drains its buffer and ends the early
//!   execution of its loads. A read-modify-write is a full barrier too, as on x86, unless it is
//!   [`Machine::update_acq_rel`].
//! - [`Machine::heavy`] starts one barrier on each other thread. Each arrives by a step of its own;
//!   the caller may go on once all have.

/// One store buffer, oldest entry in the lowest 16 bits: value, location, release, occupied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Buffer(u64);

const RELEASE: u64 = 1 << 14;
const OCCUPIED: u64 = 1 << 15;
/// Stores one buffer holds; a thread with a full one must wait until an entry has left.
const DEPTH: u32 = 4;

impl Buffer {
    fn len(self) -> u32 {
        (u64::BITS - self.0.leading_zeros()).div_ceil(16)
    }

    fn entry(self, at: u32) -> (usize, u8, bool) {
        let bits = self.0 >> (16 * at);
        ((bits >> 8 & 0x3f) as usize, bits as u8, bits & RELEASE != 0)
    }

    fn push(&mut self, location: usize, value: u8, release: bool) {
        assert!(self.len() < DEPTH, "a store into a full buffer");
        let bits = u64::from(value) | (location as u64) << 8 | OCCUPIED;
        self.0 |= (bits | if release { RELEASE } else { 0 }) << (16 * self.len());
    }

    fn remove(&mut self, at: u32) {
        let below = (1 << (16 * at)) - 1;
        self.0 = self.0 & below | self.0.unbounded_shr(16 * (at + 1)) << (16 * at);
    }

    /// Whether entry `at` may leave before those under it.
    fn may_leave(self, at: u32, weak: bool) -> bool {
        let (location, _, release) = self.entry(at);
        at == 0 || weak && !release && (0..at).all(|below| self.entry(below).0 != location)
    }
}

/// Values a location had since a barrier and no longer has, oldest in the lowest four bits, each
/// stored plus one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Window(u32);

impl Window {
    fn len(self) -> u32 {
        (u32::BITS - self.0.leading_zeros()).div_ceil(4)
    }

    /// Adds the value that was the newest until now; whether nothing had to be forgotten for it.
    fn push(&mut self, value: u8) -> bool {
        assert!(value < 15, "a value too large for a window");
        let fits = self.len() < 8;
        if !fits {
            self.forget_before(1);
        }
        self.0 |= u32::from(value + 1) << (4 * self.len());
        fits
    }

    fn get(self, at: u32) -> u8 {
        (self.0 >> (4 * at) & 15) as u8 - 1
    }

    /// Forgets all older than entry `at`.
    fn forget_before(&mut self, at: u32) {
        self.0 = self.0.unbounded_shr(4 * at);
    }
}

/// A step the machine takes by itself, whatever the threads' programs say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Background {
    /// A buffered store of this thread reaches memory.
    Flush { thread: usize, location: usize, value: u8 },
    /// The heavy barrier of `by` arrives on another thread.
    Barrier { by: usize, on: usize },
}

/// Memory and everything between it and the threads. `T` threads, `L` locations, of which the first
/// `W` may be loaded early by weak threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine<const T: usize, const L: usize, const W: usize> {
    memory: [u8; L],
    buffers: [Buffer; T],
    windows: [[Window; W]; T],
    /// For each thread, the set of threads its heavy barrier has yet to reach.
    awaited: [u8; T],
    /// The set of weak threads.
    weak: u8,
    /// Whether a value that could have been read was forgotten for want of room.
    forgetful: bool,
}

impl<const T: usize, const L: usize, const W: usize> Machine<T, L, W> {
    /// Zeroed memory, empty buffers; the threads in the set `weak` are weak.
    pub(crate) fn new(weak: u8) -> Self {
        Self {
            memory: [0; L],
            buffers: [Buffer::default(); T],
            windows: [[Window::default(); W]; T],
            awaited: [0; T],
            weak,
            forgetful: false,
        }
    }

    /// Whether this machine can no longer do all that it should: a model that means to prove
    /// something must not come here.
    pub(crate) fn is_forgetful(&self) -> bool {
        self.forgetful
    }

    /// An up-to-date load: own buffer first, then memory. What strong threads do; also right for a
    /// wait loop of any thread, whose last look is the one that counts.
    pub(crate) fn load(&self, thread: usize, location: usize) -> u8 {
        self.buffered(thread, location).unwrap_or(self.memory[location])
    }

    /// Every value a relaxed load may return, with the machine after it.
    pub(crate) fn loads(
        &self,
        thread: usize,
        location: usize,
    ) -> impl Iterator<Item = (u8, Self)> + use<T, L, W> {
        let before = *self;
        let old = match before.buffered(thread, location) {
            Some(_) => 0,
            None if location < W => before.windows[thread][location].len(),
            None => 0,
        };
        (0..=old).map(move |at| {
            let mut after = before;
            if at == old {
                let value = after.load(thread, location);
                if location < W {
                    after.windows[thread][location] = Window::default();
                }
                return (value, after);
            }
            after.windows[thread][location].forget_before(at);
            (before.windows[thread][location].get(at), after)
        })
    }

    /// A load with acquire: later loads of this thread are not older than it.
    pub(crate) fn load_acquire(&mut self, thread: usize, location: usize) -> u8 {
        self.windows[thread] = [Window::default(); W];
        self.load(thread, location)
    }

    /// Whether the buffer has room for one more store.
    pub(crate) fn can_store(&self, thread: usize) -> bool {
        self.buffers[thread].len() < DEPTH
    }

    /// A store, into the buffer. Release: after all the thread did before.
    pub(crate) fn store(&mut self, thread: usize, location: usize, value: u8, release: bool) {
        self.buffers[thread].push(location, value, release);
    }

    /// A full barrier on `thread`.
    pub(crate) fn fence(&mut self, thread: usize) {
        while self.buffers[thread].len() > 0 {
            self.leave(thread, 0);
        }
        self.windows[thread] = [Window::default(); W];
    }

    /// A full barrier and a compare-exchange in one; whether it succeeded.
    pub(crate) fn compare_exchange(
        &mut self,
        thread: usize,
        location: usize,
        expected: u8,
        new: u8,
    ) -> bool {
        self.fence(thread);
        let matches = self.memory[location] == expected;
        if matches {
            self.commit(thread, location, new);
        }
        matches
    }

    /// A read-modify-write with acquire and release and no more: its store may reach memory after
    /// later loads of this thread, while no other thread's read-modify-write of the location comes
    /// in between. `change` gives the new value, if there is to be one. Gives what was there;
    /// `None`: another's is on its way, or the buffer is full, so this one has to wait.
    pub(crate) fn update_acq_rel(
        &mut self,
        thread: usize,
        location: usize,
        change: impl FnOnce(u8) -> Option<u8>,
    ) -> Option<u8> {
        self.update(thread, location, true, change)
    }

    /// The same with release left out unless `release`.
    pub(crate) fn update(
        &mut self,
        thread: usize,
        location: usize,
        release: bool,
        change: impl FnOnce(u8) -> Option<u8>,
    ) -> Option<u8> {
        let taken = (0..T).any(|it| it != thread && self.buffered(it, location).is_some());
        if taken || !self.can_store(thread) {
            return None;
        }
        let old = self.load_acquire(thread, location);
        if let Some(new) = change(old) {
            self.store(thread, location, new, release);
        }
        Some(old)
    }

    /// A compare-exchange in the same manner; whether it succeeded.
    pub(crate) fn compare_exchange_acq_rel(
        &mut self,
        thread: usize,
        location: usize,
        expected: u8,
        new: u8,
    ) -> Option<bool> {
        let old = self.update_acq_rel(thread, location, |old| (old == expected).then_some(new))?;
        Some(old == expected)
    }

    /// Starts a heavy barrier: a full one by the caller now, one on each other thread at an instant
    /// of its own.
    pub(crate) fn heavy(&mut self, thread: usize) {
        self.fence(thread);
        self.awaited[thread] = ((1 << T) - 1) & !(1 << thread);
    }

    /// The heavy barrier that does not exist: on all threads at one instant.
    pub(crate) fn heavy_at_one_instant(&mut self) {
        (0..T).for_each(|thread| self.fence(thread));
    }

    /// Whether the heavy barrier of `thread` has reached all others, so that it may return.
    pub(crate) fn heavy_is_over(&self, thread: usize) -> bool {
        self.awaited[thread] == 0
    }

    /// The set of threads the heavy barrier of `thread` has yet to reach.
    pub(crate) fn awaited(&self, thread: usize) -> u8 {
        self.awaited[thread]
    }

    /// Whether a barrier on `thread` would change nothing.
    fn is_clean(&self, thread: usize) -> bool {
        self.buffers[thread].len() == 0 && self.windows[thread] == [Window::default(); W]
    }

    /// Whether `thread` has no store left in its buffer.
    pub(crate) fn is_drained(&self, thread: usize) -> bool {
        self.buffers[thread].len() == 0
    }

    /// Sets `location` to zero, if no store to it is on its way: for counts that nobody compares.
    pub(crate) fn forget(&mut self, location: usize) {
        assert!(location >= W, "a location that may be loaded early");
        if (0..T).all(|thread| self.buffered(thread, location).is_none()) {
            self.memory[location] = 0;
        }
    }

    /// A weak thread begins: it has no stores on their way, and loads nothing older than now.
    pub(crate) fn start(&mut self, thread: usize) {
        self.weak |= 1 << thread;
        self.windows[thread] = [Window::default(); W];
    }

    /// `thread` is gone, and with it what it had not yet stored and the barriers it waited for.
    pub(crate) fn vanish(&mut self, thread: usize) {
        self.buffers[thread] = Buffer::default();
        self.awaited[thread] = 0;
        self.harden(thread);
    }

    /// Declares that `thread` will do no more early loads, so that states that differ only in what
    /// it could have read are one.
    pub(crate) fn harden(&mut self, thread: usize) {
        self.weak &= !(1 << thread);
        self.windows[thread] = [Window::default(); W];
    }

    /// Lets every awaited barrier arrive that would change nothing.
    ///
    /// This loses no behaviour: a barrier only takes possibilities away from the thread it arrives
    /// on (it drains and ends early loads), so in any run where it arrives later it can be moved to
    /// an earlier instant at which it does nothing, and what it did later is done by plain steps.
    pub(crate) fn settle(&mut self) {
        for by in 0..T {
            let mut left = self.awaited[by];
            while left != 0 {
                let on = left.trailing_zeros() as usize;
                left &= left - 1;
                if self.is_clean(on) {
                    self.awaited[by] &= !(1 << on);
                }
            }
        }
    }

    /// Every step the machine may take by itself.
    pub(crate) fn background(&self, mut visit: impl FnMut(Background, Self)) {
        for thread in 0..T {
            let buffer = self.buffers[thread];
            for at in 0..buffer.len() {
                if buffer.may_leave(at, self.is_weak(thread)) {
                    let (location, value, _) = buffer.entry(at);
                    let mut after = *self;
                    after.leave(thread, at);
                    visit(Background::Flush { thread, location, value }, after);
                }
            }
        }
        for by in 0..T {
            for on in (0..T).filter(|on| self.awaited[by] >> on & 1 == 1) {
                let mut after = *self;
                after.fence(on);
                after.awaited[by] &= !(1 << on);
                visit(Background::Barrier { by, on }, after);
            }
        }
    }

    fn is_weak(&self, thread: usize) -> bool {
        self.weak >> thread & 1 == 1
    }

    /// The newest buffered store of `thread` to `location`.
    fn buffered(&self, thread: usize, location: usize) -> Option<u8> {
        let buffer = self.buffers[thread];
        (0..buffer.len())
            .rev()
            .map(|at| buffer.entry(at))
            .find(|&(to, ..)| to == location)
            .map(|(_, value, _)| value)
    }

    /// Entry `at` of a thread's buffer reaches memory.
    fn leave(&mut self, thread: usize, at: u32) {
        let (location, value, _) = self.buffers[thread].entry(at);
        self.buffers[thread].remove(at);
        self.commit(thread, location, value);
    }

    /// Memory changes; weak threads may go on reading the old value until their next barrier.
    fn commit(&mut self, writer: usize, location: usize, value: u8) {
        let old = std::mem::replace(&mut self.memory[location], value);
        if location >= W {
            return;
        }
        self.windows[writer][location] = Window::default();
        if old != value {
            for thread in (0..T).filter(|&thread| thread != writer) {
                if self.is_weak(thread) {
                    self.forgetful |= !self.windows[thread][location].push(old);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "litmus.rs"]
mod litmus;
