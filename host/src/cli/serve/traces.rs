//! Traces for a collector of OpenTelemetry (OTLP over HTTP, as protobuf): a span for each sync, and for what it did.
//!
//! Ended spans wait in a bounded queue that a thread of its own empties; what does not fit is dropped. No sync waits for a
//! collector, and none fails with it.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use model::error::{Code, Error, Result};

/// Spans that may wait to be sent.
const QUEUE: usize = 4_096;
/// How long one delivery may take.
const DELIVERY_MAX: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last delivery.
const GOODBYE: Duration = Duration::from_secs(5);
/// Bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What sends spans until it is told to end.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends to the collector at an address such as `http://127.0.0.1:4318`; requests run on `runtime`.
    pub(super) fn to(endpoint: &str, runtime: Handle) -> Result<Self> {
        let url = url::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            Error::new(Code::Usage, format!("understand the address of the collector, {endpoint:?}"))
                .hint("Write an address such as http://127.0.0.1:4318; /v1/traces is put behind it.")
        })?;
        let failed = |error: String| Error::new(Code::HostBug, format!("set up traces: {error}"));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(runtime)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        // The name and more can be set with OTEL_RESOURCE_ATTRIBUTES.
        let named = |resource: &Resource| {
            resource.get(&"service.name".into()).is_some_and(|name| !name.as_str().starts_with("unknown_service"))
        };
        let from_environment = Resource::builder().with_attribute(version.clone()).build();
        let resource = if named(&from_environment) {
            from_environment
        } else {
            Resource::builder().with_attribute(version).with_service_name("elt").build()
        };
        Ok(Self(SdkTracerProvider::builder().with_resource(resource).with_span_processor(processor).build()))
    }

    /// What hands the host's spans over; events inside them stay in the log.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("elt"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("host")))
    }

    /// Sends what waits, if the collector takes it soon.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(GOODBYE) {
            tracing::error!("the last spans were not delivered: {error}");
        }
    }
}

/// The way to a collector.
#[derive(Clone, Debug)]
struct Collector {
    http: reqwest::Client,
    /// Where requests run: the thread that sends has no runtime.
    runtime: Handle,
}

impl Collector {
    fn new(runtime: Handle) -> Result<Self> {
        let tls =
            sandbox::trusted_tls().map_err(|error| Error::new(Code::ServerUnreachable, "set up TLS").because(error))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DELIVERY_MAX)
            .build()
            .map_err(|error| Error::new(Code::HostBug, "set up the client").because(error))?;
        Ok(Self { http, runtime })
    }

    async fn deliver(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.http.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(bytes) = answer.chunk().await? {
            body.extend_from_slice(&bytes);
            if body.len() > ANSWER_BYTES_MAX {
                return Err("the collector's answer is too long".into());
            }
        }
        Ok(Response::builder().status(answer.status()).body(body.into())?)
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.spawn(self.clone().deliver(request)).await?
    }
}
