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

mod book;
mod disturbed;
mod fault;
mod moments;
mod rule;
mod run;
mod stage;
mod stream;
mod tables;
mod trial;

pub use rule::{Finding, Rule, Verdict};

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::book::Book;
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

/// Tries every rule. `told` hears each finding as it comes.
pub async fn verify(request: Request<'_>, told: &dyn Fn(&Finding)) -> Result<Report> {
    let description = request.component.describe(&request.limits).await?;
    let subject = subject(request, description)?;
    let mut findings = Findings { list: Vec::new(), told };
    let first = begin(&subject).await;
    let (requests, rows) = match first {
        Ok((declared, base)) => {
            findings.add(Rule::Succeeds, Ok(format!("{} requests, {} tables", base.asked.len(), declared.len())));
            let trial = Trial::new(&subject, &declared, &base);
            stream(&mut findings, &trial);
            trials(&mut findings, &trial).await;
            (base.asked.len() as u64, trial.tables.count() as u64)
        }
        Err(broken) => {
            findings.add(Rule::Succeeds, Err(broken));
            (0, 0)
        }
    };
    findings.skip_the_rest();
    Ok(Report { connector: subject.component.name(), findings: findings.list, requests, rows })
}

/// The connector, and what all its runs are given.
fn subject<'a>(request: Request<'a>, description: &'a Description) -> Result<Subject<'a>> {
    let Request { component, configuration, secrets: exposed, limits, allow, recording } = request;
    let subject = Subject {
        component,
        description,
        configuration: Configuration::default(),
        secrets: Secrets::default(),
        exposed,
        limits,
        allow,
        book: Arc::new(recording.map_or_else(Book::default, Book::of)),
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
async fn begin(subject: &Subject<'_>) -> Result<(Vec<Table>, Run), Broken> {
    let fail = |what: &str, error: &Error| Broken::Fail(format!("{what}: [{}] {}", error.code(), error.chain()));
    let declared = subject.schema().await.map_err(|error| fail("schema", &error))?;
    let base = subject.run(None, Script { is_first: true, ..Script::default() }).await;
    if let Err(error) = &base.outcome {
        return Err(fail("update", error));
    }
    // A recording has no answers for it.
    if subject.live {
        subject.check().await.map_err(|error| fail("check", &error))?;
    }
    Ok((declared, base))
}

/// What can be seen in the first run.
fn stream(findings: &mut Findings<'_>, trial: &Trial<'_>) {
    let (base, declared) = (trial.base, trial.declared);
    let (description, configuration) = (trial.subject.description, &trial.subject.configuration);
    findings.add(Rule::RecordsAreObjects, stream::records_are_objects(base));
    findings.add(Rule::KeysPresent, stream::keys_present(base, declared));
    findings.add(Rule::KeysUnique, stream::keys_unique(base, declared));
    findings.add(Rule::TablesDeclared, stream::tables_declared(base, declared));
    findings.add(Rule::NamesValid, stream::names_valid(base, declared));
    findings.add(Rule::SchemaMinimal, stream::schema_minimal(base, declared));
    findings.add(Rule::StateTimestamps, stream::state_timestamps(base));
    findings.add(Rule::LogQuiet, stream::log_quiet(base));
    findings.add(Rule::SecretsHidden, stream::secrets_hidden(base, &secrets(description, configuration)));
    findings.add(Rule::MemoryFlat, stream::memory_flat(base));
    findings.add(Rule::HostsDeclared, stream::hosts_declared(base, description, configuration));
}

async fn trials(findings: &mut Findings<'_>, trial: &Trial<'_>) {
    findings.add(Rule::FieldsRequired, trial.fields_required().await);
    findings.add(Rule::UnknownFields, trial.unknown_fields().await);
    findings.add(Rule::CredentialsRefused, trial.credentials_refused().await);
    findings.add(Rule::Repeatable, trial.repeatable().await);
    let next = trial.next_sync().await;
    let of_next = |tried: &dyn Fn(&Run) -> Tried| next.as_ref().map_or_else(|broken| Err(broken.clone()), tried);
    findings.add(Rule::Incremental, of_next(&|next| trial.incremental(next)));
    findings.add(Rule::CheckpointsHonest, trial.checkpoints_honest().await);
    findings.add(Rule::TiesKept, of_next(&|next| trial.ties_kept(next)));
    findings.add(Rule::EditsKept, of_next(&|next| trial.edits_kept(next)));
    let disturbed = trial.disturbed().await;
    findings.add(Rule::FaultsSurvived, disturbed.survived);
    findings.add(Rule::ErrorsTyped, disturbed.typed);
    findings.add(Rule::EmptyPages, trial.empty_pages().await);
    findings.add(Rule::NewColumns, trial.new_columns().await);
    findings.add(Rule::TypeChanges, trial.type_changes().await);
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
    told: &'a dyn Fn(&Finding),
}

impl Findings<'_> {
    fn add(&mut self, rule: Rule, tried: Tried) {
        let finding = Finding::new(rule, tried);
        (self.told)(&finding);
        self.list.push(finding);
    }

    /// Without a first run nothing else can be tried.
    fn skip_the_rest(&mut self) {
        for rule in Rule::ALL {
            if self.list.iter().all(|finding| finding.rule != *rule) {
                self.add(*rule, rule::skip("the connector does not succeed in the first place"));
            }
        }
    }
}
