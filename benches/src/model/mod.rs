//! Exhaustive models of the protocols: small programs on a machine with store buffers and early
//! loads, every interleaving visited.
//!
//! A protocol is a file or room with an implementation of [`Protocol`], named in [`PROTOCOLS`].

mod engine;
mod gp;
mod machine;
mod notifier;
pub(crate) mod registry;
pub(crate) mod report;
mod visited;

use std::path::Path;
use std::process::ExitCode;

use registry::{Bounds, CaseResult, Protocol, missed, run_case};

/// All protocols there are models of.
pub(crate) const PROTOCOLS: &[&dyn Protocol] = &[&gp::GracePeriod, &notifier::NotifierArming];

/// What a run found.
#[derive(Debug)]
pub(crate) struct Results {
    /// Every case, in order.
    pub(crate) cases: Vec<CaseResult>,
    /// Protocols asked for that do not exist.
    pub(crate) unknown: Vec<String>,
}

impl Results {
    /// Whether every case came to what it should and every mutation was found in some mode.
    pub(crate) fn as_expected(&self) -> bool {
        self.unknown.is_empty()
            && self.cases.iter().all(CaseResult::as_expected)
            && missed(&self.cases).is_empty()
    }
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
    let unknown = names
        .iter()
        .filter(|name| *name != "all" && PROTOCOLS.iter().all(|it| it.name() != name.as_str()))
        .cloned()
        .collect();
    Results { cases, unknown }
}

/// The command: prints a table as it goes, counterexamples if asked, and writes one JSON object a
/// line. Exits with 0 if all is as expected, 1 if not, 2 if a name is unknown.
pub(crate) fn main(names: &[String], quick: bool, trace: bool, json: Option<&Path>) -> ExitCode {
    let mut protocol = "";
    let bounds = if quick { Bounds::Small } else { Bounds::Full };
    let results = run(names, bounds, |result| {
        if protocol != result.protocol {
            protocol = result.protocol;
            println!("{}", report::table_head(protocol));
        }
        println!("{}", report::table_line(result));
        if let (true, Some((_, found))) = (trace, result.found()) {
            println!("{found}\n");
        }
    });
    report::print_summary(&results);
    if let Some(path) = json {
        let lines: String =
            results.cases.iter().map(|result| format!("{}\n", report::json_line(result))).collect();
        if let Err(error) = std::fs::write(path, lines) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    }
    match (results.unknown.is_empty(), results.as_expected()) {
        (false, _) => ExitCode::from(2),
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
    }
}
