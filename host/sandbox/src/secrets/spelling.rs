//! The ways in which programs write one letter: as it is, percent-encoded, escaped in JSON, as an entity of HTML, as a byte of
//! Latin-1; and one of them inside another. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// No way of writing a letter beyond ASCII takes more bytes, no way of writing another one more than half of them.
pub(super) const BYTES_MAX: usize = 48;
/// How often one way may stand inside another: JSON inside JSON inside a URL.
const LEVELS: usize = 3;
/// How lines end, where a text is broken into lines.
const BREAKS: &[&str] = &[
    "\n", "\r", "\\n", "\\r", "\\\\n", "\\\\r", "\\u000a", "\\u000d", "%0a", "%0d", "%250a", "%250d", "&#10;", "&#13;",
    "&#xa;", "&#xd;",
];
/// Names of ASCII letters in HTML.
const NAMES: &[(char, &str)] = &[
    ('\t', "Tab"),
    ('\n', "NewLine"),
    ('!', "excl"),
    ('"', "quot"),
    ('#', "num"),
    ('$', "dollar"),
    ('%', "percnt"),
    ('&', "amp"),
    ('\'', "apos"),
    ('(', "lpar"),
    (')', "rpar"),
    ('*', "ast"),
    ('+', "plus"),
    (',', "comma"),
    ('.', "period"),
    ('/', "sol"),
    (':', "colon"),
    (';', "semi"),
    ('<', "lt"),
    ('=', "equals"),
    ('>', "gt"),
    ('?', "quest"),
    ('@', "commat"),
    ('[', "lbrack"),
    ('\\', "bsol"),
    (']', "rbrack"),
    ('^', "Hat"),
    ('_', "lowbar"),
    ('`', "grave"),
    ('{', "lbrace"),
    ('|', "vert"),
    ('}', "rbrace"),
];
/// Names of the letters from U+00A0 to U+00FF in HTML, in order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute \
    micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave \
    Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml \
    Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth \
    ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// A text to be read letter by letter, and how many ways of writing one may still be tried.
pub(super) struct Reading<'t> {
    pub(super) text: &'t [u8],
    pub(super) tries_left: usize,
}

impl Reading<'_> {
    /// Adds the places at which `letter` ends, in whatever way it is written, if it begins at `at`.
    pub(super) fn ends(&mut self, at: usize, letter: char, places: &mut Vec<usize>) {
        let known = places.len();
        self.ends_within(LEVELS, (at, letter), places);
        keep(places, known, |end| end - at <= bytes_max(letter));
    }

    /// Adds the places at which `letter` begins, in whatever way it is written, if it ends at `at`.
    pub(super) fn beginnings(&mut self, at: usize, letter: char, places: &mut Vec<usize>) {
        let known = places.len();
        self.beginnings_within(LEVELS, (at, letter), places);
        keep(places, known, |begin| at - begin <= bytes_max(letter));
    }

    fn pay(&mut self) -> bool {
        let left = self.tries_left.checked_sub(1);
        self.tries_left = left.unwrap_or_default();
        left.is_some()
    }

    fn ends_within(&mut self, levels: usize, (at, letter): (usize, char), places: &mut Vec<usize>) {
        let text = self.text;
        let Some(rest) = text.get(at..) else { return };
        let mut bytes = [0; 4];
        let plain = letter.encode_utf8(&mut bytes).as_bytes();
        if rest.starts_with(plain) {
            places.push(at + plain.len());
        }
        if is_quote(letter) && rest.starts_with(&[letter as u8; 2]) {
            places.push(at + 2);
        }
        // What is written in another way begins with one of these.
        let begins = |first: &u8| matches!(first, b'%' | b'\\' | b'&' | 128..) || *first == plus(letter);
        if levels == 0 || !rest.first().is_some_and(begins) {
            return;
        }
        if let (Some(byte), Some(first)) = (latin_1(letter), rest.first()) {
            places.extend((byte == *first).then_some(at + 1));
        }
        for way in ways(letter).iter() {
            if !self.pay() {
                return;
            }
            let (mut here, mut next) = (vec![at], Vec::new());
            for part in way.chars() {
                for place in here.drain(..) {
                    if part.is_ascii_alphanumeric() {
                        // No program escapes letters and digits of what it has escaped.
                        next.extend(
                            text.get(place).filter(|byte| byte.eq_ignore_ascii_case(&(part as u8))).map(|_| place + 1),
                        );
                    } else {
                        self.ends_within(levels - 1, (place, part), &mut next);
                    }
                }
                std::mem::swap(&mut here, &mut next);
            }
            places.append(&mut here);
        }
    }

    fn beginnings_within(&mut self, levels: usize, (at, letter): (usize, char), places: &mut Vec<usize>) {
        let text = self.text;
        let Some(rest) = text.get(..at) else { return };
        let mut bytes = [0; 4];
        let plain = letter.encode_utf8(&mut bytes).as_bytes();
        if rest.ends_with(plain) {
            places.push(at - plain.len());
        }
        if is_quote(letter) && rest.ends_with(&[letter as u8; 2]) {
            places.push(at - 2);
        }
        // What is written in another way begins with one of these, not far before.
        let near = &rest[at.saturating_sub(bytes_max(letter))..];
        if levels == 0 || !near.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&' | 128..) || *byte == plus(letter))
        {
            return;
        }
        if let (Some(byte), Some(last)) = (latin_1(letter), rest.last()) {
            places.extend((byte == *last).then(|| at - 1));
        }
        for way in ways(letter).iter() {
            if !self.pay() {
                return;
            }
            let (mut here, mut next) = (vec![at], Vec::new());
            for part in way.chars().rev() {
                for place in here.drain(..) {
                    if part.is_ascii_alphanumeric() {
                        let before = text[..place].last();
                        next.extend(before.filter(|byte| byte.eq_ignore_ascii_case(&(part as u8))).map(|_| place - 1));
                    } else {
                        self.beginnings_within(levels - 1, (place, part), &mut next);
                    }
                }
                std::mem::swap(&mut here, &mut next);
            }
            places.append(&mut here);
        }
    }
}

