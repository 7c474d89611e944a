//! The client against local servers that do what a test tells them, down to the byte.

mod audit;
mod basics;
mod compression;
mod egress;
mod faults;
mod limits;
mod redirects;
mod retries;
mod secrets;
mod server;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use self::server::Server;
use super::dial::{Resolver, Resolving};
use super::*;
use crate::egress::Allow;
use model::error::{Code, Error};
use model::{Configuration, Description};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Resolves every name by a function that also counts the questions.
pub(super) struct Names<F>(F, std::sync::atomic::AtomicUsize);

impl<F: Fn(usize, &str) -> Vec<IpAddr> + Send + Sync + 'static> Resolver for Names<F> {
    fn resolve(&self, host: String, port: u16) -> Resolving {
        let question = self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let addresses: Vec<_> = (self.0)(question, &host).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Box::pin(
            async move { if addresses.is_empty() { Err(io::Error::other("no such name")) } else { Ok(addresses) } },
        )
    }
}

fn names(answer: impl Fn(usize, &str) -> Vec<IpAddr> + Send + Sync + 'static) -> Arc<dyn Resolver> {
    Arc::new(Names(answer, 0.into()))
}

/// Patient enough for a busy machine, impatient enough for a test.
fn settings() -> Settings {
    let mut settings = Settings::new(&description(&[]), &crate::Limits::default(), crate::Secrets::default());
    settings.retry.base = Duration::from_millis(1);
    settings.retry.cap = Duration::from_millis(2);
    settings.timing.answer = Duration::from_secs(20);
    settings.timing.silence = Duration::from_secs(20);
    settings
}

fn description(hosts: &[String]) -> Description {
    Description {
        name: "test".into(),
        version: "1.0.0".into(),
        fields: vec![],
        hosts: hosts.to_vec(),
        rate_limits: vec![],
    }
}

/// A policy for these hosts; those of `private` may be local and spoken to by plain http.
fn policy(hosts: &[String], private: &[String]) -> Policy {
    let allow = Allow { private: private.iter().map(|text| text.parse().unwrap()).collect(), http: vec![] };
    Policy::new(&description(hosts), &Configuration::default(), &allow).unwrap()
}

/// A client that may reach the servers, as `127.0.0.1` and by the names `a.test` and `b.test`.
fn client_for(servers: &[&Server], settings: Settings) -> Client {
    let hosts: Vec<_> = servers
        .iter()
        .flat_map(|server| ["127.0.0.1", "a.test", "b.test"].map(|host| format!("{host}:{}", server.port())))
        .collect();
    let resolver = names(|_, _| vec![LOCAL]);
    Client::with_resolver(policy(&hosts, &hosts), settings, Arc::default(), Arc::new(()), resolver)
}

fn client(server: &Server) -> Client {
    client_for(&[server], settings())
}

fn get(url: impl Into<String>) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        query: vec![],
        headers: vec![],
        authentication: None,
        body: None,
        idempotent: false,
        buffer: false,
        timeout_ms: None,
    }
}

fn buffered(url: impl Into<String>) -> Request {
    Request { buffer: true, ..get(url) }
}

fn post(url: impl Into<String>) -> Request {
    Request { method: Method::Post, body: Some(Body::Json(b"{}".to_vec())), ..get(url) }
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn fetch(client: &Client, request: Request) -> Result<Response, Failure> {
    client.send(request)?.wait().await
}

/// Status and whole body.
async fn text(client: &Client, request: Request) -> Result<(u16, String), Failure> {
    let mut response = fetch(client, request).await?;
    let body = response.read_all().await?;
    Ok((response.status(), String::from_utf8(body).unwrap()))
}

/// The error that the guest is told.
fn told<T>(result: Result<T, Failure>) -> HttpError {
    match result {
        Err(Failure::Exchange(error)) => error,
        Err(Failure::Sync(error)) => panic!("the sync ends: {}", error.chain()),
        Ok(_) => panic!("it worked"),
    }
}

fn kind<T>(result: Result<T, Failure>) -> ErrorKind {
    told(result).kind
}

/// The limit that ends the sync.
fn limit<T>(result: Result<T, Failure>) -> Error {
    match result {
        Err(Failure::Sync(error)) => {
            let own = [Code::LimitRequests, Code::LimitRequestSize, Code::LimitResponseSize, Code::LimitHandles];
            assert!(own.contains(&error.code()), "{}", error.chain());
            error
        }
        Err(Failure::Exchange(error)) => panic!("the guest is told: {error}"),
        Ok(_) => panic!("it worked"),
    }
}
