//! `kvfree`: RCU sections to read, boxes with a head that are retired through the pending queue.

use std::ptr::NonNull;

use rcu_kvfree::{Flavor, Rcu, RcuBox, RcuGuard, kvfree_rcu_barrier, kvfree_stats};

use crate::workload::reclaimer::{Footprint, Reclaimer, Subject};

#[derive(Debug)]
pub(crate) struct Kvfree;

impl Subject for Kvfree {
    const NAME: &'static str = "kvfree";
    type Of<T: Send + Sync + 'static> = Kvfree;

    fn make<T: Send + Sync + 'static>() -> Kvfree {
        Kvfree
    }
}

impl<T: Send + Sync + 'static> Reclaimer<T> for Kvfree {
    type Guard<'a> = RcuGuard;

    #[inline]
    fn enter(&self) -> RcuGuard {
        Rcu.read_lock()
    }

    #[inline]
    fn alloc(&self, value: T) -> NonNull<T> {
        RcuBox::into_raw(RcuBox::new(value))
    }

    #[inline]
    unsafe fn retire(&self, node: NonNull<T>) {
        // SAFETY: from `into_raw` in `alloc`; the caller has unlinked it and gives it up.
        unsafe { RcuBox::retire_raw(node) };
    }

    unsafe fn dealloc(&self, node: NonNull<T>) {
        // SAFETY: from `into_raw` in `alloc`; the caller gives up the last pointer to it.
        drop(unsafe { RcuBox::from_raw(node) });
    }

    fn quiesce(&self) {
        kvfree_rcu_barrier();
    }

    fn footprint(&self) -> Option<Footprint> {
        let queue = kvfree_stats().queue?;
        Some(Footprint { objects: queue.objects, bytes: queue.used })
    }
}

/// Tests that look at what the queue holds take turns: there is one for the whole process.
#[cfg(test)]
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
