//! Runs a connector once on a stage and keeps what it did.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::book::Book;
use super::stage::{Act, Asked, Script, Stage, Step};
use super::tables::Tables;
use model::error::{Code, Error, Result};
use model::{Account, Configuration, Description, LogLevel, Selection, Table};
use sandbox::{
    self, Component, CpuTime, EgressAllow, Grants, Lead, Limits, Listener, Load, Meter, Operation, Pacing, SecretGrants, Secrets,
};

/// Everything is taken at once, so what may wait is of no account.
fn lead(limits: &Limits) -> Lead {
    let account = Account::new(limits.sync_memory_bytes_max);
    Lead { channel_bytes: 8 << 20, account, full: NO_END, ahead: NO_END }
}
const NO_END: Load = Load { rows: u64::MAX, bytes: u64::MAX };
/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_mins(5);

/// A connector to be verified, and what it is given.
pub(super) struct Subject<'a> {
    pub(super) component: &'a Component,
    pub(super) description: &'a Description,
    pub(super) configuration: Configuration,
    /// The same with its secrets kept.
    pub(super) secrets: Secrets,
    pub(super) exposed: SecretGrants,
    pub(super) limits: Limits,
    pub(super) allow: EgressAllow,
    pub(super) book: Arc<Book>,
    /// The source is there to answer what the book cannot.
    pub(super) live: bool,
    /// When every run begins, as the connector sees it.
    pub(super) started_at: Duration,
}

/// One run of `update`.
pub(super) struct Run {
    pub(super) steps: Vec<Step>,
    pub(super) asked: Vec<Asked>,
    /// When the first request was sent, by the connector's clock: since 1970.
    pub(super) first_asked_at: Option<Duration>,
    pub(super) logs: Vec<(LogLevel, String)>,
    pub(super) unanswered: Option<String>,
    pub(super) in_circles: bool,
    pub(super) outcome: Result<()>,
    /// Bytes of bodies read, and the most memory the connector had had by then.
    pub(super) memory: Vec<(u64, u64)>,
}

/// Notes how memory grows with what was read.
struct Ear {
    stage: Arc<Stage>,
    memory: Mutex<Vec<(u64, u64)>>,
}

impl Ear {
    fn new(stage: &Arc<Stage>) -> Arc<Self> {
        Arc::new(Self { stage: Arc::clone(stage), memory: Mutex::default() })
    }
}

impl Listener for Ear {
    fn log(&self, _level: LogLevel, _message: &str) {}

    fn memory(&self, bytes: u64) {
        let received = self.stage.received();
        if let Ok(mut memory) = self.memory.lock() {
            memory.push((received, bytes));
        }
    }

    fn retrying(&self, _reason: &str, _wait: Duration) {}
}

impl Subject<'_> {
    /// The same connector with another configuration.
    pub(super) fn with(&self, configuration: Configuration) -> Result<Self> {
        let (description, limits) = (self.description, self.limits.clone());
        // A recording has placeholders for secrets, and no values.
        let secrets = if self.live {
            Secrets::new(description, &configuration, &self.exposed, ("verify", &limits))?
        } else {
            Secrets::plain(&configuration)
        };
        Ok(Self {
            component: self.component,
            description,
            configuration,
            secrets,
            exposed: self.exposed.clone(),
            limits,
            allow: self.allow.clone(),
            book: Arc::clone(&self.book),
            live: self.live,
            started_at: self.started_at,
        })
    }

    /// The tables that the connector names.
    pub(super) async fn schema(&self) -> Result<Vec<Table>> {
        let stage = self.stage(Script::default());
        self.component.schema(&self.grants(&stage, &Ear::new(&stage))).await
    }

    /// Whether `check` accepts the configuration.
    pub(super) async fn check(&self) -> Result<()> {
        let stage = self.stage(Script::default());
        self.component.check(&self.grants(&stage, &Ear::new(&stage))).await
    }

    /// One sync from a state.
    pub(super) async fn run(&self, from: Option<&str>, script: Script) -> Run {
        let stage = self.stage(script);
        let ear = Ear::new(&stage);
        let grants = self.grants(&stage, &ear);
        let (sender, mut receiver) = sandbox::operations(lead(&self.limits));
        let taking = async {
            while let Some(taken) = receiver.recv().await {
                if let Operation::Flush(done) = taken.operation {
                    // Whoever waited may have been ended.
                    let _ = done.send(());
                }
            }
        };
        let update = self.component.update(&grants, from, &Selection::All, sender);
        let (outcome, ()) = tokio::join!(tokio::time::timeout(RUN_MAX, update), taking);
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Error::new(Code::LimitTime, format!("hear from the connector within {RUN_MAX:?}")))
        });
        let memory = ear.memory.lock().map(|memory| memory.clone()).unwrap_or_default();
        let scene = stage.take();
        Run {
            steps: scene.steps,
            asked: scene.asked,
            first_asked_at: scene.first_asked_at,
            logs: scene.logs,
            unanswered: scene.unanswered,
            in_circles: scene.in_circles,
            outcome,
            memory,
        }
    }

    fn stage(&self, script: Script) -> Arc<Stage> {
        Arc::new(Stage::new(Arc::clone(&self.book), self.live, script, self.started_at))
    }

    fn grants(&self, stage: &Arc<Stage>, ear: &Arc<Ear>) -> Grants {
        Grants {
            secrets: self.secrets.clone(),
            limits: self.limits.clone(),
            allow: self.allow.clone(),
            listener: Arc::<Ear>::clone(ear),
            meter: Meter::default(),
            pacing: Pacing::default(),
            world: Some(Arc::<Stage>::clone(stage)),
            cpu: CpuTime::default(),
        }
    }
}

impl Run {
    /// The states saved, each with the number of the step that saved it.
    pub(super) fn checkpoints(&self) -> impl Iterator<Item = (usize, &str)> {
        self.steps.iter().enumerate().filter_map(|(at, step)| match &step.act {
            Act::Save(state) => Some((at, state.as_str())),
            Act::Batch(_) => None,
        })
    }

    /// Applies the first `steps` steps to tables.
    pub(super) fn apply(&self, steps: usize, tables: &mut Tables, declared: &[Table]) {
        for step in &self.steps[..steps] {
            if let Act::Batch(batch) = &step.act {
                tables.apply(batch, declared);
            }
        }
    }

    /// What is durable of this run: all of it if it succeeded, otherwise what the last checkpoint covers; and the state to
    /// go on from, `before` where it saved none.
    pub(super) fn durable<'a>(&'a self, before: Option<&'a str>) -> (usize, Option<&'a str>) {
        let last = self.checkpoints().last();
        let state = last.map(|(_, state)| state).or(before);
        let steps = if self.outcome.is_ok() { self.steps.len() } else { last.map_or(0, |(at, _)| at + 1) };
        (steps, state)
    }

    /// The request that a step followed, for evidence.
    pub(super) fn page(&self, step: &Step) -> String {
        match step.requests.checked_sub(1).and_then(|last| self.asked.get(last)) {
            Some(asked) => format!("after request {} ({})", step.requests, asked.request.label()),
            None => "before any request".to_owned(),
        }
    }
}
