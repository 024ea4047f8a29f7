//! Userspace RCU (being built).
