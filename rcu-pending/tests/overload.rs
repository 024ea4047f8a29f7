//! A backlog beyond the marks does not wait for the interval.
//!
//! In a process of its own: interval and rules are process-wide.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rcu_core::overload::{Rules, set_rules};
use rcu_core::{Flavor, Rcu, runtime};
use rcu_pending::{Pending, Ptr, process_fn};

static PROCESSED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_backlog_hurries_its_grace_period() {
    // So long that nothing but the rule can bring about what is waited for below.
    runtime::set_gp_interval(Duration::from_secs(100_000));
    let queue = Pending::new(
        Rcu,
        process_fn(|items: &[Ptr<u8>]| {
            PROCESSED.fetch_add(items.len(), Ordering::Release);
        }),
    )
    .unwrap();
    // One CPU's leaves.
    rcu_core::percpu::testing::place_thread(Some(0));
    let enqueue = |count: usize| {
        for _ in 0..count {
            // SAFETY: points nowhere, and processing does not look.
            unsafe { queue.enqueue(Ptr(NonNull::dangling())) };
        }
    };
    // The first grace period does not wait for an interval: there was none before it.
    Rcu.synchronize();

    let mark = Rules::DEFAULT.objects.unwrap();
    enqueue(2 * mark);
    while PROCESSED.load(Ordering::Acquire) < mark {
        thread::yield_now();
    }

    set_rules(Rules::OFF);
    let begun = Rcu.stats().grace_periods.started;
    enqueue(8 * mark);
    for _ in 0..1000 {
        thread::yield_now();
    }
    let by_itself = Rcu.stats().grace_periods.started - begun;
    assert!(by_itself <= 1, "{by_itself} grace periods without an interval between");

    runtime::set_gp_interval(Duration::from_millis(1));
    queue.close();
    assert_eq!(PROCESSED.load(Ordering::Acquire), 10 * mark);
}
