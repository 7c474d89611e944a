//! What the splitter finds, against `serde_json` on the same text.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::{Path, Records, records, search, text};

/// What `serde_json` alone makes of a page.
fn thorough(page: &str) -> Result<Records, String> {
    let found = search(page, Some(&Path::new("items")), Some(&Path::new("next"))).map_err(|e| e.to_string())?;
    Ok(Records { elements: found.elements, value: found.value.and_then(text) })
}

fn fast(page: &str) -> Result<Records, String> {
    records(page, &Path::new("items"), Some(&Path::new("next"))).map_err(|e| e.to_string())
}

/// Compares the two.
fn check(page: &str) -> Records {
    let records = fast(page).unwrap();
    assert_eq!(Ok(&records), thorough(page).as_ref(), "{page}");
    records
}

fn is_split(page: &str) -> bool {
    let first = page.find('[').unwrap() + 1;
    super::objects(page.as_bytes(), first).is_some()
}

#[test]
fn any_run_of_backslashes_ends_anywhere_in_a_block() {
    for run in (0..70).chain(120..=132) {
        for before in 0..66 {
            let (space, slashes) = (" ".repeat(before), "\\\\".repeat(run));
            // After an even run the quote ends the string, after an odd one it does not.
            let even = format!(r#"{{"items":[{space}{{"a":"{slashes}"}},{{"b":"]}}"}}],"next":1}}"#);
            let odd = format!(r#"{{"items":[{space}{{"a":"{slashes}\"}},{{"}},{{"b":"\"]}}"}}],"next":1}}"#);
            for page in [even, odd] {
                assert_eq!(check(&page).elements.unwrap().len(), 2);
                assert!(is_split(&page), "{page}");
            }
        }
    }
}

#[test]
fn every_border_of_a_block_falls_on_every_byte() {
    let objects = r#"{"a": "\"},{[é\\"} , {"b":[[{}],{"c":["]"]}]},{}"#;
    for before in 0..130 {
        let page = format!("{{\"items\":[{}{objects}\n\t], \"next\": \"n\"}}", " ".repeat(before));
        let records = check(&page);
        assert_eq!((records.elements.unwrap().len(), records.value.as_deref()), (3, Some("n")));
        assert!(is_split(&page), "{page}");
    }
}

#[test]
fn names_elsewhere_are_not_the_array() {
    for page in [
        r#"{"x":{"items":[{"a":1}]},"y":"\"items\":[{","items":[{"b":1},{"c":2}],"z":[{"items":[{}]}]}"#,
        r#"{"items":[{"a":1}],"items":[{"b":1},{"c":2}]}"#,
        r#"{"items":[{"a":1},{"b":2}],"items":null,"next":1,"next":2}"#,
        r#"{"items":[{"a":1},{"b":2}],"items":7}"#,
        r#"{"items":[7],"items":[{"a":1}]}"#,
    ] {
        check(page);
    }
    for (page, array, value, count) in [
        (r#"[{"next":1},{}]"#, "", Some("next"), Some(2)),
        (r#"[{"a":1},{}]"#, "", Some("/0/a"), Some(2)),
        (r#"{"d":{"i":[{}, {}]}}"#, "/d/i", Some("d"), None),
        (r#"{"d":[1,{"i":[{},{},{}]}]}"#, "/d/1/i", Some("/d/0"), Some(3)),
    ] {
        let (array, value) = (Path::new(array), value.map(Path::new));
        let records = records(page, &array, value.as_ref()).unwrap();
        let found = search(page, Some(&array), value.as_ref()).unwrap();
        assert_eq!((&records.elements, &records.value), (&found.elements, &found.value.and_then(text)), "{page}");
        assert_eq!(records.elements.map(|elements| elements.len()), count, "{page}");
    }
}

#[test]
fn other_elements_are_left_to_serde_json() {
    for elements in ["1", "null,{}", "{},null", "{},[1]", "[{}],{}", "{},\"]\",{}", "{},true", "", " \n"] {
        check(&format!(r#"{{"items":[{elements}],"next":"x"}}"#));
    }
}

#[test]
fn damage_around_the_objects_has_serde_jsons_message() {
    let deep = format!(r#"{{"items":[{{}},{}"#, "{\"a\":[".repeat(200_000));
    for page in [
        r#"{"items":[{},"#,
        r#"{"items":[{}"#,
        r#"{"items":[{}]"#,
        r#"{"items":[{},{"a":"]}"#,
        r#"{"items":[{},]}"#,
        r#"{"items":[{} {}]}"#,
        r#"{"items":[{},,{}]}"#,
        r#"{"items":[{},x{}]}"#,
        "{\"items\":[{},\u{c}{}]}",
        r#"{"items":[{}}}"#,
        r#"{"items":[{},{]]}"#,
        r#"{"items":[{}]} {}"#,
        r#"{"items":[{}],"next":}"#,
        r#"{"items":[{}],"next":"\x"}"#,
        // A raw line break would pass for white space, and the text would change.
        "{\"items\":[{},{\"a\":\"b\nc\"}]}",
        "{\"items\":[{},{\"a\":\"b\\\nc\"}]}",
        "<html>[{}]</html>",
        "[{}]{}",
        &deep,
    ] {
        assert!(fast(page).is_err(), "{page}");
        assert_eq!(fast(page), thorough(page), "{page}");
    }
}

/// Text with all that could lead a splitter astray.
fn string() -> impl Strategy<Value = String> {
    const PIECES: &[&str] =
        &["\\\\", "\\\"", "\\n", "\\u005c", "\\u0022", "[", "]", "{", "}", ",", ":", " ", "é", "日", "😀"];
    let piece = prop_oneof![4 => select(PIECES).prop_map(str::to_owned), 1 => "[a-z]{1,40}"];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn white() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \n\r\t]{1,70}"]
}

fn listed(items: impl Strategy<Value = String>, ends: (char, char)) -> impl Strategy<Value = String> {
    let item = (white(), items, white()).prop_map(|(before, item, after)| before + &item + &after);
    let items = prop::collection::vec(item, 0..5);
    (items, white()).prop_map(move |(items, white)| format!("{}{}{white}{}", ends.0, items.join(","), ends.1))
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![3 => string(), 1 => select(vec![r#""items""#, r#""next""#]).prop_map(str::to_owned)];
    let field = (name, white(), value).prop_map(|(name, white, value)| format!("{name}{white}:{white}{value}"));
    // `{ }` with white space alone is an object, `{` white space `,` is none: an empty list has no item.
    listed(field, ('{', '}'))
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![string(), select(vec!["1", "-0.5e3", "true", "null"]).prop_map(str::to_owned)];
    scalar.prop_recursive(4, 24, 5, |value| prop_oneof![listed(value.clone(), ('[', ']')), object(value)].boxed())
}

/// A page with mostly objects as records, and fields before and after.
fn page() -> impl Strategy<Value = String> {
    let objects = listed(object(value()), ('[', ']'));
    let records = prop_oneof![8 => objects, 1 => listed(value(), ('[', ']')), 1 => value()];
    (object(value()), records, object(value()), white()).prop_map(|(before, records, after, white)| {
        let [before, after] = [&before, &after].map(|fields| fields[1..fields.len() - 1].trim().to_owned());
        let items = format!("{white}\"items\"{white}:{white}{records}{white}");
        let fields = [before, items, after].into_iter().filter(|fields| !fields.is_empty());
        format!("{white}{{{}}}{white}", fields.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_page_splits_as_by_serde_json(page in page()) {
        let found = thorough(&page);
        prop_assert!(found.is_ok(), "{found:?} {page}");
        prop_assert_eq!(fast(&page), found);
    }

    #[test]
    fn a_damaged_page_is_an_error_or_has_whole_objects(
        page in page(),
        at in any::<Index>(),
        with in select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", "\n", "x", "é", "\0"]),
        cut in any::<bool>(),
    ) {
        let mut damaged: Vec<char> = page.chars().collect();
        let at = at.index(damaged.len());
        let rest = damaged.split_off(at);
        damaged.extend(with.chars());
        if !cut {
            damaged.extend(&rest[1..]);
        }
        let page = String::from_iter(damaged);
        match (fast(&page), thorough(&page)) {
            // Damage inside an object is for its reader to find.
            (Ok(records), Err(_)) => for range in records.elements.into_iter().flatten() {
                prop_assert!(page[range.clone()].starts_with('{') && page[range].ends_with('}'), "{}", page);
            },
            (fast, thorough) => prop_assert_eq!(fast, thorough),
        }
    }

    #[test]
    fn any_text_is_taken_without_a_panic(text in any::<String>(), object in any::<bool>()) {
        let page = if object { format!(r#"{{"items":[{{}},{text}]}}"#) } else { format!(r#"[{{"a":"{text}"}}]"#) };
        let _ = fast(&page);
        let _ = records(&page, &Path::new(""), None);
    }
}
