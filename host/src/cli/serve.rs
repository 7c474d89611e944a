//! `host serve`: the long-running mode for many tenants, and what has to be done before it.

mod traces;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::traces::Traces;
use super::screen::Screen;
use super::text;
use crate::options;
use model::error::{Code, Error, Result};
use server::audit_log::AuditLog;

/// What can be typed after `host serve`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option without a value")]
pub(super) struct Arguments {
    /// The folder with everything that the server keeps
    #[arg(long, value_name = "DIR", default_value = "elt-data")]
    data: PathBuf,
    /// The key that the store is sealed with (default: the file `key` in the data folder)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Makes the data folder, the key and an operator's token, which is printed once; then ends
    #[arg(long, conflicts_with_all = ["new_token", "rotate_key", "openapi"])]
    init: bool,
    /// Makes one more operator's token and prints it; then ends
    #[arg(long, conflicts_with_all = ["rotate_key", "openapi"])]
    new_token: bool,
    /// Seals everything with a new key; then ends
    #[arg(long, conflicts_with = "openapi")]
    rotate_key: bool,
    /// Prints the description of the API (OpenAPI); then ends
    #[arg(long)]
    openapi: bool,
    /// Where the API listens. It speaks plain http: put a proxy with TLS before it where others can reach it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8800")]
    listen: SocketAddr,
    /// Syncs at one time, of all tenants together
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    syncs_at_once: u32,
    /// How long running syncs may go on after SIGTERM before they are asked to commit what is complete
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    drain: Duration,
    /// What is written to stderr
    #[arg(long, value_enum, default_value_t = Level::Info, value_name = "LEVEL")]
    log: Level,
    /// Appends every request of every connector to FILE, one JSON object a line (docs/formats/audit.md)
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// Sends a trace of every sync to this collector of OpenTelemetry, such as `http://127.0.0.1:4318` (default: the
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT`)
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// What went wrong in the server itself
    Error,
    /// And what it does
    Info,
    /// And every request of connectors: method, host, status, bytes, duration
    Debug,
}

fn time(text: &str) -> Result<Duration, String> {
    sandbox::limits_text::duration(text).ok_or_else(|| "write a time with its unit, such as 10s or 2min".to_owned())
}

/// Does it.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let (data, key_file) = (&arguments.data, arguments.key_file());
    if arguments.openapi {
        return screen.data(&server::openapi()).map(|_closed| ());
    }
    if arguments.init {
        if !server::init(data, &key_file)? {
            screen.people("The data folder is there already; nothing was changed.");
            return Ok(());
        }
        screen.people(&format!("Made {} and the key {}. The operator's token:", data.display(), key_file.display()));
        return print_token(arguments, *screen, "made by --init");
    }
    if arguments.new_token {
        return print_token(arguments, *screen, "made by --new-token");
    }
    if arguments.rotate_key {
        let count = server::rotate_key(data, &key_file)?;
        let texts = text::counted(count, "text", "texts");
        screen.people(&format!("Sealed {texts} with a new key, which is the only one in {} now.", key_file.display()));
        return Ok(());
    }
    serve(arguments, *screen)
}

fn print_token(arguments: &Arguments, screen: Screen, note: &str) -> Result<()> {
    let token = super::load::block_on(server::new_operator_token(&arguments.data, &arguments.key_file(), note))??;
    screen.data(&format!("{token}\n")).map(|_closed| ())
}

fn serve(arguments: &Arguments, screen: Screen) -> Result<()> {
    let syncs = arguments.syncs_at_once as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // A sync blocks up to two threads of these while it runs, and some more at its beginning and end.
        .max_blocking_threads(syncs.saturating_mul(3) + 64)
        .build()
        .map_err(|error| Error::new(Code::HostBug, "start the threads of the runtime").because(error))?;
    let endpoint = options::otlp_endpoint(arguments.otlp_endpoint.as_deref());
    let traces = endpoint.map(|endpoint| Traces::to(&endpoint, runtime.handle().clone())).transpose()?;
    log(arguments.log, traces.as_ref());
    let options = server::Options {
        data: arguments.data.clone(),
        key_file: arguments.key_file(),
        listen: arguments.listen,
        syncs_at_once: syncs,
        drain: arguments.drain,
        cache: options::cache_folder(),
        compiler: options::compiler(),
        audit_log: arguments.audit_log.as_deref().map(AuditLog::open).transpose()?.map(Arc::new),
        destinations: |url| Arc::new(url),
    };
    let listening = |address| screen.people(&format!("listening on http://{address}"));
    let served = runtime.block_on(async {
        let stop = stop_on_signals()?;
        server::serve(options, listening, stop).await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    // What hangs in a thread must not keep the process from ending: everything is committed or not.
    runtime.shutdown_background();
    served
}

/// Writes the server's own log to stderr, and hands spans to the traces.
fn log(level: Level, traces: Option<&Traces>) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    // And what becomes of traces that no collector takes.
    let only_ours =
        Targets::new().with_target("host", level).with_target("opentelemetry_sdk", level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has a lifetime too few")]
    let events = filter_fn(|metadata| metadata.is_event());
    let lines = lines.with_filter(only_ours.and(events));
    // Where there is one already, it stays.
    let _set = tracing_subscriber::registry().with(traces.map(Traces::layer)).with(lines).try_init();
}

/// Ends with the first SIGTERM or SIGINT; the second ends the process at once.
fn stop_on_signals() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).map_err(|error| Error::new(Code::HostBug, "listen for signals").because(error));
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (first, asked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            let code = tokio::select! {
                _ = interrupts.recv() => Code::Interrupted,
                _ = terminations.recv() => Code::Terminated,
            };
            match first.take() {
                // The server may have ended by itself.
                Some(first) => drop(first.send(())),
                None => std::process::exit(i32::from(code.fault().exit_status())),
            }
        }
    });
    Ok(async move {
        let _asked = asked.await;
    })
}

impl Arguments {
    fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join("key"))
    }
}
