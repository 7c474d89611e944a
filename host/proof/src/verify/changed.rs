//! Rules about a source that answers otherwise than it did: empty and short pages, new fields, other types.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::answers;
use super::digest::{Row, key_text};
use super::disturbed::untyped;
use super::fault::{Fault, NEW_COLUMN, has_record, records_max};
use super::moments::parameters;
use super::rule::{Broken, Rule, Tried, fail, skip};
use super::run::Run;
use super::stage::{Act, Asked, Place};
use super::tables::{Alike, cut};
use super::trial::{Trial, known};
use sandbox::Sent;

impl Trial<'_> {
    /// A page whose list is empty, although it names the next page, is followed by that page.
    pub(super) fn empty_pages(&self) -> Tried {
        let asked = &self.base.asked;
        let followed: Vec<usize> = (0..asked.len().saturating_sub(1))
            .filter(|at| asked[at + 1].answer.is_some() && self.base.names_the_next(*at))
            .collect();
        if followed.is_empty() {
            return skip("no answer names the request after it");
        }
        let places = self.places(followed.len());
        let work = |index: usize| {
            let at = followed[places[index]];
            let run = self.run_into(None, Place::Number(at as u64), Fault::EmptyPage);
            let next = asked[at + 1].request.label();
            // An answer that was on its way and never looked at does not count.
            let read = run.asked.iter().any(|asked| asked.request.label() == next && asked.answer.is_some());
            if run.outcome.is_ok() && !read {
                let label = asked[at].request.label();
                return fail(format!("an empty page at request {} ({label}) names {next}, which is not read", at + 1));
            }
            Ok(String::new())
        };
        self.first_found(Rule::EmptyPages, places.len(), &work)?;
        Ok(format!("{} pages", followed.len()))
    }

    /// A page with fewer records than were asked for is followed by the rest.
    pub(super) fn short_pages(&self) -> Tried {
        let asked = &self.base.asked;
        let paged: Vec<usize> = (0..asked.len().saturating_sub(1)).filter(|at| self.base.counts_on(*at)).collect();
        let more = self.pages_filled()?;
        if paged.is_empty() && more == 0 {
            return skip("no page is asked for by a number or by the record before it");
        }
        let places = self.places(paged.len());
        let work = |index: usize| {
            let at = paged[places[index]];
            let run = self.run_into(None, Place::Number(at as u64), Fault::ShortPage);
            let what = || format!("half a page at request {} ({})", at + 1, asked[at].request.label());
            if run.outcome.is_err() || known(&run).is_err() {
                return Ok(String::new());
            }
            let goes_on = run.asked[at + 1..].iter().any(|later| is_of_one_list(&later.request, &asked[at].request));
            if !goes_on {
                return fail(format!(
                    "{} is taken for the last one: sources give fewer than they are asked for",
                    what()
                ));
            }
            // A page by its number is another page where pages are shorter: only a source could show the rest of it.
            match self.difference(&run.tables()).filter(|_| !self.base.is_numbered(at)) {
                Some(difference) => fail(format!("{}: {difference}", what())),
                None => Ok(String::new()),
            }
        };
        self.first_found(Rule::ShortPages, places.len(), &work)?;
        Ok(format!("{} pages", paged.len() + more))
    }

    /// Where a list ended because it had fewer records than were asked for, it is asked what comes after them. Gives how many
    /// such lists there are.
    fn pages_filled(&self) -> Result<usize, Broken> {
        const FILLED_MAX: usize = 1_000;
        let asked = &self.base.asked;
        let sizes: Vec<(usize, usize)> = (0..asked.len())
            .filter_map(|at| {
                let size = answers::asked_size(&asked[at]).filter(|size| *size <= FILLED_MAX)?;
                let is_last = !asked[at + 1..].iter().any(|later| is_of_one_list(&later.request, &asked[at].request));
                let records = asked[at].answer.as_ref().map_or(0, records_max);
                (is_last && records > 0 && records < size).then_some((at, size))
            })
            .collect();
        let places = self.places(sizes.len());
        let work = |index: usize| {
            let (at, size) = sizes[places[index]];
            let run = self.run_into(None, Place::Number(at as u64), Fault::FullPage(size));
            if run.outcome.is_err() || known(&run).is_err() {
                return Ok(String::new());
            }
            match self.difference(&run.tables()) {
                Some(difference) => fail(format!(
                    "request {} ({}) asks for {size} and is given fewer, which is taken for the end; asked for what comes after, \
                     the source gave {difference}",
                    at + 1,
                    asked[at].request.label()
                )),
                None => Ok(String::new()),
            }
        };
        self.first_found(Rule::ShortPages, places.len(), &work)?;
        Ok(sizes.len())
    }

    pub(super) fn new_columns(&self) -> Tried {
        let asked = &self.base.asked;
        let is_row = |record: &Row| self.is_row(record);
        let holding: Vec<usize> =
            self.places(asked.len()).into_iter().filter(|at| holds(&asked[*at], &is_row)).collect();
        if holding.is_empty() {
            return skip("no answer is JSON with a list of objects that are rows");
        }
        let work = |index: usize| {
            let at = holding[index];
            let run = self.run_into(None, Place::Number(at as u64), Fault::NewColumn);
            let what = || format!("a new field at request {} ({})", at + 1, asked[at].request.label());
            if let Err(error) = &run.outcome {
                return fail(format!("{}: [{}] {}", what(), error.code(), cut(&error.chain())));
            }
            if !run.writes(NEW_COLUMN) {
                return fail(format!("{} is in no row, although it was in every record", what()));
            }
            Ok(String::new())
        };
        self.first_found(Rule::NewColumns, holding.len(), &work)?;
        Ok(format!("{} pages", holding.len()))
    }

    /// Numbers and truth values that arrive as text from now on, but for keys.
    pub(super) fn type_changes(&self) -> Tried {
        let asked = &self.base.asked;
        let declared = &self.subject.declared;
        let keys: Arc<[String]> = declared.iter().flat_map(|table| table.primary_key.iter().cloned()).collect();
        let changes = |record: &Row| {
            let mut fields = record.iter().filter(|(name, _)| !keys.contains(name));
            fields.any(|(_, value)| value.is_number() || value.is_boolean())
        };
        let changing: Vec<usize> =
            self.places(asked.len()).into_iter().filter(|at| holds(&asked[*at], &changes)).collect();
        if changing.is_empty() {
            return skip("no record has a number beside its key");
        }
        let ground = self.ground();
        let work = |index: usize| {
            let at = changing[index];
            let run = self.run_into(None, Place::Number(at as u64), Fault::TypeChange(Arc::clone(&keys)));
            let found = if run.outcome.is_ok() {
                self.subject.difference(&self.tables, &run.tables(), Alike::AsText)
            } else if let Some(untyped) = untyped(&run) {
                Some(untyped)
            } else {
                self.lost(&ground, &run)
            };
            match found {
                Some(found) => {
                    let label = asked[at].request.label();
                    fail(format!("numbers that arrive as text at request {} ({label}): {found}", at + 1))
                }
                None => Ok(String::new()),
            }
        };
        self.first_found(Rule::TypeChanges, changing.len(), &work)?;
        Ok(format!("{} pages", changing.len()))
    }

    /// Whether a record of the source is one of the rows: by its key and one more value; one without a key by its whole.
    fn is_row(&self, record: &Row) -> bool {
        self.subject.declared.iter().any(|table| {
            let key = &table.primary_key;
            let Some(row) = self.tables.row(&table.name, &key_text(record, key)) else { return false };
            let mut others = record.iter().filter(|(name, _)| !key.contains(name)).peekable();
            others.peek().is_none() || others.any(|(name, value)| row.get(name) == Some(value))
        })
    }
}

