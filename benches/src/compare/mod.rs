//! Subjects side by side over the same work, in paired rounds.

pub(crate) mod free_latency;
pub(crate) mod page;
pub(crate) mod rounds;
pub(crate) mod table;
