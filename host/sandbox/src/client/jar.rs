//! The cookies of one sync: what the source sets comes back with every later request that they are for, across
//! redirects too, as in a browser.

use std::sync::{Mutex, PoisonError};

use cookie_store::{CookieStore, RawCookie};
use reqwest::header::{self, HeaderMap, HeaderValue};
use url::Url;

/// More are not kept; browsers keep about as many.
const COOKIES_MAX: usize = 300;
/// Longer ones are ignored, as in browsers (RFC 6265bis, section 5.7).
const COOKIE_BYTES_MAX: usize = 4_096;

/// What the source has set so far.
#[derive(Debug, Default)]
pub(super) struct Jar(Mutex<CookieStore>);

impl Jar {
    /// Takes what an answer sets, or says why not.
    pub(super) fn take(&self, headers: &HeaderMap, url: &Url) -> Result<(), String> {
        let mut fields = headers.get_all(header::SET_COOKIE).iter().peekable();
        if fields.peek().is_none() {
            return Ok(());
        }
        // Cookies left by a panic are still cookies.
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for field in fields.filter(|field| field.len() <= COOKIE_BYTES_MAX) {
            let text = String::from_utf8_lossy(field.as_bytes());
            // What is no cookie, or one for somebody else, is ignored, as in browsers.
            if let Ok(cookie) = RawCookie::parse(text) {
                let _ = store.insert_raw(&cookie.into_owned(), url);
            }
        }
        if store.iter_any().count() > COOKIES_MAX {
            return Err(format!("the source sets more than {COOKIES_MAX} cookies"));
        }
        Ok(())
    }

    /// The field that goes with a request: the connector's own cookies, and those of the source that it does not name.
    pub(super) fn field(&self, url: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = own.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let named: Vec<String> = own.iter().flat_map(|own| own.split(';')).map(|pair| name(pair).to_owned()).collect();
        let kept = store.get_request_values(url).filter(|(name, _)| !named.iter().any(|own| own == name));
        let kept = kept.map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = own.into_iter().chain(kept).collect();
        let mut value = HeaderValue::from_str(&all.join("; ")).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default().trim()
}
