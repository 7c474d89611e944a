//! Hunts for secrets: in its own memory, in answers that repeat them, and tells everybody what it found.

use elt_sdk::bindings::Error;
use elt_sdk::bindings::elt::connector::{checkpoint, http, log};

use super::{Done, get, upsert};
use crate::component::Sync;

/// Sends the secret in every place that a request has; the source repeats all of it.
fn echoes(sync: &Sync) -> Result<Vec<String>, Error> {
    let key = || sync.api_key.clone();
    let pair = || ("key".to_owned(), key());
    let plain = || http::Request { buffer: true, ..get(&format!("{}/path/{}", sync.base_url, key())) };
    let post = |body| http::Request { method: http::Method::Post, body: Some(body), ..plain() };
    let basic = http::Authentication::Basic(("user".to_owned(), key()));
    let requests = [
        http::Request { query: vec![pair()], headers: vec![("x-key".to_owned(), key())], ..plain() },
        http::Request { authentication: Some(http::Authentication::Bearer(key())), ..plain() },
        http::Request { authentication: Some(basic), ..plain() },
        post(http::Body::Json(elt_sdk::json!({"key": key()}).to_string().into_bytes())),
        post(http::Body::Form(vec![pair()])),
        post(http::Body::Bytes(key().into_bytes())),
    ];
    requests.iter().map(echo).collect()
}

fn echo(request: &http::Request) -> Result<String, Error> {
    let failed = |error: http::Error| Error::Internal(error.message);
    let response = http::fetch(request).map_err(failed)?;
    let body = String::from_utf8_lossy(&response.read_all().map_err(failed)?).into_owned();
    Ok(format!("{} {} {:?} {body}", response.status(), response.url(), response.headers()))
}

/// All that the guest can read, page by page, in hexadecimal digits.
fn dump() {
    const PAGE_BYTES: usize = 1 << 16;
    for page in 0..core::arch::wasm32::memory_size::<0>() {
        let begin = page * PAGE_BYTES;
        // SAFETY: all of it is there; volatile, so that the compiler does not believe that it knows the bytes. The first
        // bytes, where a null pointer leads, are nobody's.
        let byte = |at: usize| unsafe { std::ptr::read_volatile(at as *const u8) };
        let mut text = String::with_capacity(2 * PAGE_BYTES);
        for at in begin.max(16)..begin + PAGE_BYTES {
            let byte = byte(at);
            text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()));
        }
        upsert("memory", elt_sdk::json!({"page": page, "hex": text}).to_string());
    }
}

pub(crate) fn secret_in_memory(sync: &Sync) -> Done {
    for text in echoes(sync)? {
        upsert("facts", elt_sdk::json!({"what": "echo", "answer": text}).to_string());
    }
    dump();
    Ok(())
}

/// Also has a token protected, keeps it in the state, and fails with all of it in its error.
pub(crate) fn secret_in_words(sync: &Sync) -> Done {
    let mut words = echoes(sync)?;
    words.push(format!("{} {}", sync.api_key, sync.signing_key));
    let token = words[0].split("token=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let placeholder = http::protect(token, &[]);
    let authentication = Some(http::Authentication::Bearer(placeholder.clone()));
    words.push(echo(&http::Request { authentication, buffer: true, ..get(&format!("{}/token", sync.base_url)) })?);
    for text in &words {
        log::write(log::Level::Fine, text);
        log::write(log::Level::Warning, text);
        println!("{text}");
        eprintln!("{text}");
        upsert("facts", elt_sdk::json!({"what": "words", "answer": text}).to_string());
    }
    checkpoint::save(&elt_sdk::json!({"token": placeholder, "signing_key": sync.signing_key}).to_string());
    Err(Error::Source(words.join("\n")))
}

pub(crate) fn protect_without_end(_: &Sync) -> Done {
    for number in 0.. {
        http::protect(&format!("token number {number}"), &[]);
    }
    Ok(())
}
