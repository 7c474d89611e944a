//! The HTTP side of the source: who may ask, which API answers, what goes wrong.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query as Pairs, Request as HttpRequest, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::serve::ListenerExt;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::answer::{Answer, Query};
use super::apis::{Apis, Asked};
use super::cursor_api::CursorApi;
use super::customers::Customers;
use super::disturb::{self, Request};
use super::faults::{Kind, Plan};
use super::notes;
use super::options::Options;
use super::orders::Orders;
use super::stats::{Counters, Stats};

/// No request of a connector is longer.
const BODY_MAX: usize = 1 << 20;
/// Records of the page before, where pages overlap.
const OVERLAP: u64 = 10;

/// Everything that answers requests.
#[derive(Debug)]
pub(super) struct Service {
    /// None: the source is open to all.
    api_key: Option<String>,
    gzip: bool,
    plan: Plan,
    counters: Counters,
    records: CursorApi,
    orders: Orders,
    customers: Customers,
    apis: Apis,
}

impl Service {
    pub(super) fn new(options: Options) -> Self {
        Self {
            gzip: options.gzip,
            plan: options.plan(),
            counters: Counters::default(),
            records: CursorApi::new(&options),
            orders: Orders::new(&options),
            customers: Customers::new(&options),
            apis: Apis::new(&options),
            api_key: (!options.open).then_some(options.api_key),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        self.counters.read()
    }

    pub(super) fn prune(&self, position: u64) {
        self.records.prune(position);
    }

    pub(super) fn record(&self, position: u64) -> String {
        self.records.record(position)
    }

    /// The answer when nothing goes wrong with it on its way.
    fn answer(&self, asked: &Asked<'_>, fault: Option<Kind>) -> Answer {
        // These ask for credentials of their own kinds.
        if let Some(answer) = self.apis.answer(asked) {
            return answer;
        }
        let Asked { path, query, headers, .. } = *asked;
        if let Some(refusal) = self.refusal(headers) {
            return refusal;
        }
        match path {
            "/cds_data" => self.records.answer(query, if fault == Some(Kind::Overlap) { OVERLAP } else { 0 }),
            "/offset/orders" => self.orders.answer(query),
            "/customers" => self.customers.answer(query, &format!("http://{}", text(headers, "host"))),
            _ if path.starts_with("/notes/") => notes::answer(&path["/notes/".len()..], query),
            _ => match path.strip_prefix("/customers/").and_then(|rest| rest.strip_suffix("/invoices")) {
                Some(id) => self.customers.invoices(id),
                None => Answer::error(StatusCode::NOT_FOUND, "not_found", &format!("there is nothing at {path}")),
            },
        }
    }

    /// Whoever has no key is unknown (401); whoever has the key "forbidden" is known and may not (403).
    fn refusal(&self, headers: &HeaderMap) -> Option<Answer> {
        let expected = self.api_key.as_deref()?;
        match text(headers, "api_key") {
            "forbidden" => {
                Some(Answer::error(StatusCode::FORBIDDEN, "forbidden", "this key may not read these records"))
            }
            key if key == expected => None,
            "" => Some(Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "the header api_key is missing")),
            _ => Some(Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "the API key is wrong")),
        }
    }

    fn good(&self, answer: &Answer, headers: &HeaderMap) -> Response<Body> {
        self.counters.served(answer.records, answer.len());
        if self.gzip && text(headers, "accept-encoding").contains("gzip") {
            return gzipped(answer).unwrap_or_else(|| disturb::plain(answer));
        }
        disturb::plain(answer)
    }
}

/// Serves until it is told to stop, or nobody is left to tell it.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let port = listener.local_addr().map_or(0, |address| address.port());
    // Answers are written in few large pieces: waiting to fill a packet would only add latency.
    let listener = listener.tap_io(|connection| _ = connection.set_nodelay(true));
    let router = Router::new().fallback(handle).with_state((service, port));
    tokio::select! {
        _ = axum::serve(listener, router) => {}
        _ = stopped => {}
    }
}

async fn handle(State((service, port)): State<(Arc<Service>, u16)>, request: HttpRequest) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    match path {
        "/_stats" => return disturb::plain(&Answer::ok(vec![service.stats().to_json().into()], 0)),
        "/_loop" => return disturb::redirect_again(),
        _ => {}
    }
    let number = service.counters.request(path);
    let pairs = Pairs::try_from_uri(&head.uri).map_or_else(|_| Vec::new(), |Pairs(pairs)| pairs);
    let query = Query::new(pairs);
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return disturb::plain(&Answer::bad_request("the body is too long or broken off"));
    };
    let asked = Asked { method: head.method.as_str(), path, query: &query, headers: &head.headers, body: &body };
    let fault = service.plan.decide(number);
    let answer = service.answer(&asked, fault);
    let Some(kind) = fault else {
        return service.good(&answer, &head.headers);
    };
    service.counters.fault(kind);
    if kind == Kind::Hang {
        return std::future::pending().await;
    }
    let path_and_query = head.uri.path_and_query().map_or("/", |both| both.as_str());
    disturb::disturb(kind, &answer, &Request { path_and_query, cursor: query.get("cursor"), port })
}

/// A header's value as text; empty where it is absent.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn gzipped(answer: &Answer) -> Option<Response<Body>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(answer.len() / 4), Compression::fast());
    for part in &answer.parts {
        encoder.write_all(part).ok()?;
    }
    let body = Bytes::from(encoder.finish().ok()?);
    let mut response = disturb::plain(&Answer { parts: vec![body], ..answer.clone() });
    response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    Some(response)
}
