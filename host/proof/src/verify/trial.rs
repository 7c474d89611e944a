//! Rules that take further runs: another configuration, a later sync, a resumed one. A source that fails: `disturbed`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::disturbed::Ground;
use super::moments::{Fields, Later};
use super::rule::{Broken, Rule, Tried, fail, skip};
use super::run::{Run, Subject};
use super::side::side_by_side;
use super::stage::{Act, Script, Step};
use super::tables::{Alike, Tables, cut};
use model::error::{Code, Error};
use model::{Configuration, OperationKind, Secrecy};

/// Checkpoints resumed from, requests disturbed: of more than these, so many spread over all are tried.
const PLACES_MAX: usize = 40;
/// The same where rows are many.
const PLACES_MIN: usize = 8;
/// The same where it has to be quick.
const PLACES_QUICK: usize = 3;
/// Rows that all disturbed runs together may read.
const ROWS_MAX: usize = 16_000_000;
/// How much later the clock stands in a second run from the start.
pub(super) const LATER: Duration = Duration::from_secs(86_400 + 3_600 + 17 * 60);

/// The connector, its first run, and what that left.
pub(super) struct Trial<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) base: &'a Run,
    /// The tables after the first run.
    pub(super) tables: Tables,
    /// How many checkpoints or requests are tried at most.
    places_max: usize,
    handle: Handle,
    /// Runs from states, which many trials go on from.
    later: Mutex<HashMap<String, Arc<Run>>>,
    progress: &'a (dyn Fn(Rule, usize, usize) + Sync),
    pub(super) fields: OnceLock<Fields>,
    written: OnceLock<Option<HashSet<usize>>>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        subject: &'a Subject<'a>,
        base: &'a Run,
        quick: bool,
        progress: &'a (dyn Fn(Rule, usize, usize) + Sync),
    ) -> Self {
        let tables = base.tables();
        let faults = super::disturbed::faults().count();
        let affordable = ROWS_MAX / (faults * base.rows().max(1));
        let places_max = if quick { PLACES_QUICK } else { affordable.clamp(PLACES_MIN, PLACES_MAX) };
        let later = Mutex::default();
        Self {
            subject,
            base,
            tables,
            places_max,
            handle: Handle::current(),
            later,
            progress,
            fields: OnceLock::new(),
            written: OnceLock::new(),
        }
    }

    /// One sync from a state.
    pub(super) fn run(&self, from: Option<&str>, script: Script) -> Run {
        self.handle.block_on(self.subject.run(from, script))
    }

    /// One undisturbed sync from a state, which is run once however often it is asked for.
    pub(super) fn run_from(&self, state: Option<&str>) -> Arc<Run> {
        let key = state.map_or_else(String::new, |state| format!("from {state}"));
        let later = || self.later.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = later().get(&key) {
            return Arc::clone(run);
        }
        let run = Arc::new(self.run(state, self.bounded()));
        later().insert(key, Arc::clone(&run));
        run
    }

    /// The places of `count` that are tried.
    pub(super) fn places(&self, count: usize) -> Vec<usize> {
        spread(count, self.places_max)
    }

    /// Trials side by side, up to the first that finds something.
    pub(super) fn first_found(
        &self,
        rule: Rule,
        count: usize,
        work: &(dyn Fn(usize) -> Tried + Sync),
    ) -> Result<Vec<String>, Broken> {
        let progress = |done| (self.progress)(rule, done, count);
        side_by_side(count, work, &Tried::is_err, &progress).into_iter().collect()
    }

    /// All trials side by side, until `ends`.
    pub(super) fn all_found<T: Send>(
        &self,
        rule: Rule,
        count: usize,
        work: &(dyn Fn(usize) -> T + Sync),
        ends: &(dyn Fn(&T) -> bool + Sync),
    ) -> Vec<T> {
        side_by_side(count, work, ends, &|done| (self.progress)(rule, done, count))
    }

    /// Whether runs one after the other wrote just what the first one did, where the order does not matter: so that tables need
    /// not be made to be compared.
    pub(super) fn is_the_same(&self, written: &[&[Step]]) -> bool {
        let Some(all) = self.written.get_or_init(|| self.written_apart()) else { return false };
        let mut found = HashSet::new();
        for step in written.iter().copied().flatten() {
            if let Act::Batch(batch) = &step.act {
                let id = Arc::as_ptr(batch).addr();
                if !all.contains(&id) {
                    return false;
                }
                found.insert(id);
            }
        }
        found.len() == all.len()
    }

    /// The batches of the first run; none where one touches a row of another, or deletes.
    fn written_apart(&self) -> Option<HashSet<usize>> {
        let batches = || {
            self.base.steps.iter().filter_map(|step| match &step.act {
                Act::Batch(batch) => Some(batch),
                Act::Save(_) => None,
            })
        };
        let is_apart =
            batches().all(|batch| batch.kind == OperationKind::Upsert) && self.base.rows() == self.tables.count();
        is_apart.then(|| batches().map(|batch| Arc::as_ptr(batch).addr()).collect())
    }

    /// In what tables differ from those of the first run.
    pub(super) fn difference(&self, found: &Tables) -> Option<String> {
        self.subject.difference(&self.tables, found, Alike::Exactly)
    }

    /// A run that sends so many requests more than the first one goes in circles.
    pub(super) fn bounded(&self) -> Script {
        Script { requests_max: Some(self.base.asked.len() as u64 * 3 + 50), ..Script::default() }
    }

    /// A run with another configuration.
    fn run_with(&self, configuration: Configuration) -> Result<Run, Broken> {
        match self.subject.with(configuration) {
            Ok(subject) => Ok(self.handle.block_on(subject.run(None, self.bounded()))),
            Err(error) => skip(format!("[{}] {}", error.code(), error.chain())),
        }
    }

    pub(super) fn fields_required(&self) -> Tried {
        let mut tried = Vec::new();
        for field in self.subject.description.fields.iter().filter(|field| field.required) {
            let mut configuration = self.subject.configuration.clone();
            configuration.0.remove(&field.name);
            let run = self.run_with(configuration)?;
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

    pub(super) fn unknown_fields(&self) -> Tried {
        let mut configuration = self.subject.configuration.clone();
        configuration.0.insert("a_field_of_verify".into(), "nothing".into());
        let run = self.run_with(configuration)?;
        self.same_as_first(&run, "with one more field in the configuration")
    }

    pub(super) fn credentials_refused(&self) -> Tried {
        let has_secret = self.subject.description.fields.iter().any(|field| field.secrecy != Secrecy::Plain);
        if !has_secret || self.base.asked.is_empty() {
            return skip("it has no secret field, or asks for nothing");
        }
        for status in [401, 403] {
            let script = Script { refuse_all: Some(status), ..self.bounded() };
            let run = self.run(None, script);
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

    pub(super) fn repeatable(&self) -> Tried {
        let run = self.run(None, Script { seed: 1, later: LATER, ..self.bounded() });
        if run.unanswered.is_none() {
            return self.same_as_first(&run, "in a second run from the start, a day later,");
        }
        // A recording does not know what is asked on another day.
        let run = self.run(None, Script { seed: 1, ..self.bounded() });
        self.same_as_first(&run, "in a second run from the start")
    }

    fn same_as_first(&self, run: &Run, when: &str) -> Tried {
        known(run)?;
        if let Err(error) = &run.outcome {
            return fail(format!("{when} it ended with [{}] {}", error.code(), cut(&error.chain())));
        }
        let tables = run.tables();
        match self.difference(&tables) {
            Some(difference) => fail(format!("{when}: {difference}")),
            None => Ok(format!("{} rows", tables.count())),
        }
    }

    /// The sync after the first one; skipped where there is no state to go on from.
    pub(super) fn next_sync(&self) -> Result<Arc<Run>, Broken> {
        let Some(state) = self.last_state() else {
            return skip("it keeps no state: every sync is a full copy");
        };
        let run = self.run_from(Some(state));
        known(&run)?;
        Ok(run)
    }

    /// The state that the first run left; none where it says nothing.
    pub(super) fn last_state(&self) -> Option<&str> {
        self.base.durable(None).1.filter(|state| !is_empty(state))
    }

    pub(super) fn incremental(&self, next: &Run) -> Tried {
        let from = cut(self.last_state().unwrap_or_default());
        if let Err(error) = &next.outcome {
            return fail(format!("from {from} it ended with [{}] {}", error.code(), cut(&error.chain())));
        }
        let mut tables = self.tables.clone();
        next.apply(next.steps.len(), &mut tables);
        if let Some(difference) = self.difference(&tables) {
            return fail(format!("a second sync from {from} of an unchanged source: {difference}"));
        }
        if next.asked.is_empty() && !self.base.asked.is_empty() {
            return fail(format!("a second sync from {from} asks for nothing: what is new is never seen"));
        }
        let (first, second) = (self.base.rows(), next.rows());
        let seen = format!("{first} rows in {} requests, then {second} in {}", self.base.asked.len(), next.asked.len());
        let pages = self.base.asked.len() > 2;
        if !pages || second < first || next.asked.len() < self.base.asked.len() {
            return Ok(format!("{seen}{}", self.not_seen(next)));
        }
        match self.goes_back_behind_all(next) {
            Some(named) => Ok(format!("{seen}: it asks with {named}, and all there is is younger")),
            None => fail(format!("{seen}, from {from}")),
        }
    }

    /// Each table alone, and then all: a cursor that tables share has passed over the others' rows.
    pub(super) fn tables_apart(&self) -> Tried {
        const TABLES_MAX: usize = 8;
        let tables: Vec<&str> =
            self.subject.declared.iter().map(|table| table.name.as_str()).take(TABLES_MAX).collect();
        if tables.len() < 2 {
            return skip("there is one table");
        }
        let apart = |index: usize| {
            let table = tables[index];
            let one = self.run(None, Script { selected: Some(table.to_owned()), ..self.bounded() });
            known(&one)?;
            if let Err(error) = &one.outcome {
                return fail(format!("with {table} alone it ended with [{}] {}", error.code(), cut(&error.chain())));
            }
            let all = self.run_from(one.durable(None).1);
            known(&all)?;
            if let Err(error) = &all.outcome {
                return fail(format!("after {table} alone, all: [{}] {}", error.code(), cut(&error.chain())));
            }
            let mut found = one.tables();
            all.apply(all.steps.len(), &mut found);
            match self.difference(&found) {
                Some(difference) => fail(format!("a sync of {table} alone, then one of all: {difference}")),
                None => Ok(String::new()),
            }
        };
        self.first_found(Rule::TablesApart, tables.len(), &apart)?;
        Ok(format!("{} tables", tables.len()))
    }

    /// Every fault at every request of a later sync.
    pub(super) fn later_faults(&self, later: &Result<Later, Broken>, is_first_right: bool) -> Tried {
        if !is_first_right {
            return skip("the first sync loses rows already: see faults-survived");
        }
        let (from, run) = match later {
            Ok(later) => (later.state.clone(), Arc::clone(&later.run)),
            Err(_) => (self.last_state().unwrap_or_default().to_owned(), self.next_sync()?),
        };
        let came = run.tables();
        if run.outcome.is_err() || came.count() == 0 {
            return skip("the later sync brings no row that could be lost: what a fault does to it is not proved");
        }
        let before = self.tables.without(&came);
        let ground = Ground { from: Some(&from), run: &run, before, after: self.tables.clone() };
        self.disturbed(Rule::LaterFaults, &ground).survived
    }

    pub(super) fn checkpoints_honest(&self) -> Tried {
        let all: Vec<(usize, &str)> = self.base.checkpoints().collect();
        if all.is_empty() {
            return fail(format!("{} requests, {} rows, and no checkpoint", self.base.asked.len(), self.base.rows()));
        }
        let places = self.places(all.len());
        let resumed = |index: usize| {
            let at = places[index];
            let (step, state) = all[at];
            let mut tables = Tables::default();
            self.base.apply(step + 1, &mut tables);
            let run = self.run_from(Some(state));
            known(&run)?;
            let which = || {
                let page = self.base.page(&self.base.steps[step]);
                format!("resumed from checkpoint {} of {} ({}, {page})", at + 1, all.len(), cut(state))
            };
            if let Err(error) = &run.outcome {
                return fail(format!("{}: [{}] {}", which(), error.code(), cut(&error.chain())));
            }
            run.apply(run.steps.len(), &mut tables);
            match self.difference(&tables) {
                Some(difference) => fail(format!("{}: {difference}", which())),
                None => Ok(String::new()),
            }
        };
        self.first_found(Rule::CheckpointsHonest, places.len(), &resumed)?;
        Ok(format!("{} of {} checkpoints", places.len(), all.len()))
    }
}

/// A run that asked what nobody could answer shows nothing.
pub(super) fn known(run: &Run) -> Result<(), Broken> {
    match &run.unanswered {
        Some(label) => skip(format!("it asked for {}, which was not recorded", cut(label))),
        None => Ok(()),
    }
}

fn is_about_configuration(error: &Error) -> bool {
    matches!(error.code(), Code::ConfigurationRejected | Code::ConfigurationFieldMissing | Code::ConfigurationInvalid)
}

fn is_empty(state: &str) -> bool {
    matches!(state.trim(), "{}" | "null" | "[]" | "\"\"")
}

/// The places of `count` that are tried: all, or the first, the last and some between.
fn spread(count: usize, places_max: usize) -> Vec<usize> {
    if count <= places_max {
        return (0..count).collect();
    }
    (0..places_max).map(|index| index * (count - 1) / (places_max - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_all_or_spread_from_the_first_to_the_last() {
        assert_eq!(spread(0, 40), Vec::<usize>::new());
        assert_eq!(spread(3, 40), [0, 1, 2]);
        assert_eq!(spread(9, PLACES_QUICK), [0, 4, 8]);
        let many = spread(1_000, PLACES_MAX);
        assert_eq!((many.len(), many[0], many[PLACES_MAX - 1]), (PLACES_MAX, 0, 999));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
