//! The forms in which a secret may turn up again: as it is, escaped, percent-encoded, inside base64. Pure.
//!
//! Whatever reads JSON, a form or XML has the value again; base64 is handed on as it is. So the texts inside base64 are told
//! apart: each can be put back as it was.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use super::escape;

/// Shorter values are not looked for in answers: they could as well be a part of ordinary data, which must not change.
pub(super) const MASK_BYTES_MIN: usize = 8;
/// Shorter values are not looked for in logs and errors, which would become unreadable.
pub(super) const REDACT_BYTES_MIN: usize = 4;

/// All forms of a value of at least so many bytes.
pub(super) fn forms(value: &str, bytes_min: usize) -> impl Iterator<Item = String> {
    written(value, bytes_min).into_iter().chain(encoded(value).into_iter().flat_map(also_escaped))
}

/// The forms from which a reader has the value again, each once.
pub(super) fn written(value: &str, bytes_min: usize) -> Vec<String> {
    // Servers trim what they read, and the part is in the whole.
    let value = value.trim();
    if value.len() < bytes_min {
        return Vec::new();
    }
    let json = escape::json(value);
    let url = escape::url(value);
    let mut all = vec![
        value.to_owned(),
        json.replace('/', "\\/"),
        ascii_json(&json),
        ascii_json(&json.replace('/', "\\/")),
        json,
        lower_hex(&url),
        url,
        escape::form(value),
        lower_hex(&escape::form(value)),
        escape::form(value).replace('+', "%20"),
        escape::xml(value),
        escape::xml(value).replace("&#39;", "&apos;"),
        escape::xml(value).replace("&#39;", "'").replace("&quot;", "\""),
    ];
    all.sort_unstable();
    all.dedup();
    all
}

/// What a base64 text that holds the value somewhere must contain: one form for each place within three bytes, without
/// the letters that depend on what stands around it. Always in this order; none of a short value, which would be found in
/// too much.
pub(super) fn encoded(value: &str) -> Vec<String> {
    let value = value.trim();
    if value.len() < MASK_BYTES_MIN {
        return Vec::new();
    }
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, NO_PAD));
    let forms = engines.iter().flat_map(|engine| {
        [(0, 0), (1, 2), (2, 3)].map(|(before, letters)| {
            let bytes = [&[0; 2][..before], value.as_bytes()].concat();
            let whole = bytes.len() * 8 / 6;
            engine.encode(bytes)[letters..whole].to_owned()
        })
    });
    forms.collect()
}

/// A text inside base64, and how JSON may write it.
pub(super) fn also_escaped(form: String) -> impl Iterator<Item = String> {
    let escaped = form.contains('/').then(|| form.replace('/', "\\/"));
    std::iter::once(form).chain(escaped)
}

/// JSON without letters beyond ASCII.
fn ascii_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            text.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

/// `%2F` as `%2f`.
fn lower_hex(url: &str) -> String {
    let mut rest = 0;
    let lower = |letter: char| {
        let is_digit = rest > 0;
        rest = if letter == '%' { 2 } else { rest.max(1) - 1 };
        if is_digit { letter.to_ascii_lowercase() } else { letter }
    };
    url.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    #[test]
    fn short_values_have_no_forms() {
        let forms = |value, bytes_min| forms(value, bytes_min).collect::<Vec<_>>();
        assert!(forms("1234567", MASK_BYTES_MIN).is_empty());
        assert!(forms(" 1234567 \n", MASK_BYTES_MIN).is_empty());
        assert_eq!(forms("1234567", REDACT_BYTES_MIN), ["1234567"]);
        assert!(forms("", 0).iter().all(String::is_empty));
    }

    #[test]
    fn escapes_of_other_programs_are_known() {
        let all: Vec<_> = forms("ab/cd é\"'&", 4).collect();
        for form in [
            "ab/cd é\"'&",
            r#"ab\/cd é\"'&"#,
            r#"ab/cd \u00e9\"'&"#,
            "ab%2Fcd%20%C3%A9%22%27%26",
            "ab%2fcd%20%c3%a9%22%27%26",
            "ab%2Fcd+%C3%A9%22%27%26",
            "ab/cd é&quot;&#39;&amp;",
            "ab/cd é&quot;&apos;&amp;",
        ] {
            assert!(all.iter().any(|known| known == form), "{form} is not among {all:?}");
        }
    }

    #[test]
    fn slashes_in_base64_may_be_escaped() {
        assert!(encoded("???????????").contains(&"Pz8/Pz8/Pz8/Pz8".to_owned()[..14].to_owned()));
        assert!(forms("???????????", 8).any(|form| form == "Pz8\\/Pz8\\/Pz8\\/Pz"));
    }

    proptest! {
        /// Wherever a value stands in bytes that are then encoded, one of its forms is in the text.
        #[test]
        fn base64_is_seen_through(before in ".{0,5}", value in "[!-~]{8,40}", after in ".{0,5}") {
            let whole = format!("{before}{value}{after}");
            for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                prop_assert!(forms(&value, 8).any(|form| text.contains(&form)), "{text}");
            }
        }
    }
}
