//! Comma-separated values: RFC 4180 and what goes by that name.

mod header;
mod parser;

use std::io::BufRead;

use super::object::string;
use super::{Export, Format, Kind};
use crate::error::{Error, Result};
use crate::record::{Record, start_of};
use header::Header;
pub(super) use parser::unended;
use parser::{Dialect, Parser};

/// CSV with a line of names at its top. Every value arrives as text, an empty one as null. Name the columns that must be
/// there by [`expect`](Self::expect): it tells an export from whatever else a source may answer.
///
/// Types are not guessed: `007` would lose its zeros. Declare those that matter
/// (`Table::new("sales", ["id"]).column("price", DataType::Decimal((12, 2)))`), the host takes numbers and times from text.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let export = "id;name\n007;\"Bond; James\"\n8;\n";
/// let rows: Vec<_> = Csv::new().expect(["id"]).delimiter(b';').read(export.as_bytes()).collect::<Result<_>>()?;
/// assert_eq!(rows[0].json(), r#"{"id":"007","name":"Bond; James"}"#);
/// assert_eq!(rows[1].json(), r#"{"id":"8","name":null}"#);
/// # Ok::<(), Error>(())
/// ```
///
/// A quote that stays open, text behind a closing quote and a line of more or fewer values than there are names are errors
/// that name the line.
#[derive(Debug, Clone, Default)]
pub struct Csv {
    dialect: Dialect,
    names: Option<Vec<String>>,
    expected: Vec<String>,
    skipped_lines: u64,
    number_repeated: bool,
    short_rows: bool,
    keep_empty: bool,
    nulls: Vec<String>,
    end_mark: Option<String>,
    export: Export,
}

impl Csv {
    /// Commas between values, quotes around those that need it, names in the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another byte between values: `b';'`, `b'\t'`. A first line `sep=;`, as Excel has it, counts more.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.dialect.delimiter = delimiter;
        self
    }

    /// Another quote than `"`.
    #[must_use]
    pub fn quote(mut self, quote: u8) -> Self {
        self.dialect.quote = Some(quote);
        self
    }

    /// Quotes mean nothing: they are a part of the values.
    #[must_use]
    pub fn no_quotes(mut self) -> Self {
        self.dialect.quote = None;
        self
    }

    /// A byte that takes its meaning from the quote, delimiter, line end or escape behind it: `b'\\'`.
    #[must_use]
    pub fn escape(mut self, escape: u8) -> Self {
        self.dialect.escape = Some(escape);
        self
    }

    /// Lines that begin so are comments: `b'#'`.
    #[must_use]
    pub fn comment(mut self, comment: u8) -> Self {
        self.dialect.comment = Some(comment);
        self
    }

    /// Drops blanks around names and values.
    #[must_use]
    pub fn trim(mut self) -> Self {
        self.dialect.trim = true;
        self
    }

    /// So many lines at the top, titles and dates, come before the line of names.
    #[must_use]
    pub fn skip_lines(mut self, count: u64) -> Self {
        self.skipped_lines = count;
        self
    }

    /// The names of the columns; the first line is a record like all others.
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Names that must be in the first line, those of the key at least. Without them it is no export.
    #[must_use]
    pub fn expect(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.expected = names.into_iter().map(Into::into).collect();
        self
    }

    /// Numbers names that are there several times, `price`, `price_2`; without it they are an error.
    #[must_use]
    pub fn number_repeated(mut self) -> Self {
        self.number_repeated = true;
        self
    }

    /// Lines may end early, what is missing is null; without it they are an error.
    #[must_use]
    pub fn short_rows(mut self) -> Self {
        self.short_rows = true;
        self
    }

    /// Keeps empty values as empty texts.
    #[must_use]
    pub fn keep_empty(mut self) -> Self {
        self.keep_empty = true;
        self
    }

    /// A text that stands for null: `\\N`, `NULL`.
    #[must_use]
    pub fn null(mut self, text: impl Into<String>) -> Self {
        self.nulls.push(text.into());
        self
    }

    /// The last line of a whole export begins so; it is no record, and an export without it was cut.
    #[must_use]
    pub fn end_mark(mut self, text: impl Into<String>) -> Self {
        self.end_mark = Some(text.into());
        self
    }
}

