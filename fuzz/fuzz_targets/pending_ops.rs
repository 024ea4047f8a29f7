//! Operations on a `Pending` in any order: each item comes out once, processed or dequeued.

#![no_main]

use std::ptr::NonNull;
use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use rcu_core::percpu::testing::place_thread;
use rcu_core::{Flavor, Rcu};
use rcu_pending::{Pending, Ptr, process_fn};

/// How often each item has been processed.
static PROCESSED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// An item that is a number: it points nowhere.
fn item(number: usize) -> Ptr<u8> {
    Ptr(NonNull::without_provenance((number + 1).try_into().unwrap()))
}

fn number(item: Ptr<u8>) -> usize {
    item.0.addr().get() - 1
}

fuzz_target!(|operations: &[u8]| {
    PROCESSED.lock().unwrap().clear();
    let queue = Pending::new(
        Rcu,
        process_fn(|items: &[Ptr<u8>]| {
            let mut processed = PROCESSED.lock().unwrap();
            items.iter().for_each(|&item| processed[number(item)] += 1);
        }),
    )
    .unwrap();
    let mut next = 0;
    for operation in operations {
        place_thread(Some(usize::from(operation >> 3)));
        match operation & 7 {
            0..=2 => {
                PROCESSED.lock().unwrap().push(0);
                // SAFETY: numbers, which are nobody's memory.
                unsafe {
                    match operation & 7 {
                        0 => queue.enqueue(item(next)),
                        1 => assert!(queue.enqueue_nosleep(item(next)).is_ok()),
                        _ => queue.enqueue_mightsleep(item(next)),
                    }
                }
                next += 1;
            }
            3 => {
                if let Some(dequeued) = queue.dequeue() {
                    PROCESSED.lock().unwrap()[number(dequeued.item)] += 1;
                }
            }
            4 => Rcu.synchronize_expedited(),
            5 => {
                queue.barrier();
                assert_eq!(queue.count(), 0);
                assert!(PROCESSED.lock().unwrap().iter().all(|&times| times == 1));
            }
            _ => assert!(queue.count() <= next),
        }
    }
    drop(queue);
    assert!(PROCESSED.lock().unwrap().iter().all(|&times| times == 1));
    assert_eq!(PROCESSED.lock().unwrap().len(), next);
});
