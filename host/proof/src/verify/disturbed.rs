//! Rules about a source that fails or changes: one answer of the first run is replaced by a fault, and what comes of it compared.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::book::key;
use super::fault::{BREAKING, Fault, LASTING, NEW_COLUMN, has_record};
use super::rule::{Tried, fail, skip};
use super::run::Run;
use super::stage::{Place, Script};
use super::tables::{Row, Tables, cut, key_text};
use super::trial::{Trial, spread};
use model::LogLevel;
use model::error::Code;

/// What came of disturbed runs.
pub(super) struct Disturbed {
    pub(super) survived: Tried,
    pub(super) typed: Tried,
}

impl Trial<'_> {
    /// A run in which a request meets a fault.
    async fn run_into(&self, place: Place, fault: Fault) -> Run {
        self.subject.run(None, Script { fault: Some((place, fault)), ..self.bounded() }).await
    }

    /// Every fault at every request in turn, some of them each time the same is asked again.
    pub(super) async fn disturbed(&self) -> Disturbed {
        let (mut survived, mut typed) = (None, None);
        let places = spread(self.base.asked.len());
        if places.is_empty() {
            let none = || skip("it asks for nothing");
            return Disturbed { survived: none(), typed: none() };
        }
        for at in &places {
            for (fault, lasts) in
                BREAKING.map(|fault| (fault, false)).into_iter().chain(LASTING.map(|fault| (fault, true)))
            {
                if !self.can_be_told(*at, &fault) {
                    continue;
                }
                let request = &self.base.asked[*at].request;
                let place = if lasts { Place::Same(key(request)) } else { Place::Number(*at as u64) };
                let again = if lasts { ", each time" } else { "" };
                let what = format!("{}{again} at request {} ({})", fault.words(), at + 1, request.label());
                let run = self.run_into(place, fault).await;
                if typed.is_none() {
                    typed = untyped(&run).map(|found| format!("{what}: {found}"));
                }
                if survived.is_none() {
                    survived = self.lost(&run).await.map(|found| format!("{what}: {found}"));
                }
            }
        }
        let faults = BREAKING.len() + LASTING.len();
        let tried = format!("{faults} faults at {} of {} requests", places.len(), self.base.asked.len());
        let told = |found: Option<String>| found.map_or_else(|| Ok(tried.clone()), fail);
        Disturbed { survived: told(survived), typed: told(typed) }
    }

    /// Whether a connector can tell a fault of a request from a good answer.
    fn can_be_told(&self, at: usize, fault: &Fault) -> bool {
        let asked = &self.base.asked;
        match fault {
            // Only a source that said which page comes next can be caught repeating one.
            Fault::RepeatedPage => at > 0 && self.names_the_next(at - 1),
            // JSON and XML show where they end; lines do not.
            Fault::InvalidJson | Fault::EmptyBody => asked[at].answer.as_ref().is_some_and(|answer| {
                answer.body.trim_ascii_start().starts_with(b"<")
                    || serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok()
            }),
            _ => true,
        }
    }

    /// What is wrong after a disturbed run and, if that failed, the next sync.
    async fn lost(&self, run: &Run) -> Option<String> {
        if run.in_circles {
            return Some(format!("it goes in circles, {} requests", run.asked.len()));
        }
        let (steps, state) = run.durable(None);
        let mut tables = Tables::default();
        run.apply(steps, &mut tables, self.declared);
        if run.outcome.is_ok() {
            let difference = self.tables.difference(&tables)?;
            // What it said in a warning that it leaves out, the next sync may bring.
            if !run.logs.iter().any(|(level, _)| *level >= LogLevel::Warning) {
                return Some(format!("the sync succeeds, and {difference}"));
            }
        }
        let next = self.subject.run(state, self.bounded()).await;
        if next.unanswered.is_some() {
            return None;
        }
        if let Err(error) = &next.outcome {
            return Some(format!("the sync after it ends with [{}] {}", error.code(), cut(&error.chain())));
        }
        next.apply(next.steps.len(), &mut tables, self.declared);
        self.tables.difference(&tables).map(|difference| format!("after the next sync, {difference}"))
    }

    /// A page whose list is empty, although it names the next page, is followed by that page.
    pub(super) async fn empty_pages(&self) -> Tried {
        let asked = &self.base.asked;
        let followed: Vec<usize> = (0..asked.len().saturating_sub(1)).filter(|at| self.names_the_next(*at)).collect();
        if followed.is_empty() {
            return skip("no answer names the request after it");
        }
        for at in spread(followed.len()).into_iter().map(|index| followed[index]) {
            let run = self.run_into(Place::Number(at as u64), Fault::EmptyPage).await;
            let next = asked[at + 1].request.label();
            // An answer that was on its way and never looked at does not count.
            let read = run.asked.iter().any(|asked| asked.request.label() == next && asked.answer.is_some());
            if run.outcome.is_ok() && !read {
                let label = asked[at].request.label();
                return fail(format!("an empty page at request {} ({label}) names {next}, which is not read", at + 1));
            }
        }
        Ok(format!("{} pages", followed.len()))
    }

    /// Whether the answer to a request holds what the next request asks for: a cursor or URL that the request itself did
    /// not have.
    fn names_the_next(&self, at: usize) -> bool {
        let asked = &self.base.asked;
        let Some(answer) = &asked[at].answer else { return false };
        let Ok(Value::Object(fields)) = serde_json::from_slice(&answer.body) else { return false };
        let (this, next) = (asked[at].request.label(), asked[at + 1].request.label());
        let marks = fields.values().filter_map(Value::as_str);
        marks.filter(|mark| mark.len() > 2).any(|mark| next.contains(mark) && !this.contains(mark))
    }

    pub(super) async fn new_columns(&self) -> Tried {
        let mut tried = 0;
        for at in spread(self.base.asked.len()) {
            let run = self.run_into(Place::Number(at as u64), Fault::NewColumn).await;
            let what = format!("a new field at request {} ({})", at + 1, self.base.asked[at].request.label());
            if let Err(error) = &run.outcome {
                return fail(format!("{what}: [{}] {}", error.code(), cut(&error.chain())));
            }
            let arrived = self.all_of(&run).rows().any(|(_, row)| row.contains_key(NEW_COLUMN));
            let is_there = self.holds(at, &|record| self.is_row(record));
            if is_there && !arrived {
                return fail(format!("{what} is in no row, although it was in every record"));
            }
            tried += usize::from(is_there);
        }
        if tried == 0 { skip("no answer is JSON with a list of objects") } else { Ok(format!("{tried} pages")) }
    }

    /// Numbers and truth values that arrive as text from now on, but for keys.
    pub(super) async fn type_changes(&self) -> Tried {
        let keys: Arc<[String]> = self.declared.iter().flat_map(|table| table.primary_key.iter().cloned()).collect();
        let changes = |record: &Row| {
            let mut fields = record.iter().filter(|(name, _)| !keys.contains(name));
            fields.any(|(_, value)| value.is_number() || value.is_boolean())
        };
        let expected = self.tables.as_text();
        let mut tried = 0;
        for at in spread(self.base.asked.len()).into_iter().filter(|at| self.holds(*at, &changes)) {
            let run = self.run_into(Place::Number(at as u64), Fault::TypeChange(Arc::clone(&keys))).await;
            let found = if run.outcome.is_ok() {
                expected.difference(&self.all_of(&run).as_text())
            } else if let Some(untyped) = untyped(&run) {
                Some(untyped)
            } else {
                self.lost(&run).await
            };
            if let Some(found) = found {
                let label = self.base.asked[at].request.label();
                return fail(format!("numbers that arrive as text at request {} ({label}): {found}", at + 1));
            }
            tried += 1;
        }
        if tried == 0 { skip("no record has a number beside its key") } else { Ok(format!("{tried} pages")) }
    }

    /// The tables after all of a run.
    fn all_of(&self, run: &Run) -> Tables {
        let mut tables = Tables::default();
        run.apply(run.steps.len(), &mut tables, self.declared);
        tables
    }

    /// Whether a record of the source is one of the rows, by its key; one without a key may be.
    fn is_row(&self, record: &Row) -> bool {
        self.declared.iter().any(|table| {
            let key = &table.primary_key;
            key.is_empty() || self.tables.has(&table.name, &key_text(record, key))
        })
    }

    /// Whether the answer to a request has such a record.
    fn holds(&self, at: usize, is_wanted: &dyn Fn(&Row) -> bool) -> bool {
        self.base.asked[at].answer.as_ref().is_some_and(|answer| has_record(answer, is_wanted))
    }
}

/// What is wrong with how a disturbed run failed.
fn untyped(run: &Run) -> Option<String> {
    let error = run.outcome.as_ref().err().filter(|_| !run.in_circles)?;
    let is_typed = matches!(
        error.code(),
        Code::SourceError
            | Code::SourceUnavailable
            | Code::SourceRateLimited
            | Code::AuthenticationFailed
            | Code::ConfigurationRejected
    );
    (!is_typed).then(|| format!("[{}] {}", error.code(), cut(&error.chain())))
}
