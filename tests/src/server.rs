//! A server of the host as its users meet it: a process with an API.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::host::{Host, Running};

/// Longer than anything that is waited for takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(10);

/// A running server. Dropping it kills it, as `kill -9` does.
#[derive(Debug)]
pub struct Server {
    process: Option<Running>,
    address: String,
    /// The operator's token.
    pub operator: String,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Server {
    /// Makes the data folder in the host's folder and starts a server there.
    ///
    /// # Errors
    /// When it cannot be made or does not listen.
    pub fn start(host: &Host, more: &[&str]) -> Result<Self> {
        let token = host.run(&["serve", "--data", "data", "--init"])?.succeeded()?.stdout.trim().to_owned();
        let mut server = Self { process: None, address: String::new(), operator: token };
        server.start_again(host, more)?;
        Ok(server)
    }

    /// Starts a server on the same data folder; the one before must have ended.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn start_again(&mut self, host: &Host, more: &[&str]) -> Result<()> {
        let serve = ["serve", "--data", "data", "--listen", "127.0.0.1:0"];
        let running = host.start(&[&serve[..], more].concat())?;
        let said = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("listening on http://"))?;
            Some(line.to_owned())
        };
        self.address = until("the server listens", || Ok(said(&running.stderr_so_far()?)))?;
        self.process = Some(running);
        Ok(())
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a signal by name and waits for the end; returns the exit status.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(&mut self, signal: &str) -> Result<i32> {
        Ok(self.ended_saying(signal)?.0)
    }

    /// Sends a signal, and waits for the exit status and all that it has written to stderr.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn ended_saying(&mut self, signal: &str) -> Result<(i32, String)> {
        let process = self.process.take().context("the server has ended already")?;
        process.signal(signal)?;
        let ended = process.wait()?;
        Ok((ended.status, ended.stderr))
    }

    /// The process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn process(&mut self) -> Result<&mut Running> {
        self.process.as_mut().context("the server has ended already")
    }

    /// Asks as the operator and expects success.
    ///
    /// # Errors
    /// When the answer is none, or an error.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.ask_as(&self.operator, method, path, body)
    }

    /// Asks with a token and expects success.
    ///
    /// # Errors
    /// When the answer is none, or an error.
    pub fn ask_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Result<Value> {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.send(Some(token), method, path, &bytes)?;
        ensure!(answer.status < 300, "{method} {path} was answered {}: {}", answer.status, answer.body);
        if answer.body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&answer.body)?) }
    }

    /// Sends a request and returns the whole answer, whatever it is.
    ///
    /// # Errors
    /// When there is none.
    pub fn send(&self, token: Option<&str>, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let mut stream = self.open(token, method, path, body)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer but: {text}"))?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let header = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        Ok(Answer { status, content_type: header.to_owned(), body: body.to_owned() })
    }

    /// The lines of a stream of events as they come, without what HTTP puts between them.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn stream(&self, token: &str, path: &str) -> Result<impl Iterator<Item = String> + use<>> {
        let stream = self.open(Some(token), "GET", path, &[])?;
        Ok(BufReader::new(stream).lines().map_while(Result::ok))
    }

    /// Sends a request and leaves its answer to whoever reads it, if anybody does.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn open(&self, token: Option<&str>, method: &str, path: &str, body: &[u8]) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{token}content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        Ok(stream)
    }

    /// Makes a tenant that may reach these private addresses, and a token for it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn tenant(&self, name: &str, settings: &Value) -> Result<String> {
        self.ask("PUT", &format!("/v1/tenants/{name}"), settings)?;
        let token = self.ask("POST", &format!("/v1/tenants/{name}/tokens"), &json!({"note": "of a test"}))?;
        Ok(token["token"].as_str().context("no token")?.to_owned())
    }

    /// Uploads a connector for everybody; returns what the server says about it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn upload(&self, connector: &str) -> Result<Value> {
        let bytes = std::fs::read(crate::host::component(connector)?)?;
        let answer = self.send(Some(&self.operator), "POST", "/v1/connectors", &bytes)?;
        ensure!(answer.status == 201, "the upload was answered {}: {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Starts a sync and waits for its end; returns the sync.
    ///
    /// # Errors
    /// When the server refuses or the sync does not end.
    pub fn sync(&self, tenant: &str, connection: &str) -> Result<Value> {
        let path = format!("/v1/tenants/{tenant}/connections/{connection}/start");
        let sync = self.ask("POST", &path, &Value::Null)?;
        self.ended(tenant, sync["id"].as_str().context("no id")?)
    }

    /// Waits until a sync has ended; returns it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn ended(&self, tenant: &str, id: &str) -> Result<Value> {
        until("the sync ends", || {
            let sync = self.ask("GET", &format!("/v1/tenants/{tenant}/syncs/{id}"), &Value::Null)?;
            Ok((sync["ended_at"].is_string()).then_some(sync))
        })
    }

    /// The syncs of a connection, the latest first.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn syncs(&self, tenant: &str, connection: &str) -> Result<Vec<Value>> {
        let list = self.ask("GET", &format!("/v1/tenants/{tenant}/syncs?connection={connection}"), &Value::Null)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// When there is none within the time that anything takes.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("it did not happen within {} s that {what}", PATIENCE.as_secs());
        }
        std::thread::sleep(POLL);
    }
}
