//! Numbers as people read them: three digits and a unit.

use std::time::Duration;

/// Three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A count or a rate: `950`, `12.3 k`, `4.56 M`.
pub(crate) fn count(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{} G", digits(value / 1e9)),
        v if v >= 1e6 => format!("{} M", digits(value / 1e6)),
        v if v >= 1e3 => format!("{} k", digits(value / 1e3)),
        _ => format!("{value:.0}"),
    }
}

/// A cost of an operation, from nanoseconds.
pub(crate) fn nanos(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{} s", digits(value / 1e9)),
        v if v >= 1e6 => format!("{} ms", digits(value / 1e6)),
        v if v >= 1e3 => format!("{} us", digits(value / 1e3)),
        _ => format!("{} ns", digits(value)),
    }
}

pub(crate) fn duration(value: Duration) -> String {
    nanos(value.as_nanos() as f64)
}

/// `1 thread`, `2 threads`.
pub(crate) fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

/// How a value relates to the yardstick's: `0.07x`.
pub(crate) fn ratio(value: f64) -> String {
    format!("{}x", digits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_at_their_bounds() {
        assert_eq!(count(999.0), "999");
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(count(4_560_000.0), "4.56 M");
        assert_eq!(nanos(0.0), "0 ns");
        assert_eq!(nanos(0.5), "0.50 ns");
        assert_eq!(nanos(6_900.0), "6.90 us");
        assert_eq!(duration(Duration::from_millis(50)), "50.0 ms");
        assert_eq!(ratio(0.0712), "0.07x");
    }
}
