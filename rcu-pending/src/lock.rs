//! The lock word of a shard, with an inbox for those who find it taken.
//!
//! Free is null. Taken is the low bit, and the other bits are the inbox: a chain of intrusive
//! items that came meanwhile. So nobody who has a link to give ever waits, and whoever unlocks
//! takes the inbox in the same instruction that frees the lock. Filing it *under* the lock until
//! no more comes need not end; it is filed afterwards, off the lock.

use crate::list::{Link, set_next};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

const LOCKED: usize = 1;

pub(crate) struct LockWord(AtomicPtr<Link>);

impl LockWord {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        let locked = ptr::without_provenance_mut(LOCKED);
        // Acquire: pairs with the Release of either unlock.
        self.0
            .compare_exchange(ptr::null_mut(), locked, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Leaves an item with the lock's holder. False: there is none any more.
    ///
    /// # Safety
    ///
    /// The link is valid, and becomes the holder's if the answer is true.
    #[cold]
    pub(crate) unsafe fn post(&self, link: NonNull<Link>) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word.addr() & LOCKED != 0 {
            // SAFETY: the link is ours until the exchange succeeds.
            unsafe { set_next(link, word.map_addr(|addr| addr & !LOCKED)) };
            let new = link.as_ptr().map_addr(|addr| addr | LOCKED);
            // Release: pairs with the Acquire of `unlock_and_take`.
            match self.0.compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Frees the lock if its inbox is empty. The caller holds the lock.
    #[inline]
    pub(crate) fn try_unlock(&self) -> bool {
        let locked = ptr::without_provenance_mut(LOCKED);
        // Release: pairs with the Acquire of `try_lock`.
        self.0
            .compare_exchange(locked, ptr::null_mut(), Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Frees the lock and takes the inbox. The caller holds the lock.
    pub(crate) fn unlock_and_take(&self) -> Option<NonNull<Link>> {
        // Acquire: pairs with the Release of `post`. Release: with the Acquire of `try_lock`.
        let word = self.0.swap(ptr::null_mut(), Ordering::AcqRel);
        NonNull::new(word.map_addr(|addr| addr & !LOCKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::next;

    #[test]
    fn post_needs_a_holder() {
        let word = LockWord::new();
        let (a, b) = (Link::new(), Link::new());
        let (a, b) = (NonNull::from(&a), NonNull::from(&b));
        // SAFETY: the links outlive the lock word's use of them.
        unsafe {
            assert!(!word.post(a));
            assert!(word.try_lock());
            assert!(!word.try_lock());
            assert!(word.post(a));
            assert!(word.post(b));
            assert!(!word.try_unlock());
            let inbox = word.unlock_and_take().unwrap();
            assert_eq!((inbox, next(inbox), next(a)), (b, a.as_ptr(), ptr::null_mut()));
        }
        assert!(word.try_lock());
        assert!(word.try_unlock());
    }
}
