//! What changed since the last sync: from when on to ask, and how far the state may move on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Page;
use crate::error::{Error, Result};
use crate::json::{self, Path};
use crate::record::{Record, start_of};
use crate::state::State;
use crate::time::{self, TimeFormat, Timestamp};
use crate::warning;

/// The window of time that a sync reads. It begins a little before the newest change that an earlier sync saw, and the
/// next one begins at the newest change that this one sees, but never after the moment at which this sync began: what
/// changes on a page that was read already is read next time.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|_| Answer::json(r#"{"orders": [{"id": 1, "updated_at": "2024-02-29T12:00:00Z"}], "total": 1}"#));
/// fn orders(http: &Client, mut state: State, operations: &mut Operations) -> Result<()> {
///     let mut window = Window::new("updated_at").overlap(Duration::from_mins(60)).resume(&state)?;
///     let request = http.get("orders").query_if("updated_since", window.since()?);
///     for page in request.pages("orders", Offset::new("offset", "limit", 100).total("total")) {
///         let page = page?;
///         operations.upsert_page("orders", &page)?;
///         window.advance(&page, &mut state)?;
///         operations.checkpoint(&state)?;
///     }
///     Ok(())
/// }
/// ```
///
/// The state moves on with the last page, since pages come in no order of time; [`ordered`](Self::ordered) says that they
/// do. Where the source's cursor stays good, pass [`cursor`](Self::cursor) to the pagination's `start`: then an interrupted
/// sync goes on in the middle.
///
/// A record without a moment is as good as any other. A moment in the future is told, and moves nothing. The source's
/// clock counts where its answers have a header `Date`.
#[derive(Debug, Clone)]
pub struct Window {
    key: String,
    field: Path,
    format: TimeFormat,
    overlap: Duration,
    ordered: bool,
    /// The newest change that earlier syncs saw.
    begin: Option<Timestamp>,
    way: Way,
    /// What an interrupted sync left, until the cursor in it is asked for.
    left: Option<Way>,
    /// Whether the cursor was asked for: then the state holds one.
    resumes: bool,
    /// When it was made, by the host's clock, until an answer tells the source's time.
    created: Option<Timestamp>,
    seen: Seen,
}

/// How far an unfinished sync has come: in the state beside the window's beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Way {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<Timestamp>,
    /// When the sync began that the cursor is of.
    started: Timestamp,
}

/// What the records' moments were like.
#[derive(Debug, Clone, Default)]
struct Seen {
    records: u64,
    moments: u64,
    /// The first that could not be read.
    unreadable: Option<String>,
    told_of_future: bool,
}

/// So far ahead of the clock is no clock's error, nor a summer's hour.
const AHEAD_MAX: Duration = Duration::from_hours(2);
/// A state so far ahead is none to go on from.
const POISONED: Duration = Duration::from_hours(48);

impl Window {
    /// A window over the moments in the records' `field`, a name or a JSON pointer. In the state it is kept under the same
    /// name.
    pub fn new(field: &str) -> Self {
        let started = Timestamp::now();
        Self {
            key: field.to_owned(),
            field: Path::new(field),
            format: TimeFormat::Rfc3339,
            overlap: Duration::from_hours(1),
            ordered: false,
            begin: None,
            way: Way { cursor: None, newest: None, started },
            left: None,
            resumes: false,
            created: Some(started),
            seen: Seen::default(),
        }
    }

    /// Another name in the state, where several windows share one.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// How the source writes moments, in its records and in what it is asked with. Default: RFC 3339.
    #[must_use]
    pub fn format(mut self, format: TimeFormat) -> Self {
        self.format = format;
        self
    }

    /// How far before the newest change to begin, for changes that show late. Default: an hour.
    #[must_use]
    pub fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// Records come in the order of their moments, oldest first: the state moves on with every page.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Goes on where the state says. One that lies in the future, from a record that did, is no place to go on from: then
    /// everything is read.
    pub fn resume(mut self, state: &State) -> Result<Self> {
        self.begin = state.parse(&self.key)?;
        if let Some(begin) = self.begin.take_if(|begin| *begin > Timestamp::now() + POISONED) {
            warning!("the state's `{}` lies in the future ({begin}): everything is read again", self.key);
            return Ok(self);
        }
        self.left = state.parse(self.way_key())?;
        Ok(self)
    }

