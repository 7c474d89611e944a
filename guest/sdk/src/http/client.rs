//! What the requests to one source have in common: where it lives, its headers and its credentials.

use std::fmt;
use std::time::Duration;

use super::login::Login;
use super::request::Request;
use super::response::Response;
use super::url;
use crate::bindings::elt::connector::http::Method;
use crate::error::Result;

/// Makes requests that share a base URL, headers, credentials and a timeout. See [`crate::http`] for an example.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    /// Of the base URL, as it was given.
    query: Option<String>,
    common: Request,
}

impl Client {
    /// A client for the source at `base_url`, with or without a slash at its end; a query there goes with every request,
    /// as if it had been given to [`query`](Self::query).
    pub fn new(base_url: &str) -> Self {
        let base = url::up_to_query(base_url).trim_end_matches('/').to_owned();
        let whole = base_url.split('#').next().unwrap_or_default();
        let query = whole.split_once('?').map(|(_, query)| query.to_owned()).filter(|query| !query.is_empty());
        let parameters = query.iter().flat_map(|query| url::parameters(query));
        let common = Request::new(Method::Get, String::new());
        let common = parameters.fold(common, |common, (name, value)| common.kept_query(&name, value));
        Self { base, query, common }
    }

    /// A header for every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.common = self.common.header(name, value);
        self
    }

    /// User and password for every request.
    #[must_use]
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.common = self.common.basic_auth(user, password);
        self
    }

    /// A bearer token for every request.
    #[must_use]
    pub fn bearer_auth(mut self, token: impl AsRef<str>) -> Self {
        self.common = self.common.bearer_auth(token);
        self
    }

    /// A parameter in the query of every request, an API key for instance. It stays where a page's URL replaces the
    /// query; where that URL has the parameter itself, its value counts, unless the client's is a secret.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.common = self.common.kept_query(name, value);
        self
    }

    /// A token for every request, which the source hands out for credentials.
    #[must_use]
    pub fn login(mut self, login: &Login) -> Self {
        self.common = self.common.login(login);
        self
    }

    /// Tells errors by more than the status: `judge` sees every answer and its body, and the error it returns is the
    /// request's. One that may pass (rate limited, transient) has the request sent again for about five minutes, after what
    /// the source asked for or exponential back-off with jitter, if the request may be sent twice. A body that is
    /// [streamed](Request::stream) shows as an empty text.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # let mut count = 0;
    /// # testing::serve(move |_| { count += 1; Answer::json(if count == 1 { r#"{"error":"throttled"}"# } else { "[]" }) });
    /// fn judge(_: &Response, body: &str) -> Result<()> {
    ///     match Record::from(body).get("error").as_deref() {
    ///         None => Ok(()),
    ///         Some("throttled") => Err(Error::rate_limited("throttled", None)),
    ///         Some(error) => Err(Error::source(error)),
    ///     }
    /// }
    /// let http = Client::new("https://api.example.com").judge(judge);
    /// let people: Vec<String> = http.get("people").send()?.json()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn judge(mut self, judge: fn(&Response, &str) -> Result<()>) -> Self {
        self.common = self.common.judged(judge);
        self
    }

    /// The time for one attempt up to the first byte of the answer. Default: the host's, 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.common = self.common.timeout(timeout);
        self
    }

    /// A GET request. `path` continues the base URL (`people`, `/people` and `people?all=1` are fine), or is a whole
    /// URL of its own.
    pub fn get(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Get, path.as_ref())
    }

    /// A HEAD request.
    pub fn head(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Head, path.as_ref())
    }

    /// A POST request. The host tries it once, unless it is marked [`idempotent`](Request::idempotent).
    pub fn post(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Post, path.as_ref())
    }

    /// A PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Put, path.as_ref())
    }

    /// A PATCH request. The host tries it once, unless it is marked [`idempotent`](Request::idempotent).
    pub fn patch(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Patch, path.as_ref())
    }

    /// A DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> Request {
        self.request(Method::Delete, path.as_ref())
    }

    /// The URL that `path` stands for in a request, with the query of the base URL.
    pub fn url(&self, path: &str) -> String {
        let url = self.target(path);
        match &self.query {
            Some(query) => format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' }),
            None => url,
        }
    }

    fn target(&self, path: &str) -> String {
        if url::is_absolute(path) {
            path.to_owned()
        } else if path.is_empty() {
            self.base.clone()
        } else {
            format!("{}/{}", self.base, path.trim_start_matches('/'))
        }
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let target = self.target(path);
        let base = if url::is_absolute(path) { url::split_origin(path).0 } else { &self.base };
        self.common.with_target(method, target, base)
    }
}
