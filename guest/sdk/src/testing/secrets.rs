//! Placeholders as the host gives them out for secrets of the source: a test sees what the connector holds, and the test's
//! source what is sent.

use std::cell::RefCell;

use crate::bindings::elt::connector::http::{Authentication, Body, Request};

thread_local! {
    /// What was protected on this thread, for all tests on it: a placeholder may come back in the state of another sync.
    static SECRETS: RefCell<Vec<String>> = RefCell::default();
}

/// The placeholder of a secret, the same one for the same secret.
pub(crate) fn hide(secret: &str) -> String {
    SECRETS.with_borrow_mut(|secrets| {
        let found = secrets.iter().position(|known| known == secret);
        let index = found.unwrap_or_else(|| {
            secrets.push(secret.to_owned());
            secrets.len() - 1
        });
        placeholder(index)
    })
}

/// The request as it leaves, with every secret in the place of its placeholder.
pub(crate) fn reveal(request: &Request) -> Request {
    let mut request = request.clone();
    let mut texts = vec![&mut request.url];
    texts.extend(request.query.iter_mut().chain(&mut request.headers).map(|(_, value)| value));
    match &mut request.authentication {
        Some(Authentication::Basic((user, password))) => texts.extend([user, password]),
        Some(Authentication::Bearer(token)) => texts.push(token),
        None => {}
    }
    match &mut request.body {
        Some(Body::Form(fields)) => texts.extend(fields.iter_mut().map(|(_, value)| value)),
        Some(Body::Json(text)) => {
            if let Ok(mut json) = String::from_utf8(text.clone()) {
                replace(&mut json);
                *text = json.into_bytes();
            }
        }
        Some(Body::Bytes(_)) | None => {}
    }
    texts.into_iter().for_each(replace);
    request
}

fn replace(text: &mut String) {
    SECRETS.with_borrow(|secrets| {
        for (index, secret) in secrets.iter().enumerate() {
            if text.contains("placeholder_") {
                *text = text.replace(&placeholder(index), secret);
            }
        }
    });
}

fn placeholder(index: usize) -> String {
    format!("placeholder_{index}_")
}
