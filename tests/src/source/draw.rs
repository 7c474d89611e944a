//! Numbers that look random and depend only on a seed and a position.

/// A sequence of numbers for one position.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, position: u64) -> Self {
        Self(scatter(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ scatter(position))
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// The next number below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The high bits of the product are evenly spread, and a multiplication is cheaper than a division.
        let product = u128::from(self.bits()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// The next number in 0.0..1.0.
    pub(super) fn unit(&mut self) -> f64 {
        let thirty_two_bits = u32::try_from(self.bits() >> 32).unwrap_or(0);
        f64::from(thirty_two_bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// The next choice from a list, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len() as u64);
        list[usize::try_from(index).unwrap_or(0)]
    }
}

/// Spreads a number over all 64 bits (the finaliser of `SplitMix64`). Two numbers never give the same result.
pub(super) fn scatter(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
