//! XML: every element of one name is a record.

use std::io::BufRead;
use std::mem;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::lines::Lines;
use super::object::string;
use super::{Export, Format, Kind};
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
///
/// let export = r#"<people><person id="7"><name>Ada &amp; co</name><tag>a</tag><tag>b</tag><born/></person></people>"#;
/// let rows: Vec<_> = Xml::new("person").root("people").read(export.as_bytes()).collect::<Result<_>>()?;
/// assert_eq!(rows[0].json(), r#"{"@id":"7","name":"Ada & co","tag":["a","b"],"born":null}"#);
/// # Ok::<(), Error>(())
/// ```
///
/// A document without such an element is an error, unless it [may be empty](Format::may_be_empty); then its
/// [root](Self::root) has to be the one of an export.
///
/// Types are not guessed: declare the columns that are no text, the host takes numbers and times from text. No document
/// type is read, so there are no entities but the five of XML and numbers.
#[derive(Debug, Clone)]
pub struct Xml {
    record: String,
    root: Option<String>,
    lists: Vec<String>,
    export: Export,
}

impl Xml {
    /// The name of the elements that are records, `person` or `p:person`.
    pub fn new(record: impl Into<String>) -> Self {
        Self { record: record.into(), root: None, lists: Vec::new(), export: Export::default() }
    }

    /// The name of the document's outermost element, as in an export; another one is an error.
    #[must_use]
    pub fn root(mut self, name: impl Into<String>) -> Self {
        self.root = Some(name.into());
        self
    }

    /// Elements of these names are lists, also where there is one alone.
    #[must_use]
    pub fn lists(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.lists = names.into_iter().map(Into::into).collect();
        self
    }
}

impl Format for Xml {
    const KIND: Kind = Kind::Xml;

    fn export(&mut self) -> &mut Export {
        &mut self.export
    }

    fn records<R: BufRead>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        let mut reader = Reader::from_reader(Lines::new(input));
        reader.config_mut().expand_empty_elements = true;
        Rows { reader, format: self, buffer: Vec::new(), around: 0, open: Vec::new(), begun: false, ended: false }
    }
}

/// The state between two records.
struct Rows<R: BufRead> {
    reader: Reader<Lines<R>>,
    format: Xml,
    buffer: Vec<u8>,
    /// Elements open around the record.
    around: usize,
    /// The record and the elements open in it.
    open: Vec<Element>,
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

impl<R: BufRead> Rows<R> {
    fn record(&mut self) -> Result<Option<Record<'static>>> {
        if self.format.export.may_be_empty && self.format.root.is_none() {
            return Err(Error::internal("`may_be_empty` needs `root`: by its root an empty XML is one"));
        }
        loop {
            if self.open.is_empty() {
                self.reader.get_mut().begin();
            }
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            let event = self.reader.read_event_into(&mut buffer).map_err(of_reader)?;
            let in_record = !self.open.is_empty();
            match event {
                Event::Start(start) => self.start(&start)?,
                Event::Text(text) if in_record => self.text(&text.xml10_content()),
                Event::CData(text) if in_record => self.text(&text.xml10_content()),
                Event::Text(text) if self.around == 0 && !text.xml10_content().trim().is_empty() => {
                    return Err(Error::source("has text outside of all elements"));
                }
                Event::GeneralRef(reference) if in_record => {
                    let text = resolve(&reference)?;
                    self.text(&text);
                }
                Event::End(_) => {
                    if let Some(record) = self.end() {
                        self.buffer = buffer;
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
        let name = start.name().as_ref().to_owned();
        if self.open.is_empty() {
            self.check_outer(&name)?;
            self.begun = true;
            if name != self.format.record {
                self.around += 1;
                return Ok(());
            }
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

    /// Refuses elements outside of records that no export of this form has.
    fn check_outer(&self, name: &str) -> Result<()> {
        let Xml { record, root, .. } = &self.format;
        let is_root = self.around == 0;
        if let Some(root) = root.as_ref().filter(|root| is_root && !self.begun && *root != name) {
            return Err(Error::source(format_args!("the root is `{name}`, not `{root}`")));
        }
        if is_root && self.begun && name != record {
            return Err(Error::source(format_args!("has a second root, `{name}`")));
        }
        let local = |name: &str| name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        if name != record && local(name) == local(record) {
            return Err(Error::source(format_args!("has elements `{name}`; the records are to be `{record}`")));
        }
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

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record();
        let line = self.reader.get_ref().line();
        let record = record.map_err(|error| error.context(format_args!("XML line {line}"))).transpose();
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
