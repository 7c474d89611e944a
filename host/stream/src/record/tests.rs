//! The scanner against another parser, on JSON and on what is nearly JSON.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// The fields that the scanner sees.
fn scanned(text: &str) -> Result<Vec<Field<'_>>, BadRecord> {
    let mut found = Vec::new();
    let scanned = for_each_field::<()>(text, 128, |field| {
        found.push(field);
        Ok(())
    });
    scanned.map(|()| found).map_err(|error| error.unwrap_err())
}

fn fields(text: &str) -> Option<Vec<(String, String)>> {
    let fields = scanned(text).ok()?;
    Some(fields.into_iter().map(|field| (field.name.into_owned(), field.raw.into_owned())).collect())
}

/// The same JSON without blanks between its tokens, each token as it stands; an error where a string is no Unicode.
fn compact<E: serde::de::Error>(raw: &str) -> Result<String, E> {
    let (mut compact, mut rest) = (String::new(), raw);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            strings.next().transpose().map_err(E::custom)?;
            let end = strings.byte_offset();
            compact.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            if !first.is_ascii_whitespace() {
                compact.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(compact)
}

/// What `serde_json` makes of the same text.
fn expected(text: &str) -> Option<Vec<(String, String)>> {
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                pairs.push((name, compact(raw.get())?));
            }
            Ok(pairs)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let pairs = serde::Deserializer::deserialize_map(&mut reader, Pairs).ok()?;
    reader.end().ok().map(|()| pairs)
}

