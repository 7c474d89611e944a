//! Secrets as the host treats them: the connector holds placeholders, the source gets the values.

use crate::bindings::elt::connector::http::{Authentication, Body, Request};
use crate::bindings::elt::connector::types::Secrecy;
use crate::description::Field;
use crate::http::encode;
use crate::testing::Answer;

const TOKEN: &str = "elt_token_";
/// As in the host: shorter values are not looked for in answers.
const MASK_BYTES_MIN: usize = 8;

/// Placeholders and what they stand for.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Puts placeholders into a configuration, and takes up the tokens of a state.
    pub(crate) fn new(fields: &[Field], configuration: &mut [(String, String)], state: Option<&str>) -> Self {
        let mut secrets = Self(Vec::new());
        let is_secret = |key: &str| fields.iter().any(|field| field.name == key && field.secrecy == Secrecy::Secret);
        let given = configuration.iter_mut().enumerate();
        for (index, (key, value)) in given.filter(|(_, (key, value))| is_secret(key) && !value.trim().is_empty()) {
            let placeholder = format!("elt_secret_{}{index:02x}", hex(key.as_bytes()));
            secrets.0.push((placeholder.clone(), std::mem::replace(value, placeholder)));
        }
        for (begin, _) in state.unwrap_or_default().match_indices(TOKEN) {
            let text = &state.unwrap_or_default()[begin..];
            let token = text.get(..=TOKEN.len() + text[TOKEN.len()..].find('_').unwrap_or_default());
            secrets.0.extend(token.and_then(|token| Some((token.to_owned(), opened(token)?))));
        }
        secrets
    }

    /// What stands for a token: in the double its bytes in hexadecimal digits, which hide it well enough.
    pub(crate) fn protect(&mut self, token: &str) -> String {
        if token.is_empty() || self.0.iter().any(|(placeholder, _)| placeholder == token) {
            return token.to_owned();
        }
        let placeholder = format!("{TOKEN}{}_", hex(token.as_bytes()));
        if self.0.iter().all(|(known, _)| *known != placeholder) {
            self.0.push((placeholder.clone(), token.to_owned()));
        }
        placeholder
    }

    /// The request as it leaves.
    pub(crate) fn put_into(&self, mut request: Request) -> Request {
        request.url = self.fill(&request.url, |text| encode(text));
        for (_, value) in request.query.iter_mut().chain(&mut request.headers) {
            *value = self.fill(value, str::to_owned);
        }
        match &mut request.authentication {
            Some(Authentication::Basic((user, password))) => {
                (*user, *password) = (self.fill(user, str::to_owned), self.fill(password, str::to_owned));
            }
            Some(Authentication::Bearer(token)) => *token = self.fill(token, str::to_owned),
            None => {}
        }
        match &mut request.body {
            Some(Body::Json(bytes)) => self.fill_bytes(bytes, json),
            Some(Body::Bytes(bytes)) => self.fill_bytes(bytes, str::to_owned),
            Some(Body::Form(fields)) => {
                for (_, value) in fields {
                    *value = self.fill(value, str::to_owned);
                }
            }
            None => {}
        }
        request
    }

    /// The answer as the connector sees it.
    pub(crate) fn mask(&self, mut answer: Answer) -> Answer {
        let long = || self.0.iter().filter(|(_, value)| value.trim().len() >= MASK_BYTES_MIN);
        if long().count() == 0 {
            return answer;
        }
        let masked = |text: &str| {
            long().fold(text.to_owned(), |text, (placeholder, value)| text.replace(value.trim(), placeholder))
        };
        if let Ok(text) = std::str::from_utf8(&answer.body) {
            answer.body = masked(text).into_bytes();
        }
        answer.headers.iter_mut().for_each(|(_, value)| *value = masked(value));
        answer
    }

    fn fill(&self, text: &str, escape: impl Fn(&str) -> String) -> String {
        self.0.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, &escape(value)))
    }

    fn fill_bytes(&self, bytes: &mut Vec<u8>, escape: impl Fn(&str) -> String) {
        if let Ok(text) = std::str::from_utf8(bytes) {
            *bytes = self.fill(text, escape).into_bytes();
        }
    }
}

/// The inside of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn opened(placeholder: &str) -> Option<String> {
    let hex = placeholder.strip_prefix(TOKEN)?.strip_suffix('_')?;
    let bytes: Option<Vec<u8>> =
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}
