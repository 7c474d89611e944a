//! Exports as sources really send them: answers that are none, other encodings, packed, cut where nobody says so.

use std::io::Write;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, serve};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// The rows of an answer, or what is wrong with it.
fn rows(answer: &Answer, format: impl Format) -> Result<Vec<String>> {
    let answer = answer.clone();
    serve(move |_| answer.clone());
    let rows = Client::new("https://api.test").get("export").stream().send()?.rows(format)?;
    rows.map(|row| row.map(|row| row.json().to_owned())).collect()
}

fn sent(content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::status(200).header("content-type", content_type).body(body)
}

fn plain(body: impl Into<Vec<u8>>) -> Answer {
    Answer::status(200).body(body)
}

/// What passes for an export where nobody looks.
const NO_EXPORTS: [(&str, &str); 13] = [
    ("application/json", r#"{"error":"export not ready"}"#),
    ("text/csv", r#"{"error":"export not ready"}"#),
    ("text/plain", "{\n  \"error\": \"export not ready\"\n}\n"),
    ("text/plain", "Export not ready, please try again later.\n"),
    ("text/csv", "Your export is being prepared.\nCome back in 5 minutes.\n"),
    ("application/xml", "<error>export not ready</error>"),
    ("text/csv", "<error><code>7</code></error>\n"),
    ("text/html; charset=utf-8", "<!DOCTYPE html><html><body>Please log in</body></html>"),
    ("application/octet-stream", "\r\n<html>\n<head><title>Login</title></head></html>"),
    ("text/csv", ""),
    ("text/csv", "\n\n"),
    (
        "application/xml",
        "<?xml version=\"1.0\"?><ns2:items xmlns:ns2=\"u\"><ns2:item><ns2:id>1</ns2:id></ns2:item></ns2:items>",
    ),
    ("application/json", "[]"),
];

#[test]
fn an_answer_that_is_no_export_is_an_error_whatever_it_is() {
    for (content_type, body) in NO_EXPORTS {
        let answer = sent(content_type, body);
        let all = [
            rows(&answer, Csv::new()),
            rows(&answer, Csv::new().expect(["id"])),
            rows(&answer, Csv::new().expect(["id"]).may_be_empty()),
            rows(&answer, Xml::new("item")),
            rows(&answer, Xml::new("item").root("items").may_be_empty()),
            rows(&answer, JsonLines::new().expect(["id"])),
            rows(&answer, JsonArray::new("items")),
            rows(&answer, JsonArray::new("items").may_be_empty()),
        ];
        for (number, read) in all.into_iter().enumerate() {
            assert!(read.is_err(), "{content_type} {body:?} passed for an export of format {number}: {read:?}");
        }
    }
}

#[test]
fn the_error_shows_what_came_instead() {
    let error = |answer: Answer, format: Csv| rows(&answer, format).unwrap_err().message().to_owned();
    let place = "GET https://api.test/export: status 200:";
    let not_ready = r#"{"error":"export not ready"}"#;
    assert_eq!(
        error(sent("application/json", not_ready), Csv::new()),
        format!("{place} the answer is no CSV: its content type is `application/json`; it begins: {not_ready}")
    );
    assert_eq!(
        error(plain(not_ready), Csv::new()),
        format!("{place} the answer is JSON, no CSV; it begins: {not_ready}")
    );
    assert_eq!(
        error(plain("Wait a minute"), Csv::new().expect(["id"])),
        format!("{place} CSV line 1: has no name `id`; it begins: Wait a minute")
    );
    assert_eq!(
        error(plain("id,name\n"), Csv::new().expect(["id"])),
        format!("{place} there is no record in it, and `may_be_empty` was not said of this export; it begins: id,name")
    );
}

#[test]
fn other_statuses_are_no_exports() {
    let error = |status| rows(&Answer::status(status).body("id\n1\n"), Csv::new()).unwrap_err();
    assert!(matches!(error(202), Error::Transient(_)));
    assert!(matches!(error(206), Error::Source(_)));
    assert!(matches!(error(304), Error::Source(_)));
    assert!(matches!(error(204), Error::Source(_)));
    assert_eq!(rows(&Answer::status(204), Csv::new().expect(["id"]).may_be_empty()), Ok(vec![]));
}

#[test]
fn an_export_may_be_empty_where_the_connector_says_how_that_looks() {
    let none = Ok(vec![]);
    assert_eq!(rows(&plain("id,name\n"), Csv::new().expect(["id"]).may_be_empty()), none);
    assert_eq!(rows(&plain("<items/>"), Xml::new("item").root("items").may_be_empty()), none);
    assert_eq!(rows(&plain(""), JsonLines::new().may_be_empty()), none);
    assert_eq!(rows(&plain("[]"), JsonArray::new("").may_be_empty()), none);
    assert_eq!(rows(&plain("No data found.\n"), Csv::new().expect(["id"]).empty_body("No data found.")), none);
    assert_eq!(rows(&plain("id\n"), Csv::new().expect(["id"]).expect_count(0)), none);
    // What an empty one looks like has to be said: an error in its place would look the same.
    assert!(matches!(rows(&plain("id\n1\n"), Csv::new().may_be_empty()), Err(Error::Internal(_))));
    assert!(matches!(rows(&plain("<a/>"), Xml::new("item").may_be_empty()), Err(Error::Internal(_))));
}

#[test]
fn the_content_type_can_be_the_sources_own() {
    let page = sent("text/html", "id,name\n1,Ada\n");
    assert!(rows(&page, Csv::new()).is_err());
    assert_eq!(rows(&page, Csv::new().content_type("text/html")).unwrap().len(), 1);
    assert!(rows(&sent("text/plain", "id\n1\n"), Csv::new().content_type("text/csv")).is_err());
    let of_csv = ["text/csv; charset=utf-8", "application/vnd.ms-excel", "application/octet-stream", "text/plain"];
    for usual in of_csv {
        assert_eq!(rows(&sent(usual, "id\n1\n"), Csv::new()).unwrap().len(), 1, "{usual}");
    }
    for usual in ["application/json", "application/x-ndjson", "text/plain"] {
        assert_eq!(rows(&sent(usual, "{\"id\":1}\n"), JsonLines::new()).unwrap().len(), 1, "{usual}");
    }
}

#[test]
fn a_last_line_without_its_end_may_be_cut_where_nobody_says_how_long_the_body_is() {
    let cut = |text: &str| plain(text).without_length();
    let place = "GET https://api.test/export: status 200: ";
    for (error, line) in [
        (rows(&cut("id,name\n1,Ada\n2,Gra"), Csv::new()).unwrap_err(), "CSV line 3: has no line end"),
        (rows(&cut("{\"id\":1}\n{\"id\":2}"), JsonLines::new()).unwrap_err(), "line 2: has no line end"),
    ] {
        assert!(error.message().starts_with(&format!("{place}{line}")), "{error}");
    }
    assert_eq!(rows(&cut("id,name\n1,Ada\n2,Gra\n"), Csv::new()).unwrap().len(), 2);
    assert_eq!(rows(&plain("id,name\n1,Ada\n2,Gra"), Csv::new()).unwrap().len(), 2);
    let unended = JsonLines::new().may_lack_last_line_end();
    assert_eq!(rows(&cut("{\"id\":1}\n{\"id\":2}"), unended.clone()).unwrap().len(), 2);
    assert!(rows(&cut("{\"id\":1}\n{\"id\":2,\"n"), unended).is_err());
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

#[test]
fn every_encoding_is_read_by_its_mark_the_answers_word_or_the_authors() {
    let row = [r#"{"id":"1","name":"Zoë – ø"}"#.to_owned()];
    let text = "id,name\n1,Zoë – ø\n";
    let ansi = b"id,name\n1,Zo\xeb \x96 \xf8\n".to_vec();
    let latin = b"id,name\n1,Zo\xeb\n".to_vec();
    let csv = || Csv::new().expect(["id", "name"]);
    let is = |answer: Answer, format: Csv| assert_eq!(rows(&answer, format).unwrap(), row);

    is(plain(format!("\u{feff}{text}")), csv());
    for big in [false, true] {
        is(plain(utf16(text, big, true)), csv());
        is(plain(utf16(text, big, false)), csv());
    }
    is(sent("text/csv; charset=utf-16le", utf16(text, false, false)), csv());
    is(sent("text/csv; charset=windows-1252", ansi.clone()), csv());
    is(sent("text/csv; header=present; Charset=\"cp1252\"", ansi.clone()), csv());
    is(plain(ansi.clone()), csv().encoding("windows-1252"));
    is(sent("text/csv; charset=utf-8", ansi.clone()), csv().encoding("cp-1252"));
    // A mark is the text's own word, and counts more than anybody's.
    is(sent("text/csv; charset=iso-8859-1", format!("\u{feff}{text}")), csv().encoding("latin-1"));
    for name in ["latin-1", "latin1", "ISO-8859-1", "iso8859-1", "iso_8859_1"] {
        let read = rows(&plain(latin.clone()), csv().encoding(name)).unwrap();
        assert_eq!(read, [r#"{"id":"1","name":"Zoë"}"#], "{name}");
    }
    let error = rows(&plain(ansi), csv()).unwrap_err();
    assert!(error.message().contains("CSV line 2: is not UTF-8; name its encoding by `encoding`"), "{error}");
    let odd = utf16(text, false, true);
    let error = rows(&plain(&odd[..odd.len() - 1]), csv()).unwrap_err();
    assert!(error.message().contains("CSV line 2: is no text in UTF-16LE"), "{error}");
    assert!(rows(&sent("text/csv; charset=klingon", text), csv()).unwrap_err().message().contains("`klingon`"));
    assert!(matches!(rows(&plain(text), csv().encoding("klingon")), Err(Error::Internal(_))));
}

#[test]
fn xml_says_its_encoding_itself() {
    let xml = b"<?xml version='1.0' encoding='ISO-8859-1'?><items><item><n>Zo\xeb</n></item></items>".to_vec();
    let row = [r#"{"n":"Zoë"}"#];
    assert_eq!(rows(&plain(xml.clone()), Xml::new("item")).unwrap(), row);
    assert_eq!(rows(&sent("text/xml; charset=windows-1252", xml), Xml::new("item")).unwrap(), row);
    let wide = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><items><item><n>Zoë</n></item></items>";
    assert_eq!(rows(&plain(utf16(wide, false, true)), Xml::new("item")).unwrap(), row);
    assert_eq!(rows(&plain(utf16(wide, true, false)), Xml::new("item")).unwrap(), row);
    assert_eq!(rows(&plain(wide), Xml::new("item")).unwrap(), row);
    let lines = utf16("{\"n\":\"Zoë\"}\r\n", false, true);
    assert_eq!(rows(&plain(lines), JsonLines::new()).unwrap(), row);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// How a file lies in a zip.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Stored,
    Deflated,
    /// Its sizes come behind it, as from a writer that streams.
    Streamed,
}

const WAYS: [Way; 3] = [Way::Stored, Way::Deflated, Way::Streamed];

fn zip(files: &[(&str, &[u8])], way: Way) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text).unwrap();
        let packed = if way == Way::Stored { text.to_vec() } else { packed.finish().unwrap() };
        let mut crc = flate2::Crc::new();
        crc.update(text);
        let [size, plain] = [packed.len(), text.len()].map(|length| u32::try_from(length).unwrap());
        let sizes: Vec<u8> = [crc.sum(), size, plain].iter().flat_map(|number| number.to_le_bytes()).collect();
        let flags: u16 = if way == Way::Streamed { 8 } else { 0 };
        let method: u16 = if way == Way::Stored { 0 } else { 8 };
        let head = [&[20, 0], &flags.to_le_bytes()[..], &method.to_le_bytes(), &[0; 4]].concat();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let before: &[u8] = if way == Way::Streamed { &[0; 12] } else { &sizes };
        out.extend([b"PK\x03\x04", &head[..], before, &length, &[0, 0], name.as_bytes(), &packed].concat());
        if way == Way::Streamed {
            out.extend([b"PK\x07\x08", &sizes[..]].concat());
        }
        directory.extend([b"PK\x01\x02\x14\x00", &head[..], &sizes, &length, &[0; 16], name.as_bytes()].concat());
    }
    out.extend(directory);
    out.extend([b"PK\x05\x06", &[0; 18][..]].concat());
    out
}

#[test]
fn gzip_and_zip_are_unpacked_whatever_the_answer_says() {
    let lines: Vec<String> = (0..5000).map(|id| format!("{id},Zoë\n")).collect();
    let text = ("id,name\n".to_owned() + &lines.concat()).into_bytes();
    let is = |body: Vec<u8>| {
        for content_type in ["text/csv", "application/gzip", "application/zip", "application/octet-stream"] {
            assert_eq!(rows(&sent(content_type, body.clone()), Csv::new().expect(["id"])).unwrap().len(), 5000);
        }
    };
    is(gzip(&text));
    is([gzip(&text[..4000]), gzip(&text[4000..])].concat());
    for way in WAYS {
        is(zip(&[("items.csv", &text)], way));
    }
    for way in [Way::Stored, Way::Deflated] {
        is(zip(&[("folder/", b""), ("__MACOSX/._items.csv", b"x"), ("folder/items.csv", &text)], way));
    }
    for way in WAYS {
        let several = plain(zip(&[("readme.txt", b"hello"), ("items.csv", &text), ("end.txt", b"")], way));
        assert_eq!(rows(&several, Csv::new().entry("items.csv")).unwrap().len(), 5000);
        assert!(rows(&several, Csv::new().entry("other.csv")).unwrap_err().message().contains("no `other.csv`"));
    }
    let several = plain(zip(&[("a.csv", b"id,n\n1,2\n"), ("b.csv", b"id,n\n3,4\n")], Way::Streamed));
    assert!(rows(&several, Csv::new()).unwrap_err().message().contains("`a.csv`, `b.csv`"));
    let latin = zip(&[("a.csv", b"id,name\n1,Zo\xeb\n")], Way::Deflated);
    assert_eq!(rows(&plain(latin), Csv::new().encoding("latin1")).unwrap(), [r#"{"id":"1","name":"Zoë"}"#]);
}

#[test]
fn a_zip_that_another_program_wrote_is_read() {
    let zip = &include_bytes!("exports/python.zip")[..];
    let rows = rows(&plain(zip), Csv::new().expect(["id"])).unwrap();
    assert_eq!(rows, [r#"{"id":"1","name":"Ada"}"#, r#"{"id":"2","name":"Bo"}"#]);
}

#[test]
fn what_is_packed_and_cut_or_damaged_is_an_error_at_every_byte() {
    let text = b"id,name\n1,Ada\n2,Bo\n";
    for whole in [vec![gzip(text)], WAYS.map(|way| zip(&[("a.csv", text)], way)).to_vec()].concat() {
        assert!(rows(&plain(whole.clone()), Csv::new().expect(["id"])).is_ok());
        // The end of a zip is a record of 22 bytes without a meaning here, but for its first four.
        let needed = if whole.starts_with(b"PK") { whole.len() - 18 } else { whole.len() };
        for length in 0..needed {
            let read = rows(&plain(&whole[..length]), Csv::new().expect(["id"]));
            assert!(read.is_err(), "{length} of {} bytes passed: {read:?}", whole.len());
        }
    }
    let mut damaged = zip(&[("a.csv", text)], Way::Stored);
    let at = damaged.windows(3).position(|bytes| bytes == b"Ada").unwrap();
    damaged[at] = b'O';
    assert!(rows(&plain(damaged), Csv::new()).unwrap_err().message().contains("`a.csv` has another sum"));
}

#[test]
fn formats_that_are_not_understood_are_named() {
    let foreign = [
        (&b"BZh91AY"[..], "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"PAR1", "Parquet"),
        (b"%PDF-1.7", "PDF"),
    ];
    for (magic, name) in foreign {
        let error = rows(&plain(magic), Csv::new()).unwrap_err();
        assert!(error.message().ends_with(&format!("the export is {name}, which is not understood")), "{error}");
    }
    let workbook = zip(&[("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")], Way::Deflated);
    assert!(rows(&plain(workbook), Csv::new()).unwrap_err().message().contains("it is an Excel workbook"));
}
