//! Zipfian ranks with exponent 0.99, as YCSB draws them, and the keys that stand for them.
//!
//! The method is that of Gray et al., *Quickly generating billion-record synthetic databases*
//! (1994): exact for the two hottest ranks, an inverted integral for the rest. Its exponent
//! `1 / (1 - theta)` is 100 for theta 0.99, so a power of an integer does for `pow`, and a draw
//! costs a few nanoseconds against the table's tens.

use super::rng::{Rng, mix};

const THETA: f64 = 0.99;
/// `1 / (1 - THETA)`.
const ALPHA: i32 = 100;

/// The distribution over `keys` ranks, rank 0 the hottest.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    keys: u64,
    zeta: f64,
    eta: f64,
    /// Weight of ranks 0 and 1 together, where rank 0 weighs 1.
    two: f64,
}

impl Zipf {
    /// # Panics
    /// If there are fewer than two keys.
    pub(crate) fn new(keys: u64) -> Self {
        assert!(keys >= 2, "a zipfian choice needs at least two keys");
        let zeta: f64 = (1..=keys).map(|i| (i as f64).powf(-THETA)).sum();
        let two = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / keys as f64).powf(1.0 - THETA)) / (1.0 - two / zeta);
        Zipf { keys, zeta, eta, two }
    }

    #[inline]
    pub(crate) fn rank(&self, rng: &mut Rng) -> u64 {
        let u = rng.unit();
        let weight = u * self.zeta;
        if weight < 1.0 {
            return 0;
        }
        if weight < self.two {
            return 1;
        }
        let rank = self.keys as f64 * (self.eta * u - self.eta + 1.0).powi(ALPHA);
        (rank as u64).min(self.keys - 1)
    }

    /// A key, drawn by its rank.
    #[inline]
    pub(crate) fn key(&self, rng: &mut Rng) -> u64 {
        key_of(self.rank(rng))
    }
}

/// The key that stands for a rank: scrambled, so that hot keys are strewn over the table, and
/// distinct, because the scrambling is a bijection.
#[inline]
pub(crate) fn key_of(rank: u64) -> u64 {
    mix(rank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 10_000;
    const DRAWS: u64 = 400_000;

    fn histogram() -> Vec<u64> {
        let zipf = Zipf::new(KEYS);
        let mut rng = Rng::new(7, 3);
        let mut seen = vec![0u64; KEYS as usize];
        for _ in 0..DRAWS {
            seen[zipf.rank(&mut rng) as usize] += 1;
        }
        seen
    }

    /// Probability of the `n` hottest ranks by definition.
    fn head(n: u64) -> f64 {
        let weight = |n| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        weight(n) / weight(KEYS)
    }

    #[test]
    fn the_head_and_the_tail_have_their_share() {
        let seen = histogram();
        for n in [1, 2, 10, 100, 1_000, 5_000] {
            let drawn = seen[..n as usize].iter().sum::<u64>() as f64 / DRAWS as f64;
            // The inverted integral is off by up to a percent and a half around rank 10.
            assert!((drawn - head(n)).abs() < 0.02, "{n} hottest: {drawn}, not {}", head(n));
        }
    }

    #[test]
    fn the_two_hottest_are_exact() {
        let seen = histogram();
        let zeta: f64 = (1..=KEYS).map(|i| (i as f64).powf(-THETA)).sum();
        for (rank, weight) in [(0, 1.0), (1, 0.5f64.powf(THETA))] {
            let (drawn, due) = (seen[rank] as f64 / DRAWS as f64, weight / zeta);
            assert!((drawn / due - 1.0).abs() < 0.03, "rank {rank}: {drawn}, not {due}");
        }
    }

    #[test]
    fn the_smallest_distribution_stays_in_range() {
        let zipf = Zipf::new(2);
        let mut rng = Rng::new(1, 1);
        assert!((0..1000).all(|_| zipf.rank(&mut rng) < 2));
    }

    #[test]
    fn keys_are_distinct() {
        let mut keys: Vec<u64> = (0..KEYS).map(key_of).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len() as u64, KEYS);
    }
}
