//! Exports: what their records become, whatever the pieces they come in, and which errors end them.

use std::io::Read;

use elt_sdk::prelude::*;
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
    check(&JsonLines::new(), "{\"a\": 1.0}\r\n\n  \n{\"b\":[]}", &["{\"a\": 1.0}", "{\"b\":[]}"]);
    check(&JsonLines::new().may_be_empty(), "", &[]);
    check(&JsonLines::new().end_mark("{\"end\""), "{\"a\":1}\n{\"end\":true}\n", &["{\"a\":1}"]);
}

#[test]
fn lines_that_are_no_whole_objects_are_named() {
    let lines = JsonLines::new();
    fails(&lines, b"{}\n\xff\n{}\n", 1, "line 2 is not UTF-8; name its encoding by `encoding`");
    fails(&lines, "{}\n\n{\"id\":2,\"na", 1, "line 3 ends in the middle of its JSON: {\"id\":2,\"na");
    fails(&lines, "{}\n[1]\n", 1, "line 2 is no JSON object: [1]");
    fails(&lines, "{}\nERROR: timeout\n", 1, "line 2 is no JSON: ERROR: timeout");
    fails(&lines.clone().expect(["id"]), "{\"id\":1}\n{\"error\":\"x\"}\n", 1, "line 2 has no `id`: {\"error\":\"x\"}");
    fails(&lines.clone().end_mark("END"), "{}\n", 1, "the export is cut: no last line begins `END`");
    fails(&lines.end_mark("END"), "{}\nEND\n{}\n", 1, "line 3 stands behind the line that marks the end");
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
    check(&Csv::new().expect(["name"]).may_be_empty(), "id,name\n", &[]);
    check(&Csv::new().names(["a"]).may_be_empty(), "", &[]);
}

