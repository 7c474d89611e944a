//! One request, put together call by call.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::failure;
use super::response::{Pending, Response};
use crate::bindings::elt::connector::http::{self as wit, Authentication, Body, Method};
use crate::error::{Error, Result};
use crate::imports;
use crate::pagination::{Pages, Pagination};

/// A request under construction; [`send`](Self::send), [`start`](Self::start) or [`pages`](Self::pages) send it.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    inner: wit::Request,
    /// What went wrong while it was put together; told when it is sent.
    failure: Option<Error>,
}

impl Request {
    pub(crate) fn new(method: Method, url: String) -> Self {
        let inner = wit::Request {
            method,
            url,
            query: Vec::new(),
            headers: Vec::new(),
            authentication: None,
            body: None,
            idempotent: false,
            buffer: true,
            timeout_ms: None,
        };
        Self { inner, failure: None }
    }

    /// The same headers and credentials for another method and URL.
    pub(crate) fn with_target(&self, method: Method, url: String) -> Self {
        let mut request = self.clone();
        (request.inner.method, request.inner.url) = (method, url);
        request
    }

    /// Another URL, whose query is all there is.
    pub(crate) fn at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.inner.url);
        self.inner.query.clear();
        self
    }

    /// Adds a parameter to the query; the host encodes it.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.inner.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a parameter to the query where there is a value.
    pub fn query_if(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.inner.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// User and password. The host puts a secret password in.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.inner.authentication = Some(Authentication::Basic((user.to_owned(), password.to_owned())));
        self
    }

    /// `Authorization: Bearer <token>`.
    pub fn bearer_auth(mut self, token: &str) -> Self {
        self.inner.authentication = Some(Authentication::Bearer(token.to_owned()));
        self
    }

    /// A body of JSON: `json!({"since": since})`, or anything that serialises.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(text) => self.inner.body = Some(Body::Json(text)),
            Err(error) => self.failure = Some(Error::internal(format_args!("the body has no JSON form: {error}"))),
        }
        self
    }

    /// A body of form fields, encoded by the host.
    pub fn form<K: fmt::Display, V: fmt::Display>(mut self, fields: impl IntoIterator<Item = (K, V)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        self.inner.body = Some(Body::Form(fields));
        self
    }

    /// A body of bytes; say what they are by the header `content-type`.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inner.body = Some(Body::Bytes(bytes.into()));
        self
    }

    /// Whether it may be sent twice although its method is not idempotent, as a search by POST.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.inner.idempotent = idempotent;
        self
    }

    /// Leaves the body at the source until it is read, piece by piece. Without it the host reads the whole body first,
    /// and tries again where it is cut.
    pub fn stream(mut self) -> Self {
        self.inner.buffer = false;
        self
    }

    /// The time for one attempt up to the first byte of the answer, in whole milliseconds, at least one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.inner.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1));
        self
    }

    /// Sends it and waits for the answer. An answer with an error status is an answer:
    /// [`Response::json`] and [`Response::error_for_status`] make an error of it.
    pub fn send(self) -> Result<Response> {
        self.check()?;
        let answer = imports::fetch(&self.inner).map_err(failure::from_exchange)?;
        Ok(Response::new(self.inner.method, answer))
    }

    /// Sends it and returns at once; several may be under way, see [`ahead`](super::ahead()).
    pub fn start(self) -> Result<Pending> {
        self.check()?;
        let pending = imports::send(&self.inner).map_err(failure::from_exchange)?;
        Ok(Pending::new(self.inner.method, pending))
    }

    /// Asks page after page. `records` names the array in each answer: a field (`items`), a JSON pointer
    /// (`/data/items`), or `""` where the answer is the array. The first page is asked for at once, the next one while
    /// a page is worked on.
    pub fn pages<P: Pagination>(self, records: &str, pagination: P) -> Pages<P> {
        Pages::new(self, records, pagination)
    }

    fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

/// Method and URL without its query; headers and bodies may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", failure::method_name(self.inner.method), super::url::without_query(&self.inner.url))
    }
}
