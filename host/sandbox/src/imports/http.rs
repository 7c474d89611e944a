//! `http`: hands requests to the client and answers back, as resources.

use bytes::Bytes;
use wasmtime::component::Resource;

use super::end;
use super::records::KeptRecords;
use crate::bindings::elt::connector::http;
use crate::client::{self, ErrorKind, Failure, HttpError};
use crate::exchange::{self, Open, Pending};
use crate::failure;
use crate::instance::Guest;
use crate::memory::Hold;
use crate::world::{BodyKind, Credentials, Crossing, Sent};
use model::LogLevel;
use model::error::{Code, Error};

/// A request under way; empty once it was waited for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it, which needs `pub`")]
pub struct PendingResponse(Option<Pending>);

/// An answer whose body may not be read yet.
#[expect(unreachable_pub, reason = "the generated bindings re-export it, which needs `pub`")]
pub struct OpenResponse {
    pub(super) open: Open,
    /// What of the body stays in the host is memory of the guest.
    pub(super) hold: Option<Hold>,
}

type Answer<T> = Result<T, http::Error>;

impl http::Host for Guest {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Answer<Resource<PendingResponse>>> {
        let Some(client) = &self.wires.client else {
            return Err(end(in_describe("send a request")));
        };
        let exchange = self.exchanges;
        self.exchanges += 1;
        let world = self.wires.world.as_ref().map(|world| (world, exchange));
        match answer(exchange::send(client, world, request))? {
            Ok(pending) => Ok(Ok(self.resources.push(PendingResponse(Some(pending)))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn fetch(&mut self, request: http::Request) -> wasmtime::Result<Answer<Resource<OpenResponse>>> {
        match self.send(request).await? {
            Ok(pending) => {
                let response = http::HostPendingResponse::wait(self, Resource::new_own(pending.rep())).await;
                self.resources.delete(pending)?;
                response
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn replace(&mut self, replaced: String, secret: String, hosts: Vec<String>) -> wasmtime::Result<String> {
        if self.wires.client.is_none() {
            return Err(end(in_describe("protect a token")));
        }
        if self.wires.world.as_ref().is_some_and(|world| !world.keeps_tokens()) {
            return self.protect(secret, hosts).await;
        }
        let secrets = self.wires.secrets.clone();
        // It waits for the disk.
        let kept = tokio::task::spawn_blocking(move || secrets.replace(&replaced, &secret, &hosts)).await;
        let kept = kept.map_err(|error| end(Error::new(Code::HostBug, "keep a token").because(error)))?.map_err(end)?;
        if let Some(error) = kept.not_kept {
            let message = format!("a new refresh token is in the connector's state only: {}", error.chain());
            self.wires.listener.log(LogLevel::Warning, &message);
        }
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Protected(&kept.placeholder));
        }
        Ok(kept.placeholder)
    }

    async fn protect(&mut self, secret: String, hosts: Vec<String>) -> wasmtime::Result<String> {
        if self.wires.client.is_none() {
            return Err(end(in_describe("protect a token")));
        }
        let known = self.wires.world.as_ref().and_then(|world| world.protect(&secret));
        let placeholder = known.map_or_else(|| self.wires.secrets.protect(&secret, &hosts), Ok).map_err(end)?;
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Protected(&placeholder));
        }
        Ok(placeholder)
    }
}

impl http::HostPendingResponse for Guest {
    async fn wait(&mut self, pending: Resource<PendingResponse>) -> wasmtime::Result<Answer<Resource<OpenResponse>>> {
        let Some(taken) = self.resources.get_mut(&pending)?.0.take() else {
            return Err(end(Error::new(Code::OperationInvalid, "wait a second time for the same response")));
        };
        match answer(taken.wait().await)? {
            Ok(open) => Ok(Ok(self.resources.push(OpenResponse { open, hold: None })?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn drop(&mut self, pending: Resource<PendingResponse>) -> wasmtime::Result<()> {
        self.resources.delete(pending)?;
        Ok(())
    }
}

impl http::HostResponse for Guest {
    async fn status(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<u16> {
        Ok(self.resources.get(&response)?.open.status())
    }

    async fn headers(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.resources.get(&response)?.open.headers().to_vec())
    }

    async fn url(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<String> {
        Ok(self.resources.get(&response)?.open.url().to_owned())
    }

    async fn read(&mut self, response: Resource<OpenResponse>, max_bytes: u32) -> wasmtime::Result<Answer<Vec<u8>>> {
        answer(self.resources.get_mut(&response)?.open.read(max_bytes).await)
    }

    async fn read_all(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<Answer<Vec<u8>>> {
        let response = self.resources.get_mut(&response)?;
        let body = response.open.read_all().await;
        response.hold = None;
        answer(body)
    }

    async fn peek_all(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<Answer<Vec<u8>>> {
        let body = self.peeked(&response).await?;
        Ok(body.map(Into::into))
    }

    async fn records(
        &mut self,
        response: Resource<OpenResponse>,
        pointer: String,
    ) -> wasmtime::Result<Result<Resource<KeptRecords>, http::NoRecords>> {
        self.find_records(&response, &pointer).await
    }

    async fn drop(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<()> {
        self.resources.delete(response)?;
        Ok(())
    }
}

impl Guest {
    /// The rest of a body, which stays to be read again and counts as memory of the guest until then.
    pub(super) async fn peeked(&mut self, response: &Resource<OpenResponse>) -> wasmtime::Result<Answer<Bytes>> {
        let response = self.resources.get_mut(response)?;
        let body = match answer(response.open.peek_all().await)? {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        if response.hold.is_none() {
            response.hold = self.memory.hold(body.len());
            if response.hold.is_none() {
                return Err(end(failure::too_much_memory(self)));
            }
        }
        Ok(Ok(body))
    }
}

fn in_describe(what: &str) -> Error {
    let hint = "`describe` runs before there is a configuration.";
    Error::new(Code::OperationInvalid, format!("{what} in `describe`")).hint(hint)
}

/// What the guest is told, or the end of the sync.
fn answer<T>(result: Result<T, Failure>) -> wasmtime::Result<Answer<T>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Exchange(error)) => Ok(Err(error.into())),
        Err(Failure::Sync(error)) => Err(end(error)),
    }
}

impl From<HttpError> for http::Error {
    fn from(from: HttpError) -> Self {
        let kind = match from.kind {
            ErrorKind::Denied => http::ErrorKind::Denied,
            ErrorKind::InvalidRequest => http::ErrorKind::InvalidRequest,
            ErrorKind::Connect => http::ErrorKind::Connect,
            ErrorKind::Timeout => http::ErrorKind::Timeout,
            ErrorKind::Protocol => http::ErrorKind::Protocol,
            ErrorKind::Redirect => http::ErrorKind::Redirect,
            ErrorKind::RateLimited => http::ErrorKind::RateLimited,
        };
        Self { kind, message: from.message, retry_after_ms: from.retry_after_ms }
    }
}

impl From<http::Request> for client::Request {
    fn from(from: http::Request) -> Self {
        Self {
            method: from.method.into(),
            url: from.url,
            query: from.query,
            headers: from.headers,
            authentication: from.authentication.map(|authentication| match authentication {
                http::Authentication::Basic((user, password)) => client::Authentication::Basic(user, password),
                http::Authentication::Bearer(token) => client::Authentication::Bearer(token),
            }),
            body: from.body.map(|body| match body {
                http::Body::Json(bytes) => client::Body::Json(bytes),
                http::Body::Form(fields) => client::Body::Form(fields),
                http::Body::Bytes(bytes) => client::Body::Bytes(bytes),
            }),
            idempotent: from.idempotent,
            buffer: from.buffer,
            timeout_ms: from.timeout_ms,
        }
    }
}

impl From<&http::Request> for Sent {
    fn from(from: &http::Request) -> Self {
        let (body_kind, body) = match &from.body {
            None => (None, Vec::new()),
            Some(http::Body::Json(bytes)) => (Some(BodyKind::Json), bytes.clone()),
            // Lists of texts can always be written.
            Some(http::Body::Form(fields)) => (Some(BodyKind::Form), serde_json::to_vec(fields).unwrap_or_default()),
            Some(http::Body::Bytes(bytes)) => (Some(BodyKind::Bytes), bytes.clone()),
        };
        Self {
            method: reqwest::Method::from(client::Method::from(from.method)).to_string(),
            url: from.url.clone(),
            query: from.query.clone(),
            headers: from.headers.clone(),
            authentication: from.authentication.as_ref().map(|authentication| match authentication {
                http::Authentication::Basic((user, password)) => Credentials::Basic(user.clone(), password.clone()),
                http::Authentication::Bearer(token) => Credentials::Bearer(token.clone()),
            }),
            body_kind,
            body,
            idempotent: from.idempotent,
            buffer: from.buffer,
            timeout_ms: from.timeout_ms,
        }
    }
}

impl From<http::Method> for client::Method {
    fn from(from: http::Method) -> Self {
        match from {
            http::Method::Get => Self::Get,
            http::Method::Head => Self::Head,
            http::Method::Post => Self::Post,
            http::Method::Put => Self::Put,
            http::Method::Patch => Self::Patch,
            http::Method::Delete => Self::Delete,
            http::Method::Options => Self::Options,
        }
    }
}