    /// From when on to ask, as the source writes it; `None` the first time.
    pub fn since(&self) -> Result<Option<String>> {
        self.begin().map(|begin| self.format.write(begin)).transpose()
    }

    /// From when on to ask; `None` the first time.
    pub fn begin(&self) -> Option<Timestamp> {
        self.begin.map(|begin| begin - self.overlap)
    }

    /// Where an interrupted sync left off within the window, for the pagination's `start`. Whoever asks for it has it
    /// kept; without it an interrupted window is read from its beginning.
    pub fn cursor(&mut self) -> Option<String> {
        self.resumes = true;
        if let Some(left) = self.left.take() {
            (self.way, self.created) = (left, None);
        }
        self.way.cursor.clone()
    }

    /// Whether the page has come to records from before the window, for lists with the newest change first.
    pub fn is_passed(&self, page: &Page) -> bool {
        let before = |record: Record| self.moment(&record).ok().flatten() < self.begin();
        self.begin.is_some() && page.last().is_some_and(before)
    }

    /// Takes a page's moments into account, and writes down in the state how far the sync has come: the window after the
    /// last page, the way within it before.
    pub fn advance(&mut self, page: &Page, state: &mut State) -> Result<()> {
        self.set_clock(page);
        for record in page.records() {
            self.see(&record);
        }
        self.way.cursor = page.cursor().map(str::to_owned);
        if page.cursor().is_none() {
            return self.finish(state);
        }
        if self.ordered {
            state.set(&self.key, self.end())
        } else if self.resumes {
            state.set(self.way_key(), &self.way)
        } else {
            Ok(())
        }
    }

    /// Writes the window down as read to its end, where that is not the last page: a list with the newest change first
    /// that has come to [what is known](Self::is_passed).
    pub fn finish(&mut self, state: &mut State) -> Result<()> {
        let (key, field) = (&self.key, &self.field);
        let Seen { records, moments, unreadable, .. } = &self.seen;
        match unreadable {
            Some(text) if *moments == 0 => {
                let problem =
                    format_args!("no moment at `{field}` can be read: `{}`; what is its format?", start_of(text));
                return Err(Error::source(problem));
            }
            Some(text) => warning!("a moment at `{field}` cannot be read and moves nothing: `{}`", start_of(text)),
            None if *moments == 0 && *records > 0 => {
                warning!("no record has a moment at `{field}`: the next sync reads as much again");
            }
            None => {}
        }
        state.set(key, self.end())?;
        state.remove(self.way_key());
        Ok(())
    }

    /// Where the next window may begin: the newest change seen, if it was before this sync.
    fn end(&self) -> Option<Timestamp> {
        let newest = self.way.newest.map(|newest| newest.min(self.way.started));
        newest.max(self.begin)
    }

    /// Moves the beginning of this sync to the source's clock, by its first answer.
    fn set_clock(&mut self, page: &Page) {
        let Some(created) = self.created.take() else { return };
        let Some(date) = page.header("date").and_then(time::parse_http_date) else { return };
        // A date has whole seconds.
        let passed = Timestamp::now().unix_seconds().saturating_sub(created.unix_seconds()).max(0) + 1;
        self.way.started = Timestamp::from_unix_seconds(date.saturating_sub(passed));
    }

    fn see(&mut self, record: &Record) {
        self.seen.records += 1;
        let moment = match self.moment(record) {
            Ok(None) => return,
            Ok(Some(moment)) => moment,
            Err(text) => {
                self.seen.unreadable.get_or_insert(text);
                return;
            }
        };
        self.seen.moments += 1;
        self.way.newest = self.way.newest.max(Some(moment));
        if moment > self.way.started.max(Timestamp::now()) + AHEAD_MAX && !self.seen.told_of_future {
            self.seen.told_of_future = true;
            let (field, started) = (&self.field, self.way.started);
            warning!(
                "a record's `{field}` lies in the future ({moment}): the next window begins at {started} at the latest"
            );
        }
    }

    /// A record's moment; `None` where it has none, the text where it cannot be read.
    fn moment(&self, record: &Record) -> std::result::Result<Option<Timestamp>, String> {
        let text = json::search(record.json(), &self.field).ok().flatten().and_then(json::text);
        match text.filter(|text| !text.trim().is_empty()) {
            Some(text) => self.format.parse(&text).map(Some).map_err(|_| text),
            None => Ok(None),
        }
    }

    fn way_key(&self) -> String {
        format!("{}_pages", self.key)
    }
}
