//! `host apply`: makes a server what a plan says. Shows what would change first.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest as _, Sha256};

use super::ServerOptions;
use super::client::{Client, segment};
use super::plan::Plan;
use crate::cli::reset::is_confirmed;
use crate::cli::screen::Screen;
use crate::cli::text;
use crate::options;
use model::error::{Code, Error, Result};
use server::types::{Action, Change, Connector, Tenant, TenantSettings};

/// What can be typed after `host apply`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The plan, in YAML (docs/formats/plan.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Does not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Tenant { name: String, settings: TenantSettings, change: Change },
    Connector { file: PathBuf, tenant: Option<String> },
    Connection { tenant: String, name: String, change: Change },
}

/// Shows what would change, asks, does it.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let (plan, folder) = read(&arguments.file)?;
    arguments.server.ask(async |client| {
        let steps = compare(client, &plan, &folder).await?;
        if steps.is_empty() {
            screen.people("Everything is as the plan says.");
            return Ok(());
        }
        screen.data(&shown(&steps)).map(|_closed| ())?;
        if !arguments.yes && !is_confirmed("Do this?", *screen)? {
            screen.people("Nothing was changed.");
            return Ok(());
        }
        for step in &steps {
            act(client, &plan, step).await?;
        }
        screen.people(&format!("Done: {}.", text::counted(steps.len() as u64, "change", "changes")));
        Ok(())
    })
}

fn read(file: &Path) -> Result<(Plan, PathBuf)> {
    let failed = |error| Error::new(Code::Usage, format!("read the plan {}", file.display())).because(error);
    let mut plan = Plan::parse(&std::fs::read_to_string(file).map_err(failed)?)?;
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    plan.resolve(&|text| options::reference("plan", text, &folder))?;
    Ok((plan, folder))
}

/// What is different on the server, in the order in which it is to be done.
async fn compare(client: &Client, plan: &Plan, folder: &Path) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut new_tenants = HashSet::new();
    for (name, tenant) in &plan.tenants {
        let path = format!("/v1/tenants/{}", segment(name));
        let is_there = match client.get::<Tenant>(&path).await {
            Ok(_) => true,
            Err(error) if error.code() == Code::NotFound => false,
            Err(error) => return Err(error),
        };
        let settings = match &tenant.settings {
            None if is_there => continue,
            settings => settings.clone().unwrap_or_default(),
        };
        let change: Change = client.put(&format!("{path}?plan=true"), &settings).await?;
        if !is_there {
            new_tenants.insert(name.clone());
        }
        if change.action != Action::None {
            steps.push(Step::Tenant { name: name.clone(), settings, change });
        }
    }
    let mut has_uploads = false;
    for upload in &plan.connectors {
        let file = folder.join(&upload.component);
        let tenant = upload.tenant.clone();
        if !is_uploaded(client, &file, tenant.as_deref().filter(|name| !new_tenants.contains(*name))).await? {
            has_uploads = true;
            steps.push(Step::Connector { file, tenant });
        }
    }
    for (tenant, planned) in &plan.tenants {
        for (name, settings) in &planned.connections {
            let create = Change { action: Action::Create, fields: Vec::new() };
            let path = format!("/v1/tenants/{}/connections/{}?plan=true", segment(tenant), segment(name));
            let change = match client.put(&path, settings).await {
                _ if new_tenants.contains(tenant) => create,
                // Its connector may be one of those that are uploaded before.
                Err(error) if has_uploads && Code::RequestInvalid == error.code() => create,
                change => change?,
            };
            if change.action != Action::None {
                steps.push(Step::Connection { tenant: tenant.clone(), name: name.clone(), change });
            }
        }
    }
    Ok(steps)
}

/// Whether a component of the same bytes is there.
async fn is_uploaded(client: &Client, file: &Path, tenant: Option<&str>) -> Result<bool> {
    let digest = Sha256::digest(super::connector::read(file)?);
    let digest = digest.iter().fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    });
    let found: Vec<Connector> = client.all(&connectors_of(tenant)).await?;
    Ok(found.iter().any(|connector| connector.digest == digest && connector.shared == tenant.is_none()))
}

fn connectors_of(tenant: Option<&str>) -> String {
    tenant.map_or_else(|| "/v1/connectors".to_owned(), |name| format!("/v1/tenants/{}/connectors", segment(name)))
}

async fn act(client: &Client, plan: &Plan, step: &Step) -> Result<()> {
    match step {
        Step::Tenant { name, settings, .. } => {
            client.put::<Change>(&format!("/v1/tenants/{}", segment(name)), settings).await.map(drop)
        }
        Step::Connector { file, tenant } => {
            let bytes = super::connector::read(file)?;
            client.upload::<Connector>(&connectors_of(tenant.as_deref()), bytes).await.map(drop)
        }
        Step::Connection { tenant, name, .. } => {
            let Some(settings) = plan.tenants.get(tenant).and_then(|tenant| tenant.connections.get(name)) else {
                return Ok(());
            };
            let path = format!("/v1/tenants/{}/connections/{}", segment(tenant), segment(name));
            client.put::<Change>(&path, settings).await.map(drop)
        }
    }
}

fn shown(steps: &[Step]) -> String {
    let mut page = String::new();
    for step in steps {
        let (sign, what, fields) = match step {
            Step::Tenant { name, change, .. } => (sign(change), format!("tenant {name}"), &change.fields[..]),
            Step::Connector { file, tenant } => {
                let whose = tenant.as_ref().map_or_else(|| "everybody".to_owned(), |name| format!("tenant {name}"));
                ('+', format!("connector {} for {whose}", file.display()), &[][..])
            }
            Step::Connection { tenant, name, change } => {
                (sign(change), format!("connection {tenant}/{name}"), &change.fields[..])
            }
        };
        let fields = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
        let _infallible = writeln!(page, "{sign} {}", text::printable(&format!("{what}{fields}")));
    }
    page
}

fn sign(change: &Change) -> char {
    if change.action == Action::Create { '+' } else { '~' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_shown_a_line_a_step_without_values() {
        let change = Change { action: Action::Change, fields: vec!["configuration.api_key".into(), "schedule".into()] };
        let create = Change { action: Action::Create, fields: vec![] };
        let page = shown(&[
            Step::Tenant { name: "shop".into(), settings: TenantSettings::default(), change: create },
            Step::Connector { file: "cds.wasm".into(), tenant: None },
            Step::Connection { tenant: "shop".into(), name: "orders".into(), change },
        ]);
        let lines = [
            "+ tenant shop",
            "+ connector cds.wasm for everybody",
            "~ connection shop/orders: configuration.api_key, schedule",
        ];
        assert_eq!(page.lines().collect::<Vec<_>>(), lines);
    }
}
