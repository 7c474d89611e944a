//! XML: every element of one name is a record.

use std::io::{self, BufRead, BufReader, Read};
use std::mem;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::object::string;
use super::{Format, PIECE_BYTES, RECORD_BYTES_MAX};
use crate::error::{Error, Result};
use crate::record::Record;

/// Levels of elements within a record; as deep as the host reads JSON.
const DEPTH_MAX: usize = 120;

/// XML whose records are the elements of one name, whatever they stand in.
///
/// A record's attributes become fields `@name`, the elements in it fields of their names. An element that holds text alone
/// is that text, an empty one is null, another one an object with its text at `#text`. Elements of one name are a
/// list. Names keep their prefixes.
///
/// ```
/// use elt_sdk::prelude::*;
/// use elt_sdk::rows::Format;
///
/// let export = r#"<people><person id="7"><name>Ada &amp; co</name><tag>a</tag><tag>b</tag><born/></person></people>"#;
/// let rows: Vec<_> = Xml::new("person").read(export.as_bytes()).collect::<Result<_>>()?;
/// assert_eq!(rows[0].json(), r#"{"@id":"7","name":"Ada & co","tag":["a","b"],"born":null}"#);
/// # Ok::<(), Error>(())
/// ```
///
/// A body without any element is an error, not a document without records.
///
/// Types are not guessed: declare the columns that are no text, the host takes numbers and times from text. No document
/// type is read, so there are no entities but the five of XML and numbers.
#[derive(Debug, Clone)]
pub struct Xml {
    record: String,
    lists: Vec<String>,
}

impl Xml {
    /// The name of the elements that are records, `person` or `p:person`.
    pub fn new(record: &str) -> Self {
        Self { record: record.to_owned(), lists: Vec::new() }
    }

    /// Elements of these names are lists, also where there is one alone.
    #[must_use]
    pub fn lists<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.lists = names.iter().map(|&name| name.to_owned()).collect();
        self
    }
}

impl Format for Xml {
    fn read<R: Read>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        let input = Bounded { input: BufReader::with_capacity(PIECE_BYTES, input), left: RECORD_BYTES_MAX };
        let mut reader = Reader::from_reader(input);
        reader.config_mut().expand_empty_elements = true;
        Rows {
            reader,
            format: self,
            buffer: Vec::new(),
            around: 0,
            open: Vec::new(),
            number: 1,
            begun: false,
            ended: false,
        }
    }
}

/// The state between two records.
struct Rows<R: Read> {
    reader: Reader<Bounded<R>>,
    format: Xml,
    buffer: Vec<u8>,
    /// Elements open around the record.
    around: usize,
    /// The record and the elements open in it.
    open: Vec<Element>,
    /// The record that is being read, from 1.
    number: u64,
    /// There was an element.
    begun: bool,
    ended: bool,
}

/// An element as far as it was read.
#[derive(Default)]
struct Element {
    name: String,
    /// Attributes and elements in it, as JSON, by name in the order of their first.
    fields: Vec<(String, Vec<String>)>,
    text: String,
}

impl<R: Read> Rows<R> {
    fn record(&mut self) -> Result<Option<Record<'static>>> {
        loop {
            if self.open.is_empty() {
                self.reader.get_mut().left = RECORD_BYTES_MAX;
            }
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            let event = self.reader.read_event_into(&mut buffer).map_err(of_reader)?;
            let in_record = !self.open.is_empty();
            match event {
                Event::Start(start) => self.start(&start)?,
                Event::Text(text) if in_record => self.text(&text.xml10_content()),
                Event::CData(text) if in_record => self.text(&text.xml10_content()),
                Event::GeneralRef(reference) if in_record => {
                    let text = resolve(&reference)?;
                    self.text(&text);
                }
                Event::End(_) => {
                    if let Some(record) = self.end() {
                        self.buffer = buffer;
                        self.number += 1;
                        return Ok(Some(record));
                    }
                }
                Event::Eof if self.around + self.open.len() > 0 => {
                    return Err(Error::transient("the XML ends in the middle of an element"));
                }
                // A document has an element: half a body that ends before it would look like no records.
                Event::Eof if !self.begun => return Err(Error::transient("the XML is empty")),
                Event::Eof => return Ok(None),
                _ => {}
            }
            self.buffer = buffer;
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<()> {
        self.begun = true;
        let name = start.name().as_ref().to_owned();
        if self.open.is_empty() && name != self.format.record {
            self.around += 1;
            return Ok(());
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Error::source(format_args!("has more than {DEPTH_MAX} levels of elements")));
        }
        let mut element = Element { name, ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(Error::source)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(of_reader)?;
            let mut json = String::new();
            string(&mut json, &value);
            element.push(format!("@{}", attribute.key.as_ref()), json);
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    /// Closes an element; the record, if that is the one.
    fn end(&mut self) -> Option<Record<'static>> {
        let Some(element) = self.open.pop() else {
            self.around = self.around.saturating_sub(1);
            return None;
        };
        let Some(parent) = self.open.last_mut() else {
            return Some(Record::from(element.object(&self.format.lists)));
        };
        let json = element.json(&self.format.lists);
        parent.push(element.name, json);
        None
    }
}

impl Element {
    fn push(&mut self, name: String, json: String) {
        match self.fields.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(json),
            None => self.fields.push((name, vec![json])),
        }
    }

    /// Its value within another element.
    fn json(&self, lists: &[String]) -> String {
        if !self.fields.is_empty() {
            return self.object(lists);
        }
        if self.text.is_empty() {
            return "null".to_owned();
        }
        let mut json = String::new();
        string(&mut json, &self.text);
        json
    }

    fn object(&self, lists: &[String]) -> String {
        let mut json = String::from("{");
        for (name, values) in &self.fields {
            string(&mut json, name);
            let is_list = values.len() > 1 || lists.contains(name);
            let values = values.join(",");
            json.push(':');
            json.push_str(if is_list { "[" } else { "" });
            json.push_str(&values);
            json.push_str(if is_list { "]," } else { "," });
        }
        // White space between elements is layout.
        if !self.text.trim().is_empty() {
            json.push_str("\"#text\":");
            string(&mut json, &self.text);
        } else if json.ends_with(',') {
            json.pop();
        }
        json.push('}');
        json
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let number = self.number;
        let record = self.record().map_err(|error| error.context(format_args!("XML record {number}"))).transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// One of the five entities of XML, or a character by its number.
fn resolve(reference: &BytesRef<'_>) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref().map_err(of_reader)? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    let text = quick_xml::escape::resolve_xml_entity(&name);
    text.map(str::to_owned).ok_or_else(|| Error::source(format_args!("names an unknown entity, `{name}`")))
}

/// An error of the answer itself comes back as it was.
fn of_reader(error: quick_xml::Error) -> Error {
    let quick_xml::Error::Io(error) = error else { return Error::source(error) };
    let own = error.get_ref().and_then(|own| own.downcast_ref::<Error>()).cloned();
    own.unwrap_or_else(|| Error::transient(error))
}

/// A reader that refuses to give more than a record may have.
struct Bounded<R> {
    input: BufReader<R>,
    left: usize,
}

impl<R: Read> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(Error::source(format_args!("is longer than {} MiB", RECORD_BYTES_MAX >> 20)).into());
        }
        let piece = self.input.fill_buf()?;
        Ok(&piece[..piece.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.input.consume(count);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}
