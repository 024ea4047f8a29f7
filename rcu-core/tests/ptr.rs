//! Tagged pointers: what they own, words under many hands, and a list that needs its tags.

mod list;

use std::mem::{self, MaybeUninit};
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;

use rcu_core::ptr::{Atomic, CompareExchangeError, Owned, Pointer, Shared};
use rcu_core::{Flavor, Guard, Rcu, RcuGuard, unprotected};

use list::{List, Node, Worker};

/// Six bits of tag.
#[repr(align(64))]
#[derive(Debug, PartialEq)]
struct Line(u64);

#[test]
fn a_pointer_is_one_word_and_null_is_zero() {
    assert_eq!(size_of::<Atomic<Line>>(), size_of::<usize>());
    assert_eq!(size_of::<Owned<Line>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Owned<Line>>>(), size_of::<usize>());
    assert_eq!(size_of::<Shared<'_, Line>>(), size_of::<usize>());
    assert_eq!(align_of::<Atomic<Line>>(), align_of::<usize>());

    // SAFETY: null pointers are zeros, which is what this test is about.
    let zeroed = unsafe { MaybeUninit::<Atomic<Line>>::zeroed().assume_init() };
    let guard = Rcu.read_lock();
    assert_eq!(zeroed.load(Relaxed, &guard), Shared::null());
    assert_eq!(Atomic::<Line>::null().load(Relaxed, &guard), Shared::default());
    assert_eq!(Atomic::<Line>::default().load(Relaxed, &guard), Shared::null());
    // SAFETY: every word is a number.
    assert_eq!(unsafe { mem::transmute::<Atomic<Line>, usize>(Atomic::null()) }, 0);
}

/// Which types go where, told by the compiler; the trait bounds it must refuse are doc tests.
#[test]
fn pointers_to_what_threads_may_share_can_be_sent() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Atomic<Line>>();
    shareable::<Owned<Line>>();
    shareable::<Shared<'_, Line>>();

    /// Says `false` of what is not `Send`: the inherent constant hides that of the trait.
    trait No {
        const SEND: bool = false;
    }
    impl<T> No for Probe<T> {}
    struct Probe<T>(T);
    impl<T: Send> Probe<T> {
        const SEND: bool = true;
    }
    const {
        assert!(Probe::<Shared<'_, Line>>::SEND);
        assert!(!Probe::<Atomic<Rc<u8>>>::SEND);
        assert!(!Probe::<Owned<Rc<u8>>>::SEND);
        assert!(!Probe::<Shared<'_, Rc<u8>>>::SEND);
        // Sent by reference it would be shared, and a `Cell` must not be.
        assert!(!Probe::<Atomic<std::cell::Cell<u8>>>::SEND);
        assert!(!Probe::<Shared<'_, std::cell::Cell<u8>>>::SEND);
        assert!(!Probe::<&Owned<std::cell::Cell<u8>>>::SEND);
    }
}

/// Counts its drops.
struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn each_object_is_freed_once_by_whoever_owns_it() {
    let drops = AtomicU64::new(0);
    let dropped = || drops.swap(0, Relaxed);

    drop(Owned::new(Counted(&drops)).with_tag(3));
    assert_eq!(dropped(), 1);
    drop(Owned::new(Counted(&drops)).with_tag(3).into_box());
    assert_eq!(dropped(), 1);

    // An atomic frees nothing, and what it held can be taken out, tag and all.
    let guard = Rcu.read_lock();
    let pointer = {
        let slot = Atomic::from(Owned::new(Counted(&drops)).with_tag(2));
        slot.load(Acquire, &guard)
    };
    assert_eq!(dropped(), 0);
    // SAFETY: never shared with anybody.
    let owned = unsafe { pointer.into_owned() };
    assert_eq!(owned.tag(), 2);
    drop(owned);
    assert_eq!(dropped(), 1);

    // A refused exchange gives the object back, a successful one keeps it.
    let slot = Atomic::null();
    let new = Owned::new(Counted(&drops)).with_tag(1);
    let marked = Shared::null().with_tag(5);
    let refused = slot.compare_exchange(marked, new, AcqRel, Acquire, &guard).map(drop);
    let CompareExchangeError { current, new, .. } = refused.unwrap_err();
    assert_eq!((current, new.tag(), dropped()), (Shared::null(), 1, 0));
    slot.compare_exchange(current, new, AcqRel, Acquire, &guard).map(drop).unwrap();
    assert_eq!(dropped(), 0);
    // SAFETY: never shared with anybody.
    drop(unsafe { slot.try_into_owned() });
    assert_eq!(dropped(), 1);
}

#[test]
fn an_owned_is_its_object() {
    let mut owned = Owned::<Line>::from(Box::new(Line(1))).with_tag(0b101);
    owned.0 += 1;
    assert_eq!(owned.as_ref(), &Line(2));
    assert_eq!((&raw const *owned).addr() % 64, 0);

    let text = Owned::new(String::from("a")).with_tag(1);
    let mut copy = text.clone();
    copy.push('b');
    assert_eq!((text.as_str(), copy.as_str(), copy.tag()), ("a", "ab", 1));
}

#[test]
fn objects_without_size_work() {
    let slot = Atomic::new(());
    let guard = Rcu.read_lock();
    assert!(!slot.load(Acquire, &guard).is_null());
    // SAFETY: never shared with anybody.
    drop(unsafe { slot.into_owned() });
}

#[test]
fn debug_shows_pointer_and_tag() {
    let slot = Atomic::<Line>::from(Shared::null().with_tag(9));
    assert_eq!(format!("{slot:?} {slot:p}"), "Atomic { raw: 0x0, tag: 9 } 0x0");
    let guard = Rcu.read_lock();
    let shared = slot.load(Relaxed, &guard).with_tag(8);
    assert_eq!(format!("{shared:?} {shared:p}"), "Shared { raw: 0x0, tag: 8 } 0x0");
}

#[test]
#[should_panic(expected = "not aligned")]
fn a_misaligned_pointer_cannot_be_shared() {
    let _ = Shared::from(std::ptr::without_provenance::<u64>(12));
}

#[test]
#[should_panic(expected = "not aligned")]
fn a_misaligned_pointer_cannot_be_put_into_an_atomic() {
    let _ = Atomic::from(std::ptr::without_provenance::<u64>(12));
}

#[test]
fn any_guard_will_do() {
    struct Wrapper(#[allow(dead_code)] RcuGuard);
    // SAFETY: keeps the guard until it is dropped.
    unsafe impl Guard for Wrapper {}

    fn through<'g>(slot: &Atomic<Line>, guard: &'g impl Guard) -> Shared<'g, Line> {
        slot.load(Acquire, guard)
    }

    let slot = Atomic::new(Line(7));
    let wrapper = Wrapper(Rcu.read_lock());
    let dynamic: &dyn Guard = &wrapper;
    // SAFETY: nobody but us is here.
    let unprotected = unsafe { unprotected() };
    let loaded = slot.load(Acquire, &wrapper.0);
    assert_eq!(through(&slot, &wrapper), loaded);
    assert_eq!(through(&slot, &&wrapper), loaded);
    assert_eq!(slot.load(Acquire, dynamic), loaded);
    assert_eq!(slot.load_consume(dynamic), loaded);
    assert_eq!(slot.load(Acquire, unprotected), loaded);
    // SAFETY: nobody but us is here.
    drop(unsafe { slot.into_owned() });
}

/// Each thread has a bit of the tag to itself, and one moves the pointer: an update that is lost,
/// or that touches what it should not, is seen by the owner of a bit.
#[test]
fn updates_of_tag_and_pointer_are_not_lost() {
    const ROUNDS: usize = 300_000;
    let lines = [Line(1), Line(2)];
    let lines = lines.each_ref().map(|line| Shared::from(std::ptr::from_ref(line)));
    let slot = Atomic::from(lines[0]);

    let is_set = |pointer: Shared<'_, Line>, bit: usize| {
        assert!(lines.contains(&pointer.with_tag(0)));
        pointer.tag() & bit != 0
    };
    let start = Barrier::new(4); // together, or the first is done before the last begins
    thread::scope(|s| {
        let (slot, is_set, start) = (&slot, &is_set, &start);
        for bit in [1, 2] {
            s.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let guard = Rcu.read_lock();
                    let old = slot.fetch_xor(bit, Relaxed, &guard);
                    assert_eq!(is_set(old, bit), round % 2 == 1);
                }
            });
        }
        s.spawn(move || {
            start.wait();
            for _ in 0..ROUNDS / 2 {
                let guard = Rcu.read_lock();
                assert!(!is_set(slot.fetch_or(4, Relaxed, &guard), 4));
                assert!(is_set(slot.fetch_and(!4, Relaxed, &guard), 4));
            }
        });
        s.spawn(move || {
            start.wait();
            for round in 0..ROUNDS {
                let guard = Rcu.read_lock();
                let moved = slot.fetch_update(AcqRel, Relaxed, &guard, |seen| {
                    if round % 256 == 0 {
                        thread::yield_now(); // so that others are faster
                    }
                    Some(lines[(round + 1) % 2].with_tag(seen.tag()))
                });
                assert_eq!(moved.unwrap().as_raw(), lines[round % 2].as_raw());
            }
        });
    });
    assert_eq!(slot.load(Relaxed, &Rcu.read_lock()), lines[0]);
}