impl Format for Csv {
    const KIND: Kind = Kind::Csv;

    fn export(&mut self) -> &mut Export {
        &mut self.export
    }

    fn records<R: BufRead>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        let parser = Parser::new(input, self.dialect.clone(), self.export.line_end_proven);
        Rows { parser: Some(parser), format: self, header: None }
    }
}

/// The state between two records.
struct Rows<R> {
    /// `None` after the end or an error.
    parser: Option<Parser<R>>,
    format: Csv,
    header: Option<Header>,
}

impl<R: BufRead> Rows<R> {
    fn record(&mut self) -> Result<Option<Record<'static>>> {
        let Some(parser) = &mut self.parser else { return Ok(None) };
        if self.header.is_none() {
            self.header = Some(self.format.header(parser)?);
        }
        let Some(header) = &self.header else { return Ok(None) };
        let format = &self.format;
        if !parser.next()? {
            return match &format.end_mark {
                Some(mark) => Err(Error::transient(format_args!("the export is cut: no last line begins `{mark}`"))),
                None => Ok(None),
            };
        }
        if format.end_mark.as_ref().is_some_and(|mark| parser.begins(mark)) {
            let is_more = parser.next()?;
            return if is_more { Err(parser.error("stands behind the line that marks the end")) } else { Ok(None) };
        }
        format.object(header, parser).map(Some)
    }
}

impl Csv {
    /// The names, and what is wrong with the first lines.
    fn header<R: BufRead>(&self, parser: &mut Parser<R>) -> Result<Header> {
        for _ in 0..self.skipped_lines {
            parser.skip_line()?;
        }
        if let Some(names) = &self.names {
            return Header::new(names, self.number_repeated).map_err(Error::internal);
        }
        if self.export.may_be_empty && self.expected.is_empty() {
            return Err(Error::internal("`may_be_empty` needs `expect`: by its names an empty CSV is one"));
        }
        parser.separator()?;
        if !parser.next()? {
            return Err(Error::transient("the CSV is empty, without a line of names"));
        }
        let names = parser.values()?.map(|value| value.trim().to_owned()).collect::<Vec<_>>();
        if let Some(missing) = self.expected.iter().find(|expected| !names.contains(expected)) {
            return Err(parser.error(format_args!("has no name `{missing}`")));
        }
        if self.expected.is_empty() && names.len() == 1 && names[0].contains([' ', ',', ';', '\t', '|']) {
            let name = start_of(&names[0]);
            let message = format_args!("is one name alone, `{name}`: `expect` it, or say which `delimiter` there is");
            return Err(parser.error(message));
        }
        Header::new(&names, self.number_repeated).map_err(|problem| parser.error(problem))
    }

    /// A record of which nothing is dropped: it has as many values as there are names.
    fn object<R: BufRead>(&self, header: &Header, parser: &Parser<R>) -> Result<Record<'static>> {
        let (values, names) = (parser.count(), header.len());
        if values > names || (values < names && !self.short_rows) {
            return Err(parser.error(format_args!("has {values} values for {names} names")));
        }
        let mut json = String::from("{");
        let missing = std::iter::repeat_n(None, names - values);
        for (name, value) in header.names().zip(parser.values()?.map(Some).chain(missing)) {
            let is_null = value.is_none_or(|value| {
                (value.is_empty() && !self.keep_empty) || self.nulls.iter().any(|null| null == value)
            });
            let Some(name) = name else {
                if !value.unwrap_or_default().is_empty() {
                    return Err(parser.error("has a value in a column without a name"));
                }
                continue;
            };
            json.push_str(if json.len() > 1 { "," } else { "" });
            json.push_str(name);
            match value.filter(|_| !is_null) {
                Some(value) => string(&mut json, value),
                None => json.push_str("null"),
            }
        }
        json.push('}');
        Ok(Record::from(json))
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parser.as_ref()?;
        let record = self.record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.parser = None;
        }
        record
    }
}
