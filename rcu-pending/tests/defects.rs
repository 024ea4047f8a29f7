//! The defects known of the design's ancestor, and corners that chance would seldom reach, each on
//! purpose.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Memory does not run out here.

mod common;

use common::*;
use rcu_core::Flavor;
use rcu_core::percpu::testing::{place_thread, pretend_cpus};
use rcu_pending::alloc::fault;
use rcu_pending::{Grace, Pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

type Queue = Pending<Check<Fake>, Fake>;

fn queue(start: u64) -> (Queue, Fake, Arc<Watch>) {
    pretend_cpus(2);
    place_thread(Some(0));
    let (flavor, watch) = (Fake::new(start), Arc::new(Watch::default()));
    let check = Check { flavor: flavor.clone(), watch: watch.clone() };
    (Pending::new(flavor.clone(), check).unwrap(), flavor, watch)
}

fn enqueue(queue: &Queue, flavor: &Fake, linked: bool) -> &'static Object {
    let object = Object::make();
    retire(flavor, object);
    // SAFETY: nobody reads these objects, and they stay for ever.
    unsafe { queue.enqueue(Two::new(object, linked)) };
    object
}

/// Defect A: the headless way without memory left the queue's lock out of step. Here it waits,
/// processes in place, and the queue goes on.
#[test]
fn a_headless_without_memory() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    fault::set_every(1);
    for _ in 0..3 {
        let object = Object::make();
        retire(&flavor, object);
        // SAFETY: nobody reads it, and it stays for ever.
        unsafe { queue.enqueue_mightsleep(Two::new(object, false)) };
        assert!(object.is(PROCESSED));
        assert_eq!(queue.count(), 0);
    }
    let linked = enqueue(&queue, &flavor, true);
    queue.barrier();
    assert!(linked.is(PROCESSED));
    watch.assert_content();
}

/// Defect B: an item that found an empty slot with its own cookie was stranded. Also with cookie 0,
/// which a zeroed slot seems to have.
#[test]
fn b_dequeue_then_enqueue_under_the_same_cookie() {
    let _alone = alone();
    for start in [8, 0_u64.wrapping_sub(4)] {
        for listed in [true, false] {
            let (queue, flavor, watch) = queue(start);
            fault::set_every(usize::from(listed));
            for round in 0..3 {
                let first = enqueue(&queue, &flavor, true);
                let dequeued = queue.dequeue().unwrap();
                assert!(std::ptr::eq(dequeued.item.object(), first));
                assert!(matches!(dequeued.grace, Grace::NotYet(_)));
                if round == 1 {
                    // Let the bell ring for nothing in between.
                    flavor.grace_period();
                }
                let second = enqueue(&queue, &flavor, true);
                // By itself: no barrier.
                until(|| {
                    flavor.step();
                    second.is(PROCESSED)
                });
            }
            fault::set_every(0);
            assert_eq!(queue.stats().listed > 0, listed);
            watch.assert_content();
        }
    }
}

/// Defect C: an item with an old cookie met slots with two later ones, and looped for ever. Here
/// items are listed under many cookies while nobody can process any.
#[test]
fn c_more_cookies_than_slots() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    let gate = watch.gate.lock().unwrap();
    fault::set_every(1);
    let mut objects = Vec::new();
    for round in 0..10 {
        objects.push(enqueue(&queue, &flavor, true));
        if round % 3 == 0
            && let Some(dequeued) = queue.dequeue()
        {
            dequeued.item.object().state.store(TAKEN, SeqCst);
        }
        (0..round % 4 + 3).for_each(|_| flavor.step());
    }
    drop(gate);
    queue.barrier();
    assert!(objects.iter().all(|object| object.is(PROCESSED) || object.is(TAKEN)));
    watch.assert_content();
}

/// Defect D: a failed allocation left an empty entry behind, which nothing took away, and the end
/// of the queue waited for it for ever.
#[test]
fn d_failed_allocation_leaves_nothing() {
    let _alone = alone();
    let (queue, flavor, _watch) = queue(0);
    fault::set_every(1);
    let object = Object::make();
    retire(&flavor, object);
    // SAFETY: nobody reads it, and it stays for ever.
    let back = unsafe { queue.enqueue_nosleep(Two::new(object, false)) };
    assert!(back.is_err());
    assert_eq!(queue.count(), 0);
    place_thread(Some(1));
    enqueue(&queue, &flavor, false);
    let stats = queue.stats();
    assert_eq!((stats.leaked, stats.leaked_bytes, stats.objects, stats.nodes), (1, BYTES, 0, 0));
    queue.close();
}

