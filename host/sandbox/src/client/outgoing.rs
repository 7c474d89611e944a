//! What leaves: a hop with its credentials and secrets put in, at the last moment and for one place only.

use std::time::SystemTime;

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderValue};
use url::Url;

use super::digest;
use super::error::Limit;
use super::jar::Jar;
use super::request::{Authentication, Hop, Payload, append, name_of_field};
use super::sign::{self, Signed, sensitive};
use super::{ErrorKind, Failure, Settings};
use crate::egress::Target;
use crate::secrets::{Escape, Refusal};
use crate::world::{AwsSignature, Signature};
use model::error::{Code, Error};

/// A request as it leaves.
pub(super) struct Composed {
    pub(super) request: reqwest::Request,
    /// The certificate that proves who asks, and its key.
    pub(super) certificate: Option<String>,
}

/// Composes the request for a hop towards a target that passed the policy.
pub(super) fn compose(hop: &Hop, target: &Target, settings: &Settings, jar: &Jar) -> Result<Composed, Failure> {
    let out = Outgoing { label: hop.label(), hop, target, settings };
    let mut request = reqwest::Request::new(hop.method.clone(), out.url()?);
    let mut headers = out.headers(jar)?;
    match &hop.body {
        Some(payload) => *request.body_mut() = Some(out.body(payload)?.into()),
        // Some servers answer 411 to a missing length; the library leaves it out when there is no body.
        None if [Method::POST, Method::PUT, Method::PATCH].contains(&hop.method) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    *request.headers_mut() = headers;
    out.sign(&mut request)?;
    let certificate = hop.terms.client_certificate.as_deref().map(|pem| out.filled(pem, Escape::Raw)).transpose()?;
    Ok(Composed { request, certificate })
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

    fn headers(&self, jar: &Jar) -> Result<HeaderMap, Failure> {
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
        if let Some(cookies) = jar.field(&self.hop.url, headers.get(header::COOKIE)) {
            bytes += cookies.len();
            headers.insert(header::COOKIE, cookies);
        }
        if bytes > max {
            return Err(self.too_long(Limit::RequestHeaderBytes, max));
        }
        Ok(headers)
    }

    /// Signs what is to be signed, with one moment for all of it.
    fn sign(&self, request: &mut reqwest::Request) -> Result<(), Failure> {
        let now = SystemTime::now();
        if let Some(recipe) = &self.hop.terms.signature {
            self.sign_by_recipe(recipe, request, now)?;
        }
        if let Some(key) = &self.hop.terms.aws_signature {
            let key = AwsSignature {
                access_key_id: self.filled(&key.access_key_id, Escape::Header)?,
                secret_access_key: self.filled(&key.secret_access_key, Escape::Raw)?,
                session_token: key
                    .session_token
                    .as_ref()
                    .map(|token| self.filled(token, Escape::Header))
                    .transpose()?,
                ..key.clone()
            };
            let fields = sign::aws(&Signed::new(request, now), &key).map_err(|what| self.unsigned(&what))?;
            for (name, value) in fields {
                let value = sensitive(value.as_bytes()).ok_or_else(|| self.unfit("the signature"))?;
                request.headers_mut().insert(name, value);
            }
        }
        if let (Some((user, password)), Some(challenge)) = (&self.hop.terms.digest, &self.hop.challenge) {
            let (user, password) = (self.filled(user, Escape::Raw)?, self.filled(password, Escape::Raw)?);
            let target = request.url()[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
            let nonce = sign::hex(&std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..)));
            let asked = digest::Asked {
                user: &user,
                password: &password,
                method: self.hop.method.as_str(),
                target: &target,
                nonce: &nonce,
            };
            let answer = challenge.answer(&asked).and_then(|answer| sensitive(answer.as_bytes()));
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, answer.ok_or_else(|| self.unfit("the authentication"))?);
        }
        Ok(())
    }

    fn sign_by_recipe(
        &self,
        recipe: &Signature,
        request: &mut reqwest::Request,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let signed = Signed::new(request, now);
        let expanded = |template: &str, signature: Option<&str>| {
            let limit = (Limit::RequestBody, self.body_bytes_max().saturating_mul(2));
            let bytes = signed.expand(template, signature).map_err(|what| self.unsigned(&what))?;
            Ok::<_, Failure>(self.fill_bytes(&bytes, Escape::Raw, limit)?.unwrap_or(bytes))
        };
        let key = self.filled(&recipe.key, Escape::Raw)?;
        let message = expanded(&recipe.message, None)?;
        let signature = sign::signature(recipe, key.as_bytes(), &message).map_err(|what| self.unsigned(&what))?;
        let mut fields = Vec::new();
        for (name, template) in &recipe.headers {
            let name =
                name_of_field(name).ok_or_else(|| self.unsigned("a header field of the recipe has no usable name"))?;
            let value =
                sensitive(&expanded(template, Some(&signature))?).ok_or_else(|| self.unfit("a header field"))?;
            fields.push((name, value));
        }
        let mut parameters = Vec::new();
        for (name, template) in &recipe.query {
            let value = String::from_utf8(expanded(template, Some(&signature))?)
                .map_err(|_| self.unsigned("a parameter of the recipe is no text"))?;
            parameters.push((name, value));
        }
        request.headers_mut().extend(fields);
        append(request.url_mut(), parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(())
    }

    fn unsigned(&self, what: &str) -> Failure {
        Failure::invalid(&self.label, format!("it cannot be signed: {what}"))
    }

    fn filled(&self, text: &str, escape: Escape) -> Result<String, Failure> {
        Ok(self.fill(text, escape)?.unwrap_or_else(|| text.to_owned()))
    }

    fn body_bytes_max(&self) -> usize {
        usize::try_from(self.settings.limits.request_body_bytes_max).unwrap_or(usize::MAX)
    }

    fn authorization(&self, authentication: &Authentication) -> Result<String, Failure> {
        Ok(match authentication {
            Authentication::Basic(user, password) => {
                let (user, password) = (self.filled(user, Escape::User)?, self.filled(password, Escape::Raw)?);
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {pair}")
            }
            Authentication::Bearer(token) => format!("Bearer {}", self.filled(token, Escape::Header)?),
        })
    }

    fn body(&self, payload: &Payload) -> Result<bytes::Bytes, Failure> {
        let filled = self.fill_bytes(&payload.bytes, payload.escape, (Limit::RequestBody, self.body_bytes_max()))?;
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
