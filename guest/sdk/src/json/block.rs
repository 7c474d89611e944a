//! Where the bytes that shape a JSON text stand in 64 bytes of it, a bit each: bit 0 is the first byte.

#[cfg(target_arch = "wasm32")]
use std::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u64x2, v128, v128_or};

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

/// With the vectors of WebAssembly: 16 bytes an instruction. The attribute spares the connector's build any flag.
#[cfg(target_arch = "wasm32")]
impl Masks {
    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn of(block: &[u8; SIZE]) -> Self {
        let mut masks = Self::default();
        for (index, part) in block.as_chunks().0.iter().enumerate() {
            let bytes = load(part);
            // Setting this bit makes `[` and `]` the braces, and nothing else.
            let braces = v128_or(bytes, u8x16_splat(0x20));
            let brackets = v128_or(u8x16_eq(braces, u8x16_splat(b'{')), u8x16_eq(braces, u8x16_splat(b'}')));
            let place = |found: v128| u64::from(u8x16_bitmask(found)) << (index * 16);
            masks.quotes |= place(u8x16_eq(bytes, u8x16_splat(b'"')));
            masks.backslashes |= place(u8x16_eq(bytes, u8x16_splat(b'\\')));
            masks.brackets |= place(brackets);
            masks.controls |= place(u8x16_le(bytes, u8x16_splat(b' ' - 1)));
        }
        masks
    }
}

/// Two halves make one load, as the compiler sees; the intrinsic for it takes a pointer and is unsafe.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn load(part: &[u8; 16]) -> v128 {
    let half = |index: usize| part.as_chunks().0.get(index).map_or(0, |&half| u64::from_le_bytes(half));
    u64x2(half(0), half(1))
}

/// Byte by byte: connectors run natively in tests only.
#[cfg(not(target_arch = "wasm32"))]
impl Masks {
    pub(super) fn of(block: &[u8; SIZE]) -> Self {
        let mut masks = Self::default();
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
}
