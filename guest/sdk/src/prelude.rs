//! Everything a connector usually needs, in one line: `use elt_sdk::prelude::*;`.

pub use crate::configuration::Configuration;
pub use crate::connector::Connector;
pub use crate::description::{Field, RateLimit};
pub use crate::error::{Error, Result};
pub use crate::http::{Client, Login, Poll, Request, Response, ahead, encode};
pub use crate::operations::Operations;
pub use crate::pagination::{
    Continuation, Cursor, Keyset, LinkHeader, NextUrl, Offset, Page, PageInfo, PageNumber, Pages, Window, parallel,
};
pub use crate::record::Record;
pub use crate::rows::{Csv, Format, JsonArray, JsonLines, Xml};
pub use crate::state::State;
pub use crate::table::{DataType, Table};
pub use crate::time::{TimeFormat, Timestamp};
pub use crate::{fine, info, severe, warning};
pub use serde_json::{Value, json};
pub use std::time::Duration;
