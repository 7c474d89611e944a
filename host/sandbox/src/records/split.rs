//! Finds where the objects of a JSON array begin and end, by bit masks for 64 bytes at a time.
//!
//! Strings, escapes and brackets are all it takes. What stands between them is not looked at, so that an object found
//! here may still be no valid JSON; whatever else is not as it should be makes the search fail rather than guess.

use std::ops::Range;

use super::block::{Masks, SIZE};

/// The objects of an array.
pub(super) struct Objects {
    /// Where they lie in the text.
    pub(super) elements: Vec<Range<usize>>,
    /// Whether there may be line breaks in them.
    pub(super) has_breaks: bool,
}

/// The objects of the array whose first element starts at `first`; `None` where there are more than `elements_max`,
/// where the array has other elements too, does not end, or is damaged.
pub(super) fn objects(json: &[u8], first: usize, elements_max: usize) -> Option<Objects> {
    let mut strings = Strings::default();
    let mut array = Array { json, elements: Vec::new(), start: first, depth: 0 };
    let mut controls = 0;
    let (blocks, tail) = json.get(first..)?.as_chunks::<SIZE>();
    let mut last = [b' '; SIZE];
    last[..tail.len()].copy_from_slice(tail);
    for (index, block) in blocks.iter().chain([&last]).enumerate() {
        let masks = Masks::of(block);
        let inside = strings.inside(masks);
        if masks.controls & inside != 0 {
            // A raw line break in a string is an error of the source. It must not pass for one between tokens, which
            // may become a space.
            return None;
        }
        controls |= masks.controls;
        let mut brackets = masks.brackets & !inside;
        while brackets != 0 {
            let at = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            if array.bracket(block[at % SIZE], first + index * SIZE + at)? {
                return Some(Objects { elements: array.elements, has_breaks: controls != 0 });
            }
            if array.elements.len() > elements_max {
                return None;
            }
        }
    }
    None
}

/// What of the strings reaches from one block into the next.
#[derive(Debug, Default)]
struct Strings {
    /// All ones where the block begins inside a string.
    open: u64,
    /// 1 where a backslash ended the block before and escapes the first byte of this one.
    escape: u64,
}

impl Strings {
    /// The bytes inside strings, the opening quote among them.
    fn inside(&mut self, masks: Masks) -> u64 {
        let escaped = self.escaped(masks.backslashes);
        let inside = parity(masks.quotes & !escaped) ^ self.open;
        self.open = 0_u64.wrapping_sub(inside >> 63);
        inside
    }

    /// The bytes after a backslash that is not itself one of them.
    fn escaped(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escape;
        backslashes &= !self.escape;
        self.escape = 0;
        while backslashes != 0 {
            let escape = backslashes & backslashes.wrapping_neg();
            escaped |= escape << 1;
            backslashes &= !(escape | escape << 1);
            self.escape = escape >> 63;
        }
        escaped
    }
}

/// Each bit becomes the parity of itself and all before it: set from an odd quote to the one before the next.
fn parity(mut quotes: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        quotes ^= quotes << distance;
    }
    quotes
}

/// The array as far as it was read.
struct Array<'a> {
    json: &'a [u8],
    elements: Vec<Range<usize>>,
    /// Where the element began that is being read.
    start: usize,
    /// How many brackets are open below the array's.
    depth: usize,
}

impl Array<'_> {
    /// Takes the next bracket outside strings; whether it closes the array. `None` where it cannot stand there.
    fn bracket(&mut self, bracket: u8, at: usize) -> Option<bool> {
        match (bracket, self.depth) {
            (b'{', 0) => {
                let separator: &[u8] = if self.elements.is_empty() { b"" } else { b"," };
                self.gap(at, separator)?;
                (self.start, self.depth) = (at, 1);
            }
            (b']', 0) => return self.gap(at, b"").map(|()| true),
            (_, 0) => return None,
            (b'{' | b'[', _) => self.depth += 1,
            (b'}', 1) => {
                self.elements.push(self.start..at + 1);
                self.depth = 0;
            }
            (_, 1) => return None,
            _ => self.depth -= 1,
        }
        Some(false)
    }

    /// Checks that nothing but white space and `separator` stands between the last element and `at`.
    fn gap(&self, at: usize, separator: &[u8]) -> Option<()> {
        let from = self.elements.last().map_or(self.start, |last| last.end);
        let gap = self.json.get(from..at)?;
        let white = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        gap.iter().filter(|byte| !white(byte)).eq(separator).then_some(())
    }
}
