//! Asks an OAuth2 token endpoint (RFC 6749) for a token.

use super::answer::{Fields, Granted};
use super::send;
use crate::bindings::elt::connector::http::Method;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::json::Path;

/// The credentials, and how they are sent.
#[derive(Clone)]
pub(super) struct OAuth2 {
    token_url: String,
    client_id: String,
    client_secret: String,
    /// The refresh token of the configuration; without one the connector's credentials are enough.
    refresh_token: Option<String>,
    /// Further fields of the form.
    pub(super) parameters: Vec<(String, String)>,
    /// Whether the connector's credentials go as user and password instead of in the form.
    pub(super) basic: bool,
}

impl OAuth2 {
    pub(super) fn new(
        token_url: String,
        client_id: String,
        client_secret: String,
        refresh_token: Option<String>,
    ) -> Self {
        Self { token_url, client_id, client_secret, refresh_token, parameters: Vec::new(), basic: false }
    }

    /// Asks for a token, by the refresh token that came last. Where that one is no good any more, the one of the
    /// configuration may be newer: somebody has agreed again.
    pub(super) fn ask(&self, latest: Option<&str>) -> Result<Granted> {
        let configured = self.refresh_token.as_deref();
        let latest = latest.filter(|&latest| configured.is_some_and(|configured| configured != latest));
        let Some(latest) = latest else {
            return self.ask_by(configured);
        };
        match self.ask_by(Some(latest)) {
            Err(Error::Authentication(_)) => self.ask_by(configured),
            other => other,
        }
    }

    fn ask_by(&self, refresh_token: Option<&str>) -> Result<Granted> {
        let grant_type = if refresh_token.is_some() { "refresh_token" } else { "client_credentials" };
        let mut form = vec![("grant_type", grant_type)];
        form.extend(refresh_token.map(|token| ("refresh_token", token)));
        form.extend(self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let request = Request::new(Method::Post, self.token_url.clone()).header("accept", "application/json");
        let request = if self.basic {
            request.basic_auth(&self.client_id, &self.client_secret)
        } else {
            form.extend([("client_id", self.client_id.as_str()), ("client_secret", self.client_secret.as_str())]);
            request
        };
        // A refresh token may be good for one use: not to be sent twice.
        let answer = send(&request.form(form).idempotent(refresh_token.is_none()))?;
        let [token, lifetime, refresh] = ["access_token", "expires_in", "refresh_token"].map(Path::field);
        Granted::read(answer, &Fields { token, lifetime: Some(lifetime), refresh: Some(refresh) })
    }
}
