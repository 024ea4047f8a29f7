//! What is measured: kinds of waits, each under several conditions.

use super::kind::{KINDS, Kind};

/// Numbers of idle registered threads.
pub(crate) const REGISTERED: [usize; 4] = [1, 16, 256, 4096];

/// Under which conditions threads wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Nothing besides so many threads that wait, each for grace periods of its own.
    Updaters(usize),
    /// So many busy readers (none or one), pinned to another CPU than the one updater.
    Readers(usize),
    /// So many registered threads that sleep, and one updater.
    Registered(usize),
}

impl Setting {
    pub(crate) fn updaters(self) -> usize {
        match self {
            Setting::Updaters(updaters) => updaters,
            Setting::Readers(_) | Setting::Registered(_) => 1,
        }
    }

    /// How many threads the process has registered to begin with: cases that need as many share one.
    pub(crate) fn registered(self) -> usize {
        match self {
            Setting::Registered(threads) => threads,
            Setting::Updaters(_) | Setting::Readers(_) => 0,
        }
    }
}

/// A kind of wait under one condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Index into [`KINDS`].
    pub(crate) kind: usize,
    pub(crate) setting: Setting,
}

impl Case {
    pub(crate) fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }

    /// The names of its rows. Only the headline has none but the kind.
    pub(crate) fn benches(&self) -> impl Iterator<Item = String> {
        let variant = match self.setting {
            Setting::Updaters(_) => String::new(),
            Setting::Readers(readers) => format!("/readers-{readers}"),
            Setting::Registered(threads) => format!("/registered-{threads}"),
        };
        self.kind().names.iter().map(move |name| format!("rcuscale/{name}{variant}"))
    }
}

/// Every case: the headline for each of these numbers of updaters, then the variants.
pub(crate) fn all(updaters: &[usize], cpus: usize) -> Vec<Case> {
    let kinds = |setting: Setting, headline: bool| {
        let kinds = KINDS.iter().enumerate();
        let kinds = kinds.filter(move |(_, kind)| headline || kind.scales);
        kinds.map(move |(kind, _)| Case { kind, setting })
    };
    let mut cases = Vec::new();
    for updaters in updaters {
        cases.extend(kinds(Setting::Updaters(*updaters), true));
    }
    // A busy reader on the updater's own CPU would show how the system shares a CPU.
    for readers in 0..=usize::from(cpus > 1) {
        cases.extend(kinds(Setting::Readers(readers), false));
    }
    for threads in REGISTERED {
        cases.extend(kinds(Setting::Registered(threads), false));
    }
    cases
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rows_have_the_same_name_and_parameters() {
        let mut seen = HashSet::new();
        for case in all(&[1, 4], 2) {
            for bench in case.benches() {
                let row = (bench, case.kind().subject, case.setting.updaters());
                assert!(seen.insert(row.clone()), "{row:?}");
            }
        }
        for bench in ["rcuscale/expedited", "rcuscale/expedited/registered-4096"] {
            assert!(seen.contains(&(bench.to_owned(), "rcu", 1)), "{bench}");
        }
    }

    #[test]
    fn a_busy_reader_needs_a_cpu_of_its_own() {
        let has = |cpus| all(&[1], cpus).iter().any(|case| case.setting == Setting::Readers(1));
        assert!(has(2) && !has(1));
    }
}
