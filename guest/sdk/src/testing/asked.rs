//! What a connector asked in a test.

use std::fmt;

use crate::bindings::elt::connector::http::{Authentication, Body, Request};
use crate::http::encode;
use crate::http::failure::method_name;
use crate::http::url::parameters;

/// A request as the connector sent it.
#[derive(Clone)]
pub struct Asked {
    request: Request,
    url: String,
}

impl Asked {
    pub(crate) fn new(request: &Request) -> Self {
        let mut url = request.url.clone();
        for (name, value) in &request.query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.extend([&encode(name), "=", &encode(value)]);
        }
        Self { request: request.clone(), url }
    }

    /// The method, in capitals.
    pub fn method(&self) -> &'static str {
        method_name(self.request.method)
    }

    /// The URL with its query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL's path, with its leading slash.
    pub fn path(&self) -> &str {
        let url = crate::http::url::up_to_query(&self.url);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.find('/').map_or("/", |slash| &rest[slash..])
    }

    /// A parameter of the query, decoded; the first of that name.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.url.split_once('?')?;
        parameters(query).find_map(|(key, value)| (key == name).then_some(value))
    }

    /// A header, its name in any case; the last of that name. Credentials are the header `authorization`, not encoded:
    /// `Basic user:password`, `Bearer token`.
    pub fn header(&self, name: &str) -> Option<String> {
        if name.eq_ignore_ascii_case("authorization")
            && let Some(authentication) = &self.request.authentication
        {
            return Some(match authentication {
                Authentication::Basic((user, password)) => format!("Basic {user}:{password}"),
                Authentication::Bearer(token) => format!("Bearer {token}"),
            });
        }
        let mut headers = self.request.headers.iter().rev();
        headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.clone()))
    }

    /// The body as text: JSON as it was sent, form fields as in a query.
    pub fn body(&self) -> String {
        match &self.request.body {
            None => String::new(),
            Some(Body::Json(bytes) | Body::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Body::Form(fields)) => {
                let fields = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
                fields.collect::<Vec<_>>().join("&")
            }
        }
    }

    /// Whether the host was asked to read the whole body first.
    pub fn buffered(&self) -> bool {
        self.request.buffer
    }

    /// Whether the request may be sent twice although its method is not idempotent.
    pub fn idempotent(&self) -> bool {
        self.request.idempotent
    }
}

/// Method and URL.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.url)
    }
}
