//! Runs connectors in a sandbox and loads what they emit into a warehouse. This file is the map: modules stand in the
//! order in which data flows.
//!
//! ```text
//! main -> cli -> server               many tenants in one process: store, schedule, API
//!             -> sync -> guest        the sandbox: component, limits, imports, egress
//!         -> recording                a sync as a file: made, replayed, compared
//!         -> verify                   a connector tried against the rules
//!         -> audit_log                every request of a connector, as a line of a file
//!         -> scaffold                 the files of a new connector (pure)
//!                     -> schema       types: infer, widen, change, name (pure)
//!                     -> destination  rows and state, durable together
//! ```

pub mod audit_log;
pub mod cli;
pub mod destination;
pub mod error;
pub mod guest;
mod json;
pub mod model;
pub mod options;
pub mod recording;
pub mod scaffold;
pub mod schema;
mod seal;
pub mod server;
pub mod sync;
pub mod verify;