#[test]
fn csv_of_every_dialect_is_read() {
    let one = |csv: Csv, text: &str, row: &str| check(&csv, text, &[row]);
    let csv = Csv::new;
    one(csv(), "sep=;\r\na;b\r\n1;2\r\n", r#"{"a":"1","b":"2"}"#);
    one(csv(), "a,b\r1,2\r", r#"{"a":"1","b":"2"}"#);
    one(csv().quote(b'\''), "a,b\n'x,''y''',\"2\n", r#"{"a":"x,'y'","b":"\"2"}"#);
    one(csv().no_quotes(), "a,b\n6\",\"x\"\n", r#"{"a":"6\"","b":"\"x\""}"#);
    let escaped = "a,b,c,d\n\\N,x\\,y,\"q\\\"r\",\\n\n";
    one(csv().escape(b'\\').null("\\N"), escaped, r#"{"a":null,"b":"x,y","c":"q\"r","d":"\\n"}"#);
    one(csv().trim(), "a , b\n 1 , \"2 \" \n", r#"{"a":"1","b":"2 "}"#);
    one(csv().comment(b'#'), "# of today\na,b\n#none\n1,#2\n", r##"{"a":"1","b":"#2"}"##);
    one(csv().skip_lines(2), "Report \"of\nMay\na,b\n1,2\n", r#"{"a":"1","b":"2"}"#);
    one(csv().number_repeated(), "a,a,a_2,b\n1,2,3,4\n", r#"{"a":"1","a_2_":"2","a_2":"3","b":"4"}"#);
    one(csv().short_rows(), "a,b,c\n1\n", r#"{"a":"1","b":null,"c":null}"#);
    one(csv().end_mark("TOTAL|"), "a,b\n1,2\nTOTAL|1\n", r#"{"a":"1","b":"2"}"#);
    one(csv(), "a,b,\n1,2,\n", r#"{"a":"1","b":"2"}"#);
    one(csv().expect(["First name"]), "First name\nAda\n", r#"{"First name":"Ada"}"#);
    one(csv(), "a,b\n\"\",\"x\" \n", r#"{"a":null,"b":"x"}"#);
}

#[test]
fn csv_that_would_lose_or_move_a_value_is_an_error_that_names_the_line() {
    let csv = Csv::new;
    fails(&csv(), "", 0, "the CSV is empty, without a line of names; it is empty");
    fails(&csv(), "a,b\n1,2\n3\n", 1, "CSV line 3: has 1 values for 2 names");
    fails(&csv(), "a,b\n\"x\ny\",2\n\n3\n", 1, "CSV line 5: has 1 values for 2 names");
    fails(&csv(), "a,b\n1,2\n1,2,3\n", 1, "CSV line 3: has 3 values for 2 names");
    fails(&csv(), "a,b,\n1,2,\n1,2,3\n", 1, "CSV line 3: has a value in a column without a name");
    let twice = "CSV line 1: has the name `a` twice; `number_repeated` tells them apart; it begins: a,b,a\n1,2,3";
    fails(&csv(), "a,b,a\n1,2,3\n", 0, twice);
    fails(&csv(), b"a\nx\n\xc3\n", 1, "CSV line 3: is not UTF-8; name its encoding by `encoding`");
    fails(&csv(), b"a,b\n1,2\n\xc3,\xa9\n", 1, "CSV line 3: is not UTF-8; name its encoding by `encoding`");
    let open = "opens a quote that is never closed: the export is cut, or a quote is not doubled";
    fails(&csv(), "a,b\n1,2\n3,\"x\n4,y\n5,z\n", 1, &format!("CSV line 3: {open}"));
    fails(&csv(), "a,b\n1,2\n3,\"", 1, &format!("CSV line 3: {open}"));
    fails(&csv(), "a,b\n1,2\n\"x", 1, &format!("CSV line 3: {open}"));
    let behind = "has text behind a closing quote; quotes within a value are doubled, or say which `escape` they have";
    fails(&csv(), "a,b\n1,2\n3,\"5\" screen\"\n", 1, &format!("CSV line 3: {behind}"));
    fails(&csv().end_mark("EOF"), "a,b\n1,2\n", 1, "the export is cut: no last line begins `EOF`");
    fails(&csv().expect_count(2), "a,b\n1,2\n", 1, "the export has 1 records, the source spoke of 2");
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
    check(&Xml::new("item").root("items").may_be_empty(), "<items/>", &[]);
}

#[test]
fn xml_that_is_damaged_or_hostile_is_an_error_that_names_the_line() {
    let item = Xml::new("item");
    for nothing in ["", " ", "<?xml version=\"1.0\"?>\n"] {
        let (rows, error) = read(&item, nothing);
        assert!(rows.is_empty() && error.unwrap().contains("the XML is empty"));
    }
    fails(&item, "<a>\n<item/>\n<item><b>", 1, "XML line 3: the XML ends in the middle of an element");
    fails(&item, "<a>\n<item/>\n", 1, "XML line 3: the XML ends in the middle of an element");
    fails(
        &item,
        "<a><item/><item>\n<b></item></a>",
        1,
        "XML line 2: ill-formed document: expected `</b>`, but `</item>` was found",
    );
    fails(&item, "<a><item/><item>&bomb;</item></a>", 1, "XML line 1: names an unknown entity, `bomb`");
    fails(&item, "<a><item/></a><error/>", 1, "XML line 1: has a second root, `error`");
    fails(&item, "<a><item/></a>\nError 500", 1, "XML line 2: has text outside of all elements");
    let other = "XML line 1: has elements `n:item`; the records are to be `item`";
    fails(&item, "<a><item/><n:item/></a>", 1, other);
    let (rows, error) = read(&item, format!("<item/><item>{}", "<a>".repeat(500)));
    assert_eq!((rows.len(), error.as_deref()), (1, Some("XML line 1: has more than 120 levels of elements")));
    let (rows, error) = read(&item, b"<a><item>\xff</item></a>");
    assert!(rows.is_empty() && error.is_some());
}

#[test]
fn an_array_of_json_is_read_element_by_element_wherever_it_stands() {
    let rows = [r#"{"id": 1.0, "t": "]},\"["}"#, r#"{"id":2,"s":[{"items":[]}]}"#];
    let array = format!("[ {} ,\n{}]", rows[0], rows[1]);
    check(&JsonArray::new(""), &format!(" {array}\n"), &rows);
    let among_others = format!(r#"{{"n": -1.5e3,"o":{{"items":[3]}}, "items":{array} , "z":null}}"#);
    check(&JsonArray::new("items"), &among_others, &rows);
    let within = format!(r#"{{"data":{{"x":"y","it/ems":{array}}},"ok":true}}"#);
    check(&JsonArray::new("/data/it~1ems"), &within, &rows);
    check(&JsonArray::new("items").may_be_empty(), r#"{"items": []}"#, &[]);
    check(&JsonArray::new("items").may_be_empty(), r#"{"items": null, "total": 0}"#, &[]);
}

#[test]
fn an_array_that_is_cut_damaged_or_missing_is_an_error() {
    let items = JsonArray::new("items");
    let whole = r#"{"items": [{"id":1}, {"id":2}], "x": {"y": [1, "z"]}}"#;
    check(&items, whole, &[r#"{"id":1}"#, r#"{"id":2}"#]);
    for length in 0..whole.len() {
        let (_, error) = read(&items, &whole[..length]);
        assert!(error.is_some_and(|error| error.contains("JSON line 1: the JSON ends in the middle")), "{length}");
    }
    fails(&items, "{\"items\": [{\"id\":1}\n{\"id\":2}]}", 1, "JSON line 2: `{` is not expected there");
    fails(&items, "{\"items\": [{\"id\":1},\n{\"id\":}]}", 1, "JSON line 2: is no JSON: {\"id\":}");
    fails(&items, "{\"items\": [{\"id\":1},\n7]}", 1, "JSON line 2: a record is no JSON object: 7");
    fails(&items, "{\"items\": [{\"id\":1}]} x", 1, "JSON line 1: `x` is not expected there");
    fails(&items, "{\"items\": [{\"id\":1}], \"items\": []}", 1, "JSON line 1: `items` is there twice");
    for other in [r#"{"error":"export not ready"}"#, r#"{"items":{"id":1}}"#, "[]", r#"{"items":"x"}"#] {
        fails(&items, other, 0, &format!("the JSON has no array at `/items`; it begins: {other}"));
    }
}

#[test]
fn a_record_that_never_ends_is_stopped() {
    let endless = |start: &'static str| start.as_bytes().chain(std::io::repeat(b'x').take(1 << 30));
    let error = |rows: &mut dyn Iterator<Item = Result<Record<'static>>>| {
        rows.last().unwrap().unwrap_err().message().to_owned()
    };
    let long = "a record is longer than 16 MiB";
    assert_eq!(error(&mut JsonLines::new().read(endless("{}\n"))), "line 2 is longer than 16 MiB");
    assert_eq!(error(&mut Csv::new().read(endless("a\nb\n"))), "CSV line 3: is longer than 16 MiB");
    assert_eq!(error(&mut Xml::new("item").read(endless("<item/><item>"))), format!("XML line 1: {long}"));
    assert_eq!(error(&mut JsonArray::new("").read(endless("[{},\n\""))), format!("JSON line 2: {long}"));
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
fn a_gibibyte_of_json_is_read_in_the_memory_of_a_record() {
    let element = format!("{{\"id\": 1, \"text\": \"{}\"}},", "0123456789".repeat(400));
    let read = std::cell::Cell::new(0);
    let elements = Endless(element.as_bytes().iter().cycle(), &read).take(element.len() as u64 * ((1 << 30) / 4000));
    let body = b"{\"data\": [".chain(elements).chain(&b"{}], \"total\": 7}"[..]);
    let bytes: usize = JsonArray::new("data").read(body).map(|row| row.unwrap().json().len()).sum();
    assert!(bytes > 1 << 30, "{bytes}");
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
        Error::source(format!("{place} 200: CSV line 2: has 2 values for 1 names; it begins: a\n1,2"))
    );
    assert_eq!(rows(Answer::status(404)).unwrap_err(), Error::source(format!("{place} 404")));
    let page = Answer::status(200).header("content-type", "text/html; charset=utf-8").body("<p>Please log in");
    assert_eq!(
        rows(page).unwrap_err(),
        Error::source(format!("{place} 200: the answer is a web page, not an export; it begins: <p>Please log in"))
    );
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