#[test]
fn fields_come_in_order_with_their_text_compact() {
    let found = fields(" {\"b\": 1.50 ,\"a\\u0041\":{\"x\" : [1, 2]},\"b\":null} ").unwrap();
    let expected = [("b", "1.50"), ("aA", "{\"x\":[1,2]}"), ("b", "null")];
    assert_eq!(found.iter().map(|(name, raw)| (name.as_str(), raw.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_no_object_is_refused() {
    for text in [
        "",
        "[]",
        "1",
        "{",
        "{\"a\":}",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{'a':1}",
        "{\"a\":\"\u{1}\"}",
        "nul",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":[1}}",
        "{\"a\":{\"b\"}}",
        "{\"a\":\"x",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"\\ud800\":1}",
    ] {
        assert_eq!(fields(text), None, "{text}");
        assert_eq!(expected(text), None, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let scan = |text: &str, max| for_each_field::<()>(text, max, |_| Ok(()));
    let most = JSON_DEPTH_MAX as usize;
    for depth in [1, 3, 63, 64, 65, 127, 128, 129, 256, most] {
        assert_eq!(scan(&nested(depth), depth as u64), Ok(()), "{depth}");
        assert_eq!(scan(&nested(depth + 1), depth as u64), Err(Err(BadRecord::TooDeep(depth as u64))), "{depth}");
    }
    assert_eq!(scan(&nested(most + 1), 100_000), Err(Err(BadRecord::TooDeep(most as u64))));
    assert_eq!(scan(&nested(1_000_000), 128), Err(Err(BadRecord::TooDeep(128))));
}

#[test]
fn what_contains_what_is_known_at_any_depth() {
    for depth in [1, 62, 63, 64, 65, 128, 500] {
        let mixed = |at: usize| if at % 3 == 0 { ("{\"a\":", "}") } else { ("[", "]") };
        let open: String = (0..depth).map(|at| mixed(at).0).collect();
        let close: String = (0..depth).rev().map(|at| mixed(at).1).collect();
        let text = format!("{{\"v\":{open}1{close}}}");
        assert_eq!(for_each_field::<()>(&text, 1_000, |_| Ok(())), Ok(()), "{depth}");
        for wrong in [format!("{open}1,{close}"), format!("{open}1{}{close}", if depth % 3 == 1 { "]" } else { "}" })] {
            let text = format!("{{\"v\":{wrong}}}");
            assert!(for_each_field::<()>(&text, 1_000, |_| Ok(())).is_err(), "{depth}");
        }
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused_wherever_it_stands() {
    let half = |text: &str| matches!(scanned(text), Err(BadRecord::HalfSurrogate { .. }));
    for string in [
        r"\ud800",
        r"\udc00",
        r"\uDFFF",
        r"\ud83d\ud83e",
        r"\ud83dx",
        r"\ud83d\n",
        r"\udc00\ud800",
        r"\\\ud800",
        r"\ud83d\ude00\ud83d",
    ] {
        for text in [
            format!("{{\"a\":\"{string}\"}}"),
            format!("{{\"{string}\":1}}"),
            format!("{{\"a\":[1,{{\"b\":[\"x{string}y\"]}}]}}"),
            format!("{{\"a\":{{\"{string}\":null}}}}"),
        ] {
            assert!(half(&text), "{text}");
        }
    }
    for string in [r"\ud83d\ude00", r"\uD83D\uDE00\uD83D\uDE00", r"\\ud800", r"\u0000", r"\ue000\ud7ff"] {
        let text = format!("{{\"a\":[\"{string}\"]}}");
        assert_eq!(fields(&text), Some(vec![("a".to_owned(), format!("[\"{string}\"]"))]));
    }
}

#[test]
fn a_nul_is_seen_in_any_depth() {
    let text = r#"{"\u0000":1,"b":"\u0000","c":"\\u0000","d":[{"x":["\u0000"]}],"e":{"\u0000":1},"f":[1]}"#;
    let seen: Vec<bool> = scanned(text).unwrap().into_iter().map(|field| field.has_nul).collect();
    assert_eq!(seen, [false, true, false, true, true, false]);
}

#[test]
fn what_is_no_token_is_kept_as_it_is() {
    let text = "{\"a\": [ 1.50 ,\t\"b \\\" c\\\\\" , { \"d e\" :\r\n null } ] , \"f\": 1 }";
    let expected = [("a", "[1.50,\"b \\\" c\\\\\",{\"d e\":null}]"), ("f", "1")];
    let found = fields(text).unwrap();
    assert_eq!(found.iter().map(|(name, raw)| (name.as_str(), raw.as_str())).collect::<Vec<_>>(), expected);
}

proptest! {
    /// The scanner accepts what `serde_json` accepts, and sees the same fields.
    #[test]
    fn the_scanner_agrees_with_serde_json(text in arbitrary_object(NUMBER)) {
        prop_assert_eq!(fields(&text), expected(&text));
    }

    /// … on text that is nearly JSON too: a byte dropped, doubled or replaced anywhere.
    #[test]
    fn the_scanner_agrees_with_serde_json_on_damaged_text(
        text in arbitrary_object(NUMBER), at in any::<prop::sample::Index>(), damage in "(|\\\\ud8|[\\[\\]{}\",:0-9eE.+\\-\\\\tfnu \n\u{1}é])",
    ) {
        let mut letters: Vec<String> = text.chars().map(String::from).collect();
        let at = at.index(letters.len());
        letters[at] = damage;
        let text = letters.concat();
        prop_assert_eq!(fields(&text), expected(&text), "{}", text);
    }
}

const NUMBER: &str = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?";

/// Objects with everything in them, numbers in the form of this expression.
pub(super) fn arbitrary_object(number: &'static str) -> impl Strategy<Value = String> {
    let string = "\"([ -!#-\\[\\]-~éß漢😀]|\\\\[\"\\\\/bfnrt]|\\\\u(00[0-9a-fA-F]{2}|[dD][89ab][0-9a-f]{2}\\\\u[dD][c-f][0-9a-f]{2})){0,20}\"";
    let leaf = prop_oneof![string, number, Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned())];
    let space = "[ \t\r\n]{0,2}";
    let value = leaf.prop_recursive(4, 30, 6, move |inner| {
        let items = prop::collection::vec((space, inner.clone(), space), 0..6);
        let array = items.prop_map(|items| {
            let items: Vec<String> = items.into_iter().map(|(before, item, after)| before + &item + &after).collect();
            format!("[{}]", items.join(","))
        });
        prop_oneof![array, object_of(inner.boxed())]
    });
    object_of(value.boxed())
}

fn object_of(value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let space = "[ \t\r\n]{0,2}";
    let name = "\"([a-zA-Z0-9 _é]|\\\\[\"\\\\/bfnrt]){0,12}\"";
    prop::collection::vec((space, name, space, value, space), 0..6).prop_map(|fields| {
        let fields: Vec<String> =
            fields.into_iter().map(|(a, name, b, value, c)| format!("{a}{name}{b}:{b}{value}{c}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}
