//! The model checker: visits every state a model can reach, breadth first, and says whether one of
//! them is bad, whether one is stuck, and by which steps the nearest one is reached.
//!
//! A model is a finite graph given by its initial state and the steps out of a state. Breadth first
//! means that a counterexample is as short as any.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::visited::{Visited, fingerprint};

/// A finite transition system with a property.
pub(crate) trait Model {
    /// Everything that the future depends on, in fixed-size fields.
    type State: Clone + Hash;
    /// What happened between two states.
    type Step: Copy;

    /// The state everything starts from.
    fn initial(&self) -> Self::State;

    /// Appends every state one step away. A thread that waits has no step until it may go on.
    fn steps(&self, state: &Self::State, out: &mut Vec<(Self::Step, Self::State)>);

    /// What is wrong in this state, if something is.
    fn violation(&self, state: &Self::State) -> Option<String>;

    /// Whether it is right that nothing more happens here.
    fn is_final(&self, state: &Self::State) -> bool;

    /// One line for a trace.
    fn describe(&self, from: &Self::State, step: Self::Step, to: &Self::State) -> String;
}

/// What an exploration found.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// No reachable state is bad, and a final state can be reached from each.
    Safe,
    /// A bad state can be reached.
    Violated(Counterexample),
    /// A state can be reached from which no final state can.
    Stuck(Counterexample),
}

/// A bad state and the way there.
#[derive(Clone, Debug)]
pub(crate) struct Counterexample {
    /// What is wrong at the end.
    pub(crate) what: String,
    /// The steps that lead there, one line each.
    pub(crate) trace: Vec<String>,
}

/// An exploration's result and size.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The answer.
    pub(crate) verdict: Verdict,
    /// Distinct states seen.
    pub(crate) states: usize,
    /// Steps taken, those to states already seen included.
    pub(crate) transitions: usize,
    /// Wall-clock time it took.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Whether nothing bad was found.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.verdict, Verdict::Safe)
    }

    /// The way to a bad or stuck state.
    pub(crate) fn counterexample(&self) -> Option<&Counterexample> {
        match &self.verdict {
            Verdict::Safe => None,
            Verdict::Violated(found) | Verdict::Stuck(found) => Some(found),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.trace.iter().enumerate() {
            writeln!(f, "{:>4}  {line}", number + 1)?;
        }
        write!(f, "   =>  {}", self.what)
    }
}

/// Visits every reachable state of `model`; stops at the first that is bad.
pub(crate) fn explore<M: Model>(model: &M) -> Outcome {
    let start = Instant::now();
    let mut seen = Visited::new();
    let mut graph = Graph::default();
    let mut queue = VecDeque::new();
    let mut out = Vec::new();

    let initial = model.initial();
    seen.insert(&initial, 0);
    queue.push_back(initial);
    let mut verdict = None;
    // States are numbered in the order they enter the queue, so they leave it in that order too.
    let mut number = 0;
    while let Some(state) = queue.pop_front() {
        if let Some(what) = model.violation(&state) {
            let trace = replay(model, &seen.path_to(number));
            verdict = Some(Verdict::Violated(Counterexample { what, trace }));
            break;
        }
        model.steps(&state, &mut out);
        for (_, next) in out.drain(..) {
            let (to, new) = seen.insert(&next, number);
            if new {
                queue.push_back(next);
            }
            graph.targets.push(to);
        }
        graph.close(model.is_final(&state));
        number += 1;
    }
    let verdict = verdict.unwrap_or_else(|| match graph.stuck() {
        None => Verdict::Safe,
        Some(number) => {
            let what = "no final state can be reached from here".to_owned();
            let trace = replay(model, &seen.path_to(number));
            Verdict::Stuck(Counterexample { what, trace })
        }
    });
    Outcome {
        verdict,
        states: seen.len(),
        transitions: graph.targets.len(),
        elapsed: start.elapsed(),
    }
}

/// Walks from the initial state along a path of fingerprints and describes each step.
fn replay<M: Model>(model: &M, path: &[u128]) -> Vec<String> {
    let mut state = model.initial();
    let mut out = Vec::new();
    let mut lines = Vec::new();
    for &key in &path[1..] {
        model.steps(&state, &mut out);
        let (step, next) = out
            .drain(..)
            .find(|(_, next)| fingerprint(next) == key)
            .expect("a recorded path can be walked again");
        lines.push(model.describe(&state, step, &next));
        state = next;
    }
    lines
}

/// The edges seen, for the question whether each state can still reach a final one.
#[derive(Default)]
struct Graph {
    /// Targets of all states, in order of the states.
    targets: Vec<u32>,
    /// Where in `targets` each state's end.
    ends: Vec<usize>,
    /// Whether each state is final.
    finals: Vec<bool>,
}

impl Graph {
    /// Ends the list of targets of one state.
    fn close(&mut self, is_final: bool) {
        self.ends.push(self.targets.len());
        self.finals.push(is_final);
    }

    /// The first state from which no final state can be reached.
    fn stuck(&self) -> Option<u32> {
        let mut finishes = self.finals.clone();
        // Most edges lead to a higher number, so going downwards settles nearly all in one pass.
        loop {
            let mut changed = false;
            for state in (0..finishes.len()).rev() {
                let from = if state == 0 { 0 } else { self.ends[state - 1] };
                if !finishes[state]
                    && self.targets[from..self.ends[state]].iter().any(|&to| finishes[to as usize])
                {
                    finishes[state] = true;
                    changed = true;
                }
            }
            if !changed {
                return finishes.iter().position(|&ok| !ok).map(|at| at as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters that step up to a bound, each by one or by two.
    struct Counters {
        bound: u8,
        bad: Option<(u8, u8)>,
        trap: bool,
    }

    impl Model for Counters {
        type State = (u8, u8);
        type Step = u8;

        fn initial(&self) -> Self::State {
            (0, 0)
        }

        fn steps(&self, &(a, b): &Self::State, out: &mut Vec<(u8, Self::State)>) {
            for by in 1..=2 {
                if a + by <= self.bound {
                    out.push((by, (a + by, b)));
                }
                if b + by <= self.bound {
                    out.push((by, (a, b + by)));
                }
            }
        }

        fn violation(&self, state: &Self::State) -> Option<String> {
            (self.bad == Some(*state)).then(|| "bad".to_owned())
        }

        fn is_final(&self, &(a, b): &Self::State) -> bool {
            a == self.bound && b == self.bound && !self.trap
        }

        fn describe(&self, from: &Self::State, step: u8, to: &Self::State) -> String {
            format!("{from:?} +{step} {to:?}")
        }
    }

    #[test]
    fn every_state_is_counted_once() {
        let outcome = explore(&Counters { bound: 9, bad: None, trap: false });
        assert!(outcome.is_safe());
        assert_eq!(outcome.states, 100);
    }

    #[test]
    fn the_counterexample_is_a_shortest_one() {
        let outcome = explore(&Counters { bound: 9, bad: Some((4, 3)), trap: false });
        let Verdict::Violated(found) = outcome.verdict else { panic!("not found") };
        assert_eq!(found.trace.len(), 4);
    }

    #[test]
    fn a_state_without_a_way_to_the_end_is_stuck() {
        let outcome = explore(&Counters { bound: 3, bad: None, trap: true });
        assert!(matches!(outcome.verdict, Verdict::Stuck(_)));
    }
}
