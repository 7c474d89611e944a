//! HTTP through the host, which connects, retries, decompresses, follows redirects, keeps to rate limits and puts
//! secrets in.
//!
//! ```
//! # use elt_sdk::testing::{self, Answer};
//! use elt_sdk::prelude::*;
//!
//! # testing::serve(|_| Answer::json(r#"{"name":"Ada"}"#));
//! let http = Client::new("https://api.example.com/v1").header("api_key", "123");
//! let answer = http.get("people").query("limit", 10).send()?;
//! assert_eq!(answer.status(), 200);
//! let person: std::collections::BTreeMap<String, String> = answer.json()?;
//! # assert_eq!(person["name"], "Ada");
//! # Ok::<(), Error>(())
//! ```

mod again;
mod ahead;
mod client;
pub(crate) mod failure;
mod graphql;
mod login;
mod poll;
mod request;
mod response;
pub(crate) mod url;

pub use ahead::{Ahead, ahead};
pub use client::Client;
pub use login::Login;
pub use poll::Poll;
pub use request::Request;
pub use response::{Pending, Response};
pub use url::encode;

use crate::imports;

/// Hands a secret that the source gave out (a session's or OAuth token) to the host and returns what to use in its
/// place from now on, in requests and in the state. The host puts it in towards `hosts` only (written as in
/// [`Connector::HOSTS`](crate::connector::Connector::HOSTS); empty: all of those) and keeps it out of every log.
pub fn protect(secret: &str, hosts: &[&str]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    imports::protect(secret, &hosts)
}
