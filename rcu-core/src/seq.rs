//! Grace-period sequence numbers: arithmetic only, generic over the word.
//!
//! The low two bits of a sequence number are the state of the grace period in progress, the rest
//! counts grace periods: one goes `s` → `s+1` (started) → `s+2` (readers are being scanned) →
//! `s+4` (over). The encoding and its snapshot rule follow Linux's `rcu_seq_snap()`.

use std::fmt;

/// How far the grace period named by a sequence number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpState {
    /// No grace period is in progress.
    Idle,
    /// One has started; its heavy barrier is not yet known to be over.
    Started,
    /// Its heavy barrier is over; readers are being scanned.
    Scanning,
}

/// An unsigned word that sequence numbers are made of: `u64` in the engine, `u8` in tests that
/// check every value.
pub trait Word: Copy + Eq + fmt::Debug {
    /// `self + n`, wrapping.
    fn plus(self, n: u8) -> Self;
    /// `self` without its two state bits.
    fn counter(self) -> Self;
    /// The two state bits.
    fn state(self) -> u8;
    /// Whether `self` is at or after `other`, by wrapping half-range comparison.
    fn at_or_after(self, other: Self) -> bool;
}

macro_rules! impl_word {
    ($($word:ty),*) => {$(
        impl Word for $word {
            #[inline]
            fn plus(self, n: u8) -> Self {
                self.wrapping_add(Self::from(n))
            }
            #[inline]
            fn counter(self) -> Self {
                self & !3
            }
            #[inline]
            fn state(self) -> u8 {
                (self & 3) as u8
            }
            #[inline]
            fn at_or_after(self, other: Self) -> bool {
                self.wrapping_sub(other) <= Self::MAX / 2
            }
        }
    )*};
}
impl_word!(u8, u64);

/// A value of a domain's grace-period sequence.
///
/// Sequence numbers wrap, so they have no order; the one comparison there is
/// ([`GpSeq::is_done`]) is right as long as the two are less than half the range apart.
///
/// ```
/// use rcu_core::GpSeq;
///
/// let idle = GpSeq::new(8u64);
/// assert_eq!(idle.snapshot(), GpSeq::new(12)); // the next grace period covers us
/// let started = idle.next();
/// assert_eq!(started.snapshot(), GpSeq::new(16)); // the one under way may have begun too early
/// assert!(!started.is_done(idle.snapshot()));
/// assert!(GpSeq::new(12u64).is_done(idle.snapshot()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GpSeq<W = u64>(W);

impl<W: Word> GpSeq<W> {
    /// Wraps a raw value.
    #[inline]
    pub const fn new(raw: W) -> Self {
        Self(raw)
    }

    /// The raw value.
    #[inline]
    pub const fn get(self) -> W
    where
        W: Copy,
    {
        self.0
    }

    /// The end of the first grace period that is sure to begin after this value was read.
    #[inline]
    #[must_use]
    pub fn snapshot(self) -> Self {
        Self(self.0.plus(7).counter())
    }

    /// Whether a sequence that stands at `self` has reached `cookie`, a value that
    /// [`GpSeq::snapshot`] gave.
    #[inline]
    pub fn is_done(self, cookie: Self) -> bool {
        self.0.at_or_after(cookie.0)
    }

    /// The state of the grace period in progress.
    ///
    /// # Panics
    ///
    /// If the state bits are 3, which no sequence ever shows.
    #[inline]
    pub fn state(self) -> GpState {
        match self.0.state() {
            0 => GpState::Idle,
            1 => GpState::Started,
            2 => GpState::Scanning,
            bits => unreachable!("grace-period state bits are {bits}"),
        }
    }

    /// The value that follows this one: `s` → `s+1` → `s+2` → `s+4`.
    #[inline]
    #[must_use]
    pub fn next(self) -> Self {
        match self.state() {
            GpState::Idle | GpState::Started => Self(self.0.plus(1)),
            GpState::Scanning => Self(self.0.plus(2)),
        }
    }
}

impl<W: Word> fmt::Debug for GpSeq<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpSeq({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same sequence, never wrapping: what an 8-bit one is checked against.
    #[derive(Clone, Copy)]
    struct Oracle(u64);

    impl Oracle {
        /// The end of the first grace period whose start comes at or after now, found by looking.
        fn snapshot(self) -> u64 {
            let mut start = self.0;
            while !start.is_multiple_of(4) {
                start += 1;
            }
            start + 4
        }

        fn next(self) -> Self {
            Self(self.0 + [1, 1, 2, 1][(self.0 % 4) as usize])
        }
    }

    fn narrow(value: u64) -> GpSeq<u8> {
        GpSeq::new(value as u8)
    }

    #[test]
    fn every_8_bit_value_agrees_with_the_oracle() {
        // Three turns of the 8-bit word, so that each pair below also meets its wrap.
        for now in (0..3 * 256).filter(|v| v % 4 != 3).map(Oracle) {
            assert_eq!(narrow(now.0).snapshot(), narrow(now.snapshot()), "snapshot at {}", now.0);
            assert_eq!(narrow(now.0).next(), narrow(now.next().0), "next of {}", now.0);
            for distance in -127i64..=127 {
                let Ok(cookie) = u64::try_from(now.0 as i64 + distance) else { continue };
                assert_eq!(
                    narrow(now.0).is_done(narrow(cookie)),
                    now.0 >= cookie,
                    "now {} cookie {cookie}",
                    now.0
                );
            }
        }
    }

    proptest! {
        /// A walk of grace periods with cookies taken on the way: each is done exactly when the
        /// grace period it names is over, and no more than two distinct ones are live at a time.
        #[test]
        fn walks_with_cookies(start in 0u64..1024, takes in prop::collection::vec(any::<bool>(), 1..90)) {
            let mut now = Oracle(start * 4);
            let mut live: Vec<u64> = Vec::new();
            for take in takes {
                if take {
                    let cookie = now.snapshot();
                    prop_assert_eq!(narrow(now.0).snapshot(), narrow(cookie));
                    if !live.contains(&cookie) {
                        live.push(cookie);
                    }
                }
                now = now.next();
                for &cookie in &live {
                    prop_assert_eq!(narrow(now.0).is_done(narrow(cookie)), now.0 >= cookie);
                }
                live.retain(|&cookie| now.0 < cookie);
                prop_assert!(live.len() <= crate::ACTIVE_COOKIES);
            }
        }

        #[test]
        fn wide_words_wrap_like_narrow_ones(back in 0u64..64, ahead in 0u64..64) {
            let now = GpSeq::new(0u64.wrapping_sub(back * 4));
            let cookie = GpSeq::new(ahead * 4);
            prop_assert_eq!(now.is_done(cookie), back == 0 && ahead == 0);
            prop_assert!(cookie.is_done(now));
        }
    }
}
