//! What leaves: a hop with its credentials and secrets put in, at the last moment and for one place only.

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderValue};
use url::Url;

use super::error::Limit;
use super::request::{Authentication, Hop, Payload};
use super::{ErrorKind, Failure, Settings};
use crate::egress::Target;
use crate::secrets::{Escape, Refusal};
use model::error::{Code, Error};

/// Composes the request for a hop towards a target that passed the policy.
pub(super) fn compose(hop: &Hop, target: &Target, settings: &Settings) -> Result<reqwest::Request, Failure> {
    let out = Outgoing { label: hop.label(), hop, target, settings };
    let mut request = reqwest::Request::new(hop.method.clone(), out.url()?);
    let mut headers = out.headers()?;
    match &hop.body {
        Some(payload) => *request.body_mut() = Some(out.body(payload)?.into()),
        // Some servers answer 411 to a missing length; the library leaves it out when there is no body.
        None if [Method::POST, Method::PUT, Method::PATCH].contains(&hop.method) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    *request.headers_mut() = headers;
    Ok(request)
}

struct Outgoing<'a> {
    label: String,
    hop: &'a Hop,
    target: &'a Target,
    settings: &'a Settings,
}

impl Outgoing<'_> {
    /// Path and query alone can hold a secret: the host was checked as it stands.
    fn url(&self) -> Result<Url, Failure> {
        let mut url = self.hop.url.clone();
        if let Some(path) = self.fill(self.hop.url.path(), Escape::Url)? {
            url.set_path(&path);
        }
        if let Some(query) = self.hop.url.query()
            && let Some(query) = self.fill(query, Escape::Url)?
        {
            url.set_query(Some(&query));
        }
        Ok(url)
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = self.hop.headers.clone();
        let (mut bytes, max) = (self.hop.url.as_str().len(), self.settings.limits.request_header_bytes_max);
        for value in headers.values_mut() {
            let limit = (Limit::RequestHeaderBytes, max);
            if let Some(filled) = self.fill_bytes(value.as_bytes(), Escape::Header, limit)? {
                *value = sensitive(&filled).ok_or_else(|| self.unfit("a header field"))?;
            }
            bytes += value.len();
        }
        if let Some(authentication) = &self.hop.authentication {
            let text = self.authorization(authentication)?;
            let value = sensitive(text.as_bytes()).ok_or_else(|| self.unfit("the authentication"))?;
            bytes += value.len();
            headers.insert(header::AUTHORIZATION, value);
        }
        if bytes > max {
            return Err(self.too_long(Limit::RequestHeaderBytes, max));
        }
        Ok(headers)
    }

    fn authorization(&self, authentication: &Authentication) -> Result<String, Failure> {
        let filled = |text: &str, escape| Ok(self.fill(text, escape)?.unwrap_or_else(|| text.to_owned()));
        Ok(match authentication {
            Authentication::Basic(user, password) => {
                let (user, password) = (filled(user, Escape::User)?, filled(password, Escape::Raw)?);
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {pair}")
            }
            Authentication::Bearer(token) => format!("Bearer {}", filled(token, Escape::Header)?),
        })
    }

    fn body(&self, payload: &Payload) -> Result<bytes::Bytes, Failure> {
        let max = usize::try_from(self.settings.limits.request_body_bytes_max).unwrap_or(usize::MAX);
        let filled = self.fill_bytes(&payload.bytes, payload.escape, (Limit::RequestBody, max))?;
        Ok(filled.map_or_else(|| payload.bytes.clone(), Into::into))
    }

    fn fill(&self, text: &str, escape: Escape) -> Result<Option<String>, Failure> {
        let limit = (Limit::RequestHeaderBytes, self.settings.limits.request_header_bytes_max);
        // Whole texts stand in for whole texts.
        Ok(self.fill_bytes(text.as_bytes(), escape, limit)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    fn fill_bytes(
        &self,
        text: &[u8],
        escape: Escape,
        (limit, bytes_max): (Limit, usize),
    ) -> Result<Option<Vec<u8>>, Failure> {
        let filled = self.settings.secrets.fill(text, escape, self.target, bytes_max);
        filled.map_err(|refusal| match refusal {
            Refusal::Place { name, allowed } => Failure::new(
                ErrorKind::Denied,
                &self.label,
                format!("the secret \"{name}\" may not be sent to {} (only to {allowed})", self.target),
            ),
            Refusal::Characters { name, is_token: true } => {
                Failure::invalid(&self.label, format!("the secret \"{name}\" has characters that cannot stand there"))
            }
            Refusal::Characters { name, is_token: false } => Failure::Sync(
                Error::new(
                    Code::ConfigurationInvalid,
                    format!("send the configuration field \"{name}\": it has characters that cannot stand there"),
                )
                .hint("A value for a header has no line ends, a user name for basic authentication no colon."),
            ),
            Refusal::TooLong => self.too_long(limit, bytes_max),
        })
    }

    fn too_long(&self, limit: Limit, max: usize) -> Failure {
        Failure::limit(limit, format!("send {}: with the secrets in it, it has more than {max} bytes", self.label))
    }

    fn unfit(&self, place: &str) -> Failure {
        Failure::invalid(&self.label, format!("{place} contains a control character"))
    }
}

/// A value that is kept out of HTTP/2's tables and of debug output.
fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}
