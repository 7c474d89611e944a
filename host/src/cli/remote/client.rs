//! Asks a server: one request, one answer; what went wrong comes back as the error that the server told.

use std::ops::ControlFlow;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use model::error::{Code, Error, Result};
use server::types::{Identity, Page, ProblemDetails};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_mins(6);
/// Items asked for at once.
const PART: usize = 1_000;

/// A server, and the token to ask it with.
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: String,
}

/// A part of a path, so that whatever stands in it is one part.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Client {
    pub(super) fn new(server: &str, token: String) -> Result<Self> {
        let tls =
            sandbox::trusted_tls().map_err(|error| Error::new(Code::ServerUnreachable, "set up TLS").because(error))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .build()
            .map_err(|error| Error::new(Code::HostBug, "set up the client").because(error))?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned(), token })
    }

    /// The tenant that the token speaks for.
    pub(super) async fn own_tenant(&self) -> Result<String> {
        let identity: Identity = self.get("/v1/identity").await?;
        identity.tenant.ok_or_else(|| {
            Error::new(Code::Usage, "know which tenant is meant: the token is an operator's")
                .hint("Name it: --tenant NAME.")
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.send(self.request(Method::GET, path)).await?).await
    }

    /// The text at a path, as it is.
    pub(super) async fn text(&self, path: &str) -> Result<String> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        answer.text().await.map_err(|error| self.unreachable(error))
    }

    /// All items of a list, part after part.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let start = if path.contains('?') { '&' } else { '?' };
            let rest = after.map(|after: String| format!("&after={}", segment(&after))).unwrap_or_default();
            let part: Page<T> = self.get(&format!("{path}{start}limit={PART}{rest}")).await?;
            items.extend(part.items);
            match part.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        read(self.send(self.request(Method::PUT, path).body(json(body)?)).await?).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        read(self.send(self.request(Method::POST, path).body(json(body)?)).await?).await
    }

    /// A request that is answered with nothing.
    pub(super) async fn tell(&self, method: Method, path: &str) -> Result<()> {
        self.send(self.request(method, path)).await.map(drop)
    }

    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<T> {
        read(self.send(self.request(Method::POST, path).body(bytes)).await?).await
    }

    /// Hands over the lines of a stream of events as they come: the event's name and its data.
    pub(super) async fn follow(
        &self,
        path: &str,
        mut line: impl FnMut(&str, &str) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        // A stream has no end that could be waited for: what is silent for long sends a sign of life.
        let request = self.http.get(format!("{}{path}", self.server)).bearer_auth(&self.token);
        let mut answer = self.send(request).await?;
        let (mut rest, mut name) = (Vec::new(), String::new());
        while let Some(bytes) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let text: Vec<u8> = rest.drain(..=end).collect();
                let text = String::from_utf8_lossy(&text);
                let text = text.trim_end_matches(['\r', '\n']);
                if let Some(event) = text.strip_prefix("event: ") {
                    event.clone_into(&mut name);
                } else if let Some(data) = text.strip_prefix("data: ")
                    && line(&name, data)?.is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let address = format!("{}{path}", self.server);
        self.http.request(method, address).bearer_auth(&self.token).timeout(ANSWER_MAX)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        Err(told(status, &body))
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        Error::new(Code::ServerUnreachable, format!("ask the server {}", self.server))
            .hint("Is it there? --server URL names another one.")
            .because(error.without_url())
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| Error::new(Code::HostBug, "write a request").because(error))
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T> {
    let strange = || {
        Error::new(Code::ServerUnreachable, "understand the server's answer")
            .hint("Is it a server of this host's version?")
    };
    let bytes = answer.bytes().await.map_err(|error| strange().because(error))?;
    serde_json::from_slice(&bytes).map_err(|error| strange().because(error))
}

/// The error that the server told.
fn told(status: u16, body: &str) -> Error {
    let Ok(details) = serde_json::from_str::<ProblemDetails>(body) else {
        return Error::new(Code::ServerUnreachable, format!("be understood: something answered with status {status}"))
            .hint("Is it a server of this host's, or a proxy before it? --server URL names another one.");
    };
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == details.title).unwrap_or(Code::HostBug);
    let message = details.detail.strip_prefix("failed to ").unwrap_or(&details.detail);
    let error = Error::new(code, message);
    match details.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was_told() {
        let body = r#"{"type":"urn:elt:error:conflict","title":"conflict","status":409,"detail":"failed to start","hint":"Wait."}"#;
        let error = told(409, body);
        assert_eq!(
            (error.code(), error.to_string().as_str(), error.advice()),
            (Code::Conflict, "failed to start", Some("Wait."))
        );
        assert_eq!(told(502, "<html>").code(), Code::ServerUnreachable);
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(segment("a/../b"), "a%2F%2E%2E%2Fb");
    }
}
