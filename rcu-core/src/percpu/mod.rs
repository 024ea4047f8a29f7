//! Per-CPU data: one value for each CPU this system can have.
//!
//! A CPU number is a hint here, as the thread may have moved by the time it is used; what it picks
//! is shared, so every CPU number is right and only some are fast.

mod cpus;
pub mod testing;

use std::alloc::{Layout, alloc};
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Index;
use std::ptr;

use crossbeam_utils::CachePadded;

pub use cpus::{current_cpu, possible_cpus};

/// One `T` for each possible CPU, each on cache lines of its own.
///
/// ```
/// use rcu_core::percpu::PerCpu;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let hits = PerCpu::try_new(|_cpu| AtomicU64::new(0)).unwrap();
/// hits.current().fetch_add(1, Ordering::Relaxed);
/// assert_eq!(hits.iter().map(|h| h.load(Ordering::Relaxed)).sum::<u64>(), 1);
/// ```
pub struct PerCpu<T> {
    slots: Box<[CachePadded<T>]>,
}

impl<T> PerCpu<T> {
    /// Makes one value per possible CPU; `None` if there is no memory.
    ///
    /// ```
    /// use rcu_core::percpu::{PerCpu, possible_cpus};
    /// let ids = PerCpu::try_new(|cpu| cpu).unwrap();
    /// assert_eq!(ids.len(), possible_cpus());
    /// ```
    pub fn try_new(mut init: impl FnMut(usize) -> T) -> Option<Self> {
        let cpus = possible_cpus();
        let layout = Layout::array::<CachePadded<T>>(cpus).ok()?;
        let start: *mut MaybeUninit<CachePadded<T>> = if layout.size() == 0 {
            ptr::dangling_mut()
        } else {
            // SAFETY: the layout's size is not 0.
            unsafe { alloc(layout) }.cast()
        };
        if start.is_null() {
            return None;
        }
        // SAFETY: allocated with the layout of this slice (or dangling, if that has no size), whose
        // elements need no initialisation.
        let mut slots = unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start, cpus)) };
        for (cpu, slot) in slots.iter_mut().enumerate() {
            // If `init` panics, what was made before is leaked.
            slot.write(CachePadded::new(init(cpu)));
        }
        // SAFETY: every element was written.
        let slots = unsafe { slots.assume_init() };
        Some(Self { slots })
    }

    /// How many values there are.
    ///
    /// ```
    /// use rcu_core::percpu::PerCpu;
    /// assert!(PerCpu::try_new(|_| ()).unwrap().len() >= 1);
    /// ```
    #[allow(clippy::len_without_is_empty, reason = "there is always a CPU")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The value of `cpu`. Any number will do: one that is too large wraps around.
    ///
    /// ```
    /// use rcu_core::percpu::PerCpu;
    /// let ids = PerCpu::try_new(|cpu| cpu).unwrap();
    /// assert_eq!(*ids.get(ids.len() + 1), 1 % ids.len());
    /// ```
    #[inline]
    pub fn get(&self, cpu: usize) -> &T {
        match self.slots.get(cpu) {
            Some(slot) => slot,
            None => &self.slots[cpu % self.slots.len()],
        }
    }

    /// The value of the CPU that the calling thread runs on, or ran on a moment ago.
    ///
    /// ```
    /// use rcu_core::percpu::PerCpu;
    /// let ids = PerCpu::try_new(|cpu| cpu).unwrap();
    /// assert!(*ids.current() < ids.len());
    /// ```
    #[inline]
    pub fn current(&self) -> &T {
        self.get(current_cpu())
    }

    /// All values, by CPU.
    ///
    /// ```
    /// use rcu_core::percpu::PerCpu;
    /// let ids = PerCpu::try_new(|cpu| cpu).unwrap();
    /// assert!(ids.iter().copied().eq(0..ids.len()));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &**slot)
    }
}

impl<T> Index<usize> for PerCpu<T> {
    type Output = T;

    fn index(&self, cpu: usize) -> &T {
        self.get(cpu)
    }
}

impl<T: fmt::Debug> fmt::Debug for PerCpu<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