/// Defect E: links were read after their object was gone. `Check` writes nonsense over them.
#[test]
fn e_links_are_read_first() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    fault::set_every(1);
    let objects: Vec<_> = (0..200).map(|_| enqueue(&queue, &flavor, true)).collect();
    assert_eq!((queue.stats().listed, queue.count()), (200, 200));
    queue.barrier();
    assert!(objects.iter().all(|object| object.is(PROCESSED)));
    watch.assert_content();
}

/// More batches than have room in place, and no memory for more: leaves share a batch under a
/// later cookie; inner nodes cannot be had either: leaves are chained.
#[test]
fn no_memory_for_batches_and_trees() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    // Leaves for all that follows.
    let mut objects: Vec<_> = (0..2000).map(|_| enqueue(&queue, &flavor, false)).collect();
    queue.barrier();
    let gate = watch.gate.lock().unwrap();
    fault::set_every(1);
    for _ in 0..12 {
        objects.extend((0..100).map(|_| enqueue(&queue, &flavor, true)));
        // Files, under the newest cookie.
        let dequeued = queue.dequeue().unwrap();
        dequeued.item.object().state.store(TAKEN, SeqCst);
        flavor.grace_period();
    }
    drop(gate);
    queue.barrier();
    assert_eq!(queue.count(), 0);
    assert!(objects.iter().all(|object| object.is(PROCESSED) || object.is(TAKEN)));
    watch.assert_content();
}

/// The last check before objects go: they are kept when their cookie turns out not to be done,
/// whoever said it was.
#[test]
fn early_free_is_refused() {
    let _alone = alone();
    for linked in [true, false] {
        let (queue, flavor, watch) = queue(0);
        fault::set_every(usize::from(linked)); // lists, or else leaves, of 30 items
        let mut objects: Vec<_> = (0..31).map(|_| enqueue(&queue, &flavor, linked)).collect();
        flavor.step();
        objects.extend((0..31).map(|_| enqueue(&queue, &flavor, linked)));
        fault::set_every(0);
        // At 4 the first cookie is done, and the reaper that comes for it asks for the second, too.
        flavor.lie(1);
        flavor.step();
        flavor.step();
        until(|| queue.stats().early == 1);
        until(|| {
            flavor.step();
            queue.count() == 0
        });
        assert!(objects.iter().all(|object| object.is(PROCESSED)));
        assert_eq!(queue.stats().early, 1);
        watch.assert_content();
    }
}

/// Everything that may wait refuses to where it would wait for itself.
#[test]
fn waiting_inside_is_refused() {
    let _alone = alone();
    let (queue, flavor, _watch) = queue(0);
    let refused = |call: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("inside a"), "{message}");
    };
    let item = Two::new(Object::make(), true);
    // SAFETY: nobody reads it; it is not enqueued, for the call panics first.
    let mightsleep = || unsafe { queue.enqueue_mightsleep(item) };
    flavor.set_section(Some(true));
    refused(&|| queue.barrier());
    refused(&mightsleep);
    flavor.set_section(Some(false));
    let scope = rcu_core::runtime::callback_scope();
    refused(&|| queue.barrier());
    refused(&mightsleep);
    drop(scope);
    flavor.set_section(None);
    mightsleep_unseen(&queue, &flavor);
    queue.barrier();
}

fn mightsleep_unseen(queue: &Queue, flavor: &Fake) {
    let object = Object::make();
    retire(flavor, object);
    // SAFETY: nobody reads it, and it stays for ever.
    unsafe { queue.enqueue_mightsleep(Two::new(object, true)) };
}

/// An unused queue keeps nothing, and what it used it uses again.
#[test]
fn nodes_are_used_again() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    assert_eq!((queue.stats().mapped, queue.stats().nodes), (0, 0));
    let mut mapped = 0;
    for round in 0..20 {
        (0..1000).for_each(|_| {
            enqueue(&queue, &flavor, false);
        });
        queue.barrier();
        let stats = queue.stats();
        assert_eq!(stats.nodes, 0);
        if round == 4 {
            mapped = stats.mapped;
        }
        assert!(round < 5 || stats.mapped <= mapped + 32 * 1024, "{mapped} {stats}");
    }
    assert_eq!(watch.processed.load(SeqCst), 20_000);
    assert!(flavor.poll(rcu_core::Cookie::COMPLETED));
}
