//! Results as text and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::registry::{CaseResult, Expect, missed};
use super::{PROTOCOLS, Results};

/// What a case came to, in a few words.
fn finding(result: &CaseResult) -> String {
    let unexpected = if result.as_expected() { "" } else { "UNEXPECTED: " };
    match (result.found(), result.expect) {
        (Some((configuration, found)), _) => {
            format!("{unexpected}found in {} steps: {configuration}", found.trace.len())
        }
        (None, Expect::Benign(why)) => format!("{unexpected}not found: {why}"),
        (None, Expect::Safe) => format!("{unexpected}safe, never stuck"),
        (None, Expect::Found) => format!("{unexpected}not found"),
    }
}

/// One line of the table.
pub(crate) fn table_line(result: &CaseResult) -> String {
    format!(
        "{:<37} {:<10} {:>10} {:>11} {:>7.2} s  {}",
        result.subject.name(),
        result.mode,
        result.states(),
        result.transitions(),
        result.elapsed().as_secs_f64(),
        finding(result),
    )
}

/// What a protocol's table is about, and the columns of [`table_line`].
pub(crate) fn table_head(protocol: &str) -> String {
    let what = PROTOCOLS.iter().find(|it| it.name() == protocol).map_or("", |it| it.what());
    let columns =
        format!("{:<37} {:<10} {:>10} {:>11} {:>9}", "subject", "mode", "states", "steps", "time");
    format!("\n{protocol}: {what}\n\n{columns}")
}

/// The end of a run: what was not as it should be, and its traces.
pub(crate) fn print_summary(results: &Results) {
    for result in results.cases.iter().filter(|result| !result.as_expected()) {
        println!("\n{} under {}: not as expected", result.subject.name(), result.mode);
        if let Some((configuration, found)) = result.found() {
            println!("{configuration}\n{found}");
        }
    }
    for (protocol, mutation) in missed(&results.cases) {
        println!("{protocol}: mutation {mutation} was found in no mode");
    }
    let states: usize = results.cases.iter().map(CaseResult::states).sum();
    let elapsed: Duration = results.cases.iter().map(CaseResult::elapsed).sum();
    let seconds = elapsed.as_secs_f64();
    println!("\n{states} states in {seconds:.1} s");
}

/// One result as a JSON object.
pub(crate) fn json_line(result: &CaseResult) -> Value {
    let (expect, why) = match result.expect {
        Expect::Safe => ("safe", None),
        Expect::Found => ("found", None),
        Expect::Benign(why) => ("benign", Some(why)),
    };
    json!({
        "bench": "model",
        "protocol": result.protocol,
        "subject": result.subject.name(),
        "kind": result.subject.kind(),
        "mode": result.mode,
        "expect": expect,
        "why": why,
        "ok": result.as_expected(),
        "found": result.found().map(|(configuration, found)| json!({
            "configuration": configuration,
            "what": found.what,
            "trace": found.trace,
        })),
        "configurations": result.explored.iter().map(|(name, outcome)| json!({
            "name": name,
            "states": outcome.states,
            "transitions": outcome.transitions,
            "seconds": outcome.elapsed.as_secs_f64(),
        })).collect::<Vec<_>>(),
    })
}
