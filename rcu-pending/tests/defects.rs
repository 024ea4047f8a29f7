//! The defects known of the design's ancestor, and corners that chance would seldom reach, each on
//! purpose.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Memory does not run out here.

mod common;

use common::*;
use rcu_core::percpu::testing::{place_thread, pretend_cpus};
use rcu_core::{Flavor, GpSeq};
use rcu_pending::alloc::fault;
use rcu_pending::{Grace, Pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

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

/// A queue for so many CPUs whose open leaf, on this one, is full: 30 items that the timer, which
/// keeps real time, has not parted.
fn full(cpus: usize) -> (Arc<Queue>, Fake, Arc<Watch>) {
    loop {
        let (_, flavor, watch) = queue(0);
        pretend_cpus(cpus);
        let check = Check { flavor: flavor.clone(), watch: watch.clone() };
        let queue = Arc::new(Pending::new(flavor.clone(), check).unwrap());
        (0..30).for_each(|_| {
            enqueue(&queue, &flavor, false);
        });
        if queue.stats().nodes == 1 {
            return (queue, flavor, watch);
        }
    }
}

/// Dequeues one, and checks what is said about its grace period.
fn take(queue: &Queue, flavor: &Fake) -> Option<&'static Object> {
    let dequeued = queue.dequeue()?;
    let object = dequeued.item.object();
    assert_eq!(object.state.swap(TAKEN, SeqCst), QUEUED);
    let needs = GpSeq::new(object.needs.load(SeqCst));
    match dequeued.grace {
        Grace::Elapsed => assert!(flavor.seq().is_done(needs), "not elapsed"),
        Grace::NotYet(cookie) => assert!(cookie.seq().is_done(needs)),
    }
    Some(object)
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
        if round % 3 == 0 {
            take(&queue, &flavor);
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
        take(&queue, &flavor).unwrap();
        flavor.grace_period();
    }
    // Some that are not done, in batches that were.
    objects.extend((0..100).map(|_| enqueue(&queue, &flavor, true)));
    (0..1000).for_each(|_| {
        take(&queue, &flavor);
    });
    objects.extend((0..100).map(|_| enqueue(&queue, &flavor, true)));
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
        until(|| take(&queue, &flavor).is_some()); // and is not called elapsed either
        until(|| {
            flavor.step();
            queue.count() == 0
        });
        assert!(objects.iter().all(|object| object.is(PROCESSED) || object.is(TAKEN)));
        assert_eq!(queue.stats().early, 1);
        watch.assert_content();
    }
}

/// While a barrier waits, what it waits for is moved under a later cookie, for want of memory. It
/// sees it through.
#[test]
fn barrier_follows_what_is_moved() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    (0..2000).for_each(|_| {
        enqueue(&queue, &flavor, false);
    }); // leaves for what follows
    queue.barrier();
    // Nobody but us; and three batches, so that the barrier files the last that has room in place.
    flavor.set_deaf(true);
    let mut objects = Vec::new();
    for _ in 0..3 {
        objects.extend((0..31).map(|_| enqueue(&queue, &flavor, true)));
        take(&queue, &flavor); // files
        flavor.grace_period();
    }
    let queue = Arc::new(queue);
    flavor.on_wait({
        let (queue, flavor) = (queue.clone(), flavor.clone());
        move || {
            (0..8).for_each(|_| flavor.step());
            fault::set_every(1);
            (0..31).for_each(|_| {
                enqueue(&queue, &flavor, true);
            });
            take(&queue, &flavor);
        }
    });
    queue.barrier();
    assert!(objects.iter().all(|object| object.is(PROCESSED) || object.is(TAKEN)));
    flavor.set_deaf(false);
    watch.assert_content();
    until(|| Arc::strong_count(&queue) == 1);
}

/// A barrier sees more batches through than a reaper takes at a time.
#[test]
fn barrier_processes_many_batches() {
    let _alone = alone();
    let (queue, flavor, watch) = queue(0);
    flavor.set_deaf(true); // nobody but the barrier
    let mut objects = Vec::new();
    for _ in 0..10 {
        objects.extend((0..31).map(|_| enqueue(&queue, &flavor, false)));
        take(&queue, &flavor).unwrap(); // files
        flavor.grace_period();
    }
    queue.barrier();
    assert!(objects.iter().all(|object| object.is(PROCESSED) || object.is(TAKEN)));
    flavor.set_deaf(false);
    watch.assert_content();
}

