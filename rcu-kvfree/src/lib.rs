//! Deferred free.
