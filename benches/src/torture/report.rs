//! What a run shows: progress once a second, a table at the end, a line of JSON.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::ProgressBar;
use rcu_core::Rcu;
use serde_json::json;

use super::stats::{Histogram, Tally};
use super::waits::Kind;
use super::{Options, Outcome};

/// Progress on standard error: in place on a terminal, else a line at a time.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines,
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    Quiet,
}

impl Progress {
    pub(super) fn new() -> Self {
        if io::stderr().is_terminal() {
            Progress::Bar(ProgressBar::new_spinner())
        } else {
            Progress::Lines
        }
    }

    pub(super) fn show(&mut self, elapsed: Duration, tally: &Tally, failed: usize) {
        let mut line = format!(
            "{:4} s  {:>11} sections  {:>8} replaced  {:>7} threads",
            elapsed.as_secs(),
            tally.sections,
            tally.replaced,
            tally.threads
        );
        if failed != 0 {
            let _ = write!(line, "  {failed} checks failed");
        }
        match self {
            Progress::Bar(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            Progress::Lines => eprintln!("{line}"),
            Progress::Quiet => {}
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        match self {
            Progress::Bar(bar) => bar.println(line),
            Progress::Lines => eprintln!("{line}"),
            Progress::Quiet => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

pub(super) fn print(options: &Options, outcome: &Outcome) {
    print!("{}", text(options, outcome));
}

fn text(options: &Options, outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "  {label:<15} {value}");
    };
    line("flavor", options.flavor.clone());
    line("strategy", format!("{} ({})", Rcu.strategy(), Rcu.strategy_reason()));
    line("elapsed", format!("{:.1} s", outcome.elapsed.as_secs_f64()));
    line("sections", format!("{}, cookies checked in {}", tally.sections, tally.cookies));
    line("grace periods", outcome.grace_periods.to_string());
    line(
        "elements",
        format!(
            "{} replaced, {} of them chained; {} times none was free",
            tally.replaced, tally.chained, tally.starved
        ),
    );
    let waits =
        Kind::ALL.iter().map(|&kind| format!("{} {}", kind.name(), tally.waits[kind as usize]));
    line("waits", waits.collect::<Vec<_>>().join(", "));
    line("notes", format!("{} left, {} read by others", tally.notes_left, tally.notes_read));
    line("brief readers", tally.threads.to_string());
    line("in handlers", format!("{} sections", outcome.interrupts));
    line("vain waits", format!("{} timeouts, {} futures dropped", tally.expired, tally.dropped));
    line("children", tally.children.to_string());
    line("moves", format!("{} threads confined to other CPUs", outcome.moves));
    line("drains", outcome.stutters.to_string());
    line("Reader Pipe", histogram(&tally.pipe));
    line("Reader Batch", histogram(&tally.batch));
    let close: u64 = tally.batch[2..].iter().sum();
    if close != 0 {
        line("close calls", format!("{close} sections saw more than one grace period end"));
    }
    for failure in &outcome.failures {
        line(
            &format!("!!! {}", failure.check.name()),
            format!(
                "{} times, first after {:.3} s: {}",
                failure.times,
                failure.first_after.as_secs_f64(),
                failure.detail
            ),
        );
    }
    let verdict = if outcome.failures.is_empty() {
        "SUCCESS".to_owned()
    } else {
        format!("FAILURE: {}", names(outcome).join(", "))
    };
    let _ = writeln!(out, "torture {}: {verdict}", options.flavor);
    out
}

fn names(outcome: &Outcome) -> Vec<&'static str> {
    outcome.failures.iter().map(|failure| failure.check.name()).collect()
}

fn histogram(histogram: &Histogram) -> String {
    let mut out = String::new();
    for (value, count) in histogram.iter().enumerate() {
        let _ = write!(out, "{value}:{count} ");
    }
    out.trim_end().to_owned()
}

/// The result as one object.
pub(super) fn object(options: &Options, outcome: &Outcome) -> serde_json::Value {
    let tally = &outcome.tally;
    let failed = outcome.failures.len();
    let failures: Vec<_> = outcome
        .failures
        .iter()
        .map(|failure| {
            json!({
                "check": failure.check.name(),
                "times": failure.times,
                "first_after_s": failure.first_after.as_secs_f64(),
                "detail": failure.detail,
            })
        })
        .collect();
    let waits: serde_json::Map<_, _> = Kind::ALL
        .iter()
        .map(|&kind| (kind.name().to_owned(), json!(tally.waits[kind as usize])))
        .collect();
    json!({
        "bench": "torture",
        "subject": options.flavor,
        "unit": "failed checks",
        "median": failed,
        "min": failed,
        "max": failed,
        "runs": 1,
        "params": {
            "threads": options.threads,
            "seconds": options.seconds.as_secs_f64(),
            "strategy": Rcu.strategy().to_string(),
        },
        "failures": failures,
        "elapsed_s": outcome.elapsed.as_secs_f64(),
        "sections": tally.sections,
        "grace_periods": outcome.grace_periods,
        "replaced": tally.replaced,
        "chained": tally.chained,
        "waits": waits,
        "cookies": tally.cookies,
        "notes": tally.notes_left,
        "brief_readers": tally.threads,
        "in_handlers": outcome.interrupts,
        "expired": tally.expired,
        "dropped_futures": tally.dropped,
        "children": tally.children,
        "moves": outcome.moves,
        "drains": outcome.stutters,
        "reader_pipe": tally.pipe,
        "reader_batch": tally.batch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::checks::{Check, Failure};

    fn options() -> Options {
        Options { flavor: "rcu".into(), seconds: Duration::from_secs(1), threads: 2 }
    }

    #[test]
    fn the_verdict_names_the_checks() {
        let mut outcome = Outcome::default();
        assert!(text(&options(), &outcome).ends_with("torture rcu: SUCCESS\n"));
        outcome.failures.push(Failure {
            check: Check::ReaderPipe,
            times: 3,
            first_after: Duration::from_millis(5),
            detail: "too short".into(),
        });
        let text = text(&options(), &outcome);
        assert!(text.ends_with("torture rcu: FAILURE: reader-pipe\n"), "{text}");
        assert!(text.contains("3 times, first after 0.005 s: too short"), "{text}");
        let object = object(&options(), &outcome);
        assert_eq!(object["failures"][0]["check"], "reader-pipe");
        assert_eq!(object["median"], 1);
    }
}