fn keep(places: &mut Vec<usize>, known: usize, is_near: impl Fn(usize) -> bool) {
    let mut index = 0;
    places.retain(|place| {
        index += 1;
        index <= known || is_near(*place)
    });
}

/// The most bytes that a way of writing a letter may take to be known.
pub(super) fn bytes_max(letter: char) -> usize {
    if letter.is_ascii() { BYTES_MAX / 2 } else { BYTES_MAX }
}

/// CSV and SQL double quotation marks.
fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'')
}

/// What a form has for a space, if the letter is one; else a byte that begins another way of writing it all the same.
fn plus(letter: char) -> u8 {
    if letter == ' ' { b'+' } else { b'%' }
}

/// The byte that is the letter in Latin-1, if it is another than in UTF-8.
pub(super) fn latin_1(letter: char) -> Option<u8> {
    u8::try_from(letter).ok().filter(|byte| *byte >= 128)
}

/// Where the next line begins, if the one before it ends at `at`; `at` itself if there is no line end.
pub(super) fn after_break(text: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(found) = BREAKS.iter().find(|found| {
        text.get(end..end + found.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(found.as_bytes()))
    }) {
        end += found.len();
    }
    let blanks = text[end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if end > at { end + blanks } else { at }
}

/// Where the line before ended, if one begins at `at`; `at` itself if none does.
pub(super) fn before_break(text: &[u8], at: usize) -> usize {
    let blanks = text[..at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let (mut begin, end) = (at - blanks, at - blanks);
    while let Some(found) = BREAKS.iter().find(|found| {
        text[..begin].len() >= found.len() && text[begin - found.len()..begin].eq_ignore_ascii_case(found.as_bytes())
    }) {
        begin -= found.len();
    }
    if begin < end { begin } else { at }
}

/// All ways but the plain one, none of them inside another; the bytes of Latin-1 are not among them. Digits of hexadecimal
/// numbers are in lower case.
pub(super) fn ways(letter: char) -> Cow<'static, [String]> {
    static ASCII: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| ('\0'..'\u{80}').map(made_ways).collect());
    match ASCII.get(letter as usize) {
        Some(ways) => Cow::Borrowed(ways),
        None => Cow::Owned(made_ways(letter)),
    }
}

fn made_ways(letter: char) -> Vec<String> {
    let mut all = Vec::new();
    all.push(percent(letter.encode_utf8(&mut [0; 4]).as_bytes()));
    all.extend(latin_1(letter).map(|byte| percent(&[byte])));
    all.extend((letter == ' ').then(|| "+".to_owned()));
    backslashes(letter, &mut all);
    entities(letter, &mut all);
    all
}

/// `\n`, `\u000a`, `\x0a`.
fn backslashes(letter: char, all: &mut Vec<String>) {
    let short = match letter {
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '"' | '\'' | '/' | '\\' => Some(letter),
        _ => None,
    };
    all.extend(short.map(|short| format!("\\{short}")));
    let mut units = String::new();
    for unit in letter.encode_utf16(&mut [0; 2]) {
        let _infallible = write!(units, "\\u{unit:04x}");
    }
    all.push(units);
    all.extend(u8::try_from(letter).ok().map(|byte| format!("\\x{byte:02x}")));
}

