//! Costs of single operations, and how they grow with threads.

pub(crate) mod crew;
#[cfg(feature = "liburcu")]
mod liburcu;
pub(crate) mod rcuscale;
pub(crate) mod refscale;
pub(crate) mod section;
pub(crate) mod sections;
