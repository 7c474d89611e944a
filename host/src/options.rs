//! What was typed, and what is in force: limits with units, names, allowed addresses, configuration with its references.
//!
//! The only reader of the process's environment (`env:` references of the configuration and of
//! `--destination`, the `AWS_…` variables of a lake in S3, `NO_COLOR`, `TERM`, `ELT_CACHE_DIR`, `ELT_SECRET_KEY`, `ELT_TOKEN`,
//! `XDG_CACHE_HOME`, `XDG_CONFIG_HOME`, `HOME`, `OTEL_EXPORTER_OTLP_ENDPOINT`; the libraries of OpenTelemetry read more `OTEL_…`).

mod configuration;
mod destination;
mod secret_key;

use std::path::{Path, PathBuf};

use clap::Args;

use model::Configuration;
use model::error::usage;
use model::error::{Code, Error, Result};
use sandbox::{Compiler, EgressAllow, Limits, SecretGrants, addresses, limits_text};
use warehouse::DestinationUrl;

/// Where rows go unless said otherwise.
pub(crate) const DESTINATION_DEFAULT: &str = "duckdb:files/warehouse.db";

const CONFIG_HELP: &str = "The connector's configuration: a flat JSON object of strings. A value \"env:NAME\" is taken \
                           from the environment, \"file:PATH\" from a file";

/// What running a connector needs, as typed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectorOptions {
    #[arg(long, value_name = "FILE", help = CONFIG_HELP)]
    config: Option<PathBuf>,
    /// Lets the connector reach this private or loopback address, also by plain http (repeatable)
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Sandbox")]
    allow_private: Vec<String>,
    /// Lets the connector speak plain http to this public host (repeatable)
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Sandbox")]
    allow_http: Vec<String>,
    /// Lets the connector see this secret field itself, if it asks to (repeatable)
    #[arg(long, value_name = "FIELD", help_heading = "Sandbox")]
    expose: Vec<String>,
    /// Appends every request of the connector to FILE, one JSON object a line (docs/formats/audit.md)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitOptions,
}

/// Changes of the sandbox's limits, as typed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LimitOptions {
    /// Changes a limit, for example memory-bytes=64MiB or cpu=10s (repeatable; see docs/guides/limits.md)
    #[arg(long = "limit", value_name = "NAME=VALUE", help_heading = "Sandbox")]
    limits: Vec<String>,
}

impl LimitOptions {
    /// The defaults with what was typed on top.
    pub(crate) fn in_force(&self) -> Result<Limits> {
        limits_text::in_force(&self.limits)
    }
}

/// What running a connector needs, in force.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    /// The configuration with references resolved; defaults are not applied yet.
    pub configuration: Configuration,
    /// The bounds.
    pub limits: Limits,
    /// Addresses beyond the public internet.
    pub allow: EgressAllow,
    /// What may be done with secrets.
    pub secrets: SecretGrants,
    /// Where requests are written down.
    pub audit_log: Option<PathBuf>,
}

impl ConnectorOptions {
    /// Reads the configuration, resolves its references, applies limits to their defaults.
    pub(crate) fn in_force(&self) -> Result<Sandbox> {
        let limits = self.limits.in_force()?;
        let allow = EgressAllow {
            private: addresses::checked(&self.allow_private)?,
            http: addresses::checked(&self.allow_http)?,
        };
        let configuration = match &self.config {
            Some(path) => configuration::read(path, &|name| std::env::var(name).ok())?,
            None => Configuration::default(),
        };
        let secrets = SecretGrants { exposed: self.expose.clone(), key: secret_key::source()? };
        let audit_log = self.audit_log.clone();
        Ok(Sandbox { configuration, limits, allow, secrets, audit_log })
    }
}

const DESTINATION_HELP: &str = "The destination: duckdb:PATH, sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE, delta:PATH or \
                                delta:s3://BUCKET/PREFIX, jsonl: for lines of JSON on stdout, or null: to write nothing. \
                                env:NAME and file:PATH stand for a URL in a variable or a file";

/// Which warehouse, as typed.
#[derive(Args, Clone)]
pub(crate) struct DestinationOptions {
    #[arg(long, value_name = "URL", default_value = DESTINATION_DEFAULT, help = DESTINATION_HELP)]
    destination: String,
}

impl DestinationOptions {
    /// The destination meant.
    pub(crate) fn in_force(&self) -> Result<DestinationUrl> {
        destination::resolved(&self.destination, &|name| std::env::var(name).ok())
    }

    /// What can be told of it: a reference as typed, a URL without its password.
    pub(crate) fn text(&self) -> String {
        destination::shown(&self.destination)
    }

    /// What to add to another command so that it means the same warehouse: nothing for the default.
    pub(crate) fn flag(&self) -> String {
        if self.destination == DESTINATION_DEFAULT {
            return String::new();
        }
        format!(" --destination {}", shell_word(&self.text()))
    }
}

