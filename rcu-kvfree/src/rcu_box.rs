//! [`RcuBox`]: an owned value that can be retired without needing memory.

use std::alloc::{Layout, handle_alloc_error};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use crate::kvfree;
use crate::process::{Head, Node, Retire};

/// A box whose value carries what a queue needs to remember it by, so that retiring it never fails:
/// 16 bytes in front of the value.
///
/// Until it is shared it is a box like any other. [`RcuBox::into_raw`] gives a pointer to publish;
/// [`RcuBox::retire_raw`] retires what has been unlinked. [`RcuCell`](crate::RcuCell) does both
/// without `unsafe`.
///
/// ```
/// use rcu_kvfree::{RcuBox, kvfree_rcu_barrier};
///
/// let mut name = RcuBox::new(String::from("one"));
/// name.push_str(" two");
/// assert_eq!(*name, "one two");
/// name.retire(); // dropped after a grace period
/// kvfree_rcu_barrier();
/// ```
pub struct RcuBox<T: Send + 'static> {
    node: NonNull<Node<T>>,
    owns: PhantomData<T>,
}

// SAFETY: it owns a `T`, which is `Send`.
unsafe impl<T: Send + 'static> Send for RcuBox<T> {}
// SAFETY: sharing it shares the value.
unsafe impl<T: Send + Sync + 'static> Sync for RcuBox<T> {}

/// There was no memory; here is the value back.
///
/// ```
/// use rcu_kvfree::{NoMemory, RcuBox};
/// match RcuBox::try_new(7) {
///     Ok(boxed) => assert_eq!(*boxed, 7),
///     Err(NoMemory(value)) => assert_eq!(value, 7),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NoMemory<T>(pub T);

impl<T> fmt::Debug for NoMemory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoMemory")
    }
}

impl<T> fmt::Display for NoMemory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for a value of {} bytes", size_of::<T>())
    }
}

impl<T> Error for NoMemory<T> {}

impl<T: Send + 'static> RcuBox<T> {
    /// Boxes a value. Without memory it ends as `Box::new` does.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// assert_eq!(*RcuBox::new(1), 1);
    /// ```
    pub fn new(value: T) -> Self {
        match Self::try_new(value) {
            Ok(boxed) => boxed,
            Err(NoMemory(_)) => handle_alloc_error(Layout::new::<Node<T>>()),
        }
    }

    /// Boxes a value.
    ///
    /// # Errors
    ///
    /// Without memory the value comes back.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// let boxed = RcuBox::try_new(1)?;
    /// assert_eq!(*boxed, 1);
    /// # Ok::<(), rcu_kvfree::NoMemory<i32>>(())
    /// ```
    pub fn try_new(value: T) -> Result<Self, NoMemory<T>> {
        // The queue comes first: with it, retiring cannot fail.
        if kvfree::queue().is_none() {
            return Err(NoMemory(value));
        }
        let Some(node) = Node::<T>::allocate() else { return Err(NoMemory(value)) };
        // SAFETY: the memory is laid out for a node, and ours.
        unsafe { node.write(Node { head: Head::new(), value }) };
        Ok(Self { node, owns: PhantomData })
    }

    /// Takes the value out of its box.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// assert_eq!(RcuBox::into_inner(RcuBox::new(1)), 1);
    /// ```
    pub fn into_inner(boxed: Self) -> T {
        let node = ManuallyDrop::new(boxed).node;
        // SAFETY: ours alone; the value moves out and the memory goes back.
        unsafe {
            let value = ptr::read(&raw const (*node.as_ptr()).value);
            Node::deallocate(node);
            value
        }
    }

    /// Drops the value and frees its memory once a grace period has passed. Never waits, never
    /// fails, never needs memory.
    ///
    /// ```
    /// rcu_kvfree::RcuBox::new(1).retire();
    /// ```
    pub fn retire(self) {
        // SAFETY: an owned box is reachable by nobody else.
        unsafe { kvfree::retire(ManuallyDrop::new(self).node) };
    }

    /// A pointer to the value, to publish. [`RcuBox::from_raw`] or [`RcuBox::retire_raw`] takes it
    /// back.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// let value = RcuBox::into_raw(RcuBox::new(1));
    /// // SAFETY: from `into_raw`, once.
    /// let boxed = unsafe { RcuBox::from_raw(value) };
    /// assert_eq!(*boxed, 1);
    /// ```
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        let node = ManuallyDrop::new(boxed).node;
        // SAFETY: a field of a valid node.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).value) }
    }

    /// The box of a pointer that [`RcuBox::into_raw`] gave.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// let value = RcuBox::into_raw(RcuBox::new(1));
    /// // SAFETY: from `into_raw`, once, and not published.
    /// drop(unsafe { RcuBox::from_raw(value) });
    /// ```
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw`, nobody else uses it any more, and this is done once.
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        // SAFETY: the caller's promise.
        Self { node: unsafe { Self::node_of(value) }, owns: PhantomData }
    }

    /// Retires what [`RcuBox::into_raw`] gave and has since been unlinked.
    ///
    /// ```
    /// use rcu_kvfree::RcuBox;
    /// use std::ptr::NonNull;
    /// use std::sync::atomic::{AtomicPtr, Ordering};
    ///
    /// let shared = AtomicPtr::new(RcuBox::into_raw(RcuBox::new(1)).as_ptr());
    /// let old = shared.swap(RcuBox::into_raw(RcuBox::new(2)).as_ptr(), Ordering::AcqRel);
    /// // SAFETY: from `into_raw`, unlinked above, retired once.
    /// unsafe { RcuBox::retire_raw(NonNull::new(old).unwrap()) };
    /// # unsafe { RcuBox::retire_raw(NonNull::new(shared.into_inner()).unwrap()) };
    /// ```
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw`. It has been unlinked: no section that begins from now on can
    /// reach it. It is retired once, and the caller does not use it any more outside sections that
    /// are open now.
    pub unsafe fn retire_raw(value: NonNull<T>) {
        // SAFETY: the caller's promise.
        unsafe { kvfree::retire(Self::node_of(value)) };
    }

    /// # Safety
    ///
    /// `value` came from `into_raw`, whose pointer reaches the whole node.
    unsafe fn node_of(value: NonNull<T>) -> NonNull<Node<T>> {
        // SAFETY: the value lies in its node at this offset.
        unsafe { value.byte_sub(std::mem::offset_of!(Node<T>, value)).cast() }
    }
}

impl<T: Send + 'static> Deref for RcuBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: ours and initialised.
        unsafe { &(*self.node.as_ptr()).value }
    }
}

impl<T: Send + 'static> DerefMut for RcuBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: ours alone and initialised.
        unsafe { &mut (*self.node.as_ptr()).value }
    }
}

impl<T: Send + 'static> Drop for RcuBox<T> {
    fn drop(&mut self) {
        // SAFETY: ours alone, made by `try_new`, and not used again.
        unsafe { Node::free(self.node) };
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for RcuBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
