//! What a way of reclaiming memory must offer to carry the table.
//!
//! Two traits: [`Reclaimer`] handles nodes of one type, so that an implementation may keep an
//! allocator or a queue for just that type; [`Subject`] is the family of them, with the name under
//! which rows appear. A subject is one small file in `subjects/`.

use std::ptr::NonNull;

/// Allocates nodes, protects their readers, and frees them when no reader can hold them.
pub(crate) trait Reclaimer<T: Send + Sync + 'static>: Send + Sync + 'static {
    /// An open read-side section: what is found in it stays readable until it is dropped.
    type Guard<'a>
    where
        Self: 'a;

    /// Opens a read-side section.
    fn enter(&self) -> Self::Guard<'_>;

    /// Puts `value` in memory of its own. Valid for every access until it is given to
    /// [`retire`](Self::retire) or [`dealloc`](Self::dealloc).
    fn alloc(&self, value: T) -> NonNull<T>;

    /// Drops and frees `node` once every section open now has ended. The table calls this outside
    /// sections and without locks, so a form that may sleep is allowed.
    ///
    /// # Safety
    /// `node` comes from [`alloc`](Self::alloc) of this reclaimer, no section opened from now on can
    /// find it, and it is retired or deallocated only this once.
    unsafe fn retire(&self, node: NonNull<T>);

    /// Drops and frees `node` at once.
    ///
    /// # Safety
    /// As for [`retire`](Self::retire), and no section that can find it is open now.
    unsafe fn dealloc(&self, node: NonNull<T>);

    /// Returns when everything retired so far has been freed, or when the subject has given up; the
    /// ledger tells which. Called while no other thread uses the reclaimer and outside sections.
    fn quiesce(&self);

    /// What the subject itself holds, if it knows.
    fn footprint(&self) -> Option<Footprint> {
        None
    }
}

/// What a subject holds on behalf of retired objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Objects retired and not yet freed.
    pub(crate) objects: usize,
    /// Bytes of its own in use to remember them.
    pub(crate) bytes: usize,
}

/// A family of reclaimers, one for each node type.
pub(crate) trait Subject: 'static {
    /// The name of the subject in rows and on the command line.
    const NAME: &'static str;

    /// The reclaimer for nodes of type `T`.
    type Of<T: Send + Sync + 'static>: Reclaimer<T>;

    /// Makes one.
    fn make<T: Send + Sync + 'static>() -> Self::Of<T>;
}
