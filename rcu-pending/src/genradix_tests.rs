//! The radix tree against a plain `Vec`, with nodes that run out.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Models are plain; memory does not run out for them.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::HashSet;

/// Nodes that know whether they are all back.
#[derive(Default)]
struct Nodes {
    out: RefCell<HashSet<NonNull<Node>>>,
}

impl Nodes {
    fn take(&self) -> NonNull<Node> {
        let node = Box::into_raw(Box::<Node>::new_uninit()).cast::<Node>();
        let node = NonNull::new(node).unwrap();
        assert!(self.out.borrow_mut().insert(node));
        node
    }

    fn give(&self, node: NonNull<Node>) {
        assert!(self.out.borrow_mut().remove(&node), "given back twice");
        // SAFETY: from `take`, and given back once.
        drop(unsafe { Box::from_raw(node.cast::<std::mem::MaybeUninit<Node>>().as_ptr()) });
    }
}

/// One step: so many pushes, with every `n`th inner node refused, or so many pops.
#[derive(Debug, Clone)]
enum Op {
    Push { leaves: usize, refuse: usize },
    Pop(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let push = (1usize..200, 0usize..3).prop_map(|(leaves, refuse)| Op::Push { leaves, refuse });
    let bulk = Just(Op::Push { leaves: FANOUT * FANOUT, refuse: 0 });
    let pop = (1usize..300).prop_map(Op::Pop);
    prop::collection::vec(prop_oneof![6 => push, 1 => bulk, 6 => pop], 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_a_vec(ops in ops()) {
        let nodes = Nodes::default();
        let mut tree = Genradix::new();
        let mut model = Vec::new();
        for op in ops {
            match op {
                Op::Push { leaves, refuse } => {
                    let mut asked = 0;
                    for _ in 0..leaves {
                        let leaf = nodes.take();
                        let spare = || {
                            asked += 1;
                            (refuse == 0 || asked % refuse != 0).then(|| nodes.take())
                        };
                        // SAFETY: the leaf is fresh, and so are the spare nodes.
                        match unsafe { tree.push(leaf, spare) } {
                            Ok(()) => model.push(leaf),
                            Err(back) => {
                                prop_assert_eq!(back, leaf);
                                prop_assert!(refuse != 0);
                                nodes.give(back);
                            }
                        }
                        prop_assert_eq!(tree.last(), model.last().copied());
                    }
                }
                Op::Pop(leaves) => for _ in 0..leaves {
                    let leaf = tree.pop();
                    prop_assert_eq!(leaf, model.pop());
                    leaf.into_iter().for_each(|leaf| nodes.give(leaf));
                    prop_assert_eq!(tree.is_empty(), model.is_empty());
                },
            }
        }
        let mut drained = Vec::new();
        tree.drain(&mut |leaf| { drained.push(leaf); nodes.give(leaf) }, &mut |inner| nodes.give(inner));
        prop_assert_eq!(drained, model);
        prop_assert!(nodes.out.borrow().is_empty(), "nodes lost");
    }
}

#[test]
fn one_leaf_needs_no_inner_node() {
    let nodes = Nodes::default();
    let mut tree = Genradix::new();
    // SAFETY: the leaf is fresh.
    assert!(unsafe { tree.push(nodes.take(), || None) }.is_ok());
    let second = nodes.take();
    // SAFETY: as above.
    assert_eq!(unsafe { tree.push(second, || None) }, Err(second));
    nodes.give(second);
    tree.drain(&mut |leaf| nodes.give(leaf), &mut |_| unreachable!());
}
