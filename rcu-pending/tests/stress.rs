//! Real threads, the real flavour: readers that complain when an object they can see is processed,
//! and everything accounted for in the end.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Memory does not run out here.

mod common;

use common::*;
use rcu_core::percpu::testing::{place_thread, pretend_cpus};
use rcu_core::{Flavor, Rcu};
use rcu_pending::alloc::fault;
use rcu_pending::{Grace, Item, Pending, Process, Ptr, process_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;

type Queue = Pending<Check<Rcu>>;

fn queue() -> (Queue, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    (Pending::new(Rcu, Check { flavor: Rcu, watch: watch.clone() }).unwrap(), watch)
}

/// Which of the three ways a writer enqueues by.
fn enqueue(queue: &Queue, item: Two, way: usize) -> bool {
    retire(&Rcu, item.object());
    // SAFETY: the object was unlinked by the caller, and its memory stays for ever.
    unsafe {
        match way % 3 {
            0 => queue.enqueue(item),
            1 => queue.enqueue_mightsleep(item),
            _ => {
                if queue.enqueue_nosleep(item).is_err() {
                    item.object().state.store(FRESH, SeqCst);
                    return false;
                }
            }
        }
    }
    true
}

/// Writers replace the one object that readers read; what they replace is queued.
fn read_and_write(
    writers: usize,
    cpu: Option<usize>,
    rounds: usize,
    every: usize,
) -> (Queue, Arc<Watch>) {
    let (queue, watch) = queue();
    fault::set_every(every);
    let shared = AtomicPtr::new(std::ptr::from_ref(Object::make()).cast_mut());
    let stop = AtomicBool::new(false);
    let (enqueued, back) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let _section = Rcu.read_lock();
                    // SAFETY: objects stay for ever.
                    let object = unsafe { &*shared.load(SeqCst) };
                    for _ in 0..20 {
                        assert!(!object.is(PROCESSED), "processed under a reader");
                        std::hint::spin_loop();
                    }
                }
            });
        }
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                let (queue, shared, enqueued, back) = (&queue, &shared, &enqueued, &back);
                scope.spawn(move || {
                    place_thread(cpu);
                    for round in 0..rounds {
                        let new = std::ptr::from_ref(Object::make()).cast_mut();
                        // SAFETY: objects stay for ever.
                        let old = unsafe { &*shared.swap(new, SeqCst) };
                        let item = Two::new(old, (round + writer) % 2 == 0);
                        let kept = enqueue(queue, item, round / 2);
                        if kept { enqueued } else { back }.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, SeqCst);
    });
    fault::set_every(0);
    queue.barrier();
    let stats = queue.stats();
    assert_eq!((stats.objects, stats.bytes, stats.early, stats.panics), (0, 0, 0, 0), "{stats}");
    assert_eq!(watch.processed.load(SeqCst) + stats.leaked, enqueued.load(SeqCst), "{stats}");
    assert_eq!(enqueued.load(SeqCst) + back.load(SeqCst), writers * rounds);
    assert_eq!(stats.leaked_bytes, stats.leaked * BYTES);
    watch.assert_content();
    (queue, watch)
}

#[test]
fn readers_and_writers() {
    let _alone = alone();
    let (queue, _watch) = read_and_write(3, None, 20_000, 0);
    assert_eq!(queue.stats().leaked, 0);
}

/// All in one shard: locks are found taken, inboxes fill, headless items go elsewhere.
#[test]
fn all_in_one_shard() {
    let _alone = alone();
    for cpus in [1, 3] {
        pretend_cpus(cpus);
        let (queue, _watch) = read_and_write(4, Some(0), 10_000, 0);
        assert_eq!(queue.stats().leaked, 0);
    }
}

#[test]
fn every_nth_allocation_fails() {
    let _alone = alone();
    for every in 1..=8 {
        let failed = fault::failed();
        read_and_write(2, None, 2_000, every);
        assert!(every > 1 || fault::failed() > failed);
    }
}

/// A queue under failing allocations, from its making on.
#[test]
fn making_fails_cleanly() {
    let _alone = alone();
    fault::set_every(1);
    assert!(Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {})).is_err());
    fault::set_every(2);
    assert!(Pending::new(Rcu, process_fn(|_: &[Ptr<u8>]| {})).is_err());
}

/// With no memory at all: what has a link is processed, what has none is leaked, and counted.
#[test]
fn no_memory_at_all() {
    let _alone = alone();
    let (queue, watch) = queue();
    fault::set_every(1);
    let objects: Vec<_> = (0..3000)
        .map(|round| {
            let object = Object::make();
            enqueue(&queue, Two::new(object, round % 2 == 0), 0);
            object
        })
        .collect();
    queue.barrier();
    let stats = queue.stats();
    assert_eq!((stats.leaked, stats.listed, stats.objects), (1500, 1500, 0));
    assert!(objects.iter().step_by(2).all(|object| object.is(PROCESSED)));
    assert!(objects.iter().skip(1).step_by(2).all(|object| object.is(QUEUED)));
    watch.assert_content();
}

