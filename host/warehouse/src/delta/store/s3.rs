//! A lake in an S3-compatible store: five requests of its REST interface, made one after another.
//!
//! Everything depends on `If-None-Match: *`: an object is made only if there is none. A store that does not know it is refused.

mod sign;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;
use tokio::runtime::Runtime;

use self::sign::{Request, hash};
use super::{Listing, Store};
use crate::Access;
use crate::delta::address::S3Address;
use crate::sql::SYSTEM;
use model::error::{Code, Error, Result};

/// How often a request is made before it counts as failed.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time without a byte.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// A bucket.
pub(in crate::delta) struct S3 {
    address: S3Address,
    client: Client,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for S3 {
    fn drop(&mut self) {
        // Nothing runs in it any more, and waiting is not allowed everywhere.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An answer that was read.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl S3 {
    /// Opens a place; for writing, makes sure that it keeps its promises.
    pub(in crate::delta) fn open(address: &S3Address, access: Access) -> Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| bug("make an HTTP client", error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = Some(runtime.map_err(|error| bug("start a runtime", error))?);
        let s3 = Self { address: address.clone(), client, runtime };
        if access == Access::Write {
            s3.check_conditions()?;
        }
        Ok(s3)
    }

    /// Makes the same object twice, which must not be possible.
    fn check_conditions(&self) -> Result<()> {
        let key = format!("{SYSTEM}/.conditional");
        for _ in 0..2 {
            if !self.create(&key, format!("{:032x}", fastrand::u128(..)).as_bytes())? {
                return Ok(());
            }
        }
        Err(Error::new(Code::DestinationFailed, format!("use {}: the store ignores If-None-Match", self.address)).hint(
            "Two hosts could overwrite each other's commits there. Use a store that makes an object only if there is none: AWS S3 \
             does, and newer versions of most others.",
        ))
    }

    fn key(&self, key: &str) -> String {
        if self.address.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.address.prefix) }
    }

    /// Makes a request until there is an answer that settles it.
    fn request(&self, request: &Request<'_>) -> Result<Answer> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let failed = match self.attempt(request) {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => self.refused(request, &answer),
                Err(error) => self.unreachable(request, error),
            };
            if attempt >= ATTEMPTS {
                return Err(failed);
            }
            std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0));
            pause *= 2;
        }
        Err(Error::new(Code::HostBug, "count attempts"))
    }

    fn attempt(&self, request: &Request<'_>) -> Result<Answer, reqwest::Error> {
        self.block(async {
            let response = self.send(request).await?;
            let status = response.status();
            Ok(Answer { status, body: response.bytes().await?.to_vec() })
        })
    }

    async fn send(&self, request: &Request<'_>) -> Result<Response, reqwest::Error> {
        let (url, headers) = request.signed(&self.address, jiff::Timestamp::now());
        let mut sent = self.client.request(request.method.clone(), url);
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        sent.body(request.body.to_vec()).send().await
    }

    fn block<T>(&self, work: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, reqwest::Error> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => tokio::runtime::Handle::current().block_on(work),
        }
    }

    fn get(&self, key: &str) -> Request<'static> {
        Request::new(Method::GET, self.key(key))
    }

    fn refused(&self, request: &Request<'_>, answer: &Answer) -> Error {
        let body = String::from_utf8_lossy(&answer.body);
        let said = element(&body, "Code").next().unwrap_or("no reason given");
        let what = format!("{} {}: {} ({said})", request.method, self.shown(request), answer.status);
        let error = |code, hint: &str| Error::new(code, what.clone()).hint(hint);
        match (answer.status.as_u16(), said) {
            (401 | 403, _) => error(
                Code::WarehouseLogin,
                "Check the key, its secret and what it may do: read, write, list and delete in the prefix; and the region.",
            ),
            (404, "NoSuchBucket") => error(Code::DestinationInvalid, "Make the bucket, or correct its name."),
            _ if is_passing(answer.status) => error(Code::WarehouseUnreachable, AGAIN),
            _ => error(Code::DestinationFailed, "Check that the endpoint is an S3-compatible store."),
        }
    }

    fn unreachable(&self, request: &Request<'_>, error: reqwest::Error) -> Error {
        let what = format!("{} {} at {}", request.method, self.shown(request), self.address.endpoint);
        Error::new(Code::WarehouseUnreachable, what).because(error.without_url()).hint(AGAIN)
    }

    fn shown(&self, request: &Request<'_>) -> String {
        format!("s3://{}/{}", self.address.bucket, request.key)
    }

    /// The answer if it is one of success.
    fn expect(&self, request: &Request<'_>) -> Result<Vec<u8>> {
        let answer = self.request(request)?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(self.refused(request, &answer)) }
    }

    /// Everything under a prefix; with a delimiter, only what is directly there.
    fn list_keys(&self, folder: &str, delimiter: Option<&str>) -> Result<(Vec<String>, Vec<String>)> {
        let prefix = format!("{}/", self.key(folder));
        let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), None);
        loop {
            let mut request = Request::new(Method::GET, String::new());
            request.query.extend(token.map(|token: String| ("continuation-token", token)));
            request.query.extend(delimiter.map(|delimiter| ("delimiter", delimiter.to_owned())));
            request.query.extend([("list-type", "2".to_owned()), ("prefix", prefix.clone())]);
            let body = self.expect(&request)?;
            let text = String::from_utf8_lossy(&body);
            let below = |name: &str| unescaped(name).strip_prefix(&prefix).map(str::to_owned);
            keys.extend(element(&text, "Contents").filter_map(|one| below(element(one, "Key").next()?)));
            prefixes.extend(element(&text, "CommonPrefixes").filter_map(|one| below(element(one, "Prefix").next()?)));
            token = element(&text, "NextContinuationToken").next().map(unescaped);
            if token.is_none() {
                return Ok((keys, prefixes));
            }
        }
    }
}

