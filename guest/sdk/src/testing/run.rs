//! Runs a connector's functions against the double.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use super::double::{self, Double, Handler, Operation};
use super::secrets::Secrets;
use super::{Answer, Asked};
use crate::bindings::elt::connector::types::Selection;
use crate::configuration::Configuration;
use crate::connector::Connector;
use crate::error::Result;
use crate::export;
use crate::log::Level;
use crate::table::Table;
use crate::time::Timestamp;

/// What a connector is given: configuration, state, selection, clock, and the source's answers. The connector's own
/// defaults are filled in, its required fields demanded, and secrets replaced by placeholders, as by the host; what the
/// source is asked holds the values.
#[must_use = "a test runs by check, schema or update"]
pub struct Test<C> {
    configuration: Vec<(String, String)>,
    state: Option<String>,
    selection: Selection,
    now: Option<SystemTime>,
    handler: Option<Handler>,
    connector: PhantomData<C>,
}

impl<C: Connector> Test<C> {
    /// No configuration, no state, every table, no source.
    pub fn new() -> Self {
        let connector = PhantomData;
        Self { configuration: Vec::new(), state: None, selection: Selection::All, now: None, handler: None, connector }
    }

    /// Sets a configuration field.
    pub fn configuration(mut self, key: &str, value: &str) -> Self {
        self.configuration.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Begins from this state, an earlier [`Sync::state`] or a text of one's own.
    pub fn state<'a>(mut self, state: impl Into<Option<&'a str>>) -> Self {
        self.state = state.into().map(str::to_owned);
        self
    }

    /// Selects these tables only.
    pub fn select<const N: usize>(mut self, tables: [&str; N]) -> Self {
        self.selection = Selection::Tables(tables.iter().map(|&table| table.to_owned()).collect());
        self
    }

    /// Stops the clock at this time.
    pub fn now(mut self, now: Timestamp) -> Self {
        let since = Duration::from_secs(u64::try_from(now.unix_seconds()).unwrap_or_default());
        self.now = Some(SystemTime::UNIX_EPOCH + since);
        self
    }

    /// Answers requests by a function.
    pub fn serve(mut self, handler: impl FnMut(&Asked) -> Answer + 'static) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// Answers requests in this order; one more is denied.
    pub fn answers(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers = answers.into_iter().collect::<Vec<_>>().into_iter();
        self.serve(move |asked| {
            let none_left = || Answer::denied(format_args!("{asked}: the test has no answer left"));
            answers.next().unwrap_or_else(none_left)
        })
    }

    /// Runs `check`.
    pub fn check(self) -> Result<()> {
        self.run(|configuration, _, _| export::check::<C>(configuration)).0
    }

    /// Runs `schema`.
    pub fn schema(self) -> Result<Vec<Table>> {
        self.run(|configuration, _, _| export::schema::<C>(configuration)).0
    }

    /// Runs `update`.
    pub fn update(self) -> Sync {
        let (result, double) =
            self.run(|configuration, state, selection| export::update::<C>(configuration, state.as_deref(), selection));
        let Double { operations, asked, slept, logs, writes, flushes, .. } = double;
        Sync { result, asked, slept, logs, writes, flushes, operations }
    }

    fn run<T>(self, work: impl FnOnce(Configuration, Option<String>, Selection) -> T) -> (T, Double) {
        let (mut configuration, handler, now) = (self.configuration, self.handler, self.now);
        let secrets = Secrets::new(C::FIELDS, &mut configuration, self.state.as_deref());
        double::with(|double| *double = Double { handler, secrets, now, ..Double::default() });
        let result = work(configuration.into_iter().collect(), self.state, self.selection);
        (result, double::with(std::mem::take))
    }
}

impl<C: Connector> Default for Test<C> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a connector did in one `update`.
#[must_use = "a sync is there to be looked at"]
pub struct Sync {
    /// What `update` returned.
    pub result: Result<()>,
    /// What it asked, in order.
    pub asked: Vec<Asked>,
    /// How long it waited between requests, in order; nobody really did.
    pub slept: Vec<Duration>,
    /// What it logged, in order.
    pub logs: Vec<(Level, String)>,
    /// How many calls handed operations over.
    pub writes: usize,
    /// How many calls waited for durability.
    pub flushes: usize,
    operations: Vec<Operation>,
}

impl Sync {
    /// The operations in order, as text: `upsert people {"id":1}`, `truncate people`, `checkpoint {}`.
    pub fn operations(&self) -> Vec<String> {
        self.operations.iter().map(ToString::to_string).collect()
    }

    /// The operations in order.
    pub fn raw_operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The records upserted into a table, in order.
    pub fn upserts(&self, table: &str) -> Vec<&str> {
        let upserts = self.operations.iter().filter_map(|operation| match operation {
            Operation::Upsert(of, record) if of == table => Some(record.as_str()),
            _ => None,
        });
        upserts.collect()
    }

    /// The states of the checkpoints, in order.
    pub fn checkpoints(&self) -> Vec<&str> {
        let states = self.operations.iter().filter_map(|operation| match operation {
            Operation::Checkpoint(state) => Some(state.as_str()),
            _ => None,
        });
        states.collect()
    }

    /// The state of the last checkpoint, which the next sync is given.
    pub fn state(&self) -> Option<&str> {
        self.checkpoints().last().copied()
    }

    /// What was asked, as text: `GET https://api.example.com/people?page=1`.
    pub fn requests(&self) -> Vec<String> {
        self.asked.iter().map(ToString::to_string).collect()
    }
}
