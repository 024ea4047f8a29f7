//! While nothing is pending our threads do not wake.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may abort")]

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fs, thread};

use rcu_kvfree::{Flavor, Rcu, RcuBox, kvfree_rcu_barrier};

/// How often each of our threads has gone to sleep by itself.
fn sleeps() -> BTreeMap<String, u64> {
    let mut sleeps = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with("rcu-") {
            let status = fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            let count = line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
            sleeps.insert(name.trim().to_owned(), count);
        }
    }
    sleeps
}

#[test]
fn an_idle_process_makes_no_wakeups_for_ten_seconds() {
    for n in 0..1000 {
        RcuBox::new(n).retire();
        Rcu.start_poll();
    }
    kvfree_rcu_barrier();
    // The last of it may still be on its way to sleep.
    let mut before = sleeps();
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = sleeps();
        if now == before {
            break;
        }
        before = now;
    }
    assert_eq!(before.len(), 2, "{before:?}");
    thread::sleep(Duration::from_secs(10));
    assert_eq!(sleeps(), before);
}
