//! [`RcuCell`]: a value that readers load while writers replace it.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use rcu_core::{Flavor, Rcu, RcuGuard};

use crate::process::Node;
use crate::{NoMemory, RcuBox};

/// A value that any number of threads load while others replace it.
///
/// Loading is one pointer read inside a section. What a section has loaded stays whole until the
/// section ends, however often the value is replaced; replaced values are dropped in batches after
/// a grace period, on a background thread (so `T: Send`), and retiring one never needs memory.
///
/// ```
/// use rcu_kvfree::{Flavor, Rcu, RcuCell};
///
/// let limits = RcuCell::new(vec![1, 2, 3]);
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         let guard = Rcu.read_lock();
///         let seen = limits.load(&guard);
///         assert!(seen.len() == 3 || seen.len() == 1); // one or the other, never half of each
///     });
///     limits.store(vec![9]);
/// });
/// ```
///
/// What was loaded cannot outlive its section:
///
/// ```compile_fail,E0597
/// use rcu_kvfree::{Flavor, Rcu, RcuCell};
///
/// let cell = RcuCell::new(1);
/// let value;
/// {
///     let guard = Rcu.read_lock();
///     value = cell.load(&guard); // `guard` does not live long enough
/// }
/// println!("{value}");
/// ```
///
/// It can outlive the cell, whose value is retired too:
///
/// ```
/// use rcu_kvfree::{Flavor, Rcu, RcuCell};
/// let guard = Rcu.read_lock();
/// let cell = RcuCell::new(String::from("still here"));
/// let value = cell.load(&guard);
/// drop(cell);
/// assert_eq!(value, "still here");
/// ```
///
/// A value that may not be sent to the thread that drops it, or shared among readers, has no place
/// in a cell:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let cell = rcu_kvfree::RcuCell::new(Rc::new(1));
/// ```
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let cell = rcu_kvfree::RcuCell::new(Cell::new(1));
/// ```
pub struct RcuCell<T: Send + Sync + 'static> {
    /// From `RcuBox::into_raw`; never null.
    value: AtomicPtr<T>,
    owns: PhantomData<T>,
}

