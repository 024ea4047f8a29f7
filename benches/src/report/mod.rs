//! What a command shows: rows for machines, tables and plots for people, and a verdict.

pub(crate) mod human;
pub(crate) mod machine;
pub(crate) mod output;
pub(crate) mod plot;
pub(crate) mod progress;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod verdict;
