//! How often to start a grace period, and how long to leave a busy reader alone.

use std::hint;
use std::time::Duration;

/// The growing pauses between two looks at readers that hold a grace period up: first a few spins
/// (most sections are shorter than that), then sleeps that double.
#[derive(Debug)]
pub(super) struct Patience {
    looks: u32,
}

impl Patience {
    /// Looks made at full speed before the first sleep.
    const SPINS: u32 = 200;
    const FIRST_SLEEP: Duration = Duration::from_micros(20);
    /// A reader that leaves wakes us; this is for those that cannot, and for reports of stalls.
    const LONGEST_SLEEP: Duration = Duration::from_millis(100);

    pub(super) const fn new() -> Self {
        Self { looks: 0 }
    }

    /// Spins a moment and returns `None`, or says how long to sleep before the next look.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let look = self.looks;
        self.looks = look.saturating_add(1);
        if look < Self::SPINS {
            hint::spin_loop();
            return None;
        }
        let doublings = (look - Self::SPINS).min(13);
        Some((Self::FIRST_SLEEP * (1 << doublings)).min(Self::LONGEST_SLEEP))
    }

    /// Forgets the looks made: something moved.
    pub(super) fn renew(&mut self) {
        self.looks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_grow_up_to_the_longest_and_start_again() {
        let mut patience = Patience::new();
        let sleeps: Vec<_> = (0..300).filter_map(|_| patience.pause()).collect();
        assert_eq!(sleeps.len(), 300 - Patience::SPINS as usize);
        assert_eq!(sleeps[0], Patience::FIRST_SLEEP);
        assert!(sleeps.is_sorted());
        assert_eq!(*sleeps.last().unwrap(), Patience::LONGEST_SLEEP);
        patience.renew();
        assert_eq!(patience.pause(), None);
    }
}
