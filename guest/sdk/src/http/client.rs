//! What the requests to one source have in common: where it lives, its headers and its credentials.

use std::fmt;
use std::time::Duration;

use super::request::Request;
use super::url;
use crate::bindings::elt::connector::http::Method;

/// Makes requests that share a base URL, headers, credentials and a timeout. See [`crate::http`] for an example.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    common: Request,
}

impl Client {
    /// A client for the source at `base_url`, with or without a slash at its end; a query there is dropped.
    pub fn new(base_url: &str) -> Self {
        let base = url::up_to_query(base_url).trim_end_matches('/').to_owned();
        Self { base, common: Request::new(Method::Get, String::new()) }
    }

    /// A header for every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.common = self.common.header(name, value);
        self
    }

    /// User and password for every request.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.common = self.common.basic_auth(user, password);
        self
    }

    /// A bearer token for every request.
    #[must_use]
    pub fn bearer_auth(mut self, token: &str) -> Self {
        self.common = self.common.bearer_auth(token);
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

    fn request(&self, method: Method, path: &str) -> Request {
        let url = if url::is_absolute(path) {
            path.to_owned()
        } else if path.is_empty() {
            self.base.clone()
        } else {
            format!("{}/{}", self.base, path.trim_start_matches('/'))
        };
        self.common.with_target(method, url)
    }
}
