//! Runs connectors in a sandbox and loads what they emit into a warehouse. This file is the map: modules stand in the
//! order in which data flows.
//!
//! ```text
//! main -> cli -> sync -> guest        the sandbox: component, limits, imports, egress
//!                     -> schema       types: infer, widen, change, name (pure)
//!                     -> destination  rows and state, durable together
//! ```

pub mod cli;
pub mod destination;
pub mod error;
pub mod guest;
pub mod model;
pub mod options;
pub mod schema;
pub mod sync;
