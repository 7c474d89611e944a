//! Tokens that a source hands out for credentials: OAuth2 and sessions. The host keeps them; the connector and its state
//! hold placeholders.

mod answer;
mod oauth2;
mod session;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::again::Patience;
use super::request::Request;
use super::response::Response;
use crate::error::{Error, Result};
use crate::json::Path;
use crate::state::State;
use crate::time::Timestamp;
use answer::Granted;
use oauth2::OAuth2;
use session::Session;

/// How a [`Client`](super::Client) comes by its token, where the token goes, and when it is renewed: shortly before it
/// expires, and once where the source refuses it (401). Clones share one token.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|asked| match asked.path() {
/// #     "/token" => Answer::json(r#"{"access_token": "t", "expires_in": 3600}"#),
/// #     _ => Answer::json(if asked.header("authorization").as_deref() == Some("Bearer t") { "[]" } else { "?" }),
/// # });
/// let login = Login::client_credentials("https://auth.example.com/token", "id", "secret").parameter("scope", "read");
/// let http = Client::new("https://api.example.com").login(&login);
/// let people: Vec<String> = http.get("people").send()?.json()?;
/// # Ok::<(), Error>(())
/// ```
///
/// A source that gives out a new refresh token at each renewal takes the old one back: [`save`](Self::save) the login
/// with every checkpoint, and [`resume`](Self::resume) it.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// # use elt_sdk::prelude::*;
/// # testing::serve(|_| Answer::json(r#"{"access_token": "t", "refresh_token": "r2"}"#));
/// fn connect(configuration: &Configuration, state: &mut State, operations: &mut Operations) -> Result<Client> {
///     let [id, secret] = ["client_id", "client_secret"].map(|field| configuration.required(field));
///     let login = Login::refresh_token("https://auth.example.com/token", id?, secret?, configuration.required("refresh_token")?)
///         .resume(state, "login")?;
///     login.renew()?;
///     login.save(state, "login")?;
///     operations.checkpoint(state)?; // from here on the new refresh token is safe
///     Ok(Client::new("https://api.example.com").login(&login))
/// }
/// ```
#[derive(Clone)]
pub struct Login {
    grant: Grant,
    place: Place,
    tokens: Rc<RefCell<Tokens>>,
}

/// What brings a token.
#[derive(Clone)]
enum Grant {
    OAuth2(OAuth2),
    /// A request of the connector's own, whose answer holds the token.
    Session(Session),
    /// One whose answer sets cookies.
    Cookie(Box<Request>),
}

/// Where a request carries the token.
#[derive(Clone)]
enum Place {
    Bearer,
    /// A header's name, and what its value begins with.
    Header(String, String),
    Query(String),
}

/// What the source gave out, as the host's placeholders.
#[derive(Default)]
struct Tokens {
    access: Option<String>,
    /// When to ask for another one; `None`: when it is refused.
    renew_at: Option<Timestamp>,
    refresh: Option<String>,
    /// How often it was renewed: a request that was refused knows whether that is news.
    generation: u64,
}

