//! The trait that makes a type a connector.

use crate::configuration::Configuration;
use crate::description::{Field, RateLimit};
use crate::error::Result;
use crate::export;
use crate::operations::Operations;
use crate::state::State;
use crate::table::Table;

/// A connector: what it declares, and two functions. [`export!`](crate::export!) makes a component of it.
///
/// The host makes a fresh instance of the component for each call, so nothing outlives a call but the state.
pub trait Connector {
    /// Every configuration field the connector reads.
    const FIELDS: &'static [Field] = &[];

    /// Every host the connector may reach; the host lets nothing else through. A name (`api.example.com`), a name with
    /// a wildcard (`*.example.com`), either with a port (`api.example.com:8443`), or a field: `{base_url}` where it
    /// holds a whole http(s) URL, `{shop}.example.com` where it is one label of a name. Never a secret field.
    const HOSTS: &'static [&'static str] = &[];

    /// How often the source lets itself be asked; the host keeps to all of them. Empty: no limit is known.
    const RATE_LIMITS: &'static [RateLimit] = &[];

    /// The connector's name, `[a-z][a-z0-9_-]*`. Default: the name of its package.
    const NAME: Option<&'static str> = None;

    /// The tables and their primary keys. Columns and their types are inferred from the records.
    fn schema(configuration: &Configuration) -> Result<Vec<Table>>;

    /// One sync: from `state`, empty on the first sync, to now, writing operations and checkpoints on the way.
    ///
    /// What was written after the last checkpoint is committed with it on `Ok` and discarded on an error or a panic;
    /// the last checkpoint stands in either case.
    fn update(configuration: &Configuration, state: State, operations: &mut Operations) -> Result<()>;

    /// Whether the source can be reached and accepts this configuration.
    ///
    /// By default a dry run of [`update`](Self::update) from an empty state: it ends, content, at the first row or
    /// checkpoint, writes nothing, and reports the error where one comes before. Write your own where `update` does
    /// something costly or lasting before its first row.
    fn check(configuration: &Configuration) -> Result<()> {
        export::probe::<Self>(configuration)
    }
}
