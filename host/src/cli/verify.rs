//! `host verify`: tries a connector against the rules, and says which it breaks and what shows it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::json::{self, Object};
use super::load;
use super::report;
use super::screen::Screen;
use super::text::{self, Paint};
use crate::options::ConnectorOptions;
use model::error::{Code, Error, Result};
use proof::recording::{Recording, Replay};
use proof::verify::{self, Finding, Report, Rule, Told, Verdict};

/// What can be typed after `host verify`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector: a WebAssembly component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    #[command(flatten)]
    connector: ConnectorOptions,
    /// Answers from the recording FILE, with its configuration, instead of the source. What was not recorded cannot be
    /// tried
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    recording: Option<PathBuf>,
    /// Tries these rules only, by their names in docs/guides/verify.md, separated by commas
    #[arg(long, value_name = "RULES", value_delimiter = ',', value_parser = rule)]
    rules: Vec<Rule>,
    /// Disturbs three requests instead of forty: for a look between two edits, not as a proof
    #[arg(long)]
    quick: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// A rule by its name.
fn rule(name: &str) -> std::result::Result<Rule, String> {
    Rule::named(name).ok_or_else(|| {
        let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        format!("there is no such rule; there are {}", names.join(", "))
    })
}

/// Tells people findings as they come, and between them how far it is.
struct Teller<'a> {
    screen: &'a Screen,
    is_silent: bool,
    told_at: Mutex<Instant>,
}

impl Teller<'_> {
    /// How far a rule is, is told this often.
    const EVERY: Duration = Duration::from_secs(3);

    fn tell(&self, told: &Told<'_>) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let paint = self.screen.paint;
        let text = match told {
            _ if self.is_silent => return,
            Told::Found(finding) => line(finding, paint),
            Told::Trying { .. } if told_at.elapsed() < Self::EVERY => return,
            Told::Trying { rule, done, total } => paint.dim(&format!("....  {:<20} {done} of {total} runs", rule.id())),
        };
        self.screen.people(&text);
        *told_at = Instant::now();
    }
}

/// Verifies; returns the exit status, which says whether a rule is broken.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<u8> {
    let sandbox = arguments.connector.in_force()?;
    let component = load::component(&arguments.component, &sandbox.limits, *screen)?;
    let replay = arguments.recording.as_deref().map(|path| Replay::new(Recording::read(path)?)).transpose()?;
    let report = load::block_on(async {
        let described = component.describe(&sandbox.limits).await?;
        let configuration = if let Some(replay) = &replay {
            replay.recorded_configuration().clone().prepare(&described.fields)?.0
        } else {
            let (configuration, unknown) = sandbox.configuration.prepare(&described.fields)?;
            for field in &unknown {
                screen.people(&screen.paint.yellow(&load::unknown_field(field)));
            }
            configuration
        };
        let request = verify::Request {
            component: &component,
            configuration,
            secrets: sandbox.secrets.clone(),
            limits: sandbox.limits.clone(),
            allow: sandbox.allow.clone(),
            recording: replay.as_ref().map(Replay::recording),
            rules: arguments.rules.clone(),
            quick: arguments.quick,
        };
        let teller = Teller { screen, is_silent: arguments.json, told_at: Mutex::new(Instant::now()) };
        verify::verify(request, &|told| teller.tell(&told)).await
    })??;
    conclude(&report, arguments, screen)
}

fn conclude(report: &Report, arguments: &Arguments, screen: &Screen) -> Result<u8> {
    let (passed, tried) = report.score();
    if arguments.json {
        let _closed = screen.data(&(for_programs(report) + "\n"))?;
    } else {
        let skipped = report.findings.len() - tried;
        screen.people(&format!(
            "\n{}: {passed} of {tried} rules hold, {skipped} could not be tried ({}, {} requests)",
            report.connector,
            text::counted(report.rows, "row", "rows"),
            report.requests
        ));
    }
    if passed == tried {
        return Ok(0);
    }
    let error = Error::new(
        Code::RulesBroken,
        format!(
            "verify the connector: {}",
            text::counted((tried - passed) as u64, "rule is broken", "rules are broken")
        ),
    )
    .hint("Each rule has a section in docs/guides/verify.md: what goes wrong without it, and what to do.");
    screen.people(&report::failure(&error, screen.paint));
    Ok(error.fault().exit_status())
}

/// One finding as people read it.
fn line(finding: &Finding, paint: Paint) -> String {
    let Finding { rule, verdict, evidence } = finding;
    let mark = match verdict {
        Verdict::Pass => paint.green("pass"),
        Verdict::Fail => paint.red("FAIL"),
        Verdict::Skip => paint.dim("skip"),
    };
    let evidence = text::printable(evidence);
    match verdict {
        Verdict::Fail => {
            let more = format!("docs/guides/verify.md#{}", rule.id());
            format!("{mark}  {:<20} {}\n        {evidence}\n        {more}", rule.id(), rule.line())
        }
        Verdict::Pass | Verdict::Skip => {
            format!("{mark}  {:<20} {} {}", rule.id(), rule.line(), paint.dim(&format!("({evidence})")))
        }
    }
}

fn for_programs(report: &Report) -> String {
    let finding = |finding: &Finding| {
        Object::new()
            .put("rule", finding.rule.id())
            .put("verdict", &finding.verdict)
            .put("asks", finding.rule.line())
            .put("evidence", &finding.evidence)
            .put("guide", &format!("docs/guides/verify.md#{}", finding.rule.id()))
            .finish()
    };
    let (passed, tried) = report.score();
    Object::new()
        .put("connector", &report.connector)
        .put("requests", &report.requests)
        .put("rows", &report.rows)
        .put("passed", &passed)
        .put("tried", &tried)
        .raw("findings", &json::list(report.findings.iter().map(finding)))
        .finish()
}