/// The form of a login in the state.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl Login {
    /// OAuth2 with the connector's own credentials (RFC 6749, 4.4).
    pub fn client_credentials(
        token_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self::new(Grant::OAuth2(OAuth2::new(token_url.into(), client_id.into(), client_secret.into(), None)))
    }

    /// OAuth2 on behalf of a person, who once agreed and left a refresh token (RFC 6749, 6).
    pub fn refresh_token(
        token_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        refresh_token: impl Into<String>,
    ) -> Self {
        let refresh_token = Some(refresh_token.into());
        Self::new(Grant::OAuth2(OAuth2::new(token_url.into(), client_id.into(), client_secret.into(), refresh_token)))
    }

    /// A session: `request` logs in, and its JSON answer holds the token at `token`, a field's name or a JSON pointer.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|asked| match asked.path() {
    /// #     "/login" => Answer::json(r#"{"session": {"token": "t"}}"#),
    /// #     _ => Answer::json(format!("{:?}", asked.header("x-session").unwrap())),
    /// # });
    /// let http = Client::new("https://api.example.com");
    /// let request = http.post("login").json(&json!({"user": "ada", "password": "p"}));
    /// let http = http.login(&Login::session(request, "/session/token").header("x-session", ""));
    /// # assert_eq!(http.get("me").send()?.json::<String>()?, "t");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn session(request: Request, token: impl AsRef<str>) -> Self {
        Self::new(Grant::Session(Session::new(request, Path::new(token.as_ref()))))
    }

    /// A session by cookies: `request` logs in, and what its answer sets by `Set-Cookie` goes with every request.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|asked| match asked.path() {
    /// #     "/login" => Answer::json("{}").header("set-cookie", "sid=7; Path=/; HttpOnly").header("set-cookie", "csrf=x"),
    /// #     _ => Answer::status(if asked.header("cookie").as_deref() == Some("sid=7; csrf=x") { 200 } else { 401 }),
    /// # });
    /// let http = Client::new("https://api.example.com");
    /// let request = http.post("login").form([("user", "ada"), ("password", "p")]);
    /// let http = http.login(&Login::cookie(request));
    /// # assert_eq!(http.get("me").send()?.status(), 200);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cookie(request: Request) -> Self {
        Self::new(Grant::Cookie(Box::new(request))).header("Cookie", "")
    }

    fn new(grant: Grant) -> Self {
        Self { grant, place: Place::Bearer, tokens: Rc::default() }
    }

    /// Adds a field to the form of an OAuth2 request (`scope`, `audience`), or a parameter to the query of a session's.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        match &mut self.grant {
            Grant::OAuth2(oauth2) => oauth2.parameters.push((name, value)),
            Grant::Session(Session { request, .. }) | Grant::Cookie(request) => {
                **request = request.clone().query(&name, value);
            }
        }
        self
    }

    /// Sends client id and secret of OAuth2 as user and password instead of in the form.
    #[must_use]
    pub fn basic(mut self) -> Self {
        if let Grant::OAuth2(oauth2) = &mut self.grant {
            oauth2.basic = true;
        }
        self
    }

    /// Where a session's answer holds the token's lifetime in seconds. Without it the token is used until it is
    /// refused; OAuth2 has `expires_in`.
    #[must_use]
    pub fn lifetime(mut self, field: impl AsRef<str>) -> Self {
        if let Grant::Session(session) = &mut self.grant {
            session.fields.lifetime = Some(Path::new(field.as_ref()));
        }
        self
    }

    /// For a session that is opened by a refresh token: the answer holds the next one at `answered`, and it goes into the
    /// request's JSON at `asked` from then on, both a field's name or a JSON pointer. As with
    /// [`refresh_token`](Self::refresh_token): [`save`](Self::save) the login and [`resume`](Self::resume) it.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"data": {"access": "a", "refresh": "r2"}}"#));
    /// let http = Client::new("https://api.example.com");
    /// let request = http.post("auth/refresh").json(&json!({"token": {"refresh": "r1"}}));
    /// let login = Login::session(request, "/data/access").rotating("/token/refresh", "/data/refresh");
    /// # login.renew()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn rotating(mut self, asked: impl Into<String>, answered: impl AsRef<str>) -> Self {
        if let Grant::Session(session) = &mut self.grant {
            session.refresh_at = Some(asked.into());
            session.fields.refresh = Some(Path::new(answered.as_ref()));
        }
        self
    }

    /// Sends the token in this header behind `prefix` (`"Token "`, or nothing) instead of as a bearer token.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.place = Place::Header(name.into(), prefix.into());
        self
    }

    /// Sends the token as this parameter of the query instead of as a bearer token.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.place = Place::Query(name.into());
        self
    }

    /// Goes on with what an earlier sync [saved](Self::save) under `key`.
    pub fn resume(self, state: &State, key: impl AsRef<str>) -> Result<Self> {
        if let Some(Saved { access_token, renew_at, refresh_token }) = state.parse(key)? {
            *self.tokens.borrow_mut() =
                Tokens { access: access_token, renew_at, refresh: refresh_token, generation: 0 };
        }
        Ok(self)
    }

    /// Writes down under `key` what the source gave out, as placeholders; the checkpoint is yours to make.
    pub fn save(&self, state: &mut State, key: impl AsRef<str>) -> Result<()> {
        let Tokens { access, renew_at, refresh, .. } = &*self.tokens.borrow();
        let saved = Saved { access_token: access.clone(), renew_at: *renew_at, refresh_token: refresh.clone() };
        state.set(key, saved)
    }

    /// Gets a new token now, if the one there is has not long to live.
    pub fn renew(&self) -> Result<()> {
        self.current().map(drop)
    }

    /// The parameter of the query that the token is sent as, where it is.
    pub(super) fn parameter_name(&self) -> Option<&str> {
        match &self.place {
            Place::Query(name) => Some(name),
            Place::Bearer | Place::Header(..) => None,
        }
    }

    /// The request with a token that should do, and the token's generation.
    pub(super) fn apply(&self, request: Request) -> Result<(Request, u64)> {
        let (token, generation) = self.current()?;
        let request = match &self.place {
            Place::Bearer => request.bearer_auth(&token),
            Place::Header(name, prefix) => request.header(name, format_args!("{prefix}{token}")),
            Place::Query(name) => request.query(name, token),
        };
        Ok((request, generation))
    }

    /// Gets another token because the one of `generation` was refused.
    pub(super) fn refused(&self, generation: u64) -> Result<()> {
        // Another request may have been refused, and have renewed it, before.
        if self.tokens.borrow().generation == generation { self.grant() } else { Ok(()) }
    }

    fn current(&self) -> Result<(String, u64)> {
        let usable = {
            let tokens = self.tokens.borrow();
            tokens.access.is_some() && tokens.renew_at.is_none_or(|at| Timestamp::now() < at)
        };
        if !usable {
            self.grant()?;
        }
        let tokens = self.tokens.borrow();
        let token = tokens.access.clone().ok_or_else(|| Error::internal("there is no token"))?;
        Ok((token, tokens.generation))
    }

    fn grant(&self) -> Result<()> {
        let refresh = self.tokens.borrow().refresh.clone();
        let granted = match &self.grant {
            Grant::OAuth2(oauth2) => oauth2.ask(refresh.as_deref())?,
            Grant::Session(session) => session.ask(refresh.as_deref())?,
            Grant::Cookie(request) => Granted::cookies(send(request)?)?,
        };
        let mut tokens = self.tokens.borrow_mut();
        tokens.access = Some(granted.access);
        tokens.renew_at = granted.lifetime.map(|lifetime| Timestamp::now() + lifetime.saturating_sub(margin(lifetime)));
        tokens.refresh = granted.refresh.or(refresh);
        tokens.generation += 1;
        Ok(())
    }
}

/// Sends a login. One that the source was too busy for (429, 503) was not processed: it is sent again here where the host
/// does not do so because it may not be sent twice.
fn send(request: &Request) -> Result<Response> {
    let mut patience = Patience::default();
    loop {
        let answer = request.clone().send()?;
        let is_busy = !request.is_repeatable() && matches!(answer.status(), 429 | 503);
        if !is_busy || !patience.wait(&Error::rate_limited("", answer.retry_after())) {
            return Ok(answer);
        }
    }
}

/// How long before its end a token is renewed: requests take their time, and clocks differ.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 10).min(Duration::from_mins(1))
}

/// The kind alone: everything else is secret or leads there.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.grant {
            Grant::OAuth2(_) => "Login by OAuth2",
            Grant::Session(_) => "Login by a session",
            Grant::Cookie(_) => "Login by cookies",
        })
    }
}
