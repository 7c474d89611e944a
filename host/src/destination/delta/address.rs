//! Where a lake is, as typed after `delta:`.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Code, Error, Result};

/// A lake's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaAddress {
    /// A folder of this machine.
    Folder(PathBuf),
}

impl DeltaAddress {
    /// Reads what follows `delta:`.
    pub(in crate::destination) fn parse(text: &str) -> Result<Self> {
        if text.contains("://") {
            let what = format!("understand the destination \"delta:{text}\": a lake is a folder");
            return Err(Error::new(Code::DestinationInvalid, what).hint("Write delta:PATH, for example delta:files/lake."));
        }
        Ok(Self::Folder(text.into()))
    }
}

impl fmt::Display for DeltaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}
