//! `rcubench`: shows, measures and tortures the RCU crates.
fn main() {}
