//! [`Guard`]: what stands for an open section where any flavour's will do.

use std::fmt;
use std::marker::PhantomData;

use crate::RcuGuard;

/// While a value of this type is borrowed, a section is open.
///
/// Code that works under every flavour takes `&'g impl Guard` and ties what it returns to `'g`, as
/// the methods of [`Atomic`](crate::ptr::Atomic) do. The trait does not say *which* flavour, so it
/// is for the layer where `unsafe` is: a structure whose face is safe takes the guard of the
/// flavour that it retires with.
///
/// ```
/// use rcu_core::ptr::{Atomic, Shared};
/// use rcu_core::{Flavor, Guard, Rcu, RcuGuard};
/// use std::sync::atomic::Ordering;
///
/// /// Takes any guard, and promises nothing.
/// fn head<'g, T>(list: &Atomic<T>, guard: &'g impl Guard) -> Shared<'g, T> {
///     list.load(Ordering::Acquire, guard)
/// }
///
/// /// Values are freed after a grace period of [`Rcu`].
/// struct Newest(Atomic<u64>);
///
/// impl Newest {
///     fn get<'g>(&self, guard: &'g RcuGuard) -> Option<&'g u64> {
///         // SAFETY: under a guard of `Rcu`, which whoever frees a value waits for.
///         unsafe { head(&self.0, guard).as_ref() }
///     }
/// }
///
/// assert!(Newest(Atomic::null()).get(&Rcu.read_lock()).is_none());
/// ```
///
/// Generic over a flavour, the guard of that flavour:
///
/// ```
/// use rcu_core::ptr::Atomic;
/// use rcu_core::{Flavor, Guard, Rcu};
/// use std::sync::atomic::Ordering;
///
/// fn is_empty<F>(flavor: &F, list: &Atomic<u64>) -> bool
/// where
///     F: Flavor,
///     for<'a> F::Guard<'a>: Guard,
/// {
///     list.load(Ordering::Relaxed, &flavor.read_lock()).is_null()
/// }
/// assert!(is_empty(&Rcu, &Atomic::null()));
/// ```
///
/// Not everything is a guard:
///
/// ```compile_fail,E0277
/// use rcu_core::ptr::Atomic;
/// use std::sync::atomic::Ordering;
/// Atomic::<u64>::null().load(Ordering::Acquire, &());
/// ```
///
/// # Safety
///
/// One and the same section must be open for as long as a shared reference to the value lives:
/// nothing that can be done through `&self` may end it.
///
/// A wrapper around a guard is one too:
///
/// ```
/// use rcu_core::{Guard, RcuGuard};
/// struct MapGuard {
///     section: RcuGuard,
/// }
/// // SAFETY: it keeps the guard until it is dropped.
/// unsafe impl Guard for MapGuard {}
/// ```
pub unsafe trait Guard {}

// SAFETY: the section ends when the guard is dropped, and not before.
unsafe impl Guard for RcuGuard {}

// SAFETY: the guard is borrowed for as long as the reference to it is there.
unsafe impl<G: Guard + ?Sized> Guard for &G {}

/// Stands where a guard is asked for and no section is needed; from [`unprotected`].
///
/// ```
/// use rcu_core::Unprotected;
///
/// fn name(guard: &Unprotected) -> String {
///     format!("{guard:?}")
/// }
/// // SAFETY: nothing is loaded.
/// assert_eq!(name(unsafe { rcu_core::unprotected() }), "Unprotected");
/// ```
pub struct Unprotected {
    /// What holds for the thread that called `unprotected` need not hold for others.
    not_send: PhantomData<*mut ()>,
}

// SAFETY: whoever called `unprotected` promised that no section is needed.
unsafe impl Guard for Unprotected {}

impl fmt::Debug for Unprotected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unprotected")
    }
}

/// A guard that opens no section: for building a structure that nobody else sees yet, for taking
/// apart one that nobody else sees any more, and for an updater that frees what it takes out.
///
/// # Safety
///
/// What is loaded with this guard must not be freed by others for as long as it is used. That is so
/// if no other thread can reach the structure, and for a pointer that the caller has taken out of
/// it and alone may free.
///
/// ```
/// use rcu_core::ptr::Atomic;
/// use rcu_core::unprotected;
/// use std::sync::atomic::Ordering;
///
/// struct Slot(Atomic<String>);
///
/// impl Slot {
///     fn get_mut(&mut self) -> Option<&mut String> {
///         // SAFETY: `&mut self`: nobody else is here.
///         let mut value = self.0.load(Ordering::Relaxed, unsafe { unprotected() });
///         if value.is_null() {
///             return None;
///         }
///         // SAFETY: not null, and as above. The reference lives no longer than `&mut self`.
///         Some(unsafe { value.deref_mut() })
///     }
/// }
///
/// impl Drop for Slot {
///     fn drop(&mut self) {
///         // SAFETY: nobody else is here, and the slot owns what it points to.
///         drop(unsafe { std::mem::take(&mut self.0).try_into_owned() });
///     }
/// }
///
/// let mut slot = Slot(Atomic::new(String::from("ab")));
/// slot.get_mut().unwrap().push('c');
/// assert_eq!(slot.get_mut().unwrap(), "abc");
/// ```
#[inline]
pub const unsafe fn unprotected() -> &'static Unprotected {
    &Unprotected { not_send: PhantomData }
}
