//! Has the shared source files use loom's atomics in this package, and in no other.

fn main() {
    println!("cargo::rustc-cfg=rcu_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
