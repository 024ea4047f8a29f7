//! The reap side: files what was handed over under the cookie it waits for, and processes what
//! has waited long enough.
//!
//! Filing happens under the reap lock, processing under no lock at all.

use crate::batch::Batch;
use crate::darray::Darray;
use crate::leaf::Leaf;
use crate::list::{Link, List, next};
use crate::process::Process;
use crate::shard::{Shard, bytes_of, parity};
use crate::stats::report;
use rcu_core::runtime::{callback_scope, survives};
use rcu_core::{ACTIVE_COOKIES, Cookie, Flavor, GpSeq};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// How many batches are taken at a time.
const TAKE: usize = 4;

/// How many items of a list are processed at a time.
const GATHER: usize = 32;

/// What waits in a shard, filed. Protected by the reap lock.
pub(crate) struct ReapSide<F: Flavor> {
    /// At most one per cookie, and none empty.
    pub(crate) batches: Darray<Batch<F>>,
    /// By parity of their cookie.
    pub(crate) lists: [Option<List<F>>; ACTIVE_COOKIES],
    /// Items from lists whose cookie is done.
    pub(crate) done_list: Option<List<F>>,
    /// The latest cookie known to be done, so that asking once will do for all before it.
    done: Cookie<F>,
}

/// What a reaper has taken out, to be processed.
struct Taken<F: Flavor> {
    batches: [Option<Batch<F>>; TAKE],
    list: Option<List<F>>,
    /// Whether there may be more.
    more: bool,
}

impl<F: Flavor> ReapSide<F> {
    pub(crate) fn new(done: Cookie<F>) -> Self {
        Self { batches: Darray::new(), lists: [None, None], done_list: None, done }
    }

    /// Whether `cookie` is done.
    pub(crate) fn is_done(&mut self, flavor: &F, cookie: Cookie<F>) -> bool {
        if cookie.is_done_at(self.done.seq()) {
            return true;
        }
        let done = flavor.poll(cookie);
        if done {
            self.done = cookie;
        }
        done
    }

    /// Files what was handed over; whether there was anything.
    pub(crate) fn file<P: Process>(&mut self, shard: &Shard<P, F>) -> bool {
        let mut rest = shard.closed.take();
        let mut filed = rest.is_some();
        while let Some(link) = rest {
            // SAFETY: closed leaves are a chain, which is ours.
            rest = NonNull::new(unsafe { next(link) });
            // SAFETY: the stack holds leaves of this shard.
            self.file_leaf(shard, unsafe { Leaf::from_node(link.cast()) });
        }
        for parity in 0..ACTIVE_COOKIES {
            if let Some(chain) = shard.late[parity].take() {
                self.file_late(shard, parity, chain);
                filed = true;
            }
        }
        filed
    }

    fn file_leaf<P: Process>(&mut self, shard: &Shard<P, F>, leaf: Leaf<P::Item, F>) {
        let cookie = leaf.cookie();
        // What is done shares one batch, whatever its cookie: of a backlog every leaf may have another.
        let done = self.is_done(&shard.inner().flavor, cookie);
        let latest = self.done.seq();
        let shares =
            |batch: &Batch<F>| batch.cookie == cookie || done && batch.cookie.is_done_at(latest);
        let found = self.batches.as_slice().iter().position(shares).or_else(|| {
            // The place first, then the batch: there is no empty one.
            self.batches.try_push(Batch::new(cookie)).ok()?;
            Some(self.batches.as_slice().len() - 1)
        });
        let index = found.unwrap_or_else(|| self.batches.as_slice().len() - 1);
        let batch = &mut self.batches.as_mut_slice()[index];
        if !shares(batch) {
            // No memory for another batch: the leaf shares the last one's, under the later cookie.
            shard.in_flight.disturb();
        }
        batch.cookie = later(batch.cookie, cookie);
        batch.add(leaf, || shard.take_inner_node());
    }

    /// Files a chain that was handed over under cookies of one parity.
    fn file_late<P: Process>(&mut self, shard: &Shard<P, F>, of: usize, chain: NonNull<Link>) {
        // Taken after the chain, so no link of it was handed over under a later cookie; and the
        // latest of that parity is not before any of theirs.
        let now = shard.inner().flavor.get_state();
        let before = Cookie::from_seq(GpSeq::new(now.seq().get().wrapping_sub(4)));
        let cookie = if parity(now) == of { now } else { before };
        // SAFETY: taken from the stack, so ours.
        self.file_list(shard, unsafe { List::new(cookie, chain) });
    }

    fn file_list<P: Process>(&mut self, shard: &Shard<P, F>, list: List<F>) {
        let of = parity(list.cookie);
        if let Some(old) = self.lists[of].take() {
            if old.cookie != list.cookie && self.is_done(&shard.inner().flavor, old.cookie) {
                self.add_done(old);
            } else {
                // The same cookie; or a live one that should not be, and then the later will do.
                let cookie = later(old.cookie, list.cookie);
                if cookie != old.cookie {
                    shard.in_flight.disturb();
                }
                let mut both = list;
                both.append(old);
                both.cookie = cookie;
                self.lists[of] = Some(both);
                return;
            }
        }
        self.lists[of] = Some(list);
    }

