//! Traces, as a collector of OpenTelemetry receives them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tests::host::Host;
use tests::server::Server;
use tests::source::Source;

use super::{cds, reaching};
use crate::records;

const SECRET: &str = "5ecret-of-the-source";

/// A collector that answers with a status, and what it was sent.
fn collector(status: StatusCode) -> Result<(String, Receiver<Bytes>)> {
    let (sender, received) = channel();
    let take = move |body: Bytes| {
        // The test may have seen enough.
        let _ = sender.send(body);
        std::future::ready(status)
    };
    let router = Router::new().route("/v1/traces", post(take));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })
    });
    Ok((format!("http://{address}"), received))
}

fn server_with(host: &Host, options: &[&str], source: &Source) -> Result<Server> {
    let server = Server::start(host, options)?;
    server.upload("guest")?;
    server.tenant("shop", &reaching(Some(source)))?;
    let mut connection = cds(source, "sqlite:w.db");
    connection["configuration"]["api_key"] = SECRET.into();
    server.ask("PUT", "/v1/tenants/shop/connections/orders", &connection)?;
    Ok(server)
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Attribute::StringValue(text) => text.clone(),
        Attribute::IntValue(number) => number.to_string(),
        _ => return None,
    })
}

#[test]
fn a_sync_is_a_span_with_what_it_did_within_and_no_secret() -> Result<()> {
    let (endpoint, received) = collector(StatusCode::OK)?;
    let source = Source::start(tests::source::Options { api_key: SECRET.to_owned(), ..records(2_500) })?;
    let mut host = Host::new()?;
    // As it is told to all programs; the option is used below.
    host.set_env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let mut server = server_with(&host, &[], &source)?;
    let sync = server.sync("shop", "orders")?;
    ensure!(sync["outcome"] == "succeeded", "{sync}");
    // What waits is sent at the end.
    assert_eq!(server.end("TERM")?, 0);
    let mut spans = Vec::new();
    for body in received.try_iter() {
        ensure!(!body.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "a secret was sent");
        let request = ExportTraceServiceRequest::decode(body)?;
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    let root = spans.iter().find(|span| span.name == "sync").context("no span of the sync")?;
    assert!(root.parent_span_id.is_empty());
    for (key, value) in [
        ("elt.sync", sync["id"].as_str().unwrap_or_default()),
        ("elt.tenant", "shop"),
        ("elt.connection", "orders"),
        ("elt.outcome", "succeeded"),
        ("elt.rows", "2500"),
    ] {
        assert_eq!(attribute(root, key).as_deref(), Some(value), "{key}");
    }
    let children = |parent: &Span| -> Vec<Span> {
        let of = |span: &&Span| span.trace_id == root.trace_id && span.parent_span_id == parent.span_id;
        spans.iter().filter(of).cloned().collect()
    };
    let mut names: Vec<String> = children(root).iter().map(|span| span.name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["commit", "load", "open", "schema", "update"]);
    let update = spans.iter().find(|span| span.name == "update").context("no span of the update")?;
    let requests = children(update);
    assert_eq!(requests.len(), 3, "{requests:?}");
    for request in &requests {
        assert_eq!(request.name, "request");
        assert_eq!(attribute(request, "http.request.method").as_deref(), Some("GET"));
        assert_eq!(attribute(request, "server.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("200"));
    }
    for span in &spans {
        assert!(root.start_time_unix_nano <= span.start_time_unix_nano, "{} begins before its sync", span.name);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{} ends after its sync", span.name);
    }
    Ok(())
}

#[test]
fn a_failed_sync_is_a_span_with_its_code() -> Result<()> {
    let (endpoint, received) = collector(StatusCode::OK)?;
    let source = Source::start(records(10))?;
    let host = Host::new()?;
    let mut server = server_with(&host, &["--otlp-endpoint", &endpoint], &source)?;
    // The source knows another key.
    assert_eq!(server.sync("shop", "orders")?["error_code"], "authentication-failed");
    assert_eq!(server.end("TERM")?, 0);
    let mut failed = false;
    for body in received.try_iter() {
        for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let is_error = span.status.as_ref().is_some_and(|status| status.code == 2);
                failed |= is_error && attribute(&span, "error.type").as_deref() == Some("authentication-failed");
            }
        }
    }
    assert!(failed, "no span says that the sync failed");
    Ok(())
}

#[test]
fn a_collector_that_is_away_or_refuses_fails_no_sync() -> Result<()> {
    let source = Source::start(records(10))?;
    let (refusing, _received) = collector(StatusCode::SERVICE_UNAVAILABLE)?;
    for endpoint in ["http://127.0.0.1:1", &refusing] {
        let host = Host::new()?;
        let mut server = server_with(&host, &["--otlp-endpoint", endpoint], &source)?;
        server.ask("PUT", "/v1/tenants/shop/connections/orders", &cds(&source, "sqlite:w.db"))?;
        for _ in 0..3 {
            let sync = server.sync("shop", "orders")?;
            assert_eq!(sync["outcome"], "succeeded", "{endpoint}: {sync}");
        }
        let (status, log) = server.ended_saying("TERM")?;
        assert_eq!(status, 0, "{endpoint}");
        // An operator is told why no traces come.
        assert!(log.contains("BatchSpanProcessor.ExportError"), "{endpoint}: {log}");
    }
    let host = Host::new()?;
    host.run(&["serve", "--init"])?.succeeded()?;
    host.run(&["serve", "--otlp-endpoint", "localhost:4318"])?.failed(2, "usage").map(drop)
}