const AGAIN: &str = "Run again when the store can be reached: what was committed stands, the sync goes on from there.";

/// Whether a failure may pass by itself. 409 says that somebody else was making the same object.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [408, 409, 429].contains(&status.as_u16())
}

impl Store for S3 {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        let mut request = Request::new(Method::PUT, self.key(key));
        request.body = bytes;
        request.is_new = true;
        let answer = self.request(&request)?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::PRECONDITION_FAILED => Ok(self.read(key)?.is_some_and(|there| there == bytes)),
            _ => Err(self.refused(&request, &answer)),
        }
    }

    fn replace(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let mut request = Request::new(Method::PUT, self.key(key));
        request.body = bytes;
        self.expect(&request).map(drop)
    }

    fn upload(&self, key: &str, file: &Path) -> Result<()> {
        let bytes = std::fs::read(file)
            .map_err(|error| Error::new(Code::DestinationFailed, format!("read {}", file.display())).because(error))?;
        self.replace(key, &bytes)
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let request = self.get(key);
        let answer = self.request(&request)?;
        let is_absent = answer.status == StatusCode::NOT_FOUND
            && element(&String::from_utf8_lossy(&answer.body), "Code").next() != Some("NoSuchBucket");
        match answer.status {
            status if status.is_success() => Ok(Some(answer.body)),
            _ if is_absent => Ok(None),
            _ => Err(self.refused(&request, &answer)),
        }
    }

    fn list(&self, folder: &str) -> Result<Listing> {
        let (mut objects, folders) = self.list_keys(folder, Some("/"))?;
        let mut folders: Vec<String> = folders.iter().map(|folder| folder.trim_end_matches('/').to_owned()).collect();
        objects.sort_unstable();
        folders.sort_unstable();
        Ok(Listing { objects, folders })
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.expect(&Request::new(Method::DELETE, self.key(key))).map(drop)
    }

    fn delete_folder(&self, folder: &str) -> Result<()> {
        let (keys, _) = self.list_keys(folder, None)?;
        keys.iter().try_for_each(|key| self.delete(&format!("{folder}/{key}")))
    }

    fn file(&self, key: &str, scratch: &Path) -> Result<PathBuf> {
        let path = scratch.join(hash(key.as_bytes()));
        if path.exists() {
            return Ok(path);
        }
        let bytes = self.read(key)?.ok_or_else(|| {
            Error::new(
                Code::DestinationFailed,
                format!("read s3://{}/{}: it is gone", self.address.bucket, self.key(key)),
            )
            .hint("It was removed by hand. Put it back, or reset the connection and sync everything again.")
        })?;
        std::fs::write(&path, bytes)
            .map_err(|error| Error::new(Code::DestinationFailed, format!("write {}", path.display())).because(error))?;
        Ok(path)
    }

    fn root(&self) -> Option<&Path> {
        None
    }
}

/// The contents of every element of a name. The answers have no attributes on those that are looked for, and none inside itself.
fn element<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (inside, after) = after.split_once(&end)?;
        rest = after;
        Some(inside)
    })
}

fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&#34;", "\"")];
    let text = named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}

fn tls() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Arc::clone(&provider))
        .map_err(|error| bug("read the trusted certificates of this machine", error))?;
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| bug("configure TLS", error))?;
    Ok(versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn bug(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::HostBug, what).because(error)
}
