//! `rcubench`: shows, measures and tortures the RCU crates.
mod workload;
fn main() {}
