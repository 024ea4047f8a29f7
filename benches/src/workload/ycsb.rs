//! The YCSB core mixes A, B and C, as a stream of operations per thread.

use super::{rng::Rng, zipf::Zipf};

/// A mix of reads and updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Mix {
    /// Half reads, half updates.
    A,
    /// 95 reads, 5 updates.
    B,
    /// Reads only.
    C,
}

impl Mix {
    pub(crate) const ALL: [Mix; 3] = [Mix::A, Mix::B, Mix::C];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mix::A => "A",
            Mix::B => "B",
            Mix::C => "C",
        }
    }

    /// What the mix is, for the head of a table.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Mix::A => "50 % updates",
            Mix::B => "5 % updates",
            Mix::C => "reads only",
        }
    }

    const fn updates_in_100(self) -> u64 {
        match self {
            Mix::A => 50,
            Mix::B => 5,
            Mix::C => 0,
        }
    }
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Read { key: u64 },
    Update { key: u64, seed: u64 },
}

/// A thread's endless stream of operations.
#[derive(Debug)]
pub(crate) struct Ops<'a> {
    zipf: &'a Zipf,
    rng: Rng,
    /// An operation updates if the high half of a draw is below this.
    threshold: u64,
}

impl<'a> Ops<'a> {
    pub(crate) fn new(mix: Mix, zipf: &'a Zipf, rng: Rng) -> Self {
        Ops { zipf, rng, threshold: (mix.updates_in_100() << 32) / 100 }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Op {
        let key = self.zipf.key(&mut self.rng);
        let seed = self.rng.next();
        if seed >> 32 < self.threshold { Op::Update { key, seed } } else { Op::Read { key } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mix_has_its_share_of_updates() {
        let zipf = Zipf::new(100);
        for (mix, share) in [(Mix::A, 0.5), (Mix::B, 0.05), (Mix::C, 0.0)] {
            let mut ops = Ops::new(mix, &zipf, Rng::new(5, 0));
            let updates =
                (0..100_000).filter(|_| matches!(ops.next(), Op::Update { .. })).count() as f64;
            assert!((updates / 100_000.0 - share).abs() < 0.01, "{mix:?}: {updates}");
        }
    }

    #[test]
    fn reads_and_updates_choose_keys_alike() {
        let zipf = Zipf::new(100);
        let hottest = super::super::zipf::key_of(0);
        let mut ops = Ops::new(Mix::A, &zipf, Rng::new(6, 0));
        let (mut reads, mut updates) = (0u32, 0u32);
        for _ in 0..100_000 {
            match ops.next() {
                Op::Read { key } => reads += u32::from(key == hottest),
                Op::Update { key, .. } => updates += u32::from(key == hottest),
            }
        }
        let ratio = f64::from(reads) / f64::from(updates);
        assert!((0.9..1.1).contains(&ratio), "{reads} reads, {updates} updates");
    }
}
