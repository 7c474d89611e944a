//! The files of a new connector, as text: composed of parts for how the source pages, how it asks who one is, and how a sync
//! goes on where the last one ended. Pure.
//!
//! The SDK and the contract come along as a copy in `vendor/`: the connector builds anywhere, with the SDK of the very host
//! that made it, and everything it is made of can be read (docs/guides/write-a-connector.md).

mod code;
mod words;

pub(crate) use words::{Authentication, Choice, Pagination, SyncStyle};

use model::error::{Code, Error, Result};

/// The SDK's files, by their path in its folder.
const SDK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));
const CONTRACT: &str = include_str!("../../wit/connector.wit");
/// The manifest that the SDK inherits versions from.
const WORKSPACE: &str = include_str!("../../Cargo.toml");
/// What a person or a language model needs to write a connector, on one page.
pub(crate) const PROMPT: &str = include_str!("../../docs/guides/connector-expert.md");

/// One file: its path within the connector's folder, and its text.
pub(crate) type File = (String, String);

/// All files of a connector.
pub(crate) fn files(name: &str, choice: Choice) -> Result<Vec<File>> {
    check_name(name)?;
    let own = [
        ("Cargo.toml", manifest(name)),
        ("configuration.json", code::configuration(choice)),
        ("src/lib.rs", code::connector(name, choice)),
        ("src/tests.rs", code::tests(name, choice)),
        ("README.md", readme(name)),
        (".gitignore", "/target\n".to_owned()),
    ];
    let own = own.into_iter().map(|(path, text)| (path.to_owned(), text));
    Ok(own.chain(vendored()).collect())
}

/// The copy of SDK and contract.
fn vendored() -> impl Iterator<Item = File> {
    let sdk = SDK.iter().map(|(path, text)| (format!("vendor/elt/sdk/{path}"), (*text).to_owned()));
    let contract = ("vendor/wit/connector.wit".to_owned(), CONTRACT.to_owned());
    sdk.chain([contract, ("vendor/elt/Cargo.toml".to_owned(), sdk_workspace())])
}

/// The part of the workspace's manifest that the SDK inherits from, with the SDK as its only member.
fn sdk_workspace() -> String {
    let inherited = WORKSPACE.split("\n# One profile").next().unwrap_or(WORKSPACE);
    let lines = inherited.lines().map(|line| {
        if line.starts_with("members") {
            "members = [\"sdk\"]"
        } else if line.starts_with("default-members") || line.contains("path = ") {
            ""
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn manifest(name: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
elt-sdk = {{ path = "vendor/elt/sdk" }}

[workspace]
exclude = ["vendor"]
"#
    )
}

fn readme(name: &str) -> String {
    let file = name.replace('-', "_");
    format!(
        r"# {name}

A data connector: `src/lib.rs`, with its fields in `configuration.json`. `vendor` is a copy of the SDK.

```sh
rustup target add wasm32-wasip2     # once
host dev                            # builds, and runs without writing, again at every save
cargo test                          # without the host, against answers of its own
host build                          # target/wasm32-wasip2/release/{file}.wasm
host verify target/wasm32-wasip2/release/{file}.wasm --config configuration.json
host run target/wasm32-wasip2/release/{file}.wasm --config configuration.json
```

A source on this machine needs `--allow-private HOST:PORT` with `dev`, `verify` and `run`.
"
    )
}

/// A connector's name is a package's, and what the contract allows.
fn check_name(name: &str) -> Result<()> {
    const LETTERS_MAX: usize = 60;
    let first = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let rest =
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter));
    // Names that Rust or cargo do not let a library have.
    let taken = ["test", "core", "std", "alloc", "proc_macro", "elt-sdk", "elt_sdk"];
    let keyword = [
        "as", "async", "await", "box", "break", "const", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while", "yield", "try", "gen",
        "do", "final", "macro", "abstract", "become", "override", "priv", "typeof", "unsized", "virtual",
    ];
    if first && rest && name.len() <= LETTERS_MAX && !taken.contains(&name) && !keyword.contains(&name) {
        return Ok(());
    }
    Err(Error::new(Code::Usage, format!("name a connector \"{name}\""))
        .hint("A name is lower case: [a-z][a-z0-9_-]*, up to 60 letters, and no word of Rust's."))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn all() -> impl Iterator<Item = Choice> {
        Pagination::value_variants().iter().flat_map(|pagination| {
            Authentication::value_variants().iter().flat_map(move |authentication| {
                SyncStyle::value_variants().iter().map(move |sync| Choice {
                    pagination: *pagination,
                    authentication: *authentication,
                    sync: *sync,
                })
            })
        })
    }

    fn file<'a>(files: &'a [File], name: &str) -> &'a str {
        &files.iter().find(|(path, _)| path == name).unwrap().1
    }

    #[test]
    fn every_choice_is_a_connector_of_at_most_60_lines() {
        for choice in all() {
            let files = files("my-tickets", choice).unwrap();
            let code = file(&files, "src/lib.rs");
            assert!(code.lines().count() <= 60, "{choice:?}: {} lines\n{code}", code.lines().count());
            assert!(code.starts_with("//! ") && code.contains("struct MyTickets;"), "{code}");
            assert!(code.lines().all(|line| line.len() <= 120 && line.trim_end() == line), "{choice:?}:\n{code}");
            let fields: serde_json::Value = serde_json::from_str(file(&files, "configuration.json")).unwrap();
            for field in fields.as_object().unwrap().keys() {
                assert!(code.contains(&format!("\"{field}\"")), "{field} is not in\n{code}");
            }
        }
    }

    #[test]
    fn the_sdk_comes_along_whole() {
        let files = files("tickets", Choice::default()).unwrap();
        for path in ["vendor/elt/sdk/Cargo.toml", "vendor/elt/sdk/src/lib.rs", "vendor/wit/connector.wit"] {
            assert!(!file(&files, path).is_empty(), "{path}");
        }
        let workspace = file(&files, "vendor/elt/Cargo.toml");
        assert!(workspace.contains("members = [\"sdk\"]") && workspace.contains("wit-bindgen = "), "{workspace}");
        assert!(!workspace.contains("path = ") && !workspace.contains("[profile"), "{workspace}");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in ["", "Tickets", "1st", "my tickets", "../x", "test", "elt-sdk", "match", &"a".repeat(61)] {
            assert_eq!(files(name, Choice::default()).unwrap_err().code(), Code::Usage, "{name}");
        }
        assert!(files("tickets_2-b", Choice::default()).is_ok());
    }
}