/// A barrier waits for an item that was left in an inbox, and that whoever took the inbox has not
/// filed yet.
#[test]
fn barrier_waits_for_carriers() {
    let _alone = alone();
    let (queue, flavor, watch) = full(2);
    let (sender, receiver) = std::sync::mpsc::channel();
    let last = Object::make();
    retire(&flavor, last);
    // The leaf is full: the next item closes it, with the shard locked. Meanwhile, another posts
    // its item; and before that is filed, a barrier begins.
    flavor.on_snapshot({
        let (queue, flavor) = (queue.clone(), flavor.clone());
        move || {
            let posted = enqueue(&queue, &flavor, true);
            flavor.on_snapshot(move || {
                let (begin, begun) = std::sync::mpsc::channel();
                let barrier = thread::spawn(move || {
                    begin.send(()).unwrap();
                    queue.barrier();
                    assert!(posted.is(PROCESSED), "not filed yet");
                });
                begun.recv().unwrap();
                // Enough for a barrier that does not wait.
                (0..10_000).for_each(|_| thread::yield_now());
                sender.send(barrier).unwrap();
            });
        }
    });
    // SAFETY: nobody reads it, and it stays for ever.
    unsafe { queue.enqueue(Two::new(last, false)) };
    receiver.recv().unwrap().join().unwrap();
    assert_eq!(queue.stats().carried, 1);
    watch.assert_content();
}

/// What is posted to an inbox until the very moment it is taken gets a cookie that covers it.
#[test]
fn an_inbox_gets_its_cookie_after_it_is_taken() {
    let _alone = alone();
    let (queue, flavor, watch) = full(2);
    let last = Object::make();
    retire(&flavor, last);
    // The leaf is full: the next item closes it, with the shard locked. Meanwhile another posts
    // its item. Right after the snapshot for that, time passes and a third one comes.
    flavor.on_snapshot({
        let (queue, flavor) = (queue.clone(), flavor.clone());
        move || {
            enqueue(&queue, &flavor, true);
            flavor.after_snapshot({
                let flavor = flavor.clone();
                move || {
                    flavor.clone().after_snapshot(move || {
                        flavor.step();
                        flavor.step();
                        enqueue(&queue, &flavor, true);
                    });
                }
            });
        }
    });
    // SAFETY: nobody reads it, and it stays for ever.
    unsafe { queue.enqueue(Two::new(last, false)) };
    until(|| {
        flavor.step();
        watch.processed.load(SeqCst) == 33
    });
    watch.assert_content();
}

/// A headless item that finds the only shard locked gets a leaf of its own, without the lock.
#[test]
fn headless_finds_all_locked() {
    let _alone = alone();
    let (queue, flavor, watch) = full(1);
    let last = Object::make();
    retire(&flavor, last);
    flavor.on_snapshot({
        let (queue, flavor) = (queue.clone(), flavor.clone());
        move || {
            enqueue(&queue, &flavor, false);
        }
    });
    // SAFETY: nobody reads it, and it stays for ever.
    unsafe { queue.enqueue(Two::new(last, false)) };
    assert_eq!((queue.count(), queue.stats().nodes, queue.stats().leaked), (32, 3, 0));
    until(|| {
        flavor.step();
        watch.processed.load(SeqCst) == 32
    });
    watch.assert_content();
}

/// A lock holder that is preempted does not make each headless item cost a leaf: another shard takes
/// them, and gets memory for it.
#[test]
fn headless_items_share_leaves_elsewhere() {
    let _alone = alone();
    let (queue, flavor, watch) = full(2);
    let last = Object::make();
    retire(&flavor, last);
    flavor.on_snapshot({
        let (queue, flavor) = (queue.clone(), flavor.clone());
        move || {
            (0..100).for_each(|_| {
                enqueue(&queue, &flavor, false);
            });
        }
    });
    // SAFETY: nobody reads it, and it stays for ever.
    unsafe { queue.enqueue(Two::new(last, false)) };
    // Two on the first shard, four or a few more (the timer may part them) on the second.
    let nodes = queue.stats().nodes;
    assert!(nodes <= 12, "{nodes}");
    until(|| {
        flavor.step();
        watch.processed.load(SeqCst) == 131
    });
    watch.assert_content();
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
    // Nor does it keep the leaves that were emptied from their end.
    for _ in 0..1000 {
        enqueue(&queue, &flavor, false);
    }
    while take(&queue, &flavor).is_some() {}
    queue.barrier();
    assert_eq!((queue.count(), queue.stats().nodes), (0, 0));
    assert!(flavor.poll(rcu_core::Cookie::COMPLETED));
}
