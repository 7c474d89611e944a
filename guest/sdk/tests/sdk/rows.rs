//! Exports: what their records become, whatever the pieces they come in, and which errors end them.

use std::io::Read;

use elt_sdk::prelude::*;
use elt_sdk::rows::Format;
use elt_sdk::testing::{Answer, serve};
use proptest::prelude::*;

/// Gives few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(into.len()));
        into[..piece.len()].copy_from_slice(piece);
        self.0 = rest;
        Ok(piece.len())
    }
}

/// The records, and the error that ended them.
fn read(format: &(impl Format + Clone), text: impl AsRef<[u8]>) -> (Vec<String>, Option<String>) {
    let of_pieces = |size| {
        let (mut rows, mut error) = (Vec::new(), None);
        for row in format.clone().read(Pieces(text.as_ref(), size)) {
            assert!(error.is_none(), "a row after an error");
            match row {
                Ok(row) => rows.push(row.json().to_owned()),
                Err(problem) => error = Some(problem.message().to_owned()),
            }
        }
        (rows, error)
    };
    let whole = of_pieces(usize::MAX);
    for size in [4, 7, 1000] {
        assert_eq!(of_pieces(size), whole);
    }
    whole
}

fn check(format: &(impl Format + Clone), text: &str, expect: &[&str]) {
    let (rows, error) = read(format, text);
    assert_eq!((rows.iter().map(String::as_str).collect::<Vec<_>>(), error), (expect.to_vec(), None));
}

fn fails(format: &(impl Format + Clone), text: impl AsRef<[u8]>, rows: usize, expect: &str) {
    let (before, error) = read(format, text);
    assert_eq!((before.len(), error.as_deref()), (rows, Some(expect)));
}

#[test]
fn lines_of_json_are_records_as_they_stand() {
    check(&JsonLines::new(), "{\"a\": 1.0}\r\n\n  \n{\"b\":[]}", &["{\"a\": 1.0}\r\n", "{\"b\":[]}"]);
    check(&JsonLines::new(), "", &[]);
    fails(&JsonLines::new(), b"{}\n\xff\n{}\n", 1, "line 2 is not UTF-8");
}

