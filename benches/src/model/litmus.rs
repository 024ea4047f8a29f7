//! Litmus tests of the machine: small straight-line programs whose possible results are known.

use std::collections::BTreeSet;

use super::{Background, Machine};
use crate::model::engine::{Model, explore};

const X: usize = 0;
const Y: usize = 1;
const S: usize = 2;

/// One instruction. Loads go into the thread's next register.
#[derive(Clone, Copy)]
enum Op {
    Load(usize),
    LoadAcquire(usize),
    Store(usize, u8),
    Release(usize, u8),
    Fence,
    Heavy,
    HeavyAtOneInstant,
}
use Op::*;

/// Straight-line threads, of which those in `weak` are weak.
struct Litmus<'a> {
    threads: &'a [&'a [Op]],
    weak: u8,
    /// The result asked for: registers of all threads.
    asked: [[u8; 2]; 4],
}

#[derive(Clone, Hash)]
struct State {
    machine: Machine<4, 3, 3>,
    pc: [u8; 4],
    loaded: [u8; 4],
    registers: [[u8; 2]; 4],
    in_heavy: [bool; 4],
}

impl Litmus<'_> {
    fn over(&self, state: &State) -> bool {
        (0..self.threads.len()).all(|t| {
            usize::from(state.pc[t]) == self.threads[t].len() && state.machine.is_drained(t)
        })
    }
}

impl Model for Litmus<'_> {
    type State = State;
    type Step = ();

    fn initial(&self) -> State {
        State {
            machine: Machine::new(self.weak),
            pc: [0; 4],
            loaded: [0; 4],
            registers: [[0; 2]; 4],
            in_heavy: [false; 4],
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<((), State)>) {
        state.machine.background(|step, machine| {
            let (Background::Flush { .. } | Background::Barrier { .. }) = step;
            out.push(((), State { machine, ..state.clone() }));
        });
        for (t, program) in self.threads.iter().enumerate() {
            let Some(&op) = program.get(usize::from(state.pc[t])) else { continue };
            let mut next = state.clone();
            next.pc[t] += 1;
            let keep = |next: &mut State, value| {
                next.registers[t][usize::from(next.loaded[t])] = value;
                next.loaded[t] += 1;
            };
            match op {
                Load(from) => {
                    for (value, machine) in state.machine.loads(t, from) {
                        let mut next = State { machine, ..next.clone() };
                        keep(&mut next, value);
                        out.push(((), next));
                    }
                    continue;
                }
                LoadAcquire(from) => {
                    let value = next.machine.load_acquire(t, from);
                    keep(&mut next, value);
                }
                Store(to, value) => next.machine.store(t, to, value, false),
                Release(to, value) => next.machine.store(t, to, value, true),
                Fence => next.machine.fence(t),
                HeavyAtOneInstant => next.machine.heavy_at_one_instant(),
                Heavy if !state.in_heavy[t] => {
                    next.machine.heavy(t);
                    next.in_heavy[t] = true;
                    next.pc[t] -= 1;
                }
                Heavy if state.machine.heavy_is_over(t) => {
                    next.machine.fence(t);
                    next.in_heavy[t] = false;
                }
                Heavy => continue,
            }
            out.push(((), next));
        }
    }

    fn violation(&self, state: &State) -> Option<String> {
        (self.over(state) && state.registers == self.asked).then(|| "seen".to_owned())
    }

    fn is_final(&self, state: &State) -> bool {
        self.over(state)
    }

    fn describe(&self, _: &State, (): (), to: &State) -> String {
        format!("{:?}", to.registers)
    }
}

/// Whether the threads can end with these registers.
fn possible(threads: &[&[Op]], weak: u8, results: &[[u8; 2]]) -> bool {
    let mut asked = [[0; 2]; 4];
    asked[..results.len()].copy_from_slice(results);
    !explore(&Litmus { threads, weak, asked }).is_safe()
}

const ALL: u8 = 0b1111;

#[test]
fn store_buffering_needs_a_fence_on_both_sides() {
    let light: [&[Op]; 2] = [&[Store(X, 1), Load(Y)], &[Store(Y, 1), Load(X)]];
    let fenced: [&[Op]; 2] = [&[Store(X, 1), Fence, Load(Y)], &[Store(Y, 1), Fence, Load(X)]];
    let half: [&[Op]; 2] = [light[0], fenced[1]];
    for weak in [0, ALL] {
        assert!(possible(&light, weak, &[[0, 0], [0, 0]]));
        assert!(possible(&half, weak, &[[0, 0], [0, 0]]));
        assert!(!possible(&fenced, weak, &[[0, 0], [0, 0]]));
    }
}

