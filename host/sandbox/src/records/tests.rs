//! How records are told apart, against `serde_json` on the same text.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

type Found = Result<Vec<Range<usize>>, Missing>;

fn steps(pointer: &str) -> Vec<String> {
    path(pointer).unwrap()
}

/// What `serde_json` alone makes of a page.
fn thorough_at(page: &str, pointer: &str) -> Found {
    let (found, searched) = search(page, Goal { path: &steps(pointer), elements_max: 1_000, to_first: false });
    searched.map_err(|error| Missing::NotJson(error.to_string()))?;
    found.elements.ok_or(Missing::NotThere)
}

fn thorough(page: &str) -> Found {
    thorough_at(page, "/items")
}

fn found(page: &str, pointer: &str) -> Result<Records, Missing> {
    Records::find(Bytes::copy_from_slice(page.as_bytes()), &steps(pointer), 1_000)
}

fn fast(page: &str) -> Found {
    found(page, "/items").map(|records| records.elements)
}

/// Compares the two.
fn check(page: &str) -> Found {
    let elements = fast(page);
    assert_eq!(elements, thorough(page), "{page}");
    elements
}

fn is_split(page: &str) -> bool {
    let first = page.find('[').unwrap() + 1;
    split::objects(page.as_bytes(), first, 1_000).is_some()
}

/// The page as rows passed it through the connector: each record as it stands, line breaks as spaces, a line each.
fn lines_of(page: &str, elements: &[Range<usize>]) -> String {
    elements.iter().map(|range| page[range.clone()].replace(['\n', '\r'], " ") + "\n").collect()
}

#[test]
fn the_rest_has_an_empty_array() {
    let check = |page: &str, pointer: &str, rest: &str, lines: &str| {
        let records = found(page, pointer).unwrap();
        let texts = [records.rest(), records.read(0, usize::MAX)].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(texts, [rest, lines], "{page}");
    };
    check(
        "{\"items\": [ {\"a\":\r\n1.0} , {} ], \"next\": \"n\"}",
        "/items",
        r#"{"items": [  ], "next": "n"}"#,
        "{\"a\":  1.0}\n{}\n",
    );
    check(r#"{"items":null}"#, "/items", r#"{"items":null}"#, "");
    check("[1,null]", "", "[]", "1\nnull\n");
    check(r#"{"a/b":[[],[{"~":[{}]}]]}"#, "/a~1b/1/0/~0", r#"{"a/b":[[],[{"~":[]}]]}"#, "{}\n");
}

#[test]
fn what_is_no_array_is_told_from_what_is_no_json() {
    for page in ["{}", "7", r#"{"items":{}}"#, r#"{"items":[{}],"items":7}"#] {
        assert_eq!(check(page), Err(Missing::NotThere));
    }
    assert_eq!(found(r#"{"items":[[1]]}"#, "/items/00").err(), Some(Missing::NotThere));
    assert_eq!(found("[]", &"/0".repeat(100_000)).err(), Some(Missing::NotThere));
    assert!(path("items").is_none());
    let not_text = Records::find(Bytes::from_static(b"{\"items\":[{\"a\":\"\xff\"}]}"), &steps("/items"), 9);
    assert_eq!(not_text.err(), Some(Missing::NotJson("invalid utf-8 sequence of 1 bytes from index 16".into())));
    assert!(matches!(fast("\u{feff}{\"items\":[]}"), Err(Missing::NotJson(_))));
}

#[test]
fn more_than_there_is_memory_for_are_not_kept() {
    for page in [format!("[{}]", ["{}"; 11].join(",")), format!("[{}]", ["1"; 11].join(","))] {
        let find = |max| Records::find(Bytes::from(page.clone()), &[], max).map(|records| records.len());
        assert_eq!((find(10), find(11)), (Err(Missing::TooMany), Ok(11)));
    }
}

#[test]
fn batches_end_at_a_mebibyte_or_at_the_limit_of_rows() {
    let record = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let page = format!("[{}]", vec![record; 25].join(","));
    let batches = |page: &str, rows_max| {
        let records = found(page, "").unwrap();
        let (mut first, mut all, mut counts) = (0, Vec::new(), Vec::new());
        while let Some((rows, count)) = records.batch(first, rows_max) {
            all.extend(rows);
            counts.push(count);
            first += count;
        }
        assert_eq!(all, records.read(0, records.len()));
        counts
    };
    assert_eq!(batches(&page, 100_000), [11, 11, 3]);
    assert_eq!(batches(&page, 10), [10, 10, 5]);
    assert_eq!(batches("[]", 10), [0; 0]);
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
                assert_eq!(check(&page).unwrap().len(), 2);
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
        assert_eq!(check(&page).unwrap().len(), 3);
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
        let _ = check(page);
    }
    for (page, pointer, count) in [
        (r#"[{"next":1},{}]"#, "", 2),
        (r#"{"d":{"i":[{}, {}]}}"#, "/d/i", 2),
        (r#"{"d":[1,{"i":[{},{},{}]}]}"#, "/d/1/i", 3),
        (r#"{"d":{"i":[{},{}]},"d":{"i":[{}]}}"#, "/d/i", 1),
    ] {
        let elements = found(page, pointer).map(|records| records.elements);
        assert_eq!(elements, thorough_at(page, pointer), "{page}");
        assert_eq!(elements.unwrap().len(), count, "{page}");
    }
    for page in [r#"{"d":{"i":[{},{}]},"d":{}}"#, r#"{"d":{"i":[{}]},"d":[]}"#, r#"{"d":{"i":[7]},"d":1}"#] {
        assert_eq!(found(page, "/d/i").unwrap_err(), Missing::NotThere, "{page}");
    }
}

#[test]
fn other_elements_are_left_to_serde_json() {
    for elements in ["1", "null,{}", "{},null", "{},[1]", "[{}],{}", "{},\"]\",{}", "{},true", "", " \n"] {
        let _ = check(&format!(r#"{{"items":[{elements}],"next":"x"}}"#));
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

/// Text with all that could lead astray.
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
        let expected = thorough(&page);
        prop_assert!(!matches!(expected, Err(Missing::NotJson(_))), "{expected:?} {page}");
        prop_assert_eq!(fast(&page), expected.clone());
        let Ok(elements) = expected else { return Ok(()) };
        let records = found(&page, "/items").unwrap();
        let lines = String::from_utf8(records.read(0, records.len())).unwrap();
        prop_assert_eq!(&lines, &lines_of(&page, &elements));
        for (number, line) in lines.lines().enumerate() {
            prop_assert_eq!(records.read(number, 1), [line.as_bytes(), b"\n"].concat());
        }
        let rest = String::from_utf8(records.rest()).unwrap();
        prop_assert_eq!(thorough(&rest), Ok(Vec::new()), "{}", rest);
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
            (Ok(elements), Err(_)) => for range in elements {
                prop_assert!(page[range.clone()].starts_with('{') && page[range].ends_with('}'), "{}", page);
            },
            (fast, thorough) => prop_assert_eq!(fast, thorough),
        }
    }

    #[test]
    fn any_text_is_taken_without_a_panic(text in any::<String>(), object in any::<bool>()) {
        let page = if object { format!(r#"{{"items":[{{}},{text}]}}"#) } else { format!(r#"[{{"a":"{text}"}}]"#) };
        let _ = fast(&page);
        let _ = found(&page, "");
    }
}
