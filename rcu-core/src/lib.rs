//! Userspace RCU (being built).

