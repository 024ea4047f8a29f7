//! Results of `rcuscale` as a table, as rows and as a plot.

use super::{
    Costs,
    case::{Case, REGISTERED, Setting},
    kind::{HEAVY, LIBURCU},
};
use crate::report::{
    human, machine,
    plot::Bars,
    rows::{Row, Summary},
    table::TextTable,
};

/// The column of ratios against the heavy barrier, and that against liburcu, each under the same
/// conditions and round by round.
pub(crate) fn text(cases: &[Case], costs: &Costs) -> TextTable {
    let against = [format!("vs {HEAVY}"), format!("vs {LIBURCU}")];
    let columns = ["case", "subject", "threads", "median", "min", "max", &against[0], &against[1]];
    let mut table = TextTable::new(&columns, 2);
    for (at, case) in cases.iter().enumerate() {
        if at > 0 && cases[at - 1].setting != case.setting {
            table.gap();
        }
        let summary = Summary::of(&costs[at]);
        let ratio = |is: &dyn Fn(&Case) -> bool| {
            let same = |other: &Case| other.setting == case.setting && is(other);
            let yardstick = cases.iter().position(same);
            yardstick.map_or("-".to_owned(), |yardstick| {
                human::ratio(Summary::paired_ratio(&costs[at], &costs[yardstick]))
            })
        };
        for bench in case.benches() {
            table.row(vec![
                bench,
                case.kind().subject.to_owned(),
                case.setting.updaters().to_string(),
                human::nanos(summary.median),
                human::nanos(summary.min),
                human::nanos(summary.max),
                ratio(&is_heavy),
                ratio(&|other| other.kind().subject == LIBURCU),
            ]);
        }
    }
    table
}

fn is_heavy(case: &Case) -> bool {
    case.kind().names == [HEAVY]
}

pub(crate) fn rows(cases: &[Case], costs: &Costs) -> Vec<Row> {
    let of = |(case, costs): (&Case, &Vec<f64>)| {
        let (case, summary) = (*case, Summary::of(costs));
        let row = move |bench: String| {
            Row::new(bench, case.kind().subject, "ns", summary, case.setting.updaters())
        };
        case.benches().map(row).collect::<Vec<_>>()
    };
    cases.iter().zip(costs).flat_map(of).collect()
}

/// Expedited grace periods by the number of registered threads.
pub(crate) fn chart(cases: &[Case], costs: &Costs) -> Bars {
    let mut series: Vec<(usize, String)> = Vec::new();
    for case in cases.iter().filter(|case| case.kind().scales) {
        let name = if is_heavy(case) { HEAVY } else { case.kind().subject };
        if series.iter().all(|(kind, _)| *kind != case.kind) {
            series.push((case.kind, name.to_owned()));
        }
    }
    let value = |kind: usize, threads: usize| {
        let is = |case: &Case| case.kind == kind && case.setting == Setting::Registered(threads);
        cases.iter().position(is).map(|at| Summary::of(&costs[at]))
    };
    let values =
        |kind: usize| REGISTERED.iter().map(|threads| value(kind, *threads)).collect::<Vec<_>>();
    Bars {
        title: "An expedited grace period by registered threads".to_owned(),
        note: machine::line(),
        axis: "latency".to_owned(),
        groups: REGISTERED.iter().map(|threads| human::threads(*threads)).collect(),
        series: series.into_iter().map(|(kind, name)| (name, values(kind))).collect(),
        show: human::nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::case, *};

    fn measured() -> (Vec<Case>, Costs) {
        let cases = case::all(&[1], 2);
        // As if each kind took its place in the list, and once more for the barrier.
        let costs = cases.iter().map(|case| vec![100.0 * (case.kind + 1) as f64; 3]).collect();
        (cases, costs)
    }

    #[test]
    fn ratios_are_against_the_same_conditions() {
        let (cases, costs) = measured();
        let text = text(&cases, &costs).to_string();
        let line = text.lines().find(|line| line.contains("rcuscale/expedited/readers-1 "));
        assert!(line.unwrap().contains("2.00x"), "{text}");
    }

    #[test]
    fn rows_of_the_headline_have_no_variant() {
        let (cases, costs) = measured();
        let rows = rows(&cases, &costs);
        let named = |name: &str| rows.iter().filter(|row| row.bench == name).count();
        for kind in ["poll", "cond", "async"] {
            assert_eq!(named(&format!("rcuscale/{kind}")), 1, "{kind}");
        }
        assert!(named("rcuscale/expedited") >= 1);
        assert!(rows.iter().all(|row| row.unit == "ns"));
    }

    #[test]
    fn the_plot_has_a_group_for_each_number_of_threads() {
        let (cases, costs) = measured();
        let chart = chart(&cases, &costs);
        assert_eq!(chart.groups.len(), REGISTERED.len());
        assert!(chart.series.iter().all(|(_, values)| values.iter().all(Option::is_some)));
    }
}