/// Whether an answer has such a record.
fn holds(asked: &Asked, is_wanted: &dyn Fn(&Row) -> bool) -> bool {
    asked.answer.as_ref().is_some_and(|answer| has_record(answer, is_wanted))
}

/// Whether two requests ask for parts of one list: alike but for values.
fn is_of_one_list(one: &Sent, other: &Sent) -> bool {
    let path = |sent: &Sent| sent.url.split(['?', '#']).next().map(ToOwned::to_owned);
    (&one.method, path(one)) == (&other.method, path(other))
}

impl Run {
    /// Whether the answer to a request holds what the next request asks for: a cursor or URL that the request itself did
    /// not have.
    pub(super) fn names_the_next(&self, at: usize) -> bool {
        let Some(answer) = &self.asked[at].answer else { return false };
        let whole =
            |asked: &Asked| format!("{}\n{}", asked.request.label(), String::from_utf8_lossy(&asked.request.body));
        let (this, next) = (whole(&self.asked[at]), whole(&self.asked[at + 1]));
        let mut marks: Vec<String> = Vec::new();
        if let Ok(value) = serde_json::from_slice::<Value>(&answer.body) {
            marks_of(&value, &mut marks);
        }
        let links =
            answer.headers.iter().filter(|(name, _)| name == "link").flat_map(|(_, link)| link.split(['<', '>']));
        marks.extend(links.filter(|part| part.contains('/')).map(ToOwned::to_owned));
        let held: HashSet<(String, String)> = parameters(&self.asked[at].request).into_iter().collect();
        let asked = parameters(&self.asked[at + 1].request);
        let new: HashSet<&str> =
            asked.iter().filter(|pair| !held.contains(*pair)).map(|(_, value)| value.as_str()).collect();
        marks.iter().any(|mark| {
            let is_long = mark.len() > 2 && next.contains(mark.as_str()) && !this.contains(mark.as_str());
            is_long || new.contains(mark.as_str())
        })
    }

    /// Whether the request after this one goes on in the same list by a position of the connector's own.
    fn counts_on(&self, at: usize) -> bool {
        let (this, next) = (&self.asked[at], &self.asked[at + 1]);
        let records = this.answer.as_ref().map_or(0, records_max);
        records > 1
            && is_of_one_list(&this.request, &next.request)
            && this.request != next.request
            && !self.names_the_next(at)
    }

    /// Whether the next request asks for the page of the next number.
    fn is_numbered(&self, at: usize) -> bool {
        let numbers = |asked: &Asked| -> Vec<(String, i64)> {
            let parameters = parameters(&asked.request).into_iter();
            parameters.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
        };
        let (this, next) = (numbers(&self.asked[at]), numbers(&self.asked[at + 1]));
        next.iter().any(|(name, number)| {
            this.contains(&(name.clone(), number - 1)) || (*number == 2 && !this.iter().any(|(other, _)| other == name))
        })
    }

    /// Whether some row has this column.
    fn writes(&self, column: &str) -> bool {
        self.steps.iter().any(|step| match &step.act {
            Act::Batch(batch) => batch.mentions(column),
            Act::Save(_) => false,
        })
    }
}

/// The texts of an answer that are no part of a list.
fn marks_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Number(number) if name.to_lowercase().starts_with("next") => found.push(number.to_string()),
                    _ => marks_of(field, found),
                }
            }
        }
        _ => {}
    }
}
