//! Terms of a request that few sources ask for: sent once only, more patience, a body as it came, signatures made by the
//! host, certificates.

use std::time::Duration;

use super::client::Client;
use super::request::Request;
use crate::bindings::elt::connector::http::{
    AwsSignature, Hash, KeyForm, Signature as Recipe, SignatureForm, SpecialRequest,
};

/// What a request asks for besides.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(super) once: bool,
    patience: Option<Duration>,
    raw: bool,
    pub(super) expect_json: bool,
    client_certificate: Option<String>,
    signature: Option<Recipe>,
    aws_signature: Option<AwsSignature>,
    digest: Option<(String, String)>,
}

impl Terms {
    /// Whether the host needs to be told nothing.
    #[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "the double takes every request as usual"))]
    pub(crate) fn are_usual(&self) -> bool {
        let Self { once, patience, raw, expect_json, client_certificate, signature, aws_signature, digest } = self;
        let credentials =
            client_certificate.is_some() || signature.is_some() || aws_signature.is_some() || digest.is_some();
        !(*once || *raw || *expect_json || patience.is_some() || credentials)
    }

    /// Tells the host.
    #[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "the double takes every request as usual"))]
    pub(crate) fn set(&self, request: &SpecialRequest) {
        if self.once {
            request.once();
        }
        if let Some(patience) = self.patience {
            request.patience(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
        }
        if self.raw {
            request.raw();
        }
        if self.expect_json {
            request.expect_json();
        }
        if let Some(pem) = &self.client_certificate {
            request.client_certificate(pem);
        }
        if let Some(recipe) = &self.signature {
            request.sign(recipe);
        }
        if let Some(key) = &self.aws_signature {
            request.sign_aws(key);
        }
        if let Some((user, password)) = &self.digest {
            request.digest(user, password);
        }
    }
}

impl Request {
    /// Never sends it again where the source may have acted on it, though it is a GET: for one that consumes what it
    /// gives, as a queue or a scroll does. A cut answer is an error then, and what it held may be lost at the source: keep
    /// the cursor that lets you go back.
    pub fn once(mut self) -> Self {
        self.terms.once = true;
        self
    }

    /// How long it is sent again while the source answers 429, 503 or their like; the longest wait that the source may ask
    /// for. Without it the operator's `--limit patience=…`, 5 minutes.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.terms.patience = Some(patience);
        self
    }

    /// Takes the body as it comes, for a source whose `Content-Encoding` is wrong.
    pub fn raw(mut self) -> Self {
        self.terms.raw = true;
        self
    }

    /// A success with an empty body or a web page is tried again a few times before it is handed over.
    /// [`pages`](Self::pages) and [`page`](Self::page) do so of themselves.
    pub fn expect_json(mut self) -> Self {
        self.terms.expect_json = true;
        self
    }

    /// Proves who asks by a certificate: a secret field with the PEM of the certificate and of its key.
    pub fn client_certificate(mut self, pem: impl Into<String>) -> Self {
        self.terms.client_certificate = Some(pem.into());
        self
    }

    /// Has the host sign it; the key stays with the host.
    pub fn sign(mut self, signature: Signature) -> Self {
        self.terms.signature = Some(signature.0);
        self
    }

    /// Has the host sign it as AWS wants (Signature Version 4), for a region and a service (`execute-api`).
    pub fn sign_aws(mut self, key: &AwsKey, region: impl Into<String>, service: impl Into<String>) -> Self {
        self.terms.aws_signature = Some(AwsSignature {
            access_key_id: key.id.clone(),
            secret_access_key: key.secret.clone(),
            session_token: key.session_token.clone(),
            region: region.into(),
            service: service.into(),
        });
        self
    }

    /// User and password by digest authentication (RFC 7616).
    pub fn digest_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.terms.digest = Some((user.into(), password.into()));
        self
    }
}

