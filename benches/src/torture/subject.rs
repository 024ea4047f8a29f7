//! What can be tortured: a flavour with a name and a sequence to look at.

use std::future::Future;

use rcu_core::{Cookie, Flavor, GpSeq, Rcu};

/// A flavour under torture.
pub(super) trait Subject: Flavor + Unpin {
    /// What `--flavor` calls it.
    const NAME: &'static str;

    /// Where the sequence of grace periods stands: for histograms, and without a fence, so that
    /// looking does not order what the flavour should.
    fn seq(&self) -> GpSeq;

    /// [`Flavor::wait`]; a control cannot replace that one.
    fn future(&self, cookie: Cookie<Self>) -> impl Future<Output = ()> + Unpin {
        self.wait(cookie)
    }
}

impl Subject for Rcu {
    const NAME: &'static str = "rcu";

    fn seq(&self) -> GpSeq {
        self.stats().grace_periods.seq
    }
}

/// How many grace periods ended between two looks at the sequence.
pub(super) fn grace_periods(from: GpSeq, to: GpSeq) -> u64 {
    // The low two bits are the state of the one in progress.
    (to.get() >> 2).wrapping_sub(from.get() >> 2) & (u64::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_periods_are_counted_across_the_wrap() {
        let before = GpSeq::new(u64::MAX - 1); // scanning, the last before the wrap
        assert_eq!(grace_periods(before, before), 0);
        assert_eq!(grace_periods(before, GpSeq::new(0)), 1);
        assert_eq!(grace_periods(before, GpSeq::new(6)), 2);
    }
}
