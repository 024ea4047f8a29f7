//! Results as rows: one JSON object a line, the same shape for every command.

use serde_json::{Map, Value, json};

/// The middle and the ends of the rounds' values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: u64,
}

impl Summary {
    /// # Panics
    /// If there are no values.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Summary { median, min: sorted[0], max: sorted[sorted.len() - 1], runs: sorted.len() as u64 }
    }

    /// The median of the ratios of values measured in the same rounds.
    pub(crate) fn paired_ratio(values: &[f64], yardstick: &[f64]) -> f64 {
        let ratios: Vec<f64> = values.iter().zip(yardstick).map(|(v, y)| v / y).collect();
        Summary::of(&ratios).median
    }
}

/// One result.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured, as `refscale` or `table/A`. Without a variant it is the headline case.
    pub(crate) bench: String,
    pub(crate) subject: String,
    pub(crate) unit: &'static str,
    pub(crate) summary: Summary,
    params: Map<String, Value>,
    /// The values are bounds: what was measured was at least that.
    at_least: bool,
}

impl Row {
    /// A row whose parameters are the number of threads and nothing else.
    pub(crate) fn new(
        bench: impl Into<String>,
        subject: impl Into<String>,
        unit: &'static str,
        summary: Summary,
        threads: usize,
    ) -> Self {
        let params = Map::from_iter([("threads".to_owned(), json!(threads))]);
        let (bench, subject) = (bench.into(), subject.into());
        Row { bench, subject, unit, summary, params, at_least: false }
    }

    /// Marks the values as lower bounds; such a row, and only such a row, has a member `at_least`.
    pub(crate) fn at_least(mut self, bound: bool) -> Self {
        self.at_least = bound;
        self
    }

    pub(crate) fn json(&self) -> Value {
        let Summary { median, min, max, runs } = self.summary;
        let mut object = json!({
            "bench": self.bench,
            "subject": self.subject,
            "unit": self.unit,
            "median": median,
            "min": min,
            "max": max,
            "runs": runs,
            "params": self.params,
        });
        if self.at_least {
            object["at_least"] = json!(true);
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_takes_the_middle() {
        let odd = Summary::of(&[3.0, 1.0, 2.0]);
        assert_eq!(odd, Summary { median: 2.0, min: 1.0, max: 3.0, runs: 3 });
        assert_eq!(Summary::of(&[4.0, 1.0]).median, 2.5);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine halved its speed in the second round: the ratio is untouched.
        assert_eq!(Summary::paired_ratio(&[10.0, 20.0, 11.0], &[20.0, 40.0, 20.0]), 0.5);
    }

    #[test]
    fn a_row_has_just_the_members_it_should() {
        let row = Row::new("table/A", "kvfree", "ops/s", Summary::of(&[1.5, 2.5]), 2);
        let expected = json!({
            "bench": "table/A", "subject": "kvfree", "unit": "ops/s",
            "median": 2.0, "min": 1.5, "max": 2.5, "runs": 2,
            "params": {"threads": 2},
        });
        assert_eq!(row.json(), expected);
        assert!(!row.json().to_string().contains('\n'));
        assert_eq!(row.at_least(true).json()["at_least"], json!(true));
    }
}
