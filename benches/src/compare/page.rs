//! The page of results of a plan over the table: text, rows and plots.

use super::rounds::{Case, Outcome};
use crate::{
    report::{
        human, machine,
        output::Output,
        plot::Bars,
        rows::{Row, Summary},
        table::TextTable,
    },
    workload::{subjects::YARDSTICK, ycsb::Mix},
};

impl Outcome {
    /// Prints, writes and draws all cases.
    pub(crate) fn show(&self, output: &mut Output) {
        println!("{}", self.text());
        println!("  A ratio is the median of the rounds' own ratios.\n");
        output.rows(&self.rows());
        self.plots(output);
    }

    /// The yardstick's case of the same mix and threads.
    fn yardstick(&self, case: &Case) -> Option<&Case> {
        self.cases.iter().find(|other| {
            other.subject == YARDSTICK && other.mix == case.mix && other.threads == case.threads
        })
    }

    fn text(&self) -> TextTable {
        let against = format!("vs {YARDSTICK}");
        let columns = [
            "mix",
            "subject",
            "threads",
            "ops/s",
            "min",
            "max",
            &against,
            "most waiting",
            "errors",
        ];
        let mut table = TextTable::new(&columns, 2);
        let mut last = None;
        for case in &self.cases {
            if last.replace((case.threads, case.mix)) != Some((case.threads, case.mix)) {
                table.gap();
            }
            let rate = case.rate();
            let ratio = self.yardstick(case).map_or("-".to_owned(), |other| {
                human::ratio(Summary::paired_ratio(&case.rates, &other.rates))
            });
            table.row(vec![
                format!("{} ({})", case.mix.name(), case.mix.about()),
                case.subject.to_owned(),
                case.threads.to_string(),
                human::count(rate.median),
                human::count(rate.min),
                human::count(rate.max),
                ratio,
                human::count(Summary::of(&case.waiting).max),
                case.errors.to_string(),
            ]);
        }
        table
    }

    fn rows(&self) -> Vec<Row> {
        let prefix = if self.stalled { "stall/" } else { "" };
        let row = |case: &Case, bench: &str, unit, summary| {
            let bench = format!("{prefix}{bench}/{}", case.mix.name());
            Row::new(bench, case.subject, unit, summary, case.threads)
        };
        let rates = self.cases.iter().map(|case| row(case, "table", "ops/s", case.rate()));
        let waiting = self
            .cases
            .iter()
            .map(|case| row(case, "footprint/table", "objects", Summary::of(&case.waiting)));
        rates.chain(waiting).collect()
    }

    /// One chart of all mixes where one number of threads was run, else one a mix by threads.
    fn plots(&self, output: &Output) {
        let mut threads: Vec<usize> = self.cases.iter().map(|case| case.threads).collect();
        threads.dedup();
        let mut mixes: Vec<Mix> = self.cases.iter().map(|case| case.mix).collect();
        mixes.sort_by_key(|mix| mix.name());
        mixes.dedup();
        if let [one] = threads[..] {
            let groups = mixes.iter().map(|mix| format!("{} ({})", mix.name(), mix.about()));
            let title = format!("YCSB over one hash table, {}", human::threads(one));
            let at = |case: &Case| mixes.iter().position(|mix| *mix == case.mix);
            output.plot("table", &self.chart(title, groups.collect(), at));
            return;
        }
        for mix in mixes {
            let groups = threads.iter().map(|n| human::threads(*n));
            let title = format!("YCSB {} ({}) over one hash table", mix.name(), mix.about());
            let at = |case: &Case| {
                let group = threads.iter().position(|n| *n == case.threads);
                group.filter(|_| case.mix == mix)
            };
            output.plot(&format!("table-{}", mix.name()), &self.chart(title, groups.collect(), at));
        }
    }

    fn chart(
        &self,
        title: String,
        groups: Vec<String>,
        group_of: impl Fn(&Case) -> Option<usize>,
    ) -> Bars {
        let mut series: Vec<(String, Vec<Option<Summary>>)> = Vec::new();
        for case in &self.cases {
            let Some(group) = group_of(case) else { continue };
            let at = series.iter().position(|(name, _)| name == case.subject);
            let at = at.unwrap_or_else(|| {
                series.push((case.subject.to_owned(), vec![None; groups.len()]));
                series.len() - 1
            });
            series[at].1[group] = Some(case.rate());
        }
        let axis = "operations a second".to_owned();
        Bars { title, note: machine::line(), axis, groups, series, show: human::count }
    }
}
