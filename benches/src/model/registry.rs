//! What a protocol tells the command about itself, and how its cases are run and judged.

use std::time::Duration;

use super::engine::{Counterexample, Outcome, Verdict};

/// How much of the state space to visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// For `cargo test`: seconds, unoptimized.
    Small,
    /// For the command.
    Full,
}

/// What is checked: the protocol, or something that differs from it in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The protocol as designed.
    Correct,
    /// One thing taken away or changed.
    Mutation(&'static str),
    /// The protocol changed in a way that is safe too, or run on a machine that is not real.
    Variant(&'static str),
}

impl Subject {
    /// As it stands in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Mutation(name) | Self::Variant(name) => name,
        }
    }

    /// As it stands in JSON.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Mutation(_) => "mutation",
            Self::Variant(_) => "variant",
        }
    }
}

/// What an exploration must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No configuration shows a violation.
    Safe,
    /// At least one configuration shows a violation.
    Found,
    /// No configuration shows one, although something was changed, because of this.
    Benign(&'static str),
}

/// One exploration: which threads, and how to run it.
pub(crate) struct Configuration {
    /// The threads, such as `1 updater, 1 driver, 2 readers`.
    pub(crate) name: String,
    /// Explores it.
    pub(crate) check: Box<dyn Fn() -> Outcome>,
}

/// One subject in one mode, in as many configurations as it takes.
pub(crate) struct Case {
    /// What is checked.
    pub(crate) subject: Subject,
    /// The protocol's mode, such as the barrier strategy.
    pub(crate) mode: &'static str,
    /// What it must come to.
    pub(crate) expect: Expect,
    /// Run in this order; a violation ends a case.
    pub(crate) configurations: Vec<Configuration>,
}

/// A modelled protocol: one file or room each.
pub(crate) trait Protocol: Sync {
    /// The word after `rcubench model`.
    fn name(&self) -> &'static str;

    /// One line on what is modelled and what must hold.
    fn what(&self) -> &'static str;

    /// All that is checked.
    fn cases(&self, bounds: Bounds) -> Vec<Case>;
}

/// What one case came to.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    /// The protocol's name.
    pub(crate) protocol: &'static str,
    /// What was checked.
    pub(crate) subject: Subject,
    /// In which mode.
    pub(crate) mode: &'static str,
    /// What it should have come to.
    pub(crate) expect: Expect,
    /// Each configuration explored, in order, with its outcome.
    pub(crate) explored: Vec<(String, Outcome)>,
}

impl CaseResult {
    /// The violation, with the configuration that shows it.
    pub(crate) fn found(&self) -> Option<(&str, &Counterexample)> {
        self.explored
            .iter()
            .find_map(|(name, outcome)| Some((name.as_str(), outcome.counterexample()?)))
    }

    /// Whether it came to what it should. A stuck state is never what a mutation is to show.
    pub(crate) fn as_expected(&self) -> bool {
        let stuck =
            self.explored.iter().any(|(_, outcome)| matches!(outcome.verdict, Verdict::Stuck(_)));
        match self.expect {
            Expect::Safe | Expect::Benign(_) => self.found().is_none(),
            Expect::Found => self.found().is_some() && !stuck,
        }
    }

    /// Distinct states seen in all configurations.
    pub(crate) fn states(&self) -> usize {
        self.explored.iter().map(|(_, outcome)| outcome.states).sum()
    }

    /// Steps taken in all configurations.
    pub(crate) fn transitions(&self) -> usize {
        self.explored.iter().map(|(_, outcome)| outcome.transitions).sum()
    }

    /// Time taken by all configurations.
    pub(crate) fn elapsed(&self) -> Duration {
        self.explored.iter().map(|(_, outcome)| outcome.elapsed).sum()
    }
}

/// Runs one case: every configuration until one shows a violation.
pub(crate) fn run_case(protocol: &'static str, case: &Case) -> CaseResult {
    let mut explored = Vec::new();
    for configuration in &case.configurations {
        let outcome = (configuration.check)();
        let safe = outcome.is_safe();
        explored.push((configuration.name.clone(), outcome));
        if !safe {
            break;
        }
    }
    CaseResult { protocol, subject: case.subject, mode: case.mode, expect: case.expect, explored }
}

/// The mutations that no mode shows: there must be none.
pub(crate) fn missed(results: &[CaseResult]) -> Vec<(&'static str, &'static str)> {
    let mut missed: Vec<_> = results
        .iter()
        .filter(|result| matches!(result.subject, Subject::Mutation(_)))
        .map(|result| (result.protocol, result.subject.name()))
        .filter(|&(protocol, name)| {
            !results.iter().any(|other| {
                other.protocol == protocol
                    && other.subject.name() == name
                    && other.found().is_some()
            })
        })
        .collect();
    missed.dedup();
    missed
}

/// Runs all of a protocol in the bounds of `cargo test`: each case must come to what is said of it,
/// and each mutation must be found in some mode.
#[cfg(test)]
pub(crate) fn check_small(protocol: &dyn Protocol) {
    let run = |case: &Case| {
        let result = run_case(protocol.name(), case);
        if let Some((configuration, found)) = result.found() {
            println!("{:?} {} {configuration}\n{found}", case.subject, case.mode);
        }
        assert!(result.as_expected(), "{:?} under {}", case.subject, case.mode);
        result
    };
    let results: Vec<_> = protocol.cases(Bounds::Small).iter().map(run).collect();
    assert_eq!(missed(&results), []);
}
