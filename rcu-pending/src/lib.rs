//! Pending queues.
