//! Whether a connector keeps its promises: it is run, resumed from every checkpoint, and disturbed, in process.
//!
//! ```text
//! connector <── World ── Stage: answers from the Book, one fault where a rule asks for it
//!                          └── what the Book lacks comes from the source (or from nobody, with a recording)
//! Run ── operations ──> Tables, compared with those of the first run
//! ```
//!
//! The first run asks the source, all others are answered with what it said, so that they cost no requests and the source
//! cannot change in between. The rules and what to do about each: docs/guides/verify.md.

mod answers;
mod book;
mod changed;
mod digest;
mod disturbed;
mod fault;
mod moments;
mod rule;
mod run;
mod side;
mod stage;
mod stream;
mod tables;
mod trial;

pub use rule::{Finding, Rule, Verdict};

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::book::Book;
use self::digest::Store;
use self::rule::{Broken, Tried};
use self::run::{Run, Subject};
use self::stage::Script;
use self::trial::Trial;
use crate::recording::Recording;
use model::error::{Error, Result};
use model::{Configuration, Description, Secrecy, Table};
use sandbox::{Component, EgressAllow, Limits, SecretGrants, Secrets};

/// What to verify, and with what.
pub struct Request<'a> {
    /// The connector.
    pub component: &'a Component,
    /// Its configuration, defaults applied.
    pub configuration: Configuration,
    /// What the operator decides about secrets.
    pub secrets: SecretGrants,
    /// Bounds of the sandbox.
    pub limits: Limits,
    /// Addresses the operator allows beyond the public internet.
    pub allow: EgressAllow,
    /// Answers of a recording, instead of the source.
    pub recording: Option<&'a Recording>,
    /// The rules to try; empty: all.
    pub rules: Vec<Rule>,
    /// Few places are disturbed, so that it takes seconds.
    pub quick: bool,
}

/// What is told while it goes on.
pub enum Told<'a> {
    /// A rule's verdict.
    Found(&'a Finding),
    /// Of a rule's trials, so many are done.
    Trying {
        /// The rule.
        rule: Rule,
        /// Trials done.
        done: usize,
        /// Trials in all.
        total: usize,
    },
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// `name version` of the connector.
    pub connector: String,
    /// A finding for each rule, in the rules' order.
    pub findings: Vec<Finding>,
    /// Requests of the first run.
    pub requests: u64,
    /// Rows after it.
    pub rows: u64,
}

impl Report {
    /// How many rules hold, and how many were tried.
    pub fn score(&self) -> (usize, usize) {
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let passed = count(Verdict::Pass);
        (passed, passed + count(Verdict::Fail))
    }
}

/// Tries the rules. `told` hears how far it is, and each finding as it comes.
pub async fn verify(request: Request<'_>, told: &(dyn Fn(Told<'_>) + Sync)) -> Result<Report> {
    let description = request.component.describe(&request.limits).await?;
    let (rules, quick) = (request.rules.clone(), request.quick);
    let mut subject = subject(request, description)?;
    let mut findings = Findings { list: Vec::new(), rules, told };
    let first = begin(&mut subject).await;
    let (requests, rows) = match first {
        Ok(base) => {
            let seen = format!("{} requests, {} tables", base.asked.len(), subject.declared.len());
            findings.add(Rule::Succeeds, || Ok(seen));
            let progress = |rule, done, total| told(Told::Trying { rule, done, total });
            let trial = Trial::new(&subject, &base, quick, &progress);
            // From here on runs are waited for, several at a time.
            tokio::task::block_in_place(|| {
                stream(&mut findings, &trial);
                trials(&mut findings, &trial);
            });
            (base.asked.len() as u64, trial.tables.count() as u64)
        }
        Err(broken) => {
            findings.add(Rule::Succeeds, || Err(broken));
            (0, 0)
        }
    };
    findings.skip_the_rest();
    Ok(Report { connector: subject.component.name(), findings: findings.list, requests, rows })
}

/// The connector, and what all its runs are given.
fn subject<'a>(request: Request<'a>, description: &'a Description) -> Result<Subject<'a>> {
    let Request { component, configuration, secrets: exposed, limits, allow, recording, .. } = request;
    let subject = Subject {
        component,
        description,
        configuration: Configuration::default(),
        secrets: Secrets::default(),
        exposed,
        limits,
        allow,
        book: Arc::new(recording.map_or_else(Book::default, Book::of)),
        store: Arc::default(),
        declared: Vec::new(),
        live: recording.is_none(),
        started_at: started_at(recording),
    };
    subject.with(configuration)
}

/// The first moment that the connector sees.
fn started_at(recording: Option<&Recording>) -> Duration {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    recording.and_then(Recording::started_at).unwrap_or_else(now)
}

/// The first run, which everything else is compared with.
async fn begin(subject: &mut Subject<'_>) -> Result<Run, Broken> {
    let fail = |what: &str, error: &Error| Broken::Fail(format!("{what}: [{}] {}", error.code(), error.chain()));
    let declared = subject.schema().await.map_err(|error| fail("schema", &error))?;
    subject.store = Arc::new(Store::new(&declared));
    subject.declared = declared;
    let base = subject.run(None, Script { is_first: true, ..Script::default() }).await;
    if let Err(error) = &base.outcome {
        return Err(fail("update", error));
    }
    // A recording has no answers for it.
    if subject.live {
        subject.check().await.map_err(|error| fail("check", &error))?;
    }
    Ok(base)
}

