//! One request, put together call by call.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::graphql::Tolerated;
use super::login::Login;
use super::poll::Poll;
use super::response::{Pending, Response};
use super::{failure, graphql, url};
use crate::bindings::elt::connector::http::{self as wit, Authentication, Body, Method};
use crate::error::{Error, Result};
use crate::imports;
use crate::json;
use crate::pagination::{Page, Pages, Pagination};
use crate::record::Record;
use crate::state::State;

/// Tells an error from an answer by what is in it, see [`Client::judge`](super::Client::judge).
pub(super) type Judge = fn(&Response, &str) -> Result<()>;

/// A request under construction; [`send`](Self::send), [`start`](Self::start) or [`pages`](Self::pages) send it.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    inner: wit::Request,
    /// Where the client's source lives: what the next page's URL is taken from.
    base: String,
    /// So many parameters of the query are the client's and go with every request.
    kept: usize,
    login: Option<Login>,
    judges: Vec<Judge>,
    /// Whether it is a GraphQL question, and which errors beside its data are no reason to refuse them.
    graphql: Option<Tolerated>,
    /// Whether an answer without the array of records has none.
    none_if_missing: bool,
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
        Self {
            inner,
            base: String::new(),
            kept: 0,
            login: None,
            judges: Vec::new(),
            graphql: None,
            none_if_missing: false,
            failure: None,
        }
    }

    /// The same headers and credentials for another method and URL.
    pub(crate) fn with_target(&self, method: Method, url: String, base: &str) -> Self {
        let mut request = self.clone();
        (request.inner.method, request.inner.url) = (method, url);
        base.clone_into(&mut request.base);
        request
    }

    /// The cursor for a URL that was found in the answer of `place`: without the host, which may be another one
    /// tomorrow, and without what the client adds to every request. `elsewhere`: another host is kept.
    pub(crate) fn cursor_of_url(&self, place: &str, reference: &str, elsewhere: bool) -> String {
        let whole = url::join(place, reference.trim());
        let whole = url::retain(&whole, |name, value| !self.adds(name, value));
        if elsewhere && !url::is_same_origin(&self.base, &whole) {
            return whole;
        }
        url::relative(&self.base, &whole)
    }

    /// The same for the URL that such a cursor stands for; its query is all there is, but for what the client adds.
    pub(crate) fn at(mut self, cursor: &str, elsewhere: bool) -> Self {
        let whole = elsewhere && url::is_absolute(cursor);
        let url = if whole { cursor.to_owned() } else { url::resolve(&self.base, cursor) };
        let url = url::retain(&url, |name, value| !self.adds(name, value));
        self = self.without_query();
        // The source's own value of a parameter fits its page.
        self.inner.query.retain(|(name, _)| !url::has_parameter(&url, name));
        self.kept = self.inner.query.len();
        self.inner.url = url;
        self
    }

    /// Whether a parameter in a URL of the source's is one that goes with every request anyway: a credential that was
    /// echoed, whatever has become of its value, or just the same again.
    fn adds(&self, name: &str, value: &str) -> bool {
        let is_secret = |value: &str| ["elt_secret_", "elt_token_"].iter().any(|mark| value.contains(mark));
        let own = &self.inner.query[..self.kept];
        let same = |(own, of): &(String, String)| own == name && (of == value || is_secret(of));
        own.iter().any(same) || self.login.as_ref().and_then(Login::parameter_name) == Some(name)
    }

    /// Without its query, but for what the client adds to every request.
    pub(crate) fn without_query(mut self) -> Self {
        self.inner.query.truncate(self.kept);
        self
    }

    /// A problem to be told when it is sent.
    pub(crate) fn fail(mut self, problem: impl fmt::Display) -> Self {
        self.failure = Some(Error::internal(problem));
        self
    }

    /// Sets a parameter of the query, in the place of one of that name if there is any.
    pub(crate) fn put_query(mut self, name: &str, value: &str) -> Self {
        if url::has_parameter(&self.inner.url, name) {
            self.inner.url = url::retain(&self.inner.url, |of, _| of != name);
        }
        let Some(first) = self.inner.query.iter().position(|(of, _)| of == name) else {
            return self.query(name, value);
        };
        value.clone_into(&mut self.inner.query[first].1);
        let mut at = 0;
        self.inner.query.retain(|(of, _)| (at <= first || of != name, at += 1).0);
        self
    }

    /// Sets a header, in the place of one of that name if there is any.
    pub(crate) fn put_header(mut self, name: &str, value: &str) -> Self {
        self.inner.headers.retain(|(of, _)| !of.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Sets a value in the body: a field of a form, or a value of JSON in the type it is of.
    pub(crate) fn put_body(mut self, name: &str, value: &RawValue) -> Self {
        match &mut self.inner.body {
            Some(Body::Form(fields)) => {
                fields.retain(|(of, _)| of != name);
                fields.push((name.to_owned(), json::text(value).unwrap_or_default()));
                self
            }
            _ => self.json_field(name, value),
        }
    }

    /// Adds a parameter that goes with every request, before all others.
    pub(super) fn kept_query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.inner.query.insert(self.kept, (name.to_owned(), value.to_string()));
        self.kept += 1;
        self
    }

    pub(super) fn login(mut self, login: &Login) -> Self {
        self.login = Some(login.clone());
        self
    }

    pub(super) fn judged(mut self, judge: Judge) -> Self {
        self.judges.push(judge);
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
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.inner.authentication =
            Some(Authentication::Basic((user.as_ref().to_owned(), password.as_ref().to_owned())));
        self
    }

    /// `Authorization: Bearer <token>`.
    pub fn bearer_auth(mut self, token: impl AsRef<str>) -> Self {
        self.inner.authentication = Some(Authentication::Bearer(token.as_ref().to_owned()));
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

    /// Sets one value in the JSON body, at a field's name or a JSON pointer (`/variables/after`); objects on the way
    /// are made where they are missing.
    pub fn json_field(mut self, field: &str, value: impl Serialize) -> Self {
        let body = match &self.inner.body {
            Some(Body::Json(text)) => text.as_slice(),
            None => b"{}",
            Some(_) => {
                let problem = format_args!("`{field}` is to go into a body of JSON, and the body is another one");
                self.failure = Some(Error::internal(problem));
                return self;
            }
        };
        match json::set(body, field, &value) {
            Ok(text) => self.inner.body = Some(Body::Json(text)),
            Err(error) => self.failure = Some(Error::internal(format_args!("the body has no `{field}`: {error}"))),
        }
        self
    }

    /// A GraphQL query and its variables. An answer with `errors` is an error, whatever its status: `RATE_LIMITED`
    /// and the like are tried again, credentials that were refused are an authentication error. Data beside errors is
    /// half an answer; see [`tolerate`](Self::tolerate).
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"data": {"team": {"members": {"nodes": [{"id": 1}],
    /// #     "pageInfo": {"hasNextPage": false, "endCursor": null}}}}}"#));
    /// const MEMBERS: &str = "query($team: String!, $after: String) {
    ///     team(name: $team) { members(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }
    /// }";
    /// let request = Client::new("https://api.example.com").post("graphql").graphql(MEMBERS, &json!({"team": "core"}));
    /// for page in request.pages("/data/team/members/nodes", PageInfo::new("after", "/data/team/members/pageInfo")) {
    ///     assert_eq!(page?.len(), 1);
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn graphql(self, query: &str, variables: &(impl Serialize + ?Sized)) -> Self {
        let body = graphql::Body { query, variables };
        let mut request = self.json(&body).idempotent(true);
        request.graphql = Some(|_| false);
        request
    }

    /// Takes the data of a GraphQL answer although it comes with errors, if `tolerated` says so of every one of them: a
    /// field that this user may not see, a node that is gone meanwhile. They are told as a warning. An answer without data
    /// is an error all the same.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"data": {"teams": [{"id": 1, "owner": null}]},
    /// #     "errors": [{"message": "m", "type": "FORBIDDEN", "path": ["teams", 0, "owner"]}]}"#));
    /// let request = Client::new("https://api.example.com").post("graphql").graphql("{ teams { id owner } }", &json!({}));
    /// let request = request.tolerate(|error| error.get("type").as_deref() == Some("FORBIDDEN"));
    /// assert_eq!(request.page("/data/teams")?.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tolerate(mut self, tolerated: fn(&Record) -> bool) -> Self {
        self.graphql = Some(tolerated);
        self
    }

    /// Takes an answer without the array of records as one that has none, also where what holds the array is null or
    /// missing. Without this call such an answer is an error: it may be one of another kind. One that reports an `error`
    /// stays an error.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"total": 0, "data": null}"#));
    /// let http = Client::new("https://api.example.com");
    /// assert!(http.get("orders").none_if_missing().page("/data/orders")?.is_empty());
    /// assert!(http.get("orders").page("/data/orders").is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn none_if_missing(mut self) -> Self {
        self.none_if_missing = true;
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
        if self.may_come_again() {
            return self.start()?.wait();
        }
        self.check()?;
        let answer = imports::fetch(&self.inner).map_err(failure::from_exchange)?;
        Ok(Response::new(self.inner.method, answer))
    }

    /// Sends it and returns at once; several may be under way, see [`ahead`](super::ahead()).
    pub fn start(self) -> Result<Pending> {
        let pending = self.attempt()?;
        Ok(if self.may_come_again() { pending.settled(self) } else { pending })
    }

    /// Whether its answer may be a reason to send it again.
    fn may_come_again(&self) -> bool {
        self.login.is_some() || !self.judges.is_empty() || self.graphql.is_some()
    }

    /// Sends it and gives the answer unless it is the one of last time: the state keeps the answer's `ETag` (or
    /// `Last-Modified`) under `key`, and a source that knows it has nothing new says so by status 304. An error status
    /// is an error here.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|asked| match asked.header("if-none-match").as_deref() {
    /// #     Some("\"v7\"") => Answer::status(304),
    /// #     _ => Answer::json("[]").header("etag", "\"v7\""),
    /// # });
    /// fn rates(http: &Client, state: &mut State, operations: &mut Operations) -> Result<()> {
    ///     let Some(answer) = http.get("rates").send_if_changed(state, "rates")? else {
    ///         return Ok(()); // 304: nothing to do
    ///     };
    ///     operations.upsert_all("rates", answer.json::<Vec<Box<elt_sdk::RawValue>>>()?)?;
    ///     operations.checkpoint(state) // the rows and their ETag become durable together
    /// }
    /// # let mut state = State::default();
    /// # assert!(Client::new("https://x.test").get("rates").send_if_changed(&mut state, "rates")?.is_some());
    /// # assert!(Client::new("https://x.test").get("rates").send_if_changed(&mut state, "rates")?.is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn send_if_changed(self, state: &mut State, key: &str) -> Result<Option<Response>> {
        let request = match state.get(key) {
            Some(tag) if tag.ends_with('"') => self.header("if-none-match", tag),
            Some(date) => self.header("if-modified-since", date),
            None => self,
        };
        let answer = request.send()?;
        if answer.status() == 304 {
            return Ok(None);
        }
        let answer = answer.error_for_status()?;
        match answer.header("etag").or_else(|| answer.header("last-modified")) {
            Some(version) => state.set(key, version)?,
            None => state.remove(key),
        }
        Ok(Some(answer))
    }

    /// Asks page after page. `records` names the array in each answer: a field (`items`), a JSON pointer
    /// (`/data/items`), or `""` where the answer is the array. The first page is asked for at once, the next one while
    /// a page is worked on.
    pub fn pages<P: Pagination>(self, records: impl AsRef<str>, pagination: P) -> Pages<P> {
        Pages::new(self, records.as_ref(), pagination)
    }

    /// Asks for a list that comes in one answer. `records` names its array as for [`pages`](Self::pages).
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"teams": [{"id": 1}]}"#));
    /// let teams = Client::new("https://api.example.com").get("teams").page("teams")?;
    /// assert_eq!(teams.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn page(self, records: impl AsRef<str>) -> Result<Page> {
        let none_if_missing = self.none_if_missing;
        Page::read(self.send()?, &json::Path::new(records.as_ref()), none_if_missing)
    }

    /// Whether an answer without the array of records has none.
    pub(crate) fn takes_missing_as_none(&self) -> bool {
        self.none_if_missing
    }

    /// Asks until what was ordered is ready: a report, an export. See [`Poll`].
    pub fn poll(self, poll: &Poll) -> Result<Record<'static>> {
        poll.wait(&self)
    }

    /// Sends a copy with a token, and knows nothing of later attempts.
    pub(super) fn attempt(&self) -> Result<Pending> {
        self.check()?;
        let Some(login) = &self.login else {
            return Pending::send(&self.inner, 0);
        };
        let (request, generation) = login.apply(self.clone())?;
        Pending::send(&request.inner, generation)
    }

    /// What the judges say of an answer; its body is read for them unless it is a stream.
    pub(super) fn judge(&self, answer: &Response) -> Result<()> {
        if self.judges.is_empty() && self.graphql.is_none() {
            return Ok(());
        }
        let body = if self.inner.buffer { answer.peek()? } else { String::new() };
        self.judges.iter().try_for_each(|judge| judge(answer, &body))?;
        self.graphql.map_or(Ok(()), |tolerated| graphql::judge(answer, &body, tolerated))
    }

    pub(super) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Gets another token because the one of `generation` was refused.
    pub(super) fn renew_login(&self, generation: u64) -> Result<()> {
        self.login.as_ref().map_or(Ok(()), |login| login.refused(generation))
    }

    /// Whether it may be sent twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.inner.idempotent || !matches!(self.inner.method, Method::Post | Method::Patch)
    }

    fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

/// Method and URL without its query; headers and bodies may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", failure::method_name(self.inner.method), url::without_query(&self.inner.url))
    }
}