#[test]
fn one_heavy_side_makes_up_for_a_light_one() {
    let asymmetric: [&[Op]; 2] = [&[Store(X, 1), Load(Y)], &[Store(Y, 1), Heavy, Load(X)]];
    for weak in [0, ALL] {
        assert!(!possible(&asymmetric, weak, &[[0, 0], [0, 0]]));
        assert!(possible(&asymmetric, weak, &[[1, 0], [1, 0]]));
    }
}

/// Two light sides are not ordered by a third thread's heavy barrier, unless it reached both at one
/// instant, which none does. This is the difference that makes a light snapshot a use after free.
#[test]
fn a_heavy_barrier_does_not_order_two_light_sides() {
    let run = |heavy: Op| {
        let threads: [&[Op]; 3] = [
            // Finds S unset, so its store was on its way before the heavy barrier began.
            &[Store(X, 1), Load(S)],
            // Misses that store.
            &[Store(Y, 1), Load(X)],
            // Misses the second thread's after the heavy barrier.
            &[Store(S, 1), heavy, Load(Y)],
        ];
        possible(&threads, 0, &[[0, 0], [0, 0], [0, 0]])
    };
    assert!(run(Heavy));
    assert!(!run(HeavyAtOneInstant));
}

#[test]
fn message_passing_holds_on_strong_threads_only() {
    let plain: [&[Op]; 2] = [&[Store(X, 1), Store(Y, 1)], &[Load(Y), Load(X)]];
    assert!(!possible(&plain, 0, &[[0, 0], [1, 0]]));
    assert!(possible(&plain, 0b01, &[[0, 0], [1, 0]]), "stores out of order");
    assert!(possible(&plain, 0b10, &[[0, 0], [1, 0]]), "loads out of order");
}

#[test]
fn release_and_acquire_make_message_passing_hold_on_weak_threads() {
    let both: [&[Op]; 2] = [&[Store(X, 1), Release(Y, 1)], &[LoadAcquire(Y), Load(X)]];
    let release: [&[Op]; 2] = [both[0], &[Load(Y), Load(X)]];
    let acquire: [&[Op]; 2] = [&[Store(X, 1), Store(Y, 1)], both[1]];
    assert!(!possible(&both, ALL, &[[0, 0], [1, 0]]));
    assert!(possible(&release, ALL, &[[0, 0], [1, 0]]));
    assert!(possible(&acquire, ALL, &[[0, 0], [1, 0]]));
}

#[test]
fn a_heavy_barrier_stops_early_loads() {
    let threads: [&[Op]; 2] = [&[Store(X, 1), Heavy, Store(Y, 1)], &[Load(Y), Load(X)]];
    assert!(!possible(&threads, 0b10, &[[0, 0], [1, 0]]));
}

#[test]
fn loads_of_one_location_never_go_back() {
    let threads: [&[Op]; 2] = [&[Store(X, 1), Store(X, 2)], &[Load(X), Load(X)]];
    let mut seen = BTreeSet::new();
    for first in 0..=2 {
        for second in 0..=2 {
            if possible(&threads, ALL, &[[0, 0], [first, second]]) {
                seen.insert((first, second));
            }
        }
    }
    assert_eq!(seen, BTreeSet::from([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]));
}

/// Stores become visible to all other threads at once: two readers whose loads stay in order agree
/// on the order of two writers.
#[test]
fn independent_readers_agree_if_their_loads_are_in_order() {
    let program = |second: fn(usize) -> Op| -> [Vec<Op>; 4] {
        [vec![Store(X, 1)], vec![Store(Y, 1)], vec![second(X), Load(Y)], vec![second(Y), Load(X)]]
    };
    let run = |load, weak| {
        let threads = program(load);
        let threads: Vec<&[Op]> = threads.iter().map(Vec::as_slice).collect();
        possible(&threads, weak, &[[0, 0], [0, 0], [1, 0], [1, 0]])
    };
    assert!(!run(Load, 0));
    assert!(!run(LoadAcquire, ALL));
    assert!(run(Load, ALL));
}
