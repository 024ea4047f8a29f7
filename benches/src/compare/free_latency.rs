//! How soon after it is retired an object is freed on an idle system, by subject.

use std::time::Duration;

use crate::{
    report::{
        human,
        output::Output,
        rows::{Row, Summary},
        table::TextTable,
    },
    workload::{
        latency::{Latencies, Quantile},
        subjects::TableSubject,
    },
};

/// An object that is not freed after this long is late.
const CAP: Duration = Duration::from_millis(50);

/// Measures `samples` objects a subject, prints a table and writes the rows
/// `free-latency/p50` and `free-latency/p99`.
pub(crate) fn show(subjects: &[&'static TableSubject], samples: u64, output: &mut Output) {
    println!("  From retired to freed, one object at a time, nothing else running:\n");
    let mut table = TextTable::new(&["subject", "p50", "p99", "max", "samples"], 1);
    for subject in subjects {
        let seen = (subject.free_latency)(samples, CAP);
        let (p50, p99) = (seen.quantile(0.5), seen.quantile(0.99));
        table.row(vec![
            subject.name.to_owned(),
            told(p50),
            told(p99),
            told(seen.max()),
            seen.samples().to_string(),
        ]);
        output.rows(&[
            row("free-latency/p50", subject.name, p50, &seen),
            row("free-latency/p99", subject.name, p99, &seen),
        ]);
    }
    println!("{table}");
}

fn told(quantile: Quantile) -> String {
    match quantile {
        Quantile::Seen(time) => human::duration(time),
        Quantile::Beyond(cap) => format!("> {}", human::duration(cap)),
    }
}

/// The quantile stands as the median, among the least and the most of all samples.
fn row(bench: &str, subject: &str, quantile: Quantile, seen: &Latencies) -> Row {
    let millis = |quantile| match quantile {
        Quantile::Seen(time) | Quantile::Beyond(time) => time.as_secs_f64() * 1e3,
    };
    let summary = Summary {
        median: millis(quantile),
        min: millis(seen.min()),
        max: millis(seen.max()),
        runs: seen.samples(),
    };
    Row::new(bench, subject, "ms", summary, 1).at_least(matches!(quantile, Quantile::Beyond(_)))
}
