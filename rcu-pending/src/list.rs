//! Chains of one-word links: the lock-free stack everything is handed over by, and the list of
//! items that wait without a leaf.
//!
//! A [`Stack`] is pushed to and taken as a whole, never popped, so it has no ABA problem.

use crate::process::Item;
use rcu_core::{Cookie, Flavor};
use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// One word inside an object, by which it is queued when there is no leaf for it.
///
/// What it holds matters only while the object is queued; before and after, it may hold anything.
///
/// ```
/// struct Node { link: rcu_pending::Link, value: u64 }
/// let node = Node { link: rcu_pending::Link::new(), value: 7 };
/// assert_eq!(size_of_val(&node.link), size_of::<usize>());
/// # let _ = node.value;
/// ```
#[repr(transparent)]
pub struct Link {
    next: UnsafeCell<*mut Link>,
}

// SAFETY: the word is used only by whoever owns the queued object, or through raw pointers.
unsafe impl Send for Link {}
// SAFETY: as above; a shared reference gives no access to it.
unsafe impl Sync for Link {}

impl Link {
    /// A link that is in no queue.
    pub const fn new() -> Self {
        Self { next: UnsafeCell::new(ptr::null_mut()) }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// What `link` points on to.
///
/// # Safety
///
/// The link is valid, and nobody writes it at the same time.
#[inline]
pub(crate) unsafe fn next(link: NonNull<Link>) -> *mut Link {
    // SAFETY: guaranteed by the caller. No reference is made: the object around it is not ours.
    unsafe { (*link.as_ptr()).next.get().read() }
}

/// Makes `link` point on to `to`.
///
/// # Safety
///
/// The link is valid, and nobody else uses it at the same time.
#[inline]
pub(crate) unsafe fn set_next(link: NonNull<Link>, to: *mut Link) {
    // SAFETY: guaranteed by the caller.
    unsafe { (*link.as_ptr()).next.get().write(to) }
}

/// The last link of a chain and how many there are.
///
/// # Safety
///
/// The chain is valid, ends in null, and belongs to the caller.
pub(crate) unsafe fn end_of(chain: NonNull<Link>) -> (NonNull<Link>, usize) {
    let (mut last, mut count) = (chain, 1);
    // SAFETY: guaranteed by the caller.
    while let Some(after) = NonNull::new(unsafe { next(last) }) {
        (last, count) = (after, count + 1);
    }
    (last, count)
}

/// A lock-free stack: push, and take all.
pub(crate) struct Stack {
    head: AtomicPtr<Link>,
}

impl Stack {
    pub(crate) const fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether there was nothing just now.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Puts the chain from `first` to `last` on top.
    ///
    /// # Safety
    ///
    /// The chain is valid and becomes the stack's, until somebody takes it.
    pub(crate) unsafe fn push_chain(&self, first: NonNull<Link>, last: NonNull<Link>) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the chain is the caller's until the exchange succeeds.
            unsafe { set_next(last, head) };
            // Release: pairs with the Acquire of `take`, which then sees what the links lie in.
            match self.head.compare_exchange_weak(
                head,
                first.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// # Safety
    ///
    /// As for a chain of one.
    #[inline]
    pub(crate) unsafe fn push(&self, link: NonNull<Link>) {
        // SAFETY: guaranteed by the caller.
        unsafe { self.push_chain(link, link) }
    }

    /// Takes everything: the chain, newest first, is the caller's.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<Link>> {
        if self.is_empty() {
            return None;
        }
        // Acquire: pairs with the Release of `push_chain`.
        NonNull::new(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Takes one and puts the others back. Others may find the stack empty meanwhile.
    pub(crate) fn take_one(&self) -> Option<NonNull<Link>> {
        let one = self.take()?;
        // SAFETY: what was taken is ours.
        if let Some(rest) = NonNull::new(unsafe { next(one) }) {
            // Release: the rest was written by those who pushed it, whom `take` has acquired.
            let (null, new) = (ptr::null_mut(), rest.as_ptr());
            if self.head.compare_exchange(null, new, Ordering::Release, Ordering::Relaxed).is_err()
            {
                // SAFETY: the rest is still ours.
                unsafe { self.push_chain(rest, end_of(rest).0) };
            }
        }
        Some(one)
    }
}

/// Items that wait for one cookie, in a chain through their links.
pub(crate) struct List<F: Flavor> {
    pub(crate) cookie: Cookie<F>,
    first: NonNull<Link>,
    last: NonNull<Link>,
}

impl<F: Flavor> List<F> {
    /// # Safety
    ///
    /// `chain` is a valid chain that becomes the list's, and `cookie` covers all of it.
    pub(crate) unsafe fn new(cookie: Cookie<F>, chain: NonNull<Link>) -> Self {
        // SAFETY: guaranteed by the caller.
        Self { cookie, first: chain, last: unsafe { end_of(chain) }.0 }
    }

    /// Appends another list's items; the cookie is for the caller to see to.
    pub(crate) fn append(&mut self, other: Self) {
        // SAFETY: both chains are ours.
        unsafe { set_next(self.last, other.first.as_ptr()) };
        self.last = other.last;
    }

    /// The first item, and the list if there is more of it.
    pub(crate) fn split_first<I: Item>(self) -> (I, Option<Self>) {
        // SAFETY: the chain is ours. The link is read before the object may go.
        let rest = NonNull::new(unsafe { next(self.first) });
        // SAFETY: this link was given by an item's `link`, and is in no chain any more.
        let item = unsafe { I::from_link(self.first) };
        (item, rest.map(|first| Self { first, ..self }))
    }

    /// Takes up to `room.len()` items off into `room`: how many, and what is left of the list.
    pub(crate) fn fill<I: Item>(
        self,
        room: &mut [std::mem::MaybeUninit<I>],
    ) -> (usize, Option<Self>) {
        let (mut count, mut rest) = (0, Some(self));
        for slot in room {
            let Some(list) = rest else { break };
            let (item, after) = list.split_first();
            slot.write(item);
            (count, rest) = (count + 1, after);
        }
        (count, rest)
    }
}