/// What a generic caller may put into an atomic.
fn publish<T>(slot: &Atomic<T>, new: impl Pointer<T>) {
    slot.store(new, Release);
}

/// Readers follow a pointer that is replaced all the time, and freed after a grace period. Each
/// object says whether it is whole.
#[test]
fn what_a_section_loads_stays_whole_while_it_is_replaced() {
    const CHANGES: u64 = 300;
    let slot = Atomic::null();
    publish(&slot, Owned::new(Node::new(0, 0)));
    thread::scope(|s| {
        let readers = [(); 2].map(|()| {
            s.spawn(|| {
                let (mut last, mut changes) = (0, 0);
                while changes < CHANGES {
                    let guard = Rcu.read_lock();
                    // SAFETY: replaced values are freed after a grace period.
                    let node = unsafe { slot.load_consume(&guard).deref() };
                    let value = node.check();
                    assert!(last <= value, "went back from {last} to {value}");
                    thread::yield_now(); // so that it is replaced meanwhile
                    assert_eq!(node.check(), value);
                    changes += u64::from(value != last);
                    last = value;
                }
            })
        });
        let mut value = 0;
        while !readers.iter().all(|reader| reader.is_finished()) {
            let new = Owned::new(Node::new(0, value + 1));
            // SAFETY: what we take out here we free, and nobody else does.
            let old = slot.swap(new, AcqRel, unsafe { unprotected() });
            Rcu.synchronize_expedited();
            // SAFETY: taken out, and every section that could have seen it has ended.
            assert_eq!(unsafe { old.into_owned() }.check(), value);
            value += 1;
        }
    });
    // SAFETY: nobody else is here.
    drop(unsafe { slot.into_owned() });
}

