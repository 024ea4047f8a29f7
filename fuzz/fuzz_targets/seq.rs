//! The cookie arithmetic on an 8-bit word against a counter that never wraps.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rcu_core::{ACTIVE_COOKIES, GpSeq, GpState};

fuzz_target!(|steps: &[u8]| {
    // The same sequence twice: narrow, and as wide as it takes.
    let mut narrow = GpSeq::new(0u8);
    let mut wide = 0u64;
    let mut live: Vec<(GpSeq<u8>, u64)> = Vec::new();
    for step in steps {
        if step & 1 == 0 {
            let end = (wide + 7) / 4 * 4;
            if !live.iter().any(|&(_, known)| known == end) {
                live.push((narrow.snapshot(), end));
            }
        } else {
            wide += if narrow.state() == GpState::Scanning { 2 } else { 1 };
            narrow = narrow.next();
        }
        assert_eq!(narrow, GpSeq::new(wide as u8));
        for &(cookie, end) in &live {
            assert_eq!(narrow.is_done(cookie), wide >= end);
        }
        live.retain(|&(_, end)| wide < end);
        assert!(live.len() <= ACTIVE_COOKIES);
    }
});
