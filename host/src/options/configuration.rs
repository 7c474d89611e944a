//! configuration.json with its references: `env:NAME` is a variable of the environment, `file:PATH` a file's text.
//!
//! A path is relative to the folder of configuration.json. One line end at the end of a file is dropped, because editors
//! add it. A value that has to begin with `env:` or `file:` itself is written `text:env:…`.

use std::path::Path;

use model::Configuration;
use model::error::{Code, Error, Result};

/// Reads a configuration and resolves its references; `variable` looks one up in the environment.
pub(super) fn read(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Configuration> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Code::ConfigurationMissing, format!("read the configuration {}", path.display()))
            .hint("--config names a JSON file. `host describe COMPONENT` shows which fields the connector needs.")
            .because(error)
    })?;
    let mut configuration = Configuration::parse(&text)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for (field, value) in &mut configuration.0 {
        if let Some(resolved) = resolve(field, value, folder, variable)? {
            *value = resolved;
        }
    }
    Ok(configuration)
}

/// The value a reference stands for; none if it is no reference.
pub(super) fn resolve(
    field: &str,
    value: &str,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>> {
    if let Some(literal) = value.strip_prefix("text:") {
        return Ok(Some(literal.to_owned()));
    }
    if let Some(name) = value.strip_prefix("env:") {
        return variable(name).map(Some).ok_or_else(|| {
            Error::new(
                Code::ConfigurationInvalid,
                format!("resolve the configuration field \"{field}\": the environment has no variable {name}"),
            )
            .hint(format!(
                "Set it before the command: {name}=… host run … (for the text itself write \"text:{value}\")"
            ))
        });
    }
    let Some(path) = value.strip_prefix("file:") else { return Ok(None) };
    let path = folder.join(path);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::new(
            Code::ConfigurationInvalid,
            format!("resolve the configuration field \"{field}\" from the file {}", path.display()),
        )
        .hint(format!("Paths are relative to the configuration's folder (for the text itself write \"text:{value}\")."))
        .because(error)
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Configuration> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.txt"), "s3cret\r\n").unwrap();
        let path = folder.path().join("configuration.json");
        std::fs::write(&path, text).unwrap();
        read(&path, &|name| (name == "API_KEY").then(|| "from the environment".to_owned()))
    }

    #[test]
    fn references_are_resolved() {
        let configuration =
            read_text(r#"{"a":"env:API_KEY","b":"file:key.txt","c":"plain","d":"text:env:API_KEY","e":"text:text:x"}"#)
                .unwrap();
        let value = |name| configuration.get(name).unwrap();
        assert_eq!(value("a"), "from the environment");
        assert_eq!(value("b"), "s3cret");
        assert_eq!(value("c"), "plain");
        assert_eq!(value("d"), "env:API_KEY");
        assert_eq!(value("e"), "text:x");
    }

    #[test]
    fn a_reference_to_nothing_names_the_field() {
        for text in [r#"{"api_key":"env:NONE"}"#, r#"{"api_key":"file:none"}"#] {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.code(), Code::ConfigurationInvalid);
            assert!(error.to_string().contains("\"api_key\""), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_has_its_own_code() {
        let error = read(Path::new("/nonexistent/configuration.json"), &|_| None).unwrap_err();
        assert_eq!(error.code(), Code::ConfigurationMissing);
    }
}
