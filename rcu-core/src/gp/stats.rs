//! What there is to know about a domain.

use std::fmt;
use std::time::Duration;

use super::stall::Holder;
use crate::{GpSeq, GpState};

/// A domain at one moment; see [`Engine::stats`](super::Engine::stats).
///
/// ```
/// use rcu_core::{Flavor, Rcu};
/// Rcu.synchronize();
/// println!("{}", Rcu.stats().grace_periods);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// Where the sequence stands.
    pub seq: GpSeq,
    /// Grace periods begun so far.
    pub started: u64,
    /// How many of them were begun by a caller that did not wait for the interval.
    pub expedited: u64,
    /// Threads that sleep until a grace period ends, or a reader leaves.
    pub waiting: u32,
    /// Whether a grace period is asked for that is not over.
    pub requested: bool,
    /// How long the scan of the grace period in progress has been going on.
    pub scanning_for: Option<Duration>,
    /// Who holds it up.
    pub holder: Option<Holder>,
}

impl fmt::Display for EngineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.seq.state() {
            GpState::Idle if self.requested => "idle, one asked for",
            GpState::Idle => "idle",
            GpState::Started => "started",
            GpState::Scanning => "scanning",
        };
        write!(
            f,
            "sequence {} ({state}); {} grace periods begun, {} of them expedited; {} waiting",
            self.seq.get(),
            self.started,
            self.expedited,
            self.waiting
        )?;
        if let Some(age) = self.scanning_for {
            write!(f, "; scanning for {age:.1?}")?;
        }
        if let Some(holder) = &self.holder {
            write!(f, ", held up by {holder}")?;
        }
        Ok(())
    }
}
