//! `http`: hands requests to the client and answers back, as resources.

use wasmtime::component::Resource;

use super::end;
use crate::error::{Code, Error};
use crate::guest::Secrets;
use crate::guest::bindings::elt::connector::http;
use crate::guest::client::{self, ErrorKind, Failure, HttpError};
use crate::guest::instance::Guest;

/// A request under way; empty once it was waited for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it, which needs `pub`")]
pub struct PendingResponse(Option<client::Pending>);

/// An answer whose body may not be read yet.
#[expect(unreachable_pub, reason = "the generated bindings re-export it, which needs `pub`")]
pub struct OpenResponse(client::Response);

type Answer<T> = Result<T, http::Error>;

impl http::Host for Guest {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Answer<Resource<PendingResponse>>> {
        let Some(client) = &self.wires.client else {
            return Err(end(in_describe("send a request")));
        };
        match answer(&self.wires.secrets, client.send(request.into()))? {
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

    async fn protect(&mut self, secret: String, hosts: Vec<String>) -> wasmtime::Result<String> {
        if self.wires.client.is_none() {
            return Err(end(in_describe("protect a token")));
        }
        self.wires.secrets.protect(&secret, &hosts).map_err(end)
    }
}

impl http::HostPendingResponse for Guest {
    async fn wait(&mut self, pending: Resource<PendingResponse>) -> wasmtime::Result<Answer<Resource<OpenResponse>>> {
        let Some(taken) = self.resources.get_mut(&pending)?.0.take() else {
            return Err(end(Error::new(Code::OperationInvalid, "wait a second time for the same response")));
        };
        match answer(&self.wires.secrets, taken.wait().await)? {
            Ok(response) => Ok(Ok(self.resources.push(OpenResponse(response))?)),
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
        Ok(self.resources.get(&response)?.0.status())
    }

    async fn headers(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.resources.get(&response)?.0.headers().to_vec())
    }

    async fn url(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<String> {
        Ok(self.resources.get(&response)?.0.url().to_owned())
    }

    async fn read(&mut self, response: Resource<OpenResponse>, max_bytes: u32) -> wasmtime::Result<Answer<Vec<u8>>> {
        answer(&self.wires.secrets, self.resources.get_mut(&response)?.0.read(max_bytes.max(1)).await)
    }

    async fn read_all(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<Answer<Vec<u8>>> {
        answer(&self.wires.secrets, self.resources.get_mut(&response)?.0.read_all().await)
    }

    async fn drop(&mut self, response: Resource<OpenResponse>) -> wasmtime::Result<()> {
        self.resources.delete(response)?;
        Ok(())
    }
}

fn in_describe(what: &str) -> Error {
    let hint = "`describe` runs before there is a configuration.";
    Error::new(Code::OperationInvalid, format!("{what} in `describe`")).hint(hint)
}

/// What the guest is told, or the end of the sync.
fn answer<T>(secrets: &Secrets, result: Result<T, Failure>) -> wasmtime::Result<Answer<T>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Exchange(error)) => {
            let message = secrets.mask(&error.message).into_owned();
            Ok(Err(HttpError { message, ..error }.into()))
        }
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
