//! What there is to know about the process-wide flavour.

use std::fmt;

use crate::Strategy;
use crate::gp::EngineStats;

/// The process-wide flavour at one moment; see [`Rcu::stats`](crate::Rcu::stats).
///
/// ```
/// let stats = rcu_core::Rcu.stats();
/// println!("{} threads read", stats.threads);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RcuStats {
    /// How readers and grace periods are ordered.
    pub strategy: Strategy,
    /// Why in this way.
    pub reason: &'static str,
    /// Registered threads.
    pub threads: usize,
    /// The grace periods.
    pub grace_periods: EngineStats,
}

impl fmt::Display for RcuStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rcu: {} ({}), {} threads; {}",
            self.strategy, self.reason, self.threads, self.grace_periods
        )
    }
}
