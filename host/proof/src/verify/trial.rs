//! Rules that take further runs: another configuration, a later sync, a resumed one. A source that fails: `disturbed`.

use super::rule::{Broken, Tried, fail, skip};
use super::run::{Run, Subject};
use super::stage::Script;
use super::tables::{Tables, cut};
use model::error::{Code, Error};
use model::{Configuration, Secrecy, Table};

/// Checkpoints resumed from, requests disturbed: of more than these, so many spread over all are tried.
const PLACES_MAX: usize = 40;

/// The connector, its first run, and what that left.
pub(super) struct Trial<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) declared: &'a [Table],
    pub(super) base: &'a Run,
    /// The tables after the first run.
    pub(super) tables: Tables,
}

impl<'a> Trial<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, declared: &'a [Table], base: &'a Run) -> Self {
        let mut tables = Tables::default();
        base.apply(base.steps.len(), &mut tables, declared);
        Self { subject, declared, base, tables }
    }

    /// A run that sends so many requests more than the first one goes in circles.
    pub(super) fn bounded(&self) -> Script {
        Script { requests_max: Some(self.base.asked.len() as u64 * 3 + 50), ..Script::default() }
    }

    /// A run with another configuration.
    async fn run_with(&self, configuration: Configuration) -> Result<Run, Broken> {
        match self.subject.with(configuration) {
            Ok(subject) => Ok(subject.run(None, self.bounded()).await),
            Err(error) => skip(format!("[{}] {}", error.code(), error.chain())),
        }
    }

    pub(super) async fn fields_required(&self) -> Tried {
        let mut tried = Vec::new();
        for field in self.subject.description.fields.iter().filter(|field| field.required) {
            let mut configuration = self.subject.configuration.clone();
            configuration.0.remove(&field.name);
            let run = self.run_with(configuration).await?;
            let name = &field.name;
            if let Some(asked) = run.asked.first() {
                return fail(format!("without \"{name}\" it asked for {}", asked.request.label()));
            }
            match run.outcome {
                Ok(()) => return fail(format!("without \"{name}\" it succeeded")),
                Err(error) if !is_about_configuration(&error) => {
                    return fail(format!(
                        "without \"{name}\" it ended with [{}] {}",
                        error.code(),
                        cut(&error.chain())
                    ));
                }
                Err(_) => tried.push(name.as_str()),
            }
        }
        if tried.is_empty() { skip("no field is required") } else { Ok(tried.join(", ")) }
    }

    pub(super) async fn unknown_fields(&self) -> Tried {
        let mut configuration = self.subject.configuration.clone();
        configuration.0.insert("a_field_of_verify".into(), "nothing".into());
        let run = self.run_with(configuration).await?;
        self.same_as_first(&run, "with one more field in the configuration")
    }

    pub(super) async fn credentials_refused(&self) -> Tried {
        let has_secret = self.subject.description.fields.iter().any(|field| field.secrecy != Secrecy::Plain);
        if !has_secret || self.base.asked.is_empty() {
            return skip("it has no secret field, or asks for nothing");
        }
        for status in [401, 403] {
            let script = Script { refuse_all: Some(status), ..self.bounded() };
            let run = self.subject.run(None, script).await;
            match run.outcome {
                Err(error) if error.code() == Code::AuthenticationFailed => {}
                Ok(()) => return fail(format!("with status {status} to every request it succeeded")),
                Err(error) => {
                    return fail(format!(
                        "with status {status} to every request it ended with [{}] {}",
                        error.code(),
                        cut(&error.chain())
                    ));
                }
            }
        }
        Ok("status 401 and 403".into())
    }

    pub(super) async fn repeatable(&self) -> Tried {
        let run = self.subject.run(None, Script { seed: 1, ..self.bounded() }).await;
        self.same_as_first(&run, "in a second run from the start")
    }

    fn same_as_first(&self, run: &Run, when: &str) -> Tried {
        known(run)?;
        if let Err(error) = &run.outcome {
            return fail(format!("{when} it ended with [{}] {}", error.code(), cut(&error.chain())));
        }
        let mut tables = Tables::default();
        run.apply(run.steps.len(), &mut tables, self.declared);
        match self.tables.difference(&tables) {
            Some(difference) => fail(format!("{when}: {difference}")),
            None => Ok(format!("{} rows", tables.count())),
        }
    }

    /// The sync after the first one; skipped where there is no state to go on from.
    pub(super) async fn next_sync(&self) -> Result<Run, Broken> {
        let Some(state) = self.last_state() else {
            return skip("it keeps no state: every sync is a full copy");
        };
        let run = self.subject.run(Some(state), self.bounded()).await;
        known(&run)?;
        Ok(run)
    }

    /// The state that the first run left; none where it says nothing.
    fn last_state(&self) -> Option<&str> {
        self.base.durable(None).1.filter(|state| !is_empty(state))
    }

    pub(super) fn incremental(&self, next: &Run) -> Tried {
        let from = cut(self.last_state().unwrap_or_default());
        if let Err(error) = &next.outcome {
            return fail(format!("from {from} it ended with [{}] {}", error.code(), cut(&error.chain())));
        }
        let mut tables = self.tables.clone();
        next.apply(next.steps.len(), &mut tables, self.declared);
        if let Some(difference) = self.tables.difference(&tables) {
            return fail(format!("a second sync from {from} of an unchanged source: {difference}"));
        }
        let (first, second) = (self.base.rows(), next.rows());
        let seen = format!("{first} rows in {} requests, then {second} in {}", self.base.asked.len(), next.asked.len());
        let pages = self.base.asked.len() > 2;
        if pages && second >= first && next.asked.len() >= self.base.asked.len() {
            return fail(format!("{seen}, from {from}"));
        }
        Ok(seen)
    }

    pub(super) async fn checkpoints_honest(&self) -> Tried {
        let all: Vec<(usize, &str)> = self.base.checkpoints().collect();
        if all.is_empty() {
            return fail(format!("{} requests, {} rows, and no checkpoint", self.base.asked.len(), self.base.rows()));
        }
        let places = spread(all.len());
        for at in &places {
            let (step, state) = all[*at];
            let mut tables = Tables::default();
            self.base.apply(step + 1, &mut tables, self.declared);
            let run = self.subject.run(Some(state), self.bounded()).await;
            known(&run)?;
            let which = || {
                let page = self.base.page(&self.base.steps[step]);
                format!("resumed from checkpoint {} of {} ({}, {page})", at + 1, all.len(), cut(state))
            };
            if let Err(error) = &run.outcome {
                return fail(format!("{}: [{}] {}", which(), error.code(), cut(&error.chain())));
            }
            run.apply(run.steps.len(), &mut tables, self.declared);
            if let Some(difference) = self.tables.difference(&tables) {
                return fail(format!("{}: {difference}", which()));
            }
        }
        Ok(format!("{} of {} checkpoints", places.len(), all.len()))
    }
}

