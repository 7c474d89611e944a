//! Where the bytes that shape a JSON text stand in 64 bytes of it, a bit each: bit 0 is the first byte.

/// As many bytes as a mask has bits.
pub(super) const SIZE: usize = 64;

/// The masks of one block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quotes: u64,
    /// `\`
    pub(super) backslashes: u64,
    /// `{`, `}`, `[` and `]`
    pub(super) brackets: u64,
    /// Everything below the space: line breaks and tabs between tokens, nothing at all inside a string.
    pub(super) controls: u64,
}

/// Setting this bit makes `[` and `]` the braces, and nothing else.
const BRACE_BIT: u8 = 0x20;

impl Masks {
    /// Eight bytes at a time: vectors would need `unsafe` code.
    pub(super) fn of(block: &[u8; SIZE]) -> Self {
        let mut masks = Self::default();
        for (index, word) in block.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let braces = word | each(BRACE_BIT);
            let place = |found: u64| gathered(found) << (index * 8);
            masks.quotes |= place(zeros(word ^ each(b'"')));
            masks.backslashes |= place(zeros(word ^ each(b'\\')));
            masks.brackets |= place(zeros(braces ^ each(b'{')) | zeros(braces ^ each(b'}')));
            masks.controls |= place(zeros(word & each(!(b' ' - 1))));
        }
        masks
    }
}

/// Every byte of a word the same.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The high bit of each byte that is zero, and no other.
fn zeros(word: u64) -> u64 {
    const LOW: u64 = each(0x7f);
    !(((word & LOW) + LOW) | word | LOW)
}

/// The high bits of the bytes, side by side: the product moves that of byte n to bit 56 + n.
fn gathered(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(block: &[u8; SIZE]) -> Masks {
        let mut masks = Masks::default();
        for (index, byte) in block.iter().enumerate() {
            let bit = 1 << index;
            match byte {
                b'"' => masks.quotes |= bit,
                b'\\' => masks.backslashes |= bit,
                b'{' | b'}' | b'[' | b']' => masks.brackets |= bit,
                0..b' ' => masks.controls |= bit,
                _ => {}
            }
        }
        masks
    }

    fn check(block: &[u8; SIZE]) {
        assert_eq!(Masks::of(block), one_by_one(block), "{block:?}");
    }

    #[test]
    fn every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..SIZE {
                let mut block = [b'a'; SIZE];
                block[place] = byte;
                check(&block);
            }
            check(&[byte; SIZE]);
        }
    }

    proptest! {
        #[test]
        fn blocks_are_as_their_bytes(bytes in prop::collection::vec(any::<u8>(), SIZE)) {
            check(&bytes.try_into().unwrap());
        }
    }
}
