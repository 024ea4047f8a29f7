//! Tagged pointers, for structures that consist of more pointers than one.
//!
//! [`Atomic`] is the word in memory, [`Shared`] what is loaded from it in a section, [`Owned`] an
//! object that nobody else sees. All three are one word, and null is zero. Names and meanings are
//! crossbeam-epoch's; the guard may be of any flavour ([`Guard`](crate::Guard)). One value that is
//! replaced as a whole wants none of this: `RcuCell`, in `rcu-kvfree`, does that without `unsafe`.
//!
//! # Tags
//!
//! The alignment of `T` leaves `align_of::<T>().trailing_zeros()` low bits of each pointer at zero:
//! three for a node with a pointer in it, none for a `u8`. A tag is a number in these bits. It is
//! part of the word: exchanges compare it, and [`Shared`]s with different tags differ. Bits of a
//! tag that have no room are cut off without a word, so a structure that needs them says so:
//!
//! ```
//! use rcu_core::ptr::Atomic;
//!
//! const REMOVED: usize = 1;
//!
//! struct Node {
//!     next: Atomic<Node>,
//! }
//!
//! const _: () = assert!(align_of::<Node>() > REMOVED);
//! ```
//!
//! # Orderings
//!
//! A section keeps objects from being freed. It does not make one thread see what another has
//! written: that is up to the orderings, as everywhere.
//!
//! | ordering | is for |
//! |---|---|
//! | `Release` | publishing an object: `store`, `swap`, the success of an exchange |
//! | `Acquire` | loading a pointer that is then followed; `load_consume` is that. Pairs with the `Release` above |
//! | `AcqRel` | both: taking a pointer out that is then followed, linking what was loaded anew |
//! | `Relaxed` | a pointer that is compared but not followed; null; a structure that nobody else sees |
//! | `SeqCst` | a total order over several words; few structures need it |
//!
//! The exchange that takes an object out needs nothing for the sake of freeing it: the full fence
//! of [`get_state`](crate::Flavor::get_state), which every way to wait begins with, comes after it.
//!
//! # Freeing
//!
//! An [`Atomic`] does not own. Whoever takes an object out of the structure, so that no later
//! section can find it, waits for a grace period and then makes it [`Owned`] again:
//!
//! ```
//! use rcu_core::ptr::{Atomic, Owned};
//! use rcu_core::{Flavor, Rcu, unprotected};
//! use std::sync::atomic::Ordering;
//!
//! let slot = Atomic::new(String::from("old"));
//!
//! // SAFETY: what we take out here we free, and nobody else does.
//! let old = slot.swap(Owned::new(String::from("new")), Ordering::AcqRel, unsafe { unprotected() });
//! Rcu.synchronize();
//! // SAFETY: taken out, and every section that could have seen it has ended.
//! assert_eq!(*unsafe { old.into_owned() }, "old");
//! # drop(unsafe { slot.into_owned() });
//! ```
//!
//! One waits outside of sections, so what was found in one leaves it as a raw pointer; `pop` below
//! does that. Many objects can wait for one grace period, together, and one need not stand by:
//! [`Flavor::start_poll`](crate::Flavor::start_poll) names the grace period, `rcu-pending` and
//! `rcu-kvfree` keep the objects until it is over.
//!
//! # Example: a stack
//!
//! Treiber's. That nodes are freed after a grace period also saves it from the ABA problem: while
//! `pop` is in its section, the node it has loaded is not freed, so no other node can be at its
//! address, so the exchange succeeds only if that very node is on top.
//!
//! ```
//! use rcu_core::ptr::{Atomic, Owned};
//! use rcu_core::{Flavor, Rcu};
//! use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
//!
//! struct Node {
//!     value: u64,
//!     next: Atomic<Node>,
//! }
//!
//! #[derive(Default)]
//! struct Stack {
//!     head: Atomic<Node>,
//! }
//!
//! impl Stack {
//!     fn push(&self, value: u64) {
//!         let guard = Rcu.read_lock();
//!         let mut node = Owned::new(Node { value, next: Atomic::null() });
//!         let mut head = self.head.load(Relaxed, &guard);
//!         loop {
//!             node.next = Atomic::from(head);
//!             // Release publishes the node.
//!             match self.head.compare_exchange_weak(head, node, Release, Relaxed, &guard) {
//!                 Ok(_) => return,
//!                 Err(refused) => (head, node) = (refused.current, refused.new),
//!             }
//!         }
//!     }
//!
//!     fn contains(&self, value: u64) -> bool {
//!         let guard = Rcu.read_lock();
//!         let mut at = self.head.load(Acquire, &guard);
//!         // SAFETY: `pop` frees a node after a grace period of `Rcu`.
//!         while let Some(node) = unsafe { at.as_ref() } {
//!             if node.value == value {
//!                 return true;
//!             }
//!             at = node.next.load(Acquire, &guard);
//!         }
//!         false
//!     }
//!
//!     fn pop(&self) -> Option<u64> {
//!         let node = self.unlink()?;
//!         // Before the object is freed, and outside of the section.
//!         Rcu.synchronize_expedited();
//!         // SAFETY: taken out by us, and every section that could have seen it has ended.
//!         let node = unsafe { Owned::from_raw(node.cast_mut()) };
//!         Some(node.value)
//!     }
//!
//!     fn unlink(&self) -> Option<*const Node> {
//!         let guard = Rcu.read_lock();
//!         let mut head = self.head.load(Acquire, &guard);
//!         loop {
//!             // SAFETY: as in `contains`.
//!             let next = unsafe { head.as_ref() }?.next.load(Relaxed, &guard);
//!             // AcqRel: passes on what published `next`.
//!             match self.head.compare_exchange_weak(head, next, AcqRel, Acquire, &guard) {
//!                 Ok(_) => return Some(head.as_raw()),
//!                 Err(refused) => head = refused.current,
//!             }
//!         }
//!     }
//! }
//!
//! impl Drop for Stack {
//!     fn drop(&mut self) {
//!         let mut rest = std::mem::take(&mut self.head);
//!         // SAFETY: nobody else is here, and the stack owns its nodes.
//!         while let Some(mut node) = unsafe { rest.try_into_owned() } {
//!             rest = std::mem::take(&mut node.next);
//!         }
//!     }
//! }
//!
//! let stack = Stack::default();
//! let popped = std::thread::scope(|s| {
//!     s.spawn(|| (1..=100).for_each(|value| stack.push(value)));
//!     s.spawn(|| stack.contains(50));
//!     let popper = || std::iter::from_fn(|| stack.pop()).sum::<u64>();
//!     let (a, b) = (s.spawn(popper), s.spawn(popper));
//!     a.join().unwrap() + b.join().unwrap()
//! });
//! let rest: u64 = std::iter::from_fn(|| stack.pop()).sum();
//! assert_eq!(popped + rest, 5050);
//! ```

mod atomic;
mod fetch;
mod owned;
mod pointer;
mod refused;
mod shared;
mod tag;

pub use atomic::Atomic;
pub use owned::Owned;
pub use pointer::Pointer;
pub use refused::CompareExchangeError;
pub use shared::Shared;