#[test]
fn csv_values_are_texts_and_empty_ones_null() {
    let export = "id,name,note\r\n7,\"a \"\"b\"\", c\",\r\n8,\"two\nlines\",é\n";
    let rows = [r#"{"id":"7","name":"a \"b\", c","note":null}"#, r#"{"id":"8","name":"two\nlines","note":"é"}"#];
    check(&Csv::new(), export, &rows);
    check(&Csv::new(), &format!("\u{feff}{export}"), &rows);
    check(&Csv::new().keep_empty(), "a,b\n,1\n", &[r#"{"a":"","b":"1"}"#]);
    check(
        &Csv::new().delimiter(b'\t').names(["x", "y"]),
        "1\t2\n3\t4",
        &[r#"{"x":"1","y":"2"}"#, r#"{"x":"3","y":"4"}"#],
    );
    check(&Csv::new(), "id,name\n", &[]);
    check(&Csv::new().names(["a"]), "", &[]);
}

#[test]
fn csv_that_would_lose_a_value_is_an_error() {
    fails(&Csv::new(), "", 0, "the CSV is empty, without a line of names");
    fails(&Csv::new(), "a,b\n1,2\n3\n", 1, "CSV record 3: has 1 values for 2 names");
    fails(&Csv::new(), "a,b\n1,2,3\n", 0, "CSV record 2: has 3 values for 2 names");
    fails(&Csv::new(), "a,b,a\n1,2,3\n", 0, "CSV record 1: the name `a` is there twice");
    fails(&Csv::new(), b"a\nx\n\xc3\n", 1, "CSV record 3: is not UTF-8");
    fails(&Csv::new(), b"a,b\n\xc3,\xa9\n", 0, "CSV record 2: is not UTF-8");
}

#[test]
fn xml_elements_are_records_whatever_they_stand_in() {
    let export = r#"<?xml version="1.0"?><!DOCTYPE x><r:all xmlns:r="u"><page n="1">
        <item id="1" kind="a &lt; b"><name>A &amp; B &#233;</name><tag>x</tag><tag>y</tag></item>
        <!-- no record --><other><name>no</name></other>
        <item><name lang="de">Ü<![CDATA[<&>]]></name><empty/><item>inner</item></item></page><item/></r:all>"#;
    let rows = [
        r#"{"@id":"1","@kind":"a < b","name":"A & B é","tag":["x","y"]}"#,
        r##"{"name":{"@lang":"de","#text":"Ü<&>"},"empty":null,"item":"inner"}"##,
        "{}",
    ];
    check(&Xml::new("item"), export, &rows);
    check(&Xml::new("item").lists(["tag"]), "<a><item><tag>x</tag></item></a>", &[r#"{"tag":["x"]}"#]);
    check(&Xml::new("item"), "<items/>", &[]);
}

#[test]
fn xml_that_is_damaged_or_hostile_is_an_error() {
    let item = Xml::new("item");
    for nothing in ["", " ", "<?xml version=\"1.0\"?>\n"] {
        fails(&item, nothing, 0, "XML record 1: the XML is empty");
    }
    fails(&item, "<a><item/><item><b>", 1, "XML record 2: the XML ends in the middle of an element");
    fails(
        &item,
        "<a><item><b></item></a>",
        0,
        "XML record 1: ill-formed document: expected `</b>`, but `</item>` was found",
    );
    fails(&item, "<a><item>&bomb;</item></a>", 0, "XML record 1: names an unknown entity, `bomb`");
    fails(&item, format!("<item>{}", "<a>".repeat(500)), 0, "XML record 1: has more than 120 levels of elements");
    let (rows, error) = read(&item, b"<a><item>\xff</item></a>");
    assert!(rows.is_empty() && error.is_some());
}

#[test]
fn a_record_that_never_ends_is_stopped() {
    let endless = || std::io::repeat(b'x').take(1 << 30);
    let error = |rows: &mut dyn Iterator<Item = Result<Record<'static>>>| rows.last().unwrap().unwrap_err();
    assert_eq!(error(&mut JsonLines::new().read(endless())).message(), "line 1 is longer than 16 MiB");
    assert_eq!(error(&mut Csv::new().names(["a"]).read(endless())).message(), "CSV record 1: is longer than 16 MiB");
    let xml = b"<item>".chain(endless());
    assert_eq!(error(&mut Xml::new("item").read(xml)).message(), "XML record 1: is longer than 16 MiB");
}

/// Counts what was read of an export without an end.
struct Endless<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>, &'a std::cell::Cell<usize>);

impl Read for Endless<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        for byte in &mut *into {
            *byte = *self.0.next().unwrap();
        }
        self.1.set(self.1.get() + into.len());
        Ok(into.len())
    }
}

#[test]
fn a_record_comes_before_the_export_has_ended() {
    let ahead = |format: &dyn Fn(Endless<'_>) -> usize, text: &str| {
        let read = std::cell::Cell::new(0);
        assert_eq!(format(Endless(text.as_bytes().iter().cycle(), &read)), 1000);
        read.get()
    };
    let pieces = [
        ahead(&|input| JsonLines::new().read(input).take(1000).flatten().count(), "{\"a\":1}\n"),
        ahead(&|input| Csv::new().names(["a"]).read(input).take(1000).flatten().count(), "value\n"),
        ahead(&|input| Xml::new("a").read(input).take(1000).flatten().count(), "<a>x</a>\n"),
    ];
    assert_eq!(pieces, [64 << 10; 3]);
}

#[test]
fn an_answer_gives_its_records_and_an_error_names_it() {
    let rows = |answer: Answer| {
        serve(move |_| answer.clone());
        Client::new("https://api.test").get("export").stream().send()?.rows(Csv::new())?.collect::<Result<Vec<_>>>()
    };
    let place = "GET https://api.test/export: status";
    assert_eq!(rows(Answer::status(200).body("a\n1\n2\n")).unwrap().len(), 2);
    assert_eq!(
        rows(Answer::status(200).body("a\n1,2\n")).unwrap_err(),
        Error::source(format!("{place} 200: CSV record 2: has 2 values for 1 names"))
    );
    assert_eq!(rows(Answer::status(404)).unwrap_err(), Error::source(format!("{place} 404")));
    let page = Answer::status(200).header("content-type", "text/html; charset=utf-8").body("<p>Please log in");
    assert_eq!(rows(page).unwrap_err(), Error::source(format!("{place} 200: the answer is a web page, not an export")));
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_values_come_through_csv_and_xml(values in prop::collection::vec("[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\r]{1,30}", 1..6), size in 4_usize..40) {
        let expect = |wrap: &dyn Fn(usize) -> String| {
            let fields = values.iter().enumerate().map(|(at, value)| (wrap(at), json!(value)));
            elt_sdk::serde_json::Value::Object(fields.collect())
        };
        let parse = |row: Result<Record<'static>>| row.unwrap().parse::<elt_sdk::serde_json::Value>().unwrap();

        let names: Vec<_> = (0..values.len()).map(|at| format!("n{at}")).collect();
        let line: Vec<_> = values.iter().map(|value| quoted(value)).collect();
        let csv = format!("{}\n{}\n", names.join(","), line.join(","));
        let rows: Vec<_> = Csv::new().read(Pieces(csv.as_bytes(), size)).map(parse).collect();
        prop_assert_eq!(rows, [expect(&|at| format!("n{at}"))]);

        let escape = |value: &str| value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let fields: Vec<_> = values.iter().enumerate().map(|(at, value)| format!("<n{at}>{}</n{at}>", escape(value))).collect();
        let xml = format!("<all><row>{}</row></all>", fields.concat());
        let rows: Vec<_> = Xml::new("row").read(Pieces(xml.as_bytes(), size)).map(parse).collect();
        prop_assert_eq!(rows, [expect(&|at| format!("n{at}"))]);
    }
}
