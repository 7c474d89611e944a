//! The whole platform through its front door: connectors as components, the host as a program, a source over HTTP.

mod architecture;
mod audit;
mod bad_input;
mod bad_records;
mod connectors;
mod corpus;
mod crash;
mod demo;
mod destinations;
mod faults;
mod guests;
mod history;
mod interrupts;
mod io;
mod jsonl;
mod lake;
mod playground;
mod postgres;
mod readme;
mod recordings;
mod scaffold;
mod server;
mod states;
mod tls;
mod two_hosts;
mod verify;

use anyhow::Result;
use tests::host::Host;
use tests::source::{Options, Source};

/// A source with so many records, and a host that is configured for it.
fn source_and_host(options: Options) -> Result<(Source, Host)> {
    let source = Source::start(options)?;
    let host = Host::new()?;
    host.configure(&source)?;
    Ok((source, host))
}

/// A source with so many records that does what it should.
fn records(records: u64) -> Options {
    Options { records, ..Options::default() }
}
