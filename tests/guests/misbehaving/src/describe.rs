//! In `describe`: descriptions that break a rule, or that are meant to break their reader.

use elt_sdk::bindings::Description;
use elt_sdk::bindings::elt::connector::http;
use elt_sdk::bindings::elt::connector::operations::Kind;
use elt_sdk::bindings::elt::connector::types::{Field, RateLimit, Secrecy};

use crate::ruin;

pub(crate) fn well_behaved() -> Description {
    Description {
        name: "misbehaving".to_owned(),
        version: "1.0.0".to_owned(),
        fields: vec![
            field("mode", "update.well_behaved"),
            field("base_url", "http://127.0.0.1:9"),
            secret("api_key", Secrecy::Secret),
            secret("signing_key", Secrecy::Exposed),
        ],
        hosts: vec!["{base_url}".to_owned()],
        rate_limits: Vec::new(),
    }
}

fn field(name: &str, default: &str) -> Field {
    Field {
        name: name.to_owned(),
        help: "For the tests.".to_owned(),
        required: false,
        secrecy: Secrecy::Plain,
        default: Some(default.to_owned()),
        hosts: Vec::new(),
    }
}

fn secret(name: &str, secrecy: Secrecy) -> Field {
    Field { secrecy, default: None, ..field(name, "") }
}

fn named(name: &str) -> Description {
    Description { name: name.to_owned(), ..well_behaved() }
}

fn reaching(host: &str) -> Description {
    Description { hosts: vec![host.to_owned()], ..well_behaved() }
}

/// Two fields of one name, one of them secret.
pub(crate) fn colliding_fields() -> Description {
    let mut description = well_behaved();
    description.fields.push(Field { secrecy: Secrecy::Secret, ..field("mode", "another") });
    description
}

pub(crate) fn endless_loop() -> Description {
    ruin::endless_loop();
    well_behaved()
}

pub(crate) fn endless_recursion() -> Description {
    ruin::endless_recursion();
    well_behaved()
}

/// Words that clear the terminal and forge a line.
pub(crate) fn hostile_words() -> Description {
    let mut description = well_behaved();
    "1.0.0\u{1b}[2J\nall rows were loaded".clone_into(&mut description.version);
    "\u{1b}]0;title\u{7}\nforged".clone_into(&mut description.fields[0].help);
    description
}

pub(crate) fn huge_name() -> Description {
    named(&"a".repeat(1 << 20))
}

pub(crate) fn huge_return_value() -> Description {
    let mut description = well_behaved();
    description.fields = (0..40).map(|_| Field { help: "h".repeat(1 << 20), ..field("mode", "") }).collect();
    description
}

pub(crate) fn name_in_capitals() -> Description {
    named("Misbehaving \"Inc\"")
}

pub(crate) fn name_missing() -> Description {
    named("")
}

pub(crate) fn panic() -> Description {
    ruin::panic();
    well_behaved()
}

pub(crate) fn request() -> Description {
    let request = http::Request {
        method: http::Method::Get,
        url: "http://127.0.0.1:9/".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        authentication: None,
        body: None,
        idempotent: false,
        buffer: false,
        timeout_ms: None,
    };
    drop(http::fetch(&request));
    well_behaved()
}

/// A host that would send a secret to whoever the secret names.
pub(crate) fn secret_host() -> Description {
    let mut description = reaching("{token}");
    description.fields.push(Field { secrecy: Secrecy::Secret, ..field("token", "https://example.com") });
    description
}

pub(crate) fn rate_limits_without_end() -> Description {
    let rate_limits = vec![RateLimit { requests: u32::MAX, window_ms: u64::MAX }; 100_000];
    Description { rate_limits, ..well_behaved() }
}

/// Every form of a secret is looked for in every answer.
pub(crate) fn secret_default_too_long() -> Description {
    let mut description = well_behaved();
    description.fields.push(Field { secrecy: Secrecy::Secret, ..field("token", &"s".repeat(1 << 19)) });
    description
}

pub(crate) fn silly_rate_limits() -> Description {
    let limit = |requests, window_ms| RateLimit { requests, window_ms };
    let rate_limits = vec![limit(0, 0), limit(0, 1), limit(1, 0), limit(u32::MAX, u64::MAX)];
    Description { rate_limits, ..well_behaved() }
}

pub(crate) fn sleep() -> Description {
    ruin::sleep();
    well_behaved()
}

pub(crate) fn unknown_host_field() -> Description {
    reaching("{nothing}")
}

pub(crate) fn url_as_host() -> Description {
    reaching("https://*:99999/../")
}

pub(crate) fn version_missing() -> Description {
    Description { version: String::new(), ..well_behaved() }
}

pub(crate) fn write() -> Description {
    crate::component::write("things", Kind::Upsert, "{\"id\": 9}");
    well_behaved()
}
