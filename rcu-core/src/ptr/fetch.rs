//! The operations of [`Atomic`] that are loops: updates by a function, and of the tag alone.

use std::sync::atomic::Ordering;

use super::{Atomic, Shared, tag};
use crate::Guard;

impl<T> Atomic<T> {
    /// Stores `update` of the pointer that is there, called again each time another thread was
    /// faster. Returns the pointer that was replaced.
    ///
    /// Loads with `fetch`, stores with `set`.
    ///
    /// # Errors
    ///
    /// If `update` returns `None`, the pointer that it was called with.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Shared};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::{Relaxed, Release};
    ///
    /// let slot = Atomic::<u64>::null();
    /// let guard = Rcu.read_lock();
    /// let mark = || {
    ///     slot.fetch_update(Release, Relaxed, &guard, |seen| {
    ///         (seen.tag() == 0).then_some(seen.with_tag(1))
    ///     })
    /// };
    /// assert_eq!(mark(), Ok(Shared::null()));
    /// assert_eq!(mark(), Err(Shared::null().with_tag(1)));
    /// ```
    #[inline]
    pub fn fetch_update<'g, F>(
        &self,
        set: Ordering,
        fetch: Ordering,
        guard: &'g (impl Guard + ?Sized),
        mut update: F,
    ) -> Result<Shared<'g, T>, Shared<'g, T>>
    where
        F: FnMut(Shared<'g, T>) -> Option<Shared<'g, T>>,
    {
        let mut seen = self.load(fetch, guard);
        while let Some(new) = update(seen) {
            match self.compare_exchange_weak(seen, new, set, fetch, guard) {
                Ok(_) => return Ok(seen),
                Err(refused) => seen = refused.current,
            }
        }
        Err(seen)
    }

    /// Changes the tag to its "and" with `tag`, and returns the pointer with the tag it had.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Shared};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::{AcqRel, Acquire};
    ///
    /// let slot = Atomic::<u64>::from(Shared::null().with_tag(0b110));
    /// let guard = Rcu.read_lock();
    /// assert_eq!(slot.fetch_and(0b011, AcqRel, &guard).tag(), 0b110);
    /// assert_eq!(slot.load(Acquire, &guard).tag(), 0b010);
    /// ```
    #[inline]
    pub fn fetch_and<'g>(
        &self,
        tag: usize,
        order: Ordering,
        guard: &'g (impl Guard + ?Sized),
    ) -> Shared<'g, T> {
        self.fetch_tag(order, guard, |old| old & tag)
    }

    /// Changes the tag to its "or" with `tag`, and returns the pointer with the tag it had: how to
    /// mark a pointer and learn whether somebody was first.
    ///
    /// ```
    /// use rcu_core::ptr::Atomic;
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::AcqRel;
    ///
    /// const REMOVED: usize = 1;
    /// let next = Atomic::<u64>::null();
    /// let guard = Rcu.read_lock();
    /// assert_eq!(next.fetch_or(REMOVED, AcqRel, &guard).tag(), 0); // we removed it
    /// assert_eq!(next.fetch_or(REMOVED, AcqRel, &guard).tag(), REMOVED); // it was removed already
    /// ```
    #[inline]
    pub fn fetch_or<'g>(
        &self,
        tag: usize,
        order: Ordering,
        guard: &'g (impl Guard + ?Sized),
    ) -> Shared<'g, T> {
        self.fetch_tag(order, guard, |old| old | tag)
    }

    /// Changes the tag to its "exclusive or" with `tag`, and returns the pointer with the tag it
    /// had.
    ///
    /// ```
    /// use rcu_core::ptr::{Atomic, Shared};
    /// use rcu_core::{Flavor, Rcu};
    /// use std::sync::atomic::Ordering::{AcqRel, Acquire};
    ///
    /// let slot = Atomic::<u64>::from(Shared::null().with_tag(0b110));
    /// let guard = Rcu.read_lock();
    /// assert_eq!(slot.fetch_xor(0b011, AcqRel, &guard).tag(), 0b110);
    /// assert_eq!(slot.load(Acquire, &guard).tag(), 0b101);
    /// ```
    #[inline]
    pub fn fetch_xor<'g>(
        &self,
        tag: usize,
        order: Ordering,
        guard: &'g (impl Guard + ?Sized),
    ) -> Shared<'g, T> {
        self.fetch_tag(order, guard, |old| old ^ tag)
    }

    /// A loop, as `AtomicPtr::fetch_or` is younger than the oldest compiler we support, and as a
    /// number in the pointer's place would lose its provenance. On x86-64 an "or" that returns the
    /// old value is such a loop too.
    ///
    /// The exchange compares addresses, and stores the provenance of the pointer that was loaded.
    /// It is the right one: the object cannot have been freed in between, nor another have come to
    /// its place, while the guard is there.
    #[inline]
    fn fetch_tag<'g>(
        &self,
        order: Ordering,
        _: &'g (impl Guard + ?Sized),
        change: impl Fn(usize) -> usize,
    ) -> Shared<'g, T> {
        // Relaxed, here and on failure: only the exchange that succeeds is the operation.
        let mut seen = self.word().load(Ordering::Relaxed);
        loop {
            let new = tag::with_tag(seen, change(tag::tag_of(seen)));
            match self.word().compare_exchange_weak(seen, new, order, Ordering::Relaxed) {
                Ok(old) => return Shared::of(old),
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Flavor, Rcu};

    /// What a loop must do when another thread is faster: the other's update, `2`, comes between
    /// its load and its exchange.
    #[test]
    fn an_update_that_comes_in_between_is_not_lost() {
        let guard = Rcu.read_lock();
        let slot = Atomic::<u64>::null();
        let calls = Cell::new(0);
        let interfere = || {
            calls.set(calls.get() + 1);
            if calls.get() % 2 == 1 {
                slot.store(slot.load(Ordering::Relaxed, &guard).with_tag(2), Ordering::Relaxed);
            }
        };

        let old = slot.fetch_tag(Ordering::AcqRel, &guard, |tag| {
            interfere();
            tag | 1
        });
        assert_eq!((calls.get(), old.tag()), (2, 2));
        assert_eq!(slot.load(Ordering::Relaxed, &guard).tag(), 3);

        let old = slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, &guard, |seen| {
            interfere();
            Some(seen.with_tag(seen.tag() | 4))
        });
        assert_eq!((calls.get(), old.unwrap().tag()), (4, 2));
        assert_eq!(slot.load(Ordering::Relaxed, &guard).tag(), 6);
    }
}
