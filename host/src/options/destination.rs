//! `--destination`: a URL, or where it is kept: `env:NAME` is a variable of the environment, `file:PATH` a file's text.
//!
//! A URL can hold a password, so what is told of it is never what was typed.

use std::path::Path;

use model::error::{Code, Error, Result};
use warehouse::DestinationUrl;

/// The destination that a text stands for; `variable` looks one up in the environment.
pub(super) fn resolved(typed: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<DestinationUrl> {
    Ok(match named(typed, variable)? {
        DestinationUrl::Delta(address) => DestinationUrl::Delta(address.completed(variable)),
        url => url,
    })
}

fn named(typed: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<DestinationUrl> {
    if let Some(name) = typed.strip_prefix("env:") {
        let what = format!("resolve the destination: the environment has no variable {name}");
        let missing = || {
            Error::new(Code::DestinationInvalid, what)
                .hint(format!("Set it before the command: {name}=postgres://… host …"))
        };
        return variable(name).ok_or_else(missing)?.parse();
    }
    let Some(path) = typed.strip_prefix("file:") else { return typed.parse() };
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| {
        Error::new(Code::DestinationInvalid, format!("resolve the destination from the file {path}"))
            .hint("The file holds the URL and nothing else. (For a DuckDB file write duckdb:PATH.)")
            .because(error)
    })?;
    text.trim_end().parse()
}

/// What can be told of a text that was typed.
pub(super) fn shown(typed: &str) -> String {
    if typed.starts_with("env:") || typed.starts_with("file:") {
        return typed.to_owned();
    }
    typed.parse().map_or_else(|_| "(not understood)".to_owned(), |url: DestinationUrl| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://u:secret@h/w";

    #[test]
    fn references_stand_for_the_url() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, format!("{URL}\n")).unwrap();
        let variable = |name: &str| (name == "WAREHOUSE").then(|| URL.to_owned());
        let expected = "postgres://u:***@h:5432/w";
        for typed in [URL, "env:WAREHOUSE", &format!("file:{}", file.display())] {
            assert_eq!(resolved(typed, &variable).unwrap().to_string(), expected);
            assert!(!shown(typed).contains("secret"));
        }
        assert_eq!(shown(URL), expected);
        assert_eq!(shown("env:WAREHOUSE"), "env:WAREHOUSE");
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        let variable = |name: &str| Some(name.to_owned());
        for typed in [
            "postgres://u:secret@h",
            "postgresq://u:secret@h/w",
            "env:postgresq://u:secret@h/w",
            "//u:secret@h/w",
            "mysql:u:secret@h",
        ] {
            let error = resolved(typed, &variable).unwrap_err();
            assert_eq!(error.code(), Code::DestinationInvalid);
            assert!(!format!("{error:?} {}", error.chain()).contains("secret"), "{typed}: {error:?}");
            if !typed.starts_with("env:") {
                assert!(!shown(typed).contains("secret"), "{typed}");
            }
        }
        for typed in ["env:NONE", "file:/nonexistent"] {
            assert_eq!(resolved(typed, &|_| None).unwrap_err().code(), Code::DestinationInvalid);
        }
    }
}