/// `&amp;`, `&#38;`, `&#038;`, `&#x26;`.
fn entities(letter: char, all: &mut Vec<String>) {
    let number = u32::from(letter);
    let mut names = LATIN_1.split(' ').filter(|name| !name.is_empty());
    let latin_1 = number.checked_sub(0xa0).and_then(|index| names.nth(index as usize));
    let name = NAMES.iter().find(|(named, _)| *named == letter).map(|(_, name)| *name).or(latin_1);
    all.extend(name.map(|name| format!("&{name};")));
    all.extend([format!("&#{number};"), format!("&#x{number:x};")]);
    if number < 100 {
        all.push(format!("&#{number:03};"));
    }
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "%{byte:02x}");
        text
    })
}

/// The ways in which programs write a letter that escape all of them.
pub(super) fn escapes(letter: char) -> [String; 8] {
    let number = u32::from(letter);
    let percent = percent(letter.encode_utf8(&mut [0; 4]).as_bytes());
    let (mut lower, mut upper) = (String::new(), String::new());
    for unit in letter.encode_utf16(&mut [0; 2]) {
        let _infallible = write!(lower, "\\u{unit:04x}");
        let _infallible = write!(upper, "\\u{unit:04X}");
    }
    [
        percent.to_ascii_uppercase(),
        percent,
        lower,
        upper,
        format!("\\x{number:02x}"),
        format!("&#{number};"),
        format!("&#x{number:x};"),
        format!("&#x{number:X};"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters, and how they may be written.
    const KNOWN: &[(char, &[&str])] = &[
        (
            '/',
            &[
                "/",
                "%2f",
                "%252F",
                "%25252f",
                "\\/",
                "\\\\/",
                "\\\\\\/",
                "\\u002F",
                "\\\\u002f",
                "&#47;",
                "&#x2f;",
                "&sol;",
                "&amp;#47;",
            ],
        ),
        (
            '"',
            &[
                "\\\"",
                "\\\\\\\"",
                "\\\\\\\\\\\\\\\"",
                "&quot;",
                "&#34;",
                "&#034;",
                "\"\"",
                "\\x22",
                "%22",
                "%5C%22",
                "%5C%5C%5C%22",
            ],
        ),
        ('\\', &["\\\\", "\\\\\\\\", "%5c", "%5C%5C", "&#92;", "\\u005c", "\\\\u005c"]),
        (
            'é',
            &[
                "é",
                "%c3%a9",
                "%E9",
                "%25c3%25a9",
                "\\u00e9",
                "\\U00E9",
                "\\xe9",
                "%5Cu00e9",
                "&eacute;",
                "&#233;",
                "&#xE9;",
            ],
        ),
        ('ÿ', &["&yuml;"]),
        ('\u{a0}', &["&nbsp;"]),
        ('🦀', &["%f0%9f%a6%80", "\\ud83e\\udd80", "\\\\uD83E\\\\uDD80", "&#129408;", "&#x1f980;"]),
        ('&', &["&amp;", "&amp;amp;", "\\u0026", "\\u0026amp;", "%26"]),
        (' ', &["+", "%20", "%2B", "&#32;"]),
        ('a', &["%61", "\\u0061", "&#97;", "&#x61;"]),
    ];

    #[test]
    fn what_programs_write_is_read_in_both_directions() {
        for (letter, forms) in KNOWN {
            for form in *forms {
                let text = format!("x{form}y");
                let (mut forward, mut backward) = (Vec::new(), Vec::new());
                let mut reading = Reading { text: text.as_bytes(), tries_left: 10_000 };
                reading.ends(1, *letter, &mut forward);
                reading.beginnings(text.len() - 1, *letter, &mut backward);
                assert!(forward.contains(&(text.len() - 1)), "{form}: {forward:?}");
                assert!(backward.contains(&1), "{form}: {backward:?}");
            }
        }
        let mut found = Vec::new();
        let mut reading = Reading { text: b"\xe9", tries_left: 100 };
        reading.ends(0, 'é', &mut found);
        reading.beginnings(1, 'é', &mut found);
        assert_eq!(found, [1, 0]);
    }

    #[test]
    fn lines_end_in_many_ways() {
        for text in ["\n", "\r\n", "\\r\\n", "\r\n ", "%0D%0A", "\\u000A", "&#13;&#10;\t"] {
            assert_eq!(after_break(text.as_bytes(), 0), text.len(), "{text:?}");
            assert_eq!(before_break(text.as_bytes(), text.len()), 0, "{text:?}");
        }
        for text in ["", " ", "ab", "\\t"] {
            assert_eq!(
                (after_break(text.as_bytes(), 0), before_break(text.as_bytes(), text.len())),
                (0, text.len()),
                "{text:?}"
            );
        }
    }
}
