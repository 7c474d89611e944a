//! The key that seals tokens, given in `ELT_SECRET_KEY`, else in a file of the user's; and the folder of tokens that have replaced
//! others.

use std::path::PathBuf;

use model::error::{Code, Error, Result};
use sandbox::{KeySource, SecretKey};

/// Where the key comes from: `ELT_SECRET_KEY`, else `secret.key` in `elt-connectors` in the user's folder of
/// configuration. Without a home tokens last for one sync.
pub(super) fn source() -> Result<KeySource> {
    source_in(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn source_in(variable: &dyn Fn(&str) -> Option<String>) -> Result<KeySource> {
    if let Some(text) = variable("ELT_SECRET_KEY") {
        return SecretKey::parse(&text).map(KeySource::Key).ok_or_else(|| {
            Error::new(Code::SecretKeyInvalid, "read the key in ELT_SECRET_KEY")
                .hint("It is 64 hexadecimal digits or base64 of 32 bytes, for example from: openssl rand -hex 32")
        });
    }
    Ok(match folder_in(variable) {
        Some(folder) => KeySource::File(folder.join("secret.key")),
        None => KeySource::None,
    })
}

/// Where tokens are kept that have replaced others: in `ELT_TOKEN_FOLDER`, else in `tokens` beside the key file.
pub(super) fn token_folder() -> Option<PathBuf> {
    token_folder_in(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn token_folder_in(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    variable("ELT_TOKEN_FOLDER").map(PathBuf::from).or_else(|| Some(folder_in(variable)?.join("tokens")))
}

fn folder_in(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let configuration = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")? + "/.config"))?;
    Some(PathBuf::from(configuration).join("elt-connectors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &'static [(&'static str, &'static str)]) -> Result<String> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        source_in(&find).map(|source| format!("{source:?}"))
    }

    #[test]
    fn the_key_is_given_or_in_a_file() {
        const KEY: (&str, &str) = ("ELT_SECRET_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(with(&[KEY, ("HOME", "/h")]).unwrap(), "Key(SecretKey)");
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), "File(\"/h/.config/elt-connectors/secret.key\")");
        assert_eq!(
            with(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]).unwrap(),
            "File(\"/c/elt-connectors/secret.key\")"
        );
        assert_eq!(with(&[]).unwrap(), "None");
        let error = with(&[("ELT_SECRET_KEY", "not a key")]).unwrap_err();
        assert_eq!(error.code(), Code::SecretKeyInvalid);
        assert!(!error.chain().contains("not a key"), "{error}");
    }

    #[test]
    fn tokens_are_kept_beside_the_key_or_where_the_user_says() {
        let with = |variables: &'static [(&'static str, &'static str)]| {
            let find =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            token_folder_in(&find).map(|folder| folder.display().to_string()).unwrap_or_default()
        };
        assert_eq!(with(&[("HOME", "/h")]), "/h/.config/elt-connectors/tokens");
        assert_eq!(with(&[("HOME", "/h"), ("ELT_TOKEN_FOLDER", "/t")]), "/t");
        assert_eq!(with(&[]), "");
    }
}
