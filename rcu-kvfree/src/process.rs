//! What is queued for a deferred free, and how a whole run of it is freed at once.
//!
//! An item is two words: the object, and a static table that says how objects of its type are
//! freed. A run of items with the same table is freed by one call.

use std::alloc::Layout;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rcu_core::runtime::survives;
use rcu_pending::{Item, Link, Process, alloc};

/// A retired object and its type's table.
#[derive(Clone, Copy)]
pub(crate) struct Retired {
    /// The whole object: made from the pointer its owner allocated it with.
    object: NonNull<()>,
    table: &'static Table,
}

// SAFETY: `Retired` is made of objects that are `Send` only (`Retired::new`).
unsafe impl Send for Retired {}

/// How objects of one type are freed.
pub(crate) struct Table {
    /// Frees a run of objects of this type.
    free: unsafe fn(&[Retired]),
    /// Bytes of one object.
    bytes: usize,
    /// Whether the object begins with a [`Head`].
    headed: bool,
}

/// What an object that can be queued without memory begins with: a link, and room for its table.
#[repr(C)]
pub(crate) struct Head {
    link: Link,
    table: Cell<Option<&'static Table>>,
}

impl Head {
    pub(crate) const fn new() -> Self {
        Self { link: Link::new(), table: Cell::new(None) }
    }
}

/// How a type that can be retired was allocated.
pub(crate) trait Retire: Send + 'static {
    /// Whether it begins with a [`Head`].
    const HEADED: bool;

    /// Frees one object: runs its drop glue and gives back its memory, the latter even if the
    /// former panics.
    ///
    /// # Safety
    ///
    /// `object` is valid, came from this type's way of allocating, and is not used any more.
    unsafe fn free(object: NonNull<Self>);
}

/// The home of `T`'s table.
struct TableOf<T>(PhantomData<T>);

impl<T: Retire> TableOf<T> {
    const TABLE: &'static Table =
        &Table { free: free_run::<T>, bytes: size_of::<T>(), headed: T::HEADED };
}

impl Retired {
    pub(crate) fn new<T: Retire>(object: NonNull<T>) -> Self {
        Self { object: object.cast(), table: TableOf::<T>::TABLE }
    }
}

// SAFETY: `link` points into the object, which is valid while it is queued and of which the queue
// uses nothing else; `from_link` gives back what `link` wrote down.
unsafe impl Item for Retired {
    #[inline]
    fn link(self) -> Option<NonNull<Link>> {
        if !self.table.headed {
            return None;
        }
        let head = self.object.cast::<Head>().as_ptr();
        // SAFETY: a headed object begins with its head, which nobody but its queue uses. No
        // reference to the object is made: readers may still be looking at the rest of it.
        unsafe {
            (*head).table.set(Some(self.table));
            Some(NonNull::new_unchecked(&raw mut (*head).link))
        }
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: the link is the first field of a head that `link` filled in.
        let table = unsafe { (*link.cast::<Head>().as_ptr()).table.get() };
        let Some(table) = table else { unreachable!("`link` fills in the table") };
        Self { object: link.cast(), table }
    }

    #[inline]
    fn bytes(self) -> usize {
        self.table.bytes
    }
}

/// Drop glue that panicked. The object's memory was given back all the same.
pub(crate) static PANICS: AtomicU64 = AtomicU64::new(0);

/// Frees `run`, all of it, whatever panics on the way.
///
/// # Safety
///
/// Every item is a `T` as [`Retire::free`] asks for.
unsafe fn free_run<T: Retire>(run: &[Retired]) {
    let mut rest = run.iter();
    loop {
        // One guard against panics for as long as nothing panics.
        let panicked = survives(|| {
            for item in rest.by_ref() {
                // SAFETY: the caller's promise; each item is taken once.
                unsafe { T::free(item.object.cast()) };
            }
        });
        if !panicked {
            return;
        }
        PANICS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Frees what has waited long enough.
pub(crate) struct Bulk;

impl Process for Bulk {
    type Item = Retired;

    fn process(&self, items: &[Retired]) {
        for run in items.chunk_by(|a, b| ptr::eq(a.table, b.table)) {
            // SAFETY: each item was made by `Retired::new` for the type of its table, its grace
            // period is over, and the queue hands it out once.
            unsafe { (run[0].table.free)(run) };
        }
    }
}

/// A plain `Box<T>`.
#[repr(transparent)]
pub(crate) struct Boxed<T>(T);

impl<T: Send + 'static> Retire for Boxed<T> {
    const HEADED: bool = false;

    unsafe fn free(object: NonNull<Self>) {
        // SAFETY: it came from `Box<T>`, which `Boxed` is laid out like, and is ours.
        drop(unsafe { Box::from_raw(object.as_ptr()) });
    }
}

/// A value with a head, allocated by [`RcuBox`](crate::RcuBox).
#[repr(C)]
pub(crate) struct Node<T> {
    pub(crate) head: Head,
    pub(crate) value: T,
}

impl<T> Node<T> {
    /// Memory for a node, not initialised.
    pub(crate) fn allocate() -> Option<NonNull<Self>> {
        alloc::allocate(Layout::new::<Self>()).ok().map(NonNull::cast)
    }

    /// Gives back a node's memory without dropping what is in it.
    ///
    /// # Safety
    ///
    /// `node` came from [`Node::allocate`] and is not used any more.
    pub(crate) unsafe fn deallocate(node: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe { alloc::deallocate(node.cast(), Layout::new::<Self>()) };
    }
}

impl<T: Send + 'static> Retire for Node<T> {
    const HEADED: bool = true;

    unsafe fn free(object: NonNull<Self>) {
        /// Gives back the memory at the end, also when the drop glue panics.
        struct Memory<T>(NonNull<Node<T>>);
        impl<T> Drop for Memory<T> {
            fn drop(&mut self) {
                // SAFETY: the promise to `free`; the value has been dropped.
                unsafe { Node::deallocate(self.0) };
            }
        }
        let memory = Memory(object);
        // SAFETY: the caller's promise: valid and ours.
        unsafe { ptr::drop_in_place(&raw mut (*memory.0.as_ptr()).value) };
    }
}
