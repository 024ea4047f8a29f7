//! Random operations on a queue whose grace periods, CPUs and memory the test controls, against a
//! plain model: nothing is processed early, lost, or processed twice.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Models are plain.

mod common;

use common::*;
use proptest::prelude::*;
use rcu_core::percpu::testing::{place_thread, pretend_cpus};
use rcu_core::{Cookie, Flavor, GpSeq};
use rcu_pending::alloc::fault;
use rcu_pending::{Grace, Pending};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

const CPUS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// So many objects, by one of the three ways.
    Enqueue {
        many: usize,
        linked: bool,
        way: u8,
    },
    /// So many, from this CPU or from all; and whether to put them back at once.
    Dequeue {
        many: usize,
        all: bool,
        again: bool,
    },
    Steps(usize),
    MoveTo(usize),
    FailEvery(usize),
    Barrier,
    Look,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (1usize..150, any::<bool>(), 0u8..3)
            .prop_map(|(many, linked, way)| Op::Enqueue { many, linked, way }),
        4 => (1usize..100, any::<bool>(), any::<bool>())
            .prop_map(|(many, all, again)| Op::Dequeue { many, all, again }),
        6 => (1usize..8).prop_map(Op::Steps),
        3 => (0..CPUS).prop_map(Op::MoveTo),
        3 => (0usize..4).prop_map(Op::FailEvery),
        1 => Just(Op::Barrier),
        2 => Just(Op::Look),
    ];
    prop::collection::vec(op, 1..40)
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Barrier,
    Wait,
    Drop,
    DropInside,
    DropUnknown,
}

struct Model {
    flavor: Fake,
    queue: Option<Pending<Check<Fake>, Fake>>,
    watch: Arc<Watch>,
    objects: Vec<&'static Object>,
}

impl Model {
    fn new(start: u64) -> Self {
        pretend_cpus(CPUS);
        let flavor = Fake::new(start);
        let watch = Arc::new(Watch::default());
        let check = Check { flavor: flavor.clone(), watch: watch.clone() };
        let queue = Some(Pending::new(flavor.clone(), check).unwrap());
        Self { flavor, queue, watch, objects: Vec::new() }
    }

    fn queue(&self) -> &Pending<Check<Fake>, Fake> {
        self.queue.as_ref().unwrap()
    }

    fn enqueue(&self, item: Two, way: u8) {
        retire(&self.flavor, item.object());
        // SAFETY: nobody reads these objects, and they stay for ever.
        unsafe {
            match way {
                0 => self.queue().enqueue(item),
                1 => self.queue().enqueue_mightsleep(item),
                _ => {
                    if self.queue().enqueue_nosleep(item).is_err() {
                        assert_eq!(item.linked, 0, "intrusive items never come back");
                        item.object().state.store(FRESH, SeqCst);
                    }
                }
            }
        }
    }

    fn dequeue(&self, all: bool) -> Option<Two> {
        let queue = self.queue();
        let dequeued = if all { queue.dequeue_from_all() } else { queue.dequeue() }?;
        let object = dequeued.item.object();
        assert_eq!(object.state.swap(TAKEN, SeqCst), QUEUED);
        let needs = GpSeq::new(object.needs.load(SeqCst));
        match dequeued.grace {
            Grace::Elapsed => assert!(self.flavor.poll(Cookie::from_seq(needs))),
            Grace::NotYet(cookie) => assert!(cookie.seq().is_done(needs)),
        }
        Some(dequeued.item)
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Enqueue { many, linked, way } => {
                for _ in 0..many {
                    let object = Object::make();
                    self.objects.push(object);
                    self.enqueue(Two::new(object, linked), way);
                }
            }
            Op::Dequeue { many, all, again } => {
                for _ in 0..many {
                    let Some(item) = self.dequeue(all) else { break };
                    if again {
                        self.enqueue(item, 0);
                    }
                }
            }
            Op::Steps(steps) => (0..steps).for_each(|_| self.flavor.step()),
            Op::MoveTo(cpu) => place_thread(Some(cpu)),
            Op::FailEvery(every) => fault::set_every(every),
            Op::Barrier => {
                self.queue().barrier();
                self.assert_empty();
            }
            Op::Look => {
                let stats = self.queue().stats();
                // In this order: an object is counted until after it has been processed.
                assert!(stats.objects + stats.leaked >= self.in_state(QUEUED));
                assert!(stats.objects <= self.objects.len());
                assert_eq!(stats.leaked_bytes, stats.leaked * BYTES);
                assert_eq!((stats.panics, stats.early), (0, 0));
            }
        }
        self.watch.assert_content();
    }

    fn in_state(&self, state: u8) -> usize {
        self.objects.iter().filter(|object| object.is(state)).count()
    }

    fn assert_empty(&self) {
        let stats = self.queue().stats();
        assert_eq!((stats.objects, stats.bytes), (0, 0));
        assert_eq!(self.in_state(QUEUED), stats.leaked, "what is neither here nor there");
    }

    fn end(mut self, end: End) {
        fault::set_every(0);
        let leaked = self.queue().stats().leaked;
        match end {
            End::Barrier => self.queue().barrier(),
            End::Wait => until(|| {
                self.flavor.step();
                self.queue().count() == 0
            }),
            End::Drop => drop(self.queue.take()),
            End::DropInside | End::DropUnknown => {
                self.flavor.set_section((end == End::DropInside).then_some(true));
                drop(self.queue.take());
                // The process goes last.
                until(|| {
                    self.flavor.step();
                    Arc::strong_count(&self.watch) == 1
                });
            }
        }
        if self.queue.is_some() {
            self.assert_empty();
        }
        assert_eq!(self.in_state(QUEUED), leaked);
        self.watch.assert_content();
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        ops in ops(),
        end in prop::sample::select(vec![
            End::Barrier, End::Wait, End::Drop, End::DropInside, End::DropUnknown,
        ]),
        // Cookie 0 and the wrap of the sequence are near.
        start in prop::sample::select(vec![0u64, 0u64.wrapping_sub(4), 0u64.wrapping_sub(16)]),
    ) {
        let _alone = alone();
        let mut model = Model::new(start);
        for op in ops {
            model.run(op);
        }
        model.end(end);
    }
}
