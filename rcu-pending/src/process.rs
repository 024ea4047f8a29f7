//! What users bring: the items that are queued, and what is done with them in the end.

use crate::list::Link;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// One object that waits for a grace period, as the queue holds it: one word or two.
///
/// An item with a [`Link`] inside its object (*intrusive*) can be queued when there is no memory
/// for anything; one without (*headless*) cannot.
///
/// ```
/// use rcu_pending::{Item, Link};
/// use std::ptr::NonNull;
///
/// #[repr(C)]
/// struct Node { link: Link, value: u64 }
///
/// #[derive(Clone, Copy)]
/// struct Retired(NonNull<Node>);
/// // SAFETY: a retired node is nobody's, and `Node` is `Send`.
/// unsafe impl Send for Retired {}
///
/// // SAFETY: the link is the object's own and leads back to it; nothing here blocks or panics.
/// unsafe impl Item for Retired {
///     fn link(self) -> Option<NonNull<Link>> {
///         Some(self.0.cast()) // the first field; the pointer still reaches the whole node
///     }
///     unsafe fn from_link(link: NonNull<Link>) -> Self {
///         Self(link.cast())
///     }
///     fn bytes(self) -> usize {
///         size_of::<Node>()
///     }
/// }
/// # let mut node = Node { link: Link::new(), value: 1 };
/// # let item = Retired(NonNull::from(&mut node));
/// # // SAFETY: the link is that item's.
/// # assert_eq!(unsafe { Retired::from_link(item.link().unwrap()) }.0, item.0);
/// # let _ = node.value;
/// ```
///
/// # Safety
///
/// - The link is a word of the object that only the queue uses while the object is queued, at the
///   same address each time, aligned, and derived from a pointer to the whole object.
/// - `from_link`, given what `link` gave, makes an equal item.
/// - `bytes` gives the same each time, and does not read the object.
/// - None of them blocks, panics, or calls the queue: they run with locks held.
pub unsafe trait Item: Copy + Send + 'static {
    /// The address of the object's link. An item of two words may write its other word into the
    /// object here, for `from_link` to find.
    #[inline]
    fn link(self) -> Option<NonNull<Link>> {
        None
    }

    /// The item whose link this is. Not called for headless items.
    ///
    /// # Safety
    ///
    /// `link` came from the `link` method of an item that has been enqueued and is in no chain.
    unsafe fn from_link(link: NonNull<Link>) -> Self;

    /// How much memory waits with this item, for the statistics.
    #[inline]
    fn bytes(self) -> usize {
        0
    }
}

/// A headless item: one pointer.
///
/// ```
/// use rcu_pending::{Item, Ptr};
/// use std::ptr::NonNull;
///
/// let mut value = 7;
/// let item = Ptr(NonNull::from(&mut value));
/// assert!(item.link().is_none());
/// assert_eq!(item.bytes(), size_of::<i32>());
/// ```
#[derive(Debug)]
pub struct Ptr<T>(
    /// The object.
    pub NonNull<T>,
);

// Not derived: that would ask the same of `T`.
impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ptr<T> {}

// SAFETY: a queued pointer stands for the object, which is handed on as a whole.
unsafe impl<T: Send> Send for Ptr<T> {}

// SAFETY: headless, and nothing here looks at the object.
unsafe impl<T: Send + 'static> Item for Ptr<T> {
    unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast()) // never called: there is no link
    }

    #[inline]
    fn bytes(self) -> usize {
        size_of::<T>()
    }
}

/// What is done with items once their grace period is over.
///
/// ```
/// use rcu_pending::{Process, Ptr};
///
/// struct Free;
/// impl Process for Free {
///     type Item = Ptr<u64>;
///     fn process(&self, items: &[Ptr<u64>]) {
///         for item in items {
///             // SAFETY: such items are boxes, enqueued once.
///             drop(unsafe { Box::from_raw(item.0.as_ptr()) });
///         }
///     }
/// }
/// # let one = std::ptr::NonNull::from(Box::leak(Box::new(1)));
/// # Free.process(&[Ptr(one)]);
/// ```
pub trait Process: Send + Sync + 'static {
    /// The items of such a queue.
    type Item: Item;

    /// Takes care of `items`, each of which is handed over once.
    ///
    /// Called on any thread, with no lock held, several calls at a time. It may enqueue; it must
    /// not wait for a grace period or for this queue. A panic is caught and counted; what becomes
    /// of the rest of that slice is the duty of whoever panics.
    fn process(&self, items: &[Self::Item]);
}

/// A [`Process`] made of a function; see [`process_fn`].
pub struct ProcessFn<I, C> {
    function: C,
    items: PhantomData<fn(I)>,
}

/// Makes a [`Process`] of a function.
///
/// ```
/// use rcu_pending::{Process, Ptr, process_fn};
/// let ignore = process_fn(|_items: &[Ptr<u64>]| {});
/// ignore.process(&[]);
/// ```
pub fn process_fn<I: Item, C: Fn(&[I]) + Send + Sync + 'static>(function: C) -> ProcessFn<I, C> {
    ProcessFn { function, items: PhantomData }
}

impl<I: Item, C: Fn(&[I]) + Send + Sync + 'static> Process for ProcessFn<I, C> {
    type Item = I;

    #[inline]
    fn process(&self, items: &[I]) {
        (self.function)(items);
    }
}

impl<I, C> fmt::Debug for ProcessFn<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessFn").finish_non_exhaustive()
    }
}
