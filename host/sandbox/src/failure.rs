//! What a guest's failure means: its own error, a trap, or a limit; and whose fault each is.

use wasmtime::Trap;

use super::bindings::GuestError;
use super::instance::Guest;
use model::Description;
use model::error::{Code, Error, Result};

/// How much of a guest's own words is shown.
const WORDS_MAX: usize = 2_000;

/// An error the guest returned.
pub(super) fn of_guest(error: GuestError, guest: &Guest) -> Error {
    // A connector that was denied an address usually fails with a message about the request: the denial says more.
    if let Some(denial) = guest.wires.client.as_ref().and_then(|client| client.stats().last_denial()) {
        return Error::new(Code::EgressDenied, format!("reach the source: {denial}"));
    }
    // Before they are cut: half a secret would not be found.
    let redact = |words: &str| guest.wires.secrets.redact(words).into_owned();
    let failed = |code, what: &str, words: &str| Error::new(code, format!("{what}: {}", cut(&redact(words))));
    match error {
        GuestError::Configuration(problem) => {
            let field = problem.field.map(|field| format!(" (field \"{}\")", cut(&field))).unwrap_or_default();
            failed(Code::ConfigurationRejected, &format!("use the configuration{field}"), &problem.message)
                .hint("Correct the configuration and run again.")
        }
        GuestError::Authentication(words) => failed(Code::AuthenticationFailed, "sign in to the source", &words)
            .hint("Check the credentials in the configuration, and that they may read what the connector asks for."),
        GuestError::RateLimited(limited) => {
            let wait = limited.retry_after_ms.map_or_else(|| "later".into(), |ms| format!("in {} s", ms.div_ceil(1_000)));
            failed(Code::SourceRateLimited, "go on: the source asks for patience", &limited.message)
                .hint(format!("Run again {wait}; the sync goes on where it stopped."))
        }
        GuestError::Transient(words) => failed(Code::SourceUnavailable, "read from the source", &words)
            .hint("Run again; the sync goes on where it stopped. If it stays, check that the source is up and its address right."),
        GuestError::Source(words) => failed(Code::SourceError, "use the source's answer", &words)
            .hint("Check the address in the configuration; if it is right, the connector does not understand this source."),
        GuestError::Internal(words) => {
            failed(Code::ConnectorFailed, "run the connector", &words).hint("Tell the connector's author; -v shows its whole log.")
        }
    }
}

/// A trap: the guest broke, passed a limit, or the host ended it.
pub(super) fn of_trap(error: wasmtime::Error, guest: &Guest) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    tracing::debug!("the guest trapped: {error:?}");
    if guest.memory.refused {
        return too_much_memory(guest);
    }
    let words = error.root_cause().to_string();
    if words.contains("count too high at") {
        return Error::new(Code::LimitMemory, format!("start the connector: {words}"))
            .hint("A component has at most 1,000 memories, tables and instances together; one made of Rust has four.");
    }
    if let Some((code, limit, advice)) = passed(&words) {
        let message = format!("take a call of the connector: {words} (limit {limit})");
        return Error::new(code, message).hint(format!("{advice}, or raise the limit with --limit {limit}=…"));
    }
    // The root cause alone: the whole error begins with a backtrace, which the log has.
    let trapped = Error::new(Code::ConnectorTrapped, "run the connector: it broke (trap)")
        .hint("This is a bug in the connector; its last log lines usually say where. -v shows more.");
    match error.downcast_ref::<Trap>() {
        Some(trap) => trapped.because(*trap),
        None => trapped.because(words),
    }
}

/// The guest wanted more memory than it may have, of its own or in the host.
pub(super) fn too_much_memory(guest: &Guest) -> Error {
    let message = format!(
        "go on: the connector wanted more than {} bytes of memory (limit memory-bytes)",
        guest.limits.memory_bytes_max
    );
    Error::new(Code::LimitMemory, message).hint(
        "A connector should hold one page at a time; raise the limit with --limit memory-bytes=… if it needs more.",
    )
}

