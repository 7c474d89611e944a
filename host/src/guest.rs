//! The sandbox: compiles a connector, runs it with nothing but the imports of the contract, and stops it at its limits.
//!
//! The only user of wasmtime in this crate: no type of it leaves this module.

#[cfg_attr(not(test), expect(dead_code, reason = "used by the sandbox"))]
mod client;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the sandbox"))]
mod egress;
mod limits;

pub use limits::Limits;

use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::model::{Configuration, Description, Table};

/// Addresses the operator allows beyond the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressAllow {
    /// `HOST` or `HOST:PORT` that may be private or loopback, and spoken to by plain http.
    pub private: Vec<String>,
    /// `HOST` or `HOST:PORT` that may be spoken to by plain http.
    pub http: Vec<String>,
}

/// Compiles components and runs them; one for a process.
pub struct Runtime {}

impl Runtime {
    /// Sets up the engine. `cache` is the folder of compiled components; none: compile every time.
    pub fn new(_cache: Option<&Path>) -> Result<Self> {
        Ok(Self {})
    }

    /// Reads a component's file, checks that it implements the contract, and compiles it or loads its compiled code.
    pub fn load(&self, _path: &Path) -> Result<Component> {
        Ok(Component {})
    }
}

/// A connector that can be run.
pub struct Component {}

impl Component {
    /// Whether the compiled code came from the cache, and how long loading took.
    pub fn loaded(&self) -> (bool, Duration) {
        (false, Duration::ZERO)
    }

    /// The compiled component's SHA-256, in hex.
    pub fn digest(&self) -> &str {
        ""
    }

    /// What the connector says about itself.
    pub async fn describe(&self, _limits: &Limits) -> Result<Description> {
        todo!()
    }

    /// Whether the source can be reached and accepts the configuration.
    pub async fn check(&self, _configuration: &Configuration, _limits: &Limits, _allow: &EgressAllow) -> Result<()> {
        todo!()
    }

    /// The tables and their keys.
    pub async fn schema(
        &self,
        _configuration: &Configuration,
        _limits: &Limits,
        _allow: &EgressAllow,
    ) -> Result<Vec<Table>> {
        todo!()
    }
}
