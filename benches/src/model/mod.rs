//! Exhaustive models of the protocols: small programs on a machine with store buffers and early
//! loads, every interleaving visited.
//!
//! A protocol is a file or room with an implementation of [`Protocol`], named in [`PROTOCOLS`].

mod cancel;
mod engine;
mod fork;
mod gp;
mod machine;
mod notifier;
mod registration;
pub(crate) mod registry;
pub(crate) mod report;
mod strategy;
mod visited;
mod waiters;
mod wake;

use crate::{
    cli::{Common, ModelArgs},
    report::{
        output::Output,
        verdict::{Unusable, Verdict},
    },
};
use registry::{Bounds, CaseResult, Protocol, missed, run_case};

/// All protocols there are models of.
pub(crate) const PROTOCOLS: &[&dyn Protocol] = &[
    &gp::GracePeriod,
    &wake::SleepAndWake,
    &waiters::WaiterSharing,
    &registration::Registration,
    &cancel::WaitFuture,
    &fork::ForkedChild,
    &notifier::NotifierArming,
];

/// What a run found.
#[derive(Debug)]
pub(crate) struct Results {
    /// Every case, in order.
    pub(crate) cases: Vec<CaseResult>,
}

/// Runs the models of the protocols named, or all of them for `all` or no name; tells `progress` of
/// each case as it ends.
pub(crate) fn run(
    names: &[String],
    bounds: Bounds,
    mut progress: impl FnMut(&CaseResult),
) -> Results {
    let all = names.is_empty() || names.iter().any(|name| name == "all");
    let mut cases = Vec::new();
    for protocol in PROTOCOLS {
        if all || names.iter().any(|name| name == protocol.name()) {
            for case in protocol.cases(bounds) {
                let result = run_case(protocol.name(), &case);
                progress(&result);
                cases.push(result);
            }
        }
    }
    Results { cases }
}

/// The command: prints a table as it goes, counterexamples if asked, and writes one JSON object a
/// line.
pub(crate) fn command(common: &Common, args: &ModelArgs) -> Result<Verdict, Unusable> {
    let known = |name: &String| name == "all" || PROTOCOLS.iter().any(|it| it.name() == *name);
    if let Some(unknown) = args.names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = PROTOCOLS.iter().map(|it| it.name()).collect();
        return Err(Unusable(format!("no model `{unknown}`; there are {}", all.join(", "))));
    }
    let mut json = Output::open(common.json.as_deref(), None)?;
    let bounds = if args.quick { Bounds::Small } else { Bounds::Full };
    let mut protocol = "";
    let results = run(&args.names, bounds, |result| {
        if protocol != result.protocol {
            protocol = result.protocol;
            println!("{}", report::table_head(protocol));
        }
        println!("{}", report::table_line(result));
        if let (true, Some((_, found))) = (args.trace, result.found()) {
            println!("{found}\n");
        }
        json.object(&report::json_line(result));
    });
    report::print_summary(&results);
    let mut verdict = Verdict::default();
    let wrong = results.cases.iter().filter(|case| !case.as_expected()).count();
    verdict.check(wrong == 0, format!("{} cases, {wrong} not as expected", results.cases.len()));
    let missed = missed(&results.cases).len();
    verdict.check(missed == 0, format!("{missed} mutations missed"));
    Ok(verdict)
}
