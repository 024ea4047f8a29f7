//! What `--flavor` takes.

use rcu_core::Rcu;

use super::subject::Subject;
use super::twist::{Twist, Twisted};
use super::{Options, Outcome, busted, run_flavor};
use crate::report::verdict::Unusable;

/// How a flavour is run.
type Run = fn(&Options) -> Result<Outcome, Unusable>;

/// Names, and how each is run. All but the first are controls, which must fail.
static FLAVORS: [(&str, Run); 9] = [
    (<Rcu as Subject>::NAME, |options| run_flavor(Rcu, options)),
    (busted::NoWait::NAME, |options| run_flavor(Twisted(busted::NoWait), options)),
    (busted::EarlyCookie::NAME, |options| run_flavor(Twisted(busted::EarlyCookie), options)),
    (busted::WrongIndex::NAME, |options| run_flavor(Twisted(busted::WrongIndex), options)),
    (busted::TimeoutIsDone::NAME, |options| run_flavor(Twisted(busted::TimeoutIsDone), options)),
    (busted::EarlyFuture::NAME, |options| run_flavor(Twisted(busted::EarlyFuture), options)),
    (busted::LostWake::NAME, |options| run_flavor(Twisted(busted::LostWake), options)),
    (busted::ChildGoesOn::NAME, |options| run_flavor(Twisted(busted::ChildGoesOn), options)),
    ("busted-heavy", |_| {
        Err(Unusable(
            "busted-heavy, grace periods without a heavy barrier, is for a model to catch: \
             `rcubench model gp` finds its mutation no-heavy"
                .to_owned(),
        ))
    }),
];

/// What runs if nothing is asked for.
pub(super) const DEFAULT: &str = <Rcu as Subject>::NAME;

/// The names, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FLAVORS.iter().map(|(name, _)| *name)
}

/// For the command's help.
pub(crate) fn help() -> String {
    let controls: Vec<_> = names().skip(1).collect();
    format!(
        "What to torture: {DEFAULT} [default], or a control, which must fail: {}",
        controls.join(", ")
    )
}

/// How the flavour of that name is run.
pub(super) fn find(wanted: &str) -> Result<Run, Unusable> {
    let known = FLAVORS.iter().find(|(name, _)| *name == wanted);
    known.map(|(_, run)| *run).ok_or_else(|| {
        let names: Vec<_> = names().collect();
        Unusable(format!(
            "there is no flavor {wanted:?} to torture; there are {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavors_have_a_name_each_and_the_help_tells_them() {
        let all: Vec<_> = names().collect();
        for (at, name) in all.iter().enumerate() {
            assert!(!all[..at].contains(name) && help().contains(name), "{name}");
            assert!(find(name).is_ok(), "{name}");
        }
        assert!(find("none").unwrap_err().0.contains(&all.join(", ")));
    }

    #[test]
    fn what_a_model_must_catch_names_the_model() {
        let options = Options {
            flavor: "busted-heavy".into(),
            seconds: std::time::Duration::from_secs(1),
            threads: 1,
        };
        let refused = find("busted-heavy").unwrap()(&options).unwrap_err();
        assert!(refused.0.contains("rcubench model gp") && refused.0.contains("no-heavy"));
        // And that model has it.
        let gp = crate::model::PROTOCOLS.iter().find(|protocol| protocol.name() == "gp").unwrap();
        let cases = gp.cases(crate::model::registry::Bounds::Small);
        assert!(cases.iter().any(|case| case.subject.name() == "no-heavy"));
    }
}