impl std::fmt::Debug for DestinationOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// The token for a server: the text of a file, or else the variable `ELT_TOKEN`.
pub(crate) fn server_token(file: Option<&Path>) -> Result<String> {
    let token = match file {
        None => std::env::var("ELT_TOKEN").map_err(|error| {
            usage("find a token for the server")
                .hint("Set ELT_TOKEN, or name a file: --token-file FILE.")
                .because(error)
        })?,
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| usage(format!("read the token from {}", path.display())).because(error))?,
    };
    let token = token.trim();
    if token.is_empty() || !token.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err(usage("use the token: it is empty, or has letters that no token has"));
    }
    Ok(token.to_owned())
}

/// What a reference (`env:NAME`, `file:PATH` relative to a folder, `text:…`) stands for; none if the text is none. `field`
/// is named where it cannot be resolved.
pub(crate) fn reference(field: &str, text: &str, folder: &Path) -> Result<Option<String>> {
    configuration::resolve(field, text, folder, &|name| std::env::var(name).ok())
}

/// The state of `--state FILE`: a JSON text, as it stands in the file.
pub(crate) fn state(path: &Path, bytes_max: u64) -> Result<String> {
    let subject = || format!("read the state from {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Code::StateInvalid, subject())
            .hint("--state takes a file with the JSON text of a state, as `host state show` prints it.")
            .because(error)
    })?;
    if text.len() as u64 > bytes_max {
        return Err(Error::new(
            Code::LimitState,
            format!("{}: its {} bytes are more than the limit state-bytes: {bytes_max}", subject(), text.len()),
        ));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| {
        Error::new(Code::StateInvalid, format!("{} as JSON", subject()))
            .hint("A state is one JSON text, for example {\"cursor\": \"42\"}.")
            .because(error)
    })?;
    Ok(text.trim().to_owned())
}

/// The folder of compiled components: `components` in `ELT_CACHE_DIR`, else in `elt-connectors` in the user's cache
/// folder. None where there is no home: then every start compiles.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    cache_folder_in(&|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn cache_folder_in(folder: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    folder("ELT_CACHE_DIR")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("elt-connectors")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/elt-connectors")))
        .map(|cache| cache.join("components"))
}

/// The program that compiles components: this one, as a child.
pub(crate) fn compiler() -> Option<Compiler> {
    // By this path it is the program that runs, also when its file has been replaced meanwhile.
    let own = PathBuf::from("/proc/self/exe");
    let program = if own.exists() { own } else { std::env::current_exe().ok()? };
    let needed = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
    let environment = needed.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?))).collect();
    Some(Compiler { program, environment })
}

/// Where traces are sent: what was typed, else what all programs with OpenTelemetry are told.
pub(crate) fn otlp_endpoint(typed: Option<&str>) -> Option<String> {
    let told = || std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|value| !value.is_empty());
    typed.map(str::to_owned).or_else(told)
}

/// Whether colours are welcome: not with `NO_COLOR` set (<https://no-color.org>).
pub(crate) fn colours_are_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a terminal, if there is one, can move its cursor and has colours.
pub(crate) fn terminal_is_capable() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A word as a shell reads it back: quoted where it must be.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_is_the_first_that_is_named() {
        let with = |names: &'static [&'static str]| {
            cache_folder_in(&move |name| names.contains(&name).then(|| PathBuf::from("/").join(name)))
        };
        assert_eq!(with(&["ELT_CACHE_DIR", "HOME"]), Some("/ELT_CACHE_DIR/components".into()));
        assert_eq!(with(&["XDG_CACHE_HOME", "HOME"]), Some("/XDG_CACHE_HOME/elt-connectors/components".into()));
        assert_eq!(with(&["HOME"]), Some("/HOME/.cache/elt-connectors/components".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn a_state_file_holds_one_json_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let read = |text: &str, bytes_max| {
            std::fs::write(&path, text).unwrap();
            state(&path, bytes_max).map_err(|error| error.code())
        };
        assert_eq!(read("{\"cursor\": 1}\n", 100), Ok("{\"cursor\": 1}".into()));
        assert_eq!(read("null", 100), Ok("null".into()));
        assert_eq!(read("", 100), Err(Code::StateInvalid));
        assert_eq!(read("{} {}", 100), Err(Code::StateInvalid));
        assert_eq!(read("\"long\"", 3), Err(Code::LimitState));
        assert_eq!(state(&folder.path().join("none"), 9).unwrap_err().code(), Code::StateInvalid);
    }

    #[test]
    fn a_hint_repeats_the_destination_unless_it_is_the_default() {
        let flag = |text: &str| DestinationOptions { destination: text.into() }.flag();
        assert_eq!(flag(DESTINATION_DEFAULT), "");
        assert_eq!(flag("duckdb:my file.db"), " --destination 'duckdb:my file.db'");
    }
}
