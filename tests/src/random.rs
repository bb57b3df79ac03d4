//! Chance that can be had again: the same seed gives the same numbers.

use std::time::SystemTime;

/// A generator (splitmix64): small, and good enough to choose by.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    // An iterator would have an end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from `least` to `most`, small ones as likely as large ones.
    pub fn sized(&mut self, least: u64, most: u64) -> u64 {
        let doublings = (most / least).ilog2();
        let from = least << self.below(u64::from(doublings) + 1);
        (from + self.below(from)).min(most)
    }
}

/// A seed for tests that choose by chance: `OTTO_SEED`, else another each time. To be told when
/// the test fails.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("OTTO_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::from(now.unwrap_or_default().subsec_nanos())
    })
}