impl Client {
    /// How long requests are sent again, see [`Request::patience`].
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.map(|common| common.patience(patience))
    }

    /// A certificate for every request, see [`Request::client_certificate`].
    #[must_use]
    pub fn client_certificate(self, pem: impl Into<String>) -> Self {
        self.map(|common| common.client_certificate(pem))
    }

    /// A signature on every request, see [`Request::sign`].
    #[must_use]
    pub fn sign(self, signature: Signature) -> Self {
        self.map(|common| common.sign(signature))
    }

    /// The signature of AWS on every request, see [`Request::sign_aws`].
    #[must_use]
    pub fn sign_aws(self, key: &AwsKey, region: impl Into<String>, service: impl Into<String>) -> Self {
        self.map(|common| common.sign_aws(key, region, service))
    }

    /// Digest authentication for every request, see [`Request::digest_auth`].
    #[must_use]
    pub fn digest_auth(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.map(|common| common.digest_auth(user, password))
    }
}

/// A recipe for an HMAC over parts of a request. The message and the values are templates: `{method}`, `{url}`, `{host}`,
/// `{path}`, `{query}`, `{body}`, `{body-sha256}`, `{body-sha256-base64}`, `{timestamp}` (seconds), `{timestamp-ms}`,
/// `{date}`, `{time}` (RFC 3339), and `{signature}` in what is sent; `{{` is a brace.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::http::Signature;
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|_| Answer::json("[]"));
/// # let api_secret = "s";
/// let signature = Signature::hmac_sha256(api_secret) // configuration.required("api_secret")?
///     .message("{timestamp}{method}{path}{body}")
///     .header("X-Timestamp", "{timestamp}")
///     .header("X-Signature", "{signature}");
/// let http = Client::new("https://api.example.com").sign(signature);
/// # assert_eq!(http.get("orders").send()?.status(), 200);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
#[must_use = "it is for Client::sign and Request::sign"]
pub struct Signature(Recipe);

impl Signature {
    /// HMAC with SHA-256, written in hexadecimal digits. `key` is a secret field, whose placeholder will do.
    pub fn hmac_sha256(key: impl Into<String>) -> Self {
        Self::new(Hash::Sha256, key)
    }

    /// HMAC with SHA-512.
    pub fn hmac_sha512(key: impl Into<String>) -> Self {
        Self::new(Hash::Sha512, key)
    }

    /// HMAC with SHA-1, for old sources.
    pub fn hmac_sha1(key: impl Into<String>) -> Self {
        Self::new(Hash::Sha1, key)
    }

    fn new(hash: Hash, key: impl Into<String>) -> Self {
        Self(Recipe {
            hash,
            key: key.into(),
            key_form: KeyForm::Text,
            message: "{body}".to_owned(),
            form: SignatureForm::Hex,
            headers: Vec::new(),
            query: Vec::new(),
        })
    }

    /// What is signed, instead of the body.
    pub fn message(mut self, template: impl Into<String>) -> Self {
        self.0.message = template.into();
        self
    }

    /// The key's text is base64 of the key.
    pub fn base64_key(mut self) -> Self {
        self.0.key_form = KeyForm::Base64;
        self
    }

    /// The key's text is hexadecimal digits of the key.
    pub fn hex_key(mut self) -> Self {
        self.0.key_form = KeyForm::Hex;
        self
    }

    /// Writes the signature in base64.
    pub fn base64(mut self) -> Self {
        self.0.form = SignatureForm::Base64;
        self
    }

    /// Writes the signature in base64 for URLs, without padding.
    pub fn base64_url(mut self) -> Self {
        self.0.form = SignatureForm::Base64Url;
        self
    }

    /// A header, by a template.
    pub fn header(mut self, name: impl Into<String>, template: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), template.into()));
        self
    }

    /// A parameter that is appended to the query once it was signed, by a template.
    pub fn query(mut self, name: impl Into<String>, template: impl Into<String>) -> Self {
        self.0.query.push((name.into(), template.into()));
        self
    }
}

/// Without the key.
impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").finish_non_exhaustive()
    }
}

/// A key of AWS.
#[derive(Clone)]
pub struct AwsKey {
    id: String,
    secret: String,
    session_token: Option<String>,
}

impl AwsKey {
    /// Its id and the key itself, secret fields as a rule.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), session_token: None }
    }

    /// The token of temporary credentials.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// Without the key.
impl std::fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsKey").finish_non_exhaustive()
    }
}