/// Barriers at once, while others enqueue: each sees its own items through.
#[test]
fn barriers_at_once() {
    let _alone = alone();
    let (queue, watch) = queue();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..30 {
                    let objects: Vec<_> = (0..70)
                        .map(|i| {
                            let object = Object::make();
                            assert!(enqueue(&queue, Two::new(object, i % 2 == 0), round % 2));
                            object
                        })
                        .collect();
                    queue.barrier();
                    assert!(objects.iter().all(|object| object.is(PROCESSED)));
                }
            });
        }
    });
    watch.assert_content();
}

/// Objects go round between a queue and those who allocate from it.
#[test]
fn allocating_from_the_queue() {
    let _alone = alone();
    let (queue, watch) = queue();
    let made = AtomicUsize::new(0);
    let in_hand = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..3 {
            let (queue, made, in_hand) = (&queue, &made, &in_hand);
            scope.spawn(move || {
                for round in 0..20_000 {
                    let item = match queue.dequeue_from_all() {
                        Some(dequeued) => {
                            let object = dequeued.item.object();
                            assert_eq!(object.state.swap(TAKEN, SeqCst), QUEUED);
                            if let Grace::NotYet(cookie) = dequeued.grace
                                && round % 1000 == 0
                            {
                                Rcu.cond_synchronize(cookie);
                            }
                            dequeued.item
                        }
                        None => {
                            made.fetch_add(1, SeqCst);
                            Two::new(Object::make(), thread % 2 == 0)
                        }
                    };
                    if round % 97 == 0 {
                        in_hand.fetch_add(1, SeqCst); // kept for good
                    } else {
                        enqueue(queue, item, 0);
                    }
                }
            });
        }
    });
    queue.barrier();
    assert_eq!(queue.count(), 0);
    assert_eq!(watch.processed.load(SeqCst) + in_hand.load(SeqCst), made.load(SeqCst));
    watch.assert_content();
}

fn fill(queue: &Queue, many: usize) {
    for round in 0..many {
        assert!(enqueue(queue, Two::new(Object::make(), round % 2 == 0), 0));
    }
}

#[test]
fn drop_waits() {
    let _alone = alone();
    for many in [0, 1, 500] {
        let (queue, watch) = queue();
        fill(&queue, many);
        drop(queue);
        assert_eq!(watch.processed.load(SeqCst), many);
        // The rest of it goes by itself.
        until(|| Arc::strong_count(&watch) == 1);
    }
}

/// The user's code is none of the business of the thread that runs grace periods, its end included.
#[test]
fn what_processes_is_dropped_elsewhere() {
    struct Last(std::sync::mpsc::Sender<Option<String>>);
    impl Process for Last {
        type Item = Ptr<u8>;
        fn process(&self, _: &[Ptr<u8>]) {}
    }
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.send(thread::current().name().map(str::to_owned)).unwrap();
        }
    }
    let _alone = alone();
    for _ in 0..20 {
        let (sender, receiver) = std::sync::mpsc::channel();
        let queue = Pending::new(Rcu, Last(sender)).unwrap();
        // SAFETY: never touched.
        unsafe { queue.enqueue(Ptr(NonNull::dangling())) };
        drop(queue); // the timer may be the last to know it
        assert_ne!(receiver.recv().unwrap().as_deref(), Some("rcu-gp"));
    }
}

/// What a queue has mapped goes back with it.
#[test]
fn pages_go_back() {
    let mapped_pages = || -> usize {
        let counts = std::fs::read_to_string("/proc/self/statm").unwrap();
        counts.split(' ').next().unwrap().parse().unwrap()
    };
    let _alone = alone();
    let one = || {
        let (queue, watch) = queue();
        fill(&queue, 100);
        assert!(queue.stats().mapped > 0);
        queue.close();
        until(|| Arc::strong_count(&watch) == 1);
    };
    (0..50).for_each(|_| one());
    let before = mapped_pages();
    (0..500).for_each(|_| one());
    // A chunk of each would be 2,000 pages and more.
    assert!(mapped_pages() < before + 1000, "{before} {}", mapped_pages());
}

#[test]
fn drop_inside_a_section_does_not_wait() {
    let _alone = alone();
    for many in [0, 1, 500] {
        let (queue, watch) = queue();
        let section = Rcu.read_lock();
        fill(&queue, many);
        drop(queue);
        assert_eq!(watch.processed.load(SeqCst), 0);
        drop(section);
        until(|| Arc::strong_count(&watch) == 1);
        assert_eq!(watch.processed.load(SeqCst), many);
        watch.assert_content();
    }
}

