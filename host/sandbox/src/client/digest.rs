//! Digest authentication (RFC 7616): the answer to a challenge, computed by the host so that the password stays with it.
//! Pure: chance is given.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::sign::hex;

/// What a source asks for with a 401.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Option<String>,
    /// Whether it knows `qop=auth`; very old sources know none.
    is_counted: bool,
}

/// Whose password it is, and what is asked.
pub(super) struct Asked<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    /// Random, made for this answer.
    pub(super) nonce: &'a str,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` field; none if it asks for something else, or for what is not known here.
    pub(super) fn read(field: &str) -> Option<Self> {
        let lower = field.to_ascii_lowercase();
        let at = lower.find("digest ").filter(|at| *at == 0 || lower[..*at].trim_end().ends_with(','))?;
        let mut challenge = Self::default();
        let mut qop = None;
        for (name, value) in parameters(&field[at + "digest ".len()..]) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value,
                "nonce" => challenge.nonce = value,
                "opaque" => challenge.opaque = Some(value),
                "algorithm" => challenge.algorithm = Some(value),
                "qop" => qop = Some(value),
                _ => {}
            }
        }
        challenge.is_counted = match qop {
            None => false,
            Some(ways) if ways.split(',').any(|way| way.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        (!challenge.nonce.is_empty() && challenge.hash("").is_some()).then_some(challenge)
    }

    /// The `Authorization` field that answers it.
    pub(super) fn answer(&self, asked: &Asked<'_>) -> Option<String> {
        let Self { realm, nonce, .. } = self;
        let Asked { user, method, target, nonce: own, .. } = asked;
        let mut secret = self.hash(&format!("{user}:{realm}:{}", asked.password))?;
        if self.is_session() {
            secret = self.hash(&format!("{secret}:{nonce}:{own}"))?;
        }
        let request = self.hash(&format!("{method}:{target}"))?;
        let middle = if self.is_counted { format!("{nonce}:00000001:{own}:auth") } else { nonce.clone() };
        let response = self.hash(&format!("{secret}:{middle}:{request}"))?;
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut field = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{target}\", response=\"{response}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce)
        );
        if let Some(algorithm) = &self.algorithm {
            field += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            field += &format!(", opaque=\"{}\"", quoted(opaque));
        }
        if self.is_counted || self.is_session() {
            field += &format!(", qop=auth, nc=00000001, cnonce=\"{own}\"");
        }
        Some(field)
    }

    fn is_session(&self) -> bool {
        self.algorithm.as_deref().is_some_and(|name| name.to_ascii_lowercase().ends_with("-sess"))
    }

    fn hash(&self, text: &str) -> Option<String> {
        let name = self.algorithm.as_deref().unwrap_or("MD5").to_ascii_lowercase();
        match name.trim_end_matches("-sess") {
            "md5" => Some(hex(&Md5::digest(text))),
            "sha-256" => Some(hex(&Sha256::digest(text))),
            _ => None,
        }
    }
}

/// `name=value` and `name="value"`, separated by commas, up to where another scheme begins.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']);
        if name.contains(' ') {
            break;
        }
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
    found
}

fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'static> = Asked {
        user: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        target: "/dir/index.html",
        nonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    };

    fn answered(field: &str) -> String {
        Challenge::read(field).unwrap().answer(&ASKED).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard() {
        let field = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        assert!(answered(&field("MD5")).contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""));
        let sha = answered(&field("SHA-256"));
        assert!(sha.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""), "{sha}");
        assert!(sha.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"") && sha.contains("nc=00000001"));
    }

    #[test]
    fn old_and_strange_challenges() {
        // RFC 2069: without qop. The values of its errata.
        let challenge =
            Challenge::read("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"");
        let asked = Asked { password: "Circle Of Life", ..ASKED };
        let answer = challenge.unwrap().answer(&asked).unwrap();
        assert!(
            answer.contains("response=\"670fd8c2df070c60b045671b8b24ff02\"") && !answer.contains("qop"),
            "{answer}"
        );
        assert!(
            answered("Basic realm=\"x\", DIGEST realm=\"a \\\"b\\\"\", nonce=n,qop=auth")
                .contains("realm=\"a \\\"b\\\"\"")
        );
        for field in [
            "",
            "Basic realm=\"digest \"",
            "Digest realm=\"x\"",
            "Digest nonce=\"n\", qop=\"auth-int\"",
            "Digest nonce=\"n\", algorithm=SHA-512-256",
        ] {
            assert_eq!(Challenge::read(field), None, "{field}");
        }
    }
}