/// What can be seen in the first run.
fn stream(findings: &mut Findings<'_>, trial: &Trial<'_>) {
    let (base, declared) = (trial.base, trial.subject.declared.as_slice());
    let (description, configuration) = (trial.subject.description, &trial.subject.configuration);
    findings.add(Rule::RecordsAreObjects, || stream::records_are_objects(base));
    findings.add(Rule::KeysPresent, || stream::keys_present(base, declared));
    findings.add(Rule::KeysUnique, || stream::keys_unique(base, declared));
    findings.add(Rule::KeysAlike, || answers::keys_alike(base, declared));
    findings.add(Rule::CopyComplete, || answers::copy_complete(base));
    findings.add(Rule::TombstonesDeleted, || answers::tombstones_deleted(base, &trial.tables, declared));
    findings.add(Rule::TablesDeclared, || stream::tables_declared(base, declared));
    findings.add(Rule::NamesValid, || stream::names_valid(base, declared));
    findings.add(Rule::SchemaMinimal, || stream::schema_minimal(base, declared));
    findings.add(Rule::StateTimestamps, || stream::state_timestamps(base));
    findings.add(Rule::LogQuiet, || stream::log_quiet(base));
    findings.add(Rule::SecretsHidden, || stream::secrets_hidden(base, &secrets(description, configuration)));
    findings.add(Rule::TokensSealed, || answers::tokens_sealed(base));
    findings.add(Rule::MemoryFlat, || stream::memory_flat(base));
    findings.add(Rule::HostsDeclared, || stream::hosts_declared(base, description, configuration));
}

fn trials(findings: &mut Findings<'_>, trial: &Trial<'_>) {
    findings.add(Rule::FieldsRequired, || trial.fields_required());
    findings.add(Rule::UnknownFields, || trial.unknown_fields());
    findings.add(Rule::CredentialsRefused, || trial.credentials_refused());
    findings.add(Rule::Repeatable, || trial.repeatable());
    let next = trial.next_sync();
    let of_next =
        |tried: &dyn Fn(&Run) -> Tried| next.as_ref().map_or_else(|broken| Err(broken.clone()), |next| tried(next));
    findings.add(Rule::Incremental, || of_next(&|next| trial.incremental(next)));
    findings.add(Rule::CheckpointsHonest, || trial.checkpoints_honest());
    findings.add(Rule::TiesKept, || of_next(&|next| trial.ties_kept(next)));
    findings.add(Rule::EditsKept, || of_next(&|next| trial.edits_kept(next)));
    let later = trial.later_sync();
    findings.add(Rule::LaterComplete, || trial.later_complete(&later));
    findings.add(Rule::TablesApart, || trial.tables_apart());
    if findings.wants(Rule::FaultsSurvived) || findings.wants(Rule::ErrorsTyped) {
        let disturbed = trial.disturbed(Rule::FaultsSurvived, &trial.ground());
        findings.add(Rule::FaultsSurvived, || disturbed.survived);
        findings.add(Rule::ErrorsTyped, || disturbed.typed);
    }
    let is_right =
        findings.list.iter().all(|finding| (finding.rule, finding.verdict) != (Rule::FaultsSurvived, Verdict::Fail));
    findings.add(Rule::LaterFaults, || trial.later_faults(&later, is_right));
    findings.add(Rule::EmptyPages, || trial.empty_pages());
    findings.add(Rule::ShortPages, || trial.short_pages());
    findings.add(Rule::NewColumns, || trial.new_columns());
    findings.add(Rule::TypeChanges, || trial.type_changes());
}

/// The values of secret fields.
fn secrets(description: &Description, configuration: &Configuration) -> Vec<String> {
    let secret = description.fields.iter().filter(|field| field.secrecy != Secrecy::Plain);
    secret
        .filter_map(|field| configuration.get(&field.name))
        .filter(|value| !value.is_empty())
        .map(Into::into)
        .collect()
}

/// Findings so far.
struct Findings<'a> {
    list: Vec<Finding>,
    /// The rules to try; empty: all.
    rules: Vec<Rule>,
    told: &'a (dyn Fn(Told<'_>) + Sync),
}

impl Findings<'_> {
    fn wants(&self, rule: Rule) -> bool {
        self.rules.is_empty() || self.rules.contains(&rule)
    }

    /// Tries a rule, where it is wanted; that the connector succeeds is told where it does not.
    fn add(&mut self, rule: Rule, tried: impl FnOnce() -> Tried) {
        if !self.wants(rule) && rule != Rule::Succeeds {
            return;
        }
        let finding = Finding::new(rule, tried());
        (self.told)(Told::Found(&finding));
        self.list.push(finding);
    }

    /// Without a first run nothing else can be tried.
    fn skip_the_rest(&mut self) {
        for rule in Rule::ALL {
            if self.list.iter().all(|finding| finding.rule != *rule) {
                self.add(*rule, || rule::skip("the connector does not succeed in the first place"));
            }
        }
    }
}
