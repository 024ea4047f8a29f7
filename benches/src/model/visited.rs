//! The set of states already seen, kept small: a state is remembered by a 128-bit fingerprint, a
//! number in order of discovery, and the number of the state it was first reached from.
//!
//! Two different states with one fingerprint would hide part of the state space. With 128 bits and
//! 10^8 states the odds of one such pair are below 10^-22.

use std::hash::{Hash, Hasher};

/// Slot of the table that holds no number yet.
const EMPTY: u32 = u32::MAX;

/// Open-addressing set of fingerprints with parents.
#[derive(Debug)]
pub(crate) struct Visited {
    keys: Vec<u128>,
    parents: Vec<u32>,
    slots: Vec<u32>,
}

impl Visited {
    /// An empty set.
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), parents: Vec::new(), slots: vec![EMPTY; 1 << 10] }
    }

    /// Number of states seen.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Number of `state`, and whether it is new; a new one was reached from `parent`.
    pub(crate) fn insert(&mut self, state: &impl Hash, parent: u32) -> (u32, bool) {
        if self.keys.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let key = fingerprint(state);
        let mut at = self.home(key);
        loop {
            match self.slots[at] {
                EMPTY => break,
                number if self.keys[number as usize] == key => return (number, false),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
        let number = u32::try_from(self.keys.len()).expect("a model of less than 2^32 states");
        self.slots[at] = number;
        self.keys.push(key);
        self.parents.push(parent);
        (number, true)
    }

    /// Fingerprints from the initial state to state `number`, both included.
    pub(crate) fn path_to(&self, number: u32) -> Vec<u128> {
        let mut path = vec![self.keys[number as usize]];
        let mut at = number;
        while at != 0 {
            at = self.parents[at as usize];
            path.push(self.keys[at as usize]);
        }
        path.reverse();
        path
    }

    fn home(&self, key: u128) -> usize {
        key as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 2];
        let mask = self.slots.len() - 1;
        for (number, &key) in self.keys.iter().enumerate() {
            let mut at = self.home(key);
            while self.slots[at] != EMPTY {
                at = (at + 1) & mask;
            }
            self.slots[at] = number as u32;
        }
    }
}

/// 128 bits that stand for `state`.
pub(crate) fn fingerprint(state: &impl Hash) -> u128 {
    let mut hasher = Mixer { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344 };
    state.hash(&mut hasher);
    // Once more, so that the last word reaches every bit of both halves.
    hasher.write_u64(0xa409_3822_299f_31d0);
    u128::from(hasher.low) | u128::from(hasher.high) << 64
}

/// Two 64-bit hashes computed side by side, each a chain of folded multiplications.
struct Mixer {
    low: u64,
    high: u64,
}

/// Both halves of the 128-bit product, folded: every input bit reaches every output bit.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.low = folded(self.low ^ value, 0x9e37_79b9_7f4a_7c15);
        self.high = folded(self.high.rotate_left(23) ^ value, 0xd6e8_feb8_6659_fd93);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_paths_lead_back() {
        let mut seen = Visited::new();
        for value in 0..10_000_u64 {
            let parent = value.saturating_sub(1) as u32;
            assert_eq!(seen.insert(&value, parent), (value as u32, true));
        }
        assert_eq!(seen.len(), 10_000);
        assert_eq!(seen.insert(&77_u64, 3), (77, false));
        let path = seen.path_to(9_999);
        assert_eq!(path.len(), 10_000);
        assert_eq!(path[5], fingerprint(&5_u64));
    }
}
