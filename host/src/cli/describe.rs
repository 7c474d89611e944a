//! `host describe`: what a connector says about itself, and a configuration to start from.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::json::{self, Object};
use super::load;
use super::screen::Screen;
use super::text::{self, Room, words};
use crate::options::LimitOptions;
use model::error::Result;
use model::{Description, Field, Secrecy};

/// What can be typed after `host describe`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector: a WebAssembly component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    #[command(flatten)]
    limits: LimitOptions,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Describes.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let limits = arguments.limits.in_force()?;
    let component = load::component(&arguments.component, &limits, *screen)?;
    let described = load::block_on(component.describe(&limits))?;
    let description = described?;
    let page = if arguments.json {
        for_programs(description, component.digest()) + "\n"
    } else {
        for_people(description, screen.room_for_data)
    };
    screen.data(&page).map(|_closed| ())
}

fn for_people(description: &Description, room: Room) -> String {
    let mut page = format!("{} {}\n\n", text::printable(&description.name), text::printable(&description.version));
    if description.fields.is_empty() {
        page.push_str("It needs no configuration.\n");
    } else {
        let columns = [words("field"), words("needed"), words("default"), words("what it is")];
        let rows: Vec<Vec<String>> = description.fields.iter().map(row).collect();
        page.push_str(&text::table(&columns, &rows, room));
        let _infallible = write!(page, "\nA configuration to start from:\n{}\n", skeleton(&description.fields));
    }
    let hosts = description.hosts.iter().map(|host| text::printable(host)).collect::<Vec<_>>().join(", ");
    let reach = if hosts.is_empty() { "no host: it makes no requests" } else { &hosts };
    let _infallible = writeln!(page, "\nIt may reach {reach}.");
    for limit in &description.rate_limits {
        let requests = text::counted(limit.requests.into(), "request", "requests");
        let window = text::duration(std::time::Duration::from_millis(limit.window_ms));
        let _infallible = writeln!(page, "At most {requests} within {window}.");
    }
    page
}

fn row(field: &Field) -> Vec<String> {
    let needed = match (field.required, &field.default) {
        (true, None) => "yes",
        (true, Some(_)) => "yes, has a default",
        (false, _) => "no",
    };
    let secret = if field.secrecy == Secrecy::Plain { "" } else { " (secret)" };
    vec![
        format!("{}{secret}", field.name),
        needed.to_owned(),
        field.default.clone().unwrap_or_default(),
        field.help.clone(),
    ]
}

/// A configuration.json with every field that must be filled in; secrets as references to the environment.
fn skeleton(fields: &[Field]) -> String {
    let value = |field: &Field| match (&field.default, field.secrecy) {
        (Some(default), _) => default.clone(),
        (None, Secrecy::Plain) => "…".to_owned(),
        (None, _) => format!("env:{}", field.name.to_uppercase()),
    };
    let lines: Vec<String> = fields
        .iter()
        .filter(|field| field.required || field.default.is_some())
        .map(|field| format!("  {}: {}", json::text(&field.name), json::text(&value(field))))
        .collect();
    if lines.is_empty() { "{}".to_owned() } else { text::printable_lines(&format!("{{\n{}\n}}", lines.join(",\n"))) }
}

fn for_programs(description: &Description, digest: &str) -> String {
    let field = |field: &Field| {
        Object::new()
            .put("name", &field.name)
            .put("help", &field.help)
            .put("required", &field.required)
            .put("secrecy", secrecy(field.secrecy))
            .put("default", &field.default)
            .put("hosts", &field.hosts)
            .finish()
    };
    let rate_limits = description
        .rate_limits
        .iter()
        .map(|limit| Object::new().put("requests", &limit.requests).put("window_ms", &limit.window_ms).finish());
    Object::new()
        .put("name", &description.name)
        .put("version", &description.version)
        .put("sha256", digest)
        .raw("fields", &json::list(description.fields.iter().map(field)))
        .put("hosts", &description.hosts)
        .raw("rate_limits", &json::list(rate_limits))
        .finish()
}

fn secrecy(secrecy: Secrecy) -> &'static str {
    match secrecy {
        Secrecy::Plain => "plain",
        Secrecy::Secret => "secret",
        Secrecy::Exposed => "exposed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RateLimit;

    fn description() -> Description {
        let field = |name: &str, required, secrecy, default: Option<&str>| Field {
            name: name.into(),
            help: format!("The {name}."),
            required,
            secrecy,
            default: default.map(Into::into),
            hosts: vec![],
        };
        Description {
            name: "cds".into(),
            version: "0.1.0".into(),
            fields: vec![
                field("api_key", true, Secrecy::Secret, None),
                field("base_url", true, Secrecy::Plain, None),
                field("page_size", false, Secrecy::Plain, Some("1000")),
                field("since", false, Secrecy::Plain, None),
            ],
            hosts: vec!["{base_url}".into()],
            rate_limits: vec![RateLimit { requests: 10, window_ms: 1_000 }],
        }
    }

    #[test]
    fn people_see_fields_a_configuration_and_hosts() {
        let expected = r#"cds 0.1.0

 field              needed   default   what it is
──────────────────────────────────────────────────────
 api_key (secret)   yes                The api_key.
 base_url           yes                The base_url.
 page_size          no       1000      The page_size.
 since              no                 The since.

A configuration to start from:
{
  "api_key": "env:API_KEY",
  "base_url": "…",
  "page_size": "1000"
}

It may reach {base_url}.
At most 10 requests within 1.0 s.
"#;
        assert_eq!(for_people(&description(), Room::Endless), expected);
    }

    #[test]
    fn programs_get_one_object() {
        let mut one = description();
        one.fields.truncate(1);
        assert_eq!(
            for_programs(&one, "ab"),
            r#"{"name":"cds","version":"0.1.0","sha256":"ab","fields":[{"name":"api_key","help":"The api_key.","required":true,"secrecy":"secret","default":null,"hosts":[]}],"hosts":["{base_url}"],"rate_limits":[{"requests":10,"window_ms":1000}]}"#
        );
    }
}
