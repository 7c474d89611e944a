//! Rules about a source that fails: one answer of a run is replaced by a fault, and what comes of it compared.

use serde::de::IgnoredAny;

use super::book::key;
use super::fault::{BREAKING, Fault, LASTING};
use super::rule::{Rule, Tried, fail, skip};
use super::run::Run;
use super::stage::{Place, Script};
use super::tables::{Alike, Tables, cut};
use super::trial::{Trial, known};
use model::LogLevel;
use model::error::Code;

/// What came of disturbed runs.
pub(super) struct Disturbed {
    pub(super) survived: Tried,
    pub(super) typed: Tried,
}

/// What is disturbed: a sync from a state, beside the one without a fault.
pub(super) struct Ground<'r> {
    pub(super) from: Option<&'r str>,
    pub(super) run: &'r Run,
    /// The tables before it; without what it brings.
    pub(super) before: Tables,
    pub(super) after: Tables,
}

/// What is wrong after one disturbed run.
#[derive(Default)]
struct Wrong {
    survived: Option<String>,
    typed: Option<String>,
}

/// Every fault, and whether it lasts.
pub(super) fn faults() -> impl Iterator<Item = (Fault, bool)> {
    BREAKING.map(|fault| (fault, false)).into_iter().chain(LASTING.map(|fault| (fault, true)))
}

impl Trial<'_> {
    /// The first sync.
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground { from: None, run: self.base, before: Tables::default(), after: self.tables.clone() }
    }

    /// A run in which a request meets a fault.
    pub(super) fn run_into(&self, from: Option<&str>, place: Place, fault: Fault) -> Run {
        self.run(from, Script { fault: Some((place, fault)), ..self.bounded() })
    }

    /// Every fault at every request in turn, some of them each time the same is asked again.
    pub(super) fn disturbed(&self, rule: Rule, ground: &Ground<'_>) -> Disturbed {
        let places = self.places(ground.run.asked.len());
        if places.is_empty() {
            let none = || skip("it asks for nothing");
            return Disturbed { survived: none(), typed: none() };
        }
        let trials: Vec<(usize, Fault, bool)> = places
            .iter()
            .flat_map(|at| faults().map(move |(fault, lasts)| (*at, fault, lasts)))
            .filter(|(at, fault, _)| can_be_told(ground.run, *at, fault))
            .collect();
        let work = |index: usize| {
            let (at, fault, lasts) = &trials[index];
            self.disturb(ground, *at, fault, *lasts)
        };
        let found = self.all_found(rule, trials.len(), &work, &|wrong: &Wrong| wrong.survived.is_some());
        let tried = format!(
            "{} faults at {} of {} requests",
            BREAKING.len() + LASTING.len(),
            places.len(),
            ground.run.asked.len()
        );
        let told = |found: Option<String>| found.map_or_else(|| Ok(tried.clone()), fail);
        let (mut survived, mut typed) = (None, None);
        for wrong in found {
            survived = survived.or(wrong.survived);
            typed = typed.or(wrong.typed);
        }
        Disturbed { survived: told(survived), typed: told(typed) }
    }

    fn disturb(&self, ground: &Ground<'_>, at: usize, fault: &Fault, lasts: bool) -> Wrong {
        let request = &ground.run.asked[at].request;
        let place = if lasts { Place::Same(key(request)) } else { Place::Number(at as u64) };
        let run = self.run_into(ground.from, place, fault.clone());
        let what = || {
            let again = if lasts { ", each time" } else { "" };
            format!("{}{again} at request {} ({})", fault.words(), at + 1, request.label())
        };
        Wrong {
            typed: untyped(&run).map(|found| format!("{}: {found}", what())),
            survived: self.lost(ground, &run).map(|found| format!("{}: {found}", what())),
        }
    }

    /// What is wrong after a disturbed run and, if that failed, the next sync.
    pub(super) fn lost(&self, ground: &Ground<'_>, run: &Run) -> Option<String> {
        if run.in_circles {
            return Some(format!("it goes in circles, {} requests", run.asked.len()));
        }
        let (steps, state) = run.durable(ground.from);
        let is_first = ground.from.is_none();
        if is_first && run.outcome.is_ok() && self.is_the_same(&[&run.steps]) {
            return None;
        }
        let tables = || {
            let mut tables = ground.before.clone();
            run.apply(steps, &mut tables);
            tables
        };
        let difference = |tables: &Tables| self.subject.difference(&ground.after, tables, Alike::Exactly);
        if run.outcome.is_ok() {
            let difference = difference(&tables())?;
            // What it said in a warning that it leaves out, the next sync may bring.
            if !run.logs.iter().any(|(level, _)| *level >= LogLevel::Warning) {
                return Some(format!("the sync succeeds, and {difference}"));
            }
        }
        let next = self.run_from(state);
        if known(&next).is_err() {
            return None;
        }
        if let Err(error) = &next.outcome {
            return Some(format!("the sync after it ends with [{}] {}", error.code(), cut(&error.chain())));
        }
        if is_first && self.is_the_same(&[&run.steps[..steps], &next.steps]) {
            return None;
        }
        let mut tables = tables();
        next.apply(next.steps.len(), &mut tables);
        difference(&tables).map(|difference| format!("after the next sync, {difference}"))
    }
}

/// Whether a connector can tell a fault of a request from a good answer.
fn can_be_told(run: &Run, at: usize, fault: &Fault) -> bool {
    match fault {
        // Only a source that said which page comes next can be caught repeating one.
        Fault::RepeatedPage => at > 0 && run.names_the_next(at - 1),
        // JSON and XML show where they end; lines do not.
        Fault::InvalidJson | Fault::EmptyBody => run.asked[at].answer.as_ref().is_some_and(|answer| {
            answer.body.trim_ascii_start().starts_with(b"<")
                || serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok()
        }),
        _ => true,
    }
}

/// What is wrong with how a disturbed run failed.
pub(super) fn untyped(run: &Run) -> Option<String> {
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
