//! One tagged pointer against a model of it: a pair of numbers.

use std::mem;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use proptest::prelude::*;
use rcu_core::ptr::{Atomic, Shared};
use rcu_core::{Flavor, Rcu};

/// Six bits of tag.
#[repr(align(64))]
#[derive(Debug, PartialEq)]
struct Line(u64);

/// One of the objects that the operations below juggle, or null; and a tag.
type Word = (usize, usize);

#[derive(Clone, Debug)]
enum Op {
    Load,
    Store(Word),
    Swap(Word),
    /// The expected word, or the true one if `None`.
    Exchange(Option<Word>, Word),
    ExchangeWeak(Option<Word>, Word),
    Update(Option<Word>),
    And(usize),
    Or(usize),
    Xor(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let word = || (0..4_usize, any::<usize>());
    let maybe = || proptest::option::of(word());
    prop_oneof![
        Just(Op::Load),
        word().prop_map(Op::Store),
        word().prop_map(Op::Swap),
        (maybe(), word()).prop_map(|(old, new)| Op::Exchange(old, new)),
        (maybe(), word()).prop_map(|(old, new)| Op::ExchangeWeak(old, new)),
        maybe().prop_map(Op::Update),
        any::<usize>().prop_map(Op::And),
        any::<usize>().prop_map(Op::Or),
        any::<usize>().prop_map(Op::Xor),
    ]
}

proptest! {
    #[test]
    fn every_operation_does_what_its_name_says(ops in proptest::collection::vec(op(), 0..40)) {
        let lines = [Line(1), Line(2), Line(3)];
        let raws = [std::ptr::null(), &raw const lines[0], &raw const lines[1], &raw const lines[2]];
        let shared = |(at, tag): Word| Shared::from(raws[at]).with_tag(tag);
        let guard = Rcu.read_lock();
        let slot = Atomic::<Line>::null();

        let mut model: Word = (0, 0);
        let store = |model: &mut Word, (at, tag): Word| mem::replace(model, (at, tag % 64));
        for op in ops {
            match op {
                Op::Load => {}
                Op::Store(new) => {
                    slot.store(shared(new), Release);
                    store(&mut model, new);
                }
                Op::Swap(new) => {
                    let old = slot.swap(shared(new), AcqRel, &guard);
                    prop_assert_eq!(old, shared(store(&mut model, new)));
                }
                Op::Exchange(old, new) | Op::ExchangeWeak(old, new) => {
                    let weak = matches!(op, Op::ExchangeWeak(..));
                    let expected = shared(old.unwrap_or(model));
                    let matches = expected == shared(model);
                    let done = if weak {
                        slot.compare_exchange_weak(expected, shared(new), AcqRel, Acquire, &guard)
                    } else {
                        slot.compare_exchange(expected, shared(new), AcqRel, Acquire, &guard)
                    };
                    match done {
                        Ok(now) => {
                            prop_assert!(matches);
                            prop_assert_eq!(now, shared(new));
                            store(&mut model, new);
                        }
                        Err(refused) => {
                            prop_assert!(!matches || weak);
                            prop_assert_eq!(refused.current, shared(model));
                            prop_assert_eq!(refused.new, shared(new));
                        }
                    }
                }
                Op::Update(new) => {
                    let update = slot.fetch_update(SeqCst, SeqCst, &guard, |_| new.map(shared));
                    prop_assert_eq!(update.is_ok(), new.is_some());
                    let (Ok(old) | Err(old)) = update;
                    prop_assert_eq!(old, shared(model));
                    if let Some(new) = new {
                        store(&mut model, new);
                    }
                }
                Op::And(tag) => {
                    prop_assert_eq!(slot.fetch_and(tag, AcqRel, &guard), shared(model));
                    model.1 &= tag % 64;
                }
                Op::Or(tag) => {
                    prop_assert_eq!(slot.fetch_or(tag, Relaxed, &guard), shared(model));
                    model.1 |= tag % 64;
                }
                Op::Xor(tag) => {
                    prop_assert_eq!(slot.fetch_xor(tag, SeqCst, &guard), shared(model));
                    model.1 ^= tag % 64;
                }
            }
            let now = slot.load(Acquire, &guard);
            prop_assert_eq!(now, shared(model));
            prop_assert_eq!((now.as_raw(), now.tag()), (raws[model.0], model.1));
            prop_assert_eq!(now.is_null(), model.0 == 0);
            // SAFETY: null or one of `lines`.
            let line = unsafe { now.as_ref() };
            prop_assert_eq!(line, model.0.checked_sub(1).map(|at| &lines[at]));
        }
    }
}