#[test]
fn drop_inside_a_callback_does_not_wait() {
    let _alone = alone();
    let (inner, watch) = queue();
    fill(&inner, 100);
    let inner = std::sync::Mutex::new(Some(inner));
    let outer =
        Pending::new(Rcu, process_fn(move |_: &[Ptr<u8>]| drop(inner.lock().unwrap().take())))
            .unwrap();
    // SAFETY: never touched.
    unsafe { outer.enqueue(Ptr(NonNull::dangling())) };
    outer.close();
    until(|| Arc::strong_count(&watch) == 1);
    assert_eq!(watch.processed.load(SeqCst), 100);
}

/// A panic costs the slice it happens in, and nothing else.
#[test]
fn panics_are_caught() {
    let _alone = alone();
    let seen = Arc::new(AtomicUsize::new(0));
    let process = {
        let seen = seen.clone();
        process_fn(move |items: &[Ptr<u8>]| {
            seen.fetch_add(items.len(), SeqCst);
            struct Nasty;
            impl Drop for Nasty {
                fn drop(&mut self) {
                    std::panic::resume_unwind(Box::new(())); // and again
                }
            }
            std::panic::resume_unwind(Box::new(Nasty)); // no message
        })
    };
    let queue = Pending::new(Rcu, process).unwrap();
    // SAFETY: never touched.
    (0..300).for_each(|_| unsafe { queue.enqueue(Ptr(NonNull::dangling())) });
    queue.barrier();
    let stats = queue.stats();
    assert_eq!((seen.load(SeqCst), stats.objects), (300, 0));
    assert!(stats.panics >= 300 / 61, "{stats}");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_ok());
}

/// Processing enqueues again, into the same queue, some generations on.
#[test]
fn processing_enqueues() {
    struct Again {
        queue: Arc<OnceLock<Weak<Pending<Again>>>>,
        ended: Arc<AtomicUsize>,
    }
    impl Process for Again {
        type Item = Two;
        fn process(&self, items: &[Two]) {
            let queue = self.queue.get().unwrap().upgrade();
            for item in items {
                let generation = item.object().value.fetch_add(1, SeqCst);
                match &queue {
                    // SAFETY: the object is ours, and its memory stays for ever.
                    Some(queue) if generation < 5 => unsafe { queue.enqueue(*item) },
                    _ => drop(self.ended.fetch_add(1, SeqCst)),
                }
            }
        }
    }
    let _alone = alone();
    let (own, ended) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let again = Again { queue: own.clone(), ended: ended.clone() };
    let queue = Arc::new(Pending::new(Rcu, again).unwrap());
    own.set(Arc::downgrade(&queue)).unwrap();
    for round in 0..200 {
        let item = Two::new(Object::make(), round % 2 == 0);
        // SAFETY: nobody reads it, and its memory stays for ever.
        unsafe { queue.enqueue(item) };
    }
    // The timer and the bells alone will do.
    until(|| queue.count() == 0);
    assert_eq!(ended.load(SeqCst), 200);
    (0..10).for_each(|_| queue.barrier());
    drop(queue);
}

/// Items of one word, headless and with a link.
#[test]
fn items_of_one_word() {
    #[derive(Clone, Copy)]
    struct One(NonNull<Object>);
    // SAFETY: objects are made of atomics, and a link that is only the queue's.
    unsafe impl Send for One {}
    // SAFETY: the link is the first field.
    unsafe impl Item for One {
        fn link(self) -> Option<NonNull<rcu_pending::Link>> {
            Some(self.0.cast())
        }
        unsafe fn from_link(link: NonNull<rcu_pending::Link>) -> Self {
            Self(link.cast())
        }
    }
    let _alone = alone();
    let freed = Arc::new(AtomicUsize::new(0));
    let process = {
        let freed = freed.clone();
        process_fn(move |items: &[One]| {
            for item in items {
                // SAFETY: boxes, enqueued once.
                drop(unsafe { Box::from_raw(item.0.as_ptr()) });
            }
            freed.fetch_add(items.len(), SeqCst);
        })
    };
    let queue = Pending::new(Rcu, process).unwrap();
    for every in [0, 1, 3] {
        fault::set_every(every);
        for _ in 0..1000 {
            let object = NonNull::from(Box::leak(Box::new(Object::new())));
            // SAFETY: a box that nobody else knows.
            assert!(unsafe { queue.enqueue_nosleep(One(object)) }.is_ok());
        }
    }
    queue.close();
    assert_eq!(freed.load(SeqCst), 3000);
}
