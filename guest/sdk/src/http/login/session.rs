//! A login by a request of the connector's own.

use super::answer::{Fields, Granted};
use super::send;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::json::Path;

/// The request, and where its answer holds what.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) request: Box<Request>,
    pub(super) fields: Fields,
    /// Where the request's JSON holds a refresh token.
    pub(super) refresh_at: Option<String>,
}

impl Session {
    pub(super) fn new(request: Request, token: Path) -> Self {
        let fields = Fields { token, lifetime: None, refresh: None };
        Self { request: Box::new(request), fields, refresh_at: None }
    }

    /// Asks for a token, by the refresh token that came last. Where that one is no good any more, the one of the
    /// configuration may be newer: somebody has agreed again.
    pub(super) fn ask(&self, latest: Option<&str>) -> Result<Granted> {
        let (Some(place), Some(latest)) = (&self.refresh_at, latest) else {
            return Granted::read(send(&self.request)?, &self.fields);
        };
        let request = (*self.request).clone().json_field(place, latest);
        match send(&request).and_then(|answer| Granted::read(answer, &self.fields)) {
            Err(Error::Authentication(_)) => Granted::read(send(&self.request)?, &self.fields),
            other => other,
        }
    }
}
