//! The grace-period model in small bounds.

use super::super::registry::{Bounds, Expect, Protocol, Subject, run_case};
use super::state::Gp;
use super::{GRACE_PERIODS, GracePeriod, LEAST, MUTATIONS};
use crate::model::engine::explore;
use crate::model::strategy::Strategy;

fn check(select: impl Fn(Subject) -> bool) {
    let cases = GracePeriod.cases(Bounds::Small);
    let chosen: Vec<_> = cases.iter().filter(|case| select(case.subject)).collect();
    assert!(!chosen.is_empty());
    for case in chosen {
        let result = run_case("gp", case);
        if let Some((configuration, found)) = result.found() {
            println!("{:?} {} {configuration}\n{found}", case.subject, case.mode);
        }
        assert!(result.as_expected(), "{:?} under {}", case.subject, case.mode);
    }
}

#[test]
fn the_protocol_is_safe_and_never_stuck() {
    check(|subject| subject == Subject::Correct);
}

#[test]
fn every_mutation_comes_to_what_is_said_of_it() {
    check(|subject| matches!(subject, Subject::Mutation(_)));
}

#[test]
fn every_mutation_is_found_in_some_strategy() {
    let cases = GracePeriod.cases(Bounds::Small);
    for case in cases.iter().filter(|case| matches!(case.subject, Subject::Mutation(_))) {
        assert!(
            cases
                .iter()
                .any(|other| other.subject == case.subject && other.expect == Expect::Found),
            "{:?}",
            case.subject
        );
    }
}

/// A heavy barrier taken for a single instant hides the light snapshot; skipping at s+1 is safe
/// with acquire loads.
#[test]
fn the_variants_come_to_what_is_said_of_them() {
    check(|subject| matches!(subject, Subject::Variant(_)));
}

/// Letting barriers that change nothing arrive at once saves states and changes no verdict.
#[test]
fn settling_changes_no_verdict() {
    let mutations = MUTATIONS.iter().map(|&(mutation, ..)| Some(mutation));
    for mutation in mutations.chain([None]) {
        let with = Gp {
            mutation,
            updaters: LEAST.updaters,
            drivers: LEAST.drivers,
            readers: LEAST.readers,
            sections: LEAST.sections,
            ..Gp::new(Strategy::Membarrier, GRACE_PERIODS)
        };
        let (with, without) = (explore(&with), explore(&Gp { settles: false, ..with }));
        assert_eq!(with.is_safe(), without.is_safe(), "{mutation:?}");
        assert!(with.states <= without.states, "{mutation:?}");
    }
}