/// The limit on calls that was passed, and what to do, by the engine's words: these errors of its have no type.
fn passed(words: &str) -> Option<(Code, &'static str, &'static str)> {
    if words.contains("fuel allocated for hostcalls") {
        return Some((Code::LimitCallBytes, "call-bytes", "Write smaller batches"));
    }
    // Wrong handles are the guest's fault, not a limit: only tables that are full count.
    let full = words.contains("no free keys") || words.contains("cannot allocate another handle");
    full.then_some((Code::LimitHandles, "handles", "Drop responses that are read"))
}

fn cut(words: &str) -> &str {
    &words[..words.floor_char_boundary(WORDS_MAX)]
}

/// The rules of `description` that the contract sets.
pub(super) fn check_description(description: Description) -> Result<Description> {
    match description_fault(&description) {
        None => Ok(description),
        Some((what, rule)) => {
            Err(Error::new(Code::SchemaInvalid, format!("use the connector's description: {what}")).hint(rule))
        }
    }
}

/// All texts of a description together.
const DESCRIPTION_BYTES_MAX: usize = 1 << 20;
/// The default of a secret: as long as any key, and its every form is looked for in answers.
const SECRET_DEFAULT_BYTES_MAX: usize = 16 << 10;
/// Entries of each list of a description.
const DESCRIPTION_FIELDS_MAX: usize = 1_000;
/// Rate limits: every request is held against each.
const RATE_LIMITS_MAX: usize = 16;

/// What a description has too much of: the host keeps it for as long as it runs, and shows it to everybody who asks.
fn too_large(description: &Description) -> Option<(String, &'static str)> {
    let Description { name, version, fields, hosts, rate_limits } = description;
    let of_field = |field: &model::Field| {
        let hosts: usize = field.hosts.iter().map(|host| host.len() + 24).sum();
        field.name.len() + field.help.len() + field.default.as_ref().map_or(0, String::len) + hosts + 100
    };
    let hosts_bytes: usize = hosts.iter().map(|host| host.len() + 24).sum();
    let bytes = name.len() + version.len() + hosts_bytes + fields.iter().map(of_field).sum::<usize>();
    if bytes > DESCRIPTION_BYTES_MAX {
        return Some((format!("it has {bytes} bytes"), "A description has up to 1 MiB, all its texts together."));
    }
    if fields.len() > DESCRIPTION_FIELDS_MAX || hosts.len() > DESCRIPTION_FIELDS_MAX {
        let what = format!("it has {} fields and {} hosts", fields.len(), hosts.len());
        return Some((what, "A description has up to 1,000 fields and 1,000 hosts."));
    }
    if rate_limits.len() > RATE_LIMITS_MAX {
        return Some((format!("it has {} rate limits", rate_limits.len()), "A description has up to 16 rate limits."));
    }
    let is_long = |field: &&model::Field| {
        let length = field.default.as_ref().map_or(0, String::len);
        field.secrecy != model::Secrecy::Plain && length > SECRET_DEFAULT_BYTES_MAX
    };
    let long = fields.iter().find(is_long)?;
    let what = format!("the default of the secret \"{}\" is longer than {SECRET_DEFAULT_BYTES_MAX} bytes", cut(&long.name));
    Some((what, "A secret's default has up to 16 KiB; better, it has none."))
}

/// What is wrong with a description, and the rule it breaks.
fn description_fault(description: &Description) -> Option<(String, &'static str)> {
    let mut letters = description.name.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_lowercase());
    let goes_on = letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter));
    if !starts || !goes_on || description.name.len() > 100 {
        let what = format!("\"{}\" is no name", cut(&description.name));
        return Some((what, "A connector's name is lower case: [a-z][a-z0-9_-]*, up to 100 letters."));
    }
    if let Some(too_much) = too_large(description) {
        return Some(too_much);
    }
    if description.version.is_empty() {
        return Some(("its version is empty".into(), "A connector has a version, for example 0.1.0."));
    }
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = description.fields.iter().find(|field| !names.insert(&field.name)) {
        let what = format!("two fields are named \"{}\"", cut(&twice.name));
        return Some((what, "Every field of the configuration has a name of its own."));
    }
    let silly = description.rate_limits.iter().find(|limit| limit.requests == 0 || limit.window_ms == 0)?;
    let what = format!("a rate limit allows {} requests within {} ms", silly.requests, silly.window_ms);
    Some((what, "A rate limit allows at least one request within at least one millisecond."))
}
