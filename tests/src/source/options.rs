//! What the source can be told, on the command line or by a test.

use super::faults::{Chance, Kind, Plan, Scheduled};

/// The options of the source; `Options::default()` is a source that behaves, on a free port.
#[derive(Clone, Debug, clap::Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[expect(clippy::doc_markdown, reason = "the comments are the help text, where backticks would be noise")]
#[command(name = "source", about = "Serves generated records over HTTP on the loopback address")]
pub struct Options {
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Number of records behind /cds_data
    #[arg(long, default_value_t = 100_000)]
    pub records: u64,
    /// Number of orders behind /offset/orders
    #[arg(long, default_value_t = 2_500)]
    pub orders: u64,
    /// How many of the orders have changed since: they carry a new status and a later updated_at
    #[arg(long, default_value_t = 0)]
    pub orders_changed: u64,
    /// Number of customers behind /customers
    #[arg(long, default_value_t = 250)]
    pub customers: u64,
    /// Number of contacts behind HubSpot's search; it gives 10,000 at most for one search
    #[arg(long, default_value_t = 10_450)]
    pub contacts: u64,
    /// How many of the stations behind /stations cannot be read
    #[arg(long, default_value_t = 0)]
    pub broken_stations: u64,
    /// Which version of the data the small APIs serve: 2 is what 1 has become
    #[arg(long, default_value_t = 1)]
    pub version: u64,
    /// Another seed gives other values for the same keys, and other requests to fail
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Give the records text keys that look random instead of integers
    #[arg(long)]
    pub text_keys: bool,
    /// How many keys the records share, so that records with the same key are changes of it; 0: each has its own
    #[arg(long, default_value_t = 0)]
    pub keys: u64,
    /// The key that requests must carry in the header api_key
    #[arg(long, default_value = "123")]
    pub api_key: String,
    /// Ask for no key at all
    #[arg(long)]
    pub open: bool,
    /// Render all records at the start and serve them from memory
    #[arg(long)]
    pub cache: bool,
    /// Compress answers for clients that accept gzip
    #[arg(long)]
    pub gzip: bool,
    /// Fail with a probability per request: KIND:PROBABILITY, separated by commas (429:0.1,500:0.05,cut:0.02)
    #[arg(long, value_delimiter = ',', value_name = "KIND:PROBABILITY", help_heading = "Faults")]
    pub fail: Vec<Chance>,
    /// Fail at request number N, counted from 1
    #[arg(long, value_delimiter = ',', value_name = "N:KIND", help_heading = "Faults")]
    pub fail_at: Vec<Scheduled>,
    /// Fail at request number N and at every later one
    #[arg(long, value_delimiter = ',', value_name = "N:KIND", help_heading = "Faults")]
    pub fail_from: Vec<Scheduled>,
    /// Stop when standard input is closed, so that the source ends with the program that started it
    #[arg(long)]
    pub until_stdin_closes: bool,
}

impl Default for Options {
    fn default() -> Self {
        // The defaults are written once, above; an empty command line is always valid.
        <Self as clap::Parser>::parse_from(["source"])
    }
}

impl Options {
    /// Fails request number `number`, counted from 1.
    #[must_use]
    pub fn failing_at(mut self, number: u64, kind: Kind) -> Self {
        self.fail_at.push(Scheduled { number, kind });
        self
    }

    /// Fails request number `number` and every later one.
    #[must_use]
    pub fn failing_from(mut self, number: u64, kind: Kind) -> Self {
        self.fail_from.push(Scheduled { number, kind });
        self
    }

    pub(super) fn plan(&self) -> Plan {
        Plan { seed: self.seed, chances: self.fail.clone(), at: self.fail_at.clone(), from: self.fail_from.clone() }
    }
}