    fn add_done(&mut self, list: List<F>) {
        match &mut self.done_list {
            Some(done) => {
                done.cookie = later(done.cookie, list.cookie);
                done.append(list);
            }
            None => self.done_list = Some(list),
        }
    }

    /// Moves lists whose cookie is done to the list of those.
    pub(crate) fn sort_lists(&mut self, flavor: &F) {
        for of in 0..ACTIVE_COOKIES {
            if let Some(cookie) = self.lists[of].as_ref().map(|list| list.cookie)
                && self.is_done(flavor, cookie)
                && let Some(list) = self.lists[of].take()
            {
                self.add_done(list);
            }
        }
    }

    /// Takes out what is done.
    fn take_done(&mut self, flavor: &F) -> Taken<F> {
        let mut batches = [const { None }; TAKE];
        let (mut taken, mut index) = (0, 0);
        while taken < TAKE && index < self.batches.as_slice().len() {
            let cookie = self.batches.as_slice()[index].cookie;
            if self.is_done(flavor, cookie) {
                batches[taken] = Some(self.batches.swap_remove(index));
                taken += 1;
            } else {
                index += 1;
            }
        }
        self.sort_lists(flavor);
        Taken { batches, list: self.done_list.take(), more: taken == TAKE }
    }

    /// Rings for each cookie that something waits for: nobody else may be going to.
    pub(crate) fn ring_again<P: Process>(&mut self, shard: &Shard<P, F>) {
        let mut waiting = [None; ACTIVE_COOKIES];
        let batches = self.batches.as_slice().iter().map(|batch| batch.cookie);
        for cookie in batches.chain(self.lists.iter().flatten().map(|list| list.cookie)) {
            let earlier: &mut Option<Cookie<F>> = &mut waiting[parity(cookie)];
            // Of several, the latest: what is done before that is found on the way.
            *earlier = Some(earlier.map_or(cookie, |earlier| later(earlier, cookie)));
        }
        for cookie in waiting.into_iter().flatten() {
            shard.ring(cookie);
            shard.assert_attended(cookie);
        }
    }
}

/// The later of two cookies that are less than half the range apart.
fn later<F: Flavor>(one: Cookie<F>, other: Cookie<F>) -> Cookie<F> {
    if one.seq().is_done(other.seq()) { one } else { other }
}

impl<P: Process, F: Flavor> Shard<P, F> {
    /// Files everything, processes everything that is done, and rings for what is not. Waits for
    /// the reap lock; `locked` is called when it has it.
    pub(crate) fn reap(&self, locked: impl FnOnce()) {
        let mut locked = Some(locked);
        loop {
            let mut side = self.lock_reap();
            if let Some(locked) = locked.take() {
                locked();
            }
            side.file(self);
            let taken = side.take_done(&self.inner().flavor);
            side.ring_again(self);
            let phase = self.in_flight.begin();
            drop(side);
            let more = taken.more;
            self.process(taken);
            self.finish(phase);
            if !more {
                return;
            }
        }
    }

    /// Processes what was taken, in no lock.
    fn process(&self, taken: Taken<F>) {
        let _scope = callback_scope();
        for batch in taken.batches.into_iter().flatten() {
            if !self.still_done(batch.cookie) {
                let mut side = self.lock_reap();
                self.in_flight.disturb();
                batch.drain(|leaf| side.file_leaf(self, leaf), |inner| self.give_inner_node(inner));
                side.ring_again(self);
                continue;
            }
            let leaf = |leaf: Leaf<P::Item, F>| {
                self.process_slice(leaf.items());
                self.give_node(leaf.into_node());
            };
            batch.drain(leaf, |inner| self.give_inner_node(inner));
        }
        if let Some(list) = taken.list {
            self.process_list(list);
        }
    }

    fn process_list(&self, list: List<F>) {
        if !self.still_done(list.cookie) {
            let mut side = self.lock_reap();
            self.in_flight.disturb();
            side.file_list(self, list);
            return side.ring_again(self);
        }
        let mut rest = Some(list);
        while let Some(list) = rest {
            let mut room = [const { MaybeUninit::<P::Item>::uninit() }; GATHER];
            let count;
            (count, rest) = list.fill(&mut room);
            // SAFETY: the first `count` have been written.
            let items = unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), count) };
            self.process_slice(items);
        }
    }

    /// The last check before objects go: their cookie must be done, whoever says so already. If it
    /// is not, something is broken; they are kept.
    fn still_done(&self, cookie: Cookie<F>) -> bool {
        let done = self.inner().flavor.poll(cookie);
        if !done {
            self.early(cookie);
        }
        done
    }

    #[cold]
    fn early(&self, cookie: Cookie<F>) {
        // Whatever said so is not to be believed again; nor is the cookie before this one, which
        // may be live too.
        self.lock_reap().done = Cookie::from_seq(GpSeq::new(cookie.seq().get().wrapping_sub(8)));
        if self.inner().counters.early.fetch_add(1, Ordering::Relaxed) == 0 {
            report(format_args!("objects were about to be freed before {cookie:?}; they are kept"));
        }
    }

    /// Hands items to the user, and counts them out.
    pub(crate) fn process_slice(&self, items: &[P::Item]) {
        let inner = self.inner();
        // Before they go.
        let bytes = bytes_of(items);
        if survives(|| inner.process.process(items)) {
            inner.counters.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.discount(items.len(), bytes);
    }
}
