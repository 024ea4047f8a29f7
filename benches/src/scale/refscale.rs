//! `rcubench refscale`: what an empty read-side section costs.
//!
//! All subjects take turns in each of many short rounds, and are compared round by round. The loop's
//! own cost has a row of its own, and is not subtracted.

use super::{
    crew::{Costs, measure},
    section::Case,
    sections,
};
use crate::{
    cli::{Common, RoundsArgs, chosen},
    report::{
        human, machine,
        output::Output,
        plot::Bars,
        progress::Progress,
        rows::{Row, Summary},
        table::TextTable,
        verdict::{Unusable, Verdict},
    },
    workload::subjects::YARDSTICK,
};

pub(crate) fn run(common: &Common, args: &RoundsArgs) -> Result<Verdict, Unusable> {
    let cases = sections::all();
    let empty = sections::empty_loop();
    let mut chosen = chosen(&cases, |case| case.subject, &common.subject)?;
    chosen.push(&empty);
    let mut output = Output::open(common.json.as_deref(), common.plot.as_deref())?;
    let threads = if common.threads.is_empty() { vec![1] } else { common.threads.clone() };
    let rounds = args.rounds as usize;
    println!("{}\n", machine::line());
    let mut progress = Progress::new("refscale", rounds * threads.len());
    let time = common.seconds / threads.len() as u32;
    let costs: Vec<Costs> =
        threads.iter().map(|n| measure(&chosen, *n, rounds, time, &mut progress)).collect();
    drop(progress);
    for (threads, costs) in threads.iter().zip(&costs) {
        println!("{}", text(&chosen, *threads, costs));
        output.rows(&rows(&chosen, *threads, costs));
    }
    output.plot("refscale", &chart(&chosen, &threads, &costs));
    let mut verdict = Verdict::default();
    verdict.check(true, format!("{} cases in {rounds} paired rounds", chosen.len()));
    Ok(verdict)
}

fn text(cases: &[&Case], threads: usize, costs: &Costs) -> TextTable {
    let against = format!("vs {YARDSTICK}");
    let columns = ["case", "subject", "threads", "median", "min", "max", &against];
    let mut table = TextTable::new(&columns, 2);
    for (case, costs_here) in cases.iter().zip(costs) {
        let summary = Summary::of(costs_here);
        let yardstick = cases
            .iter()
            .position(|other| other.subject == YARDSTICK && other.bench == case.bench)
            .map(|at| Summary::paired_ratio(costs_here, &costs[at]));
        table.row(vec![
            case.bench.to_owned(),
            case.subject.to_owned(),
            threads.to_string(),
            human::nanos(summary.median),
            human::nanos(summary.min),
            human::nanos(summary.max),
            yardstick.map_or("-".to_owned(), human::ratio),
        ]);
    }
    table
}

fn rows(cases: &[&Case], threads: usize, costs: &Costs) -> Vec<Row> {
    let row = |(case, costs): (&&Case, &Vec<f64>)| {
        Row::new(case.bench, case.subject, "ns/op", Summary::of(costs), threads)
    };
    cases.iter().zip(costs).map(row).collect()
}

/// The headline rows: a group a number of threads.
fn chart(cases: &[&Case], threads: &[usize], costs: &[Costs]) -> Bars {
    let headline = cases.iter().enumerate().filter(|(_, case)| case.bench == "refscale");
    let series = headline.map(|(at, case)| {
        let values = costs.iter().map(|costs| Some(Summary::of(&costs[at])));
        (case.subject.to_owned(), values.collect())
    });
    Bars {
        title: "An empty read-side section".to_owned(),
        note: machine::line(),
        axis: "nanoseconds a section".to_owned(),
        groups: threads.iter().map(|n| human::threads(*n)).collect(),
        series: series.collect(),
        show: human::nanos,
    }
}
