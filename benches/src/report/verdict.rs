//! Whether a command went as it should, in one line, and the exit status that says so.

use std::{fmt, process::ExitCode};

/// Why a command could not start: its arguments cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) String);

/// Checks made, and those that failed.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    checks: Vec<(bool, String)>,
}

impl Verdict {
    /// Records a check, told so that it reads well either way: `0 validation errors`.
    pub(crate) fn check(&mut self, good: bool, told: impl Into<String>) {
        self.checks.push((good, told.into()));
    }

    pub(crate) fn good(&self) -> bool {
        self.checks.iter().all(|(good, _)| *good)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.good()))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |wanted| {
            let of = self.checks.iter().filter(move |(good, _)| *good == wanted);
            of.map(|(_, told)| told.as_str()).collect::<Vec<_>>().join("; ")
        };
        if self.good() {
            write!(f, "good: {}", told(true))
        } else {
            write!(f, "FAILED: {}", told(false))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_decides() {
        let mut verdict = Verdict::default();
        verdict.check(true, "0 validation errors");
        assert_eq!(verdict.to_string(), "good: 0 validation errors");
        verdict.check(false, "3 entries never freed");
        assert!(!verdict.good());
        assert_eq!(verdict.to_string(), "FAILED: 3 entries never freed");
    }
}