impl<T: Send + Sync + 'static> RcuCell<T> {
    /// A cell with this value. Without memory it ends as `Box::new` does.
    ///
    /// ```
    /// use rcu_kvfree::{Flavor, Rcu, RcuCell};
    /// let cell = RcuCell::new(1);
    /// assert_eq!(*cell.load(&Rcu.read_lock()), 1);
    /// ```
    pub fn new(value: T) -> Self {
        Self::try_new(value).unwrap_or_else(|NoMemory(_)| out_of_memory::<T>())
    }

    /// A cell with this value.
    ///
    /// # Errors
    ///
    /// Without memory the value comes back.
    ///
    /// ```
    /// let cell = rcu_kvfree::RcuCell::try_new(1)?;
    /// # Ok::<(), rcu_kvfree::NoMemory<i32>>(())
    /// ```
    pub fn try_new(value: T) -> Result<Self, NoMemory<T>> {
        let value = RcuBox::into_raw(RcuBox::try_new(value)?);
        Ok(Self { value: AtomicPtr::new(value.as_ptr()), owns: PhantomData })
    }

    /// The value, for as long as the section lasts.
    ///
    /// ```
    /// use rcu_kvfree::{Flavor, Rcu, RcuCell};
    /// let cell = RcuCell::new(1);
    /// let guard = Rcu.read_lock();
    /// let before = cell.load(&guard);
    /// cell.store(2);
    /// assert_eq!((*before, *cell.load(&guard)), (1, 2));
    /// ```
    #[inline]
    pub fn load<'g>(&self, guard: &'g RcuGuard) -> &'g T {
        let _ = guard;
        // Acquire: pairs with the Release of `replace`, which publishes the value's contents.
        let value = self.value.load(Ordering::Acquire);
        // SAFETY: never null, and retired only after it was replaced: the grace period that frees
        // it cannot end before this section does.
        unsafe { &*value }
    }

    /// Replaces the value. The old one is dropped after a grace period. Without memory it ends as
    /// `Box::new` does.
    ///
    /// ```
    /// use rcu_kvfree::{Flavor, Rcu, RcuCell};
    /// let cell = RcuCell::new(1);
    /// cell.store(2);
    /// assert_eq!(*cell.load(&Rcu.read_lock()), 2);
    /// ```
    pub fn store(&self, value: T) {
        self.try_store(value).unwrap_or_else(|NoMemory(_)| out_of_memory::<T>());
    }

    /// As [`store`](RcuCell::store).
    ///
    /// # Errors
    ///
    /// Without memory the new value comes back, and the old one stays.
    ///
    /// ```
    /// let cell = rcu_kvfree::RcuCell::new(1);
    /// cell.try_store(2)?;
    /// # Ok::<(), rcu_kvfree::NoMemory<i32>>(())
    /// ```
    pub fn try_store(&self, value: T) -> Result<(), NoMemory<T>> {
        let old = self.replace(RcuBox::try_new(value)?);
        // SAFETY: from `into_raw`, unlinked by the exchange, which gave it to us alone.
        unsafe { RcuBox::retire_raw(old) };
        Ok(())
    }

    /// Replaces the value and shows the old one, which is dropped after a grace period. Without
    /// memory it ends as `Box::new` does.
    ///
    /// ```
    /// use rcu_kvfree::{Flavor, Rcu, RcuCell};
    /// let cell = RcuCell::new(1);
    /// let guard = Rcu.read_lock();
    /// assert_eq!(*cell.swap(2, &guard), 1);
    /// ```
    pub fn swap<'g>(&self, value: T, guard: &'g RcuGuard) -> &'g T {
        let _ = guard;
        let old = self.replace(RcuBox::new(value));
        // SAFETY: unlinked by the exchange, which gave it to us alone; it stays valid for as long
        // as this section lasts.
        unsafe {
            RcuBox::retire_raw(old);
            &*old.as_ptr()
        }
    }

    /// Replaces the value by what `next` makes of it, trying again when another thread was first.
    /// No update is lost. `next` may run several times, and runs inside a section, as does the drop
    /// of a value that came too late. Without memory it ends as `Box::new` does.
    ///
    /// ```
    /// use rcu_kvfree::{Flavor, Rcu, RcuCell};
    /// let hits = RcuCell::new(0);
    /// std::thread::scope(|s| {
    ///     for _ in 0..2 {
    ///         s.spawn(|| (0..100).for_each(|_| hits.update(|n| n + 1)));
    ///     }
    /// });
    /// assert_eq!(*hits.load(&Rcu.read_lock()), 200);
    /// ```
    pub fn update(&self, mut next: impl FnMut(&T) -> T) {
        let guard = Rcu.read_lock();
        loop {
            let current: *const T = self.load(&guard);
            // SAFETY: just loaded under our section, which also keeps its address from being
            // used again: the exchange cannot take another value for it.
            let fresh = RcuBox::into_raw(RcuBox::new(next(unsafe { &*current })));
            // Release: publishes the new value's contents.
            match self.value.compare_exchange(
                current.cast_mut(),
                fresh.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(old) => {
                    // SAFETY: never null; from `into_raw`; unlinked by the exchange.
                    unsafe { RcuBox::retire_raw(NonNull::new_unchecked(old)) };
                    return;
                }
                // SAFETY: from `into_raw`, and never published.
                Err(_) => drop(unsafe { RcuBox::from_raw(fresh) }),
            }
        }
    }

    /// The value, for the cell's only user.
    ///
    /// ```
    /// let mut cell = rcu_kvfree::RcuCell::new(1);
    /// assert_eq!(*cell.get_ref(), 1);
    /// ```
    pub fn get_ref(&mut self) -> &T {
        // SAFETY: never null, and only the cell's users replace it, of whom we are the only one.
        unsafe { &**self.value.get_mut() }
    }

    /// Publishes `value` and hands back what was there, unlinked.
    fn replace(&self, value: RcuBox<T>) -> NonNull<T> {
        // Release: publishes the value's contents. Acquire: what we retire was published to us.
        let old = self.value.swap(RcuBox::into_raw(value).as_ptr(), Ordering::AcqRel);
        // SAFETY: never null.
        unsafe { NonNull::new_unchecked(old) }
    }
}

#[cold]
fn out_of_memory<T>() -> ! {
    handle_alloc_error(Layout::new::<Node<T>>())
}

impl<T: Send + Sync + 'static> Drop for RcuCell<T> {
    fn drop(&mut self) {
        // What was loaded may outlive the cell.
        let value = std::mem::replace(self.value.get_mut(), ptr::null_mut());
        // SAFETY: never null before; from `into_raw`; the cell's only user unlinks it.
        unsafe { RcuBox::retire_raw(NonNull::new_unchecked(value)) };
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for RcuCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = Rcu.read_lock();
        f.debug_tuple("RcuCell").field(self.load(&guard)).finish()
    }
}

impl<T: Send + Sync + Default + 'static> Default for RcuCell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Send + Sync + 'static> From<T> for RcuCell<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