/// A run that asked what nobody could answer shows nothing.
fn known(run: &Run) -> Result<(), Broken> {
    match &run.unanswered {
        Some(label) => skip(format!("it asked for {}, which was not recorded", cut(label))),
        None => Ok(()),
    }
}

impl Run {
    /// Rows written.
    fn rows(&self) -> usize {
        let batches = self.steps.iter().filter_map(|step| match &step.act {
            super::stage::Act::Batch(batch) => Some(super::tables::records(batch).count()),
            super::stage::Act::Save(_) => None,
        });
        batches.sum()
    }
}

fn is_about_configuration(error: &Error) -> bool {
    matches!(error.code(), Code::ConfigurationRejected | Code::ConfigurationFieldMissing | Code::ConfigurationInvalid)
}

fn is_empty(state: &str) -> bool {
    matches!(state.trim(), "{}" | "null" | "[]" | "\"\"")
}

/// The places of `count` that are tried: all, or the first, the last and some between.
pub(super) fn spread(count: usize) -> Vec<usize> {
    if count <= PLACES_MAX {
        return (0..count).collect();
    }
    (0..PLACES_MAX).map(|index| index * (count - 1) / (PLACES_MAX - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_all_or_spread_from_the_first_to_the_last() {
        assert_eq!(spread(0), Vec::<usize>::new());
        assert_eq!(spread(3), [0, 1, 2]);
        let many = spread(1_000);
        assert_eq!((many.len(), many[0], many[PLACES_MAX - 1]), (PLACES_MAX, 0, 999));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