/// Threads insert and remove the same few keys; the books must balance for each key, no value may
/// be torn or freed under a reader, and every node must be freed exactly once.
#[test]
fn a_marked_list_keeps_its_books() {
    const KEYS: u64 = 32;
    const THREADS: u64 = 4;
    const OPS: u64 = 15_000;

    let list = List::default();
    let balance: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let freed = AtomicU64::new(0);
    let inserted = AtomicU64::new(0);
    thread::scope(|s| {
        for id in 0..THREADS {
            let (list, balance, freed, inserted) = (&list, &balance, &freed, &inserted);
            s.spawn(move || {
                let mut worker = Worker::new(freed);
                let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(id + 1);
                for op in 0..OPS {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let key = random % KEYS;
                    match random >> 32 & 3 {
                        0 => {
                            let value = (op * THREADS + id) * KEYS + key;
                            if list.insert(key, value, &mut worker) {
                                balance[key as usize].fetch_add(1, Relaxed);
                                inserted.fetch_add(1, Relaxed);
                            }
                        }
                        1 => {
                            if let Some(value) = list.remove(key, &mut worker) {
                                assert_eq!(value % KEYS, key);
                                balance[key as usize].fetch_sub(1, Relaxed);
                            }
                        }
                        _ => {
                            if let Some(value) = list.get(key, &mut worker) {
                                assert_eq!(value % KEYS, key);
                            }
                        }
                    }
                    worker.empty_full_bin();
                }
            });
        }
    });
    let there = list.drain();
    assert!(there.is_sorted());
    for key in 0..KEYS {
        let count = there.iter().filter(|&&found| found == key).count() as u64;
        assert_eq!(balance[key as usize].load(Relaxed), count, "key {key}");
    }
    let inserted = inserted.into_inner();
    assert_eq!(inserted, freed.into_inner() + there.len() as u64, "nodes lost or freed twice");
    assert!(inserted > OPS / 100, "too little happened: {inserted} inserted");
}
