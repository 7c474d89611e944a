//! Nobody is told a secret: events and reports pass through here.

use std::borrow::Cow;
use std::sync::Arc;

use super::event::{Event, Observer};
use super::rejected::Rejection;
use super::report::{Outcome, Report};
use model::error::{Code, Error};
use sandbox::{Exchange, Secrets};

/// An observer that is told everything but secrets.
pub(super) struct Redacting {
    inner: Arc<dyn Observer>,
    secrets: Secrets,
}

impl Redacting {
    pub(super) fn new(inner: Arc<dyn Observer>, secrets: Secrets) -> Self {
        Self { inner, secrets }
    }

    fn state(&self, state: Option<&String>) -> Option<String> {
        state.map(|state| self.secrets.redact_state(state).into_owned())
    }
}

impl Observer for Redacting {
    fn event(&self, event: &Event) {
        let text = |text: &String| self.secrets.redact(text).into_owned();
        let event = match event {
            Event::Log { level, message } => Event::Log { level: *level, message: text(message) },
            Event::Notice { level, message } => Event::Notice { level: *level, message: text(message) },
            Event::Rejected(Rejection { table, position, reason }) => {
                Event::Rejected(Rejection { table: text(table), position: *position, reason: text(reason) })
            }
            Event::Started { connection, connector, destination, state } => Event::Started {
                connection: connection.clone(),
                connector: connector.clone(),
                destination: text(destination),
                state: self.state(state.as_ref()),
            },
            Event::SchemaChanged { table, column, change, data_type } => Event::SchemaChanged {
                table: text(table),
                column: column.as_ref().map(text),
                change: *change,
                data_type: data_type.clone(),
            },
            Event::Committed { sequence, rows, state, duration } => Event::Committed {
                sequence: *sequence,
                rows: *rows,
                state: self.state(state.as_ref()),
                duration: *duration,
            },
        };
        self.inner.event(&event);
    }

    fn exchanged(&self, exchange: &Exchange) {
        self.inner.exchanged(exchange);
    }
}

/// Takes the secrets out of a report.
pub(super) fn redact_report(secrets: &Secrets, report: &mut Report) {
    let redact = |text: &mut String| {
        if let Cow::Owned(redacted) = secrets.redact(text) {
            *text = redacted;
        }
    };
    for state in [&mut report.state_before, &mut report.state_after].into_iter().flatten() {
        *state = secrets.redact_state(state).into_owned();
    }
    for table in &mut report.tables {
        redact(&mut table.table);
        table.new_columns.iter_mut().for_each(|(name, _)| redact(name));
        table.widened_columns.iter_mut().for_each(|(name, _, _)| redact(name));
    }
    for note in &mut report.notes {
        [&mut note.table, &mut note.column, &mut note.first_value].into_iter().for_each(redact);
    }
    for sample in &mut report.samples {
        redact(&mut sample.table);
        sample.primary_key.iter_mut().for_each(redact);
        sample.columns.iter_mut().for_each(|(name, _)| redact(name));
        sample.records.iter_mut().for_each(redact);
    }
    if let Outcome::Failed(error) = &mut report.outcome {
        let own = std::mem::replace(error, Error::new(Code::HostBug, "say what failed"));
        *error = secrets.redact_error(own);
    }
}
