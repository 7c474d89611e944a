//! Signatures that the host makes by a recipe, so that a connector can use a key it never sees.
//!
//! They are made when everything else of the request stands, anew for every attempt: a signature carries the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::Request;
use reqwest::header::HeaderValue;
use ring::hmac;
use sha2::{Digest, Sha256};
use url::Url;

use crate::world::{AwsSignature, Hash, KeyForm, Signature, SignatureForm};

/// A request as it will leave, seen by those who sign it.
pub(super) struct Signed<'a> {
    method: &'a str,
    url: &'a Url,
    body: &'a [u8],
    headers: &'a reqwest::header::HeaderMap,
    now: Duration,
}

impl<'a> Signed<'a> {
    /// The request at a moment.
    pub(super) fn new(request: &'a Request, now: SystemTime) -> Self {
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { method: request.method().as_str(), url: request.url(), body, headers: request.headers(), now }
    }

    /// Puts the request's parts into a template: `{method}`, `{path}` and so on; `{{` stands for a brace.
    pub(super) fn expand(&self, template: &str, signature: Option<&str>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            out.extend_from_slice(rest[..at].as_bytes());
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                out.push(b'{');
                rest = after;
                continue;
            }
            let (name, after) = rest.split_once('}').ok_or("a brace in the recipe is never closed")?;
            out.extend_from_slice(&self.part(name, signature)?);
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        Ok(out)
    }

    fn part(&self, name: &str, signature: Option<&str>) -> Result<Vec<u8>, String> {
        let text = match name {
            "method" => self.method.to_owned(),
            "url" => self.url.to_string(),
            "host" => host(self.url),
            "path" => self.url.path().to_owned(),
            "query" => self.url.query().unwrap_or_default().to_owned(),
            "body" => return Ok(self.body.to_vec()),
            "body-sha256" => hex(&Sha256::digest(self.body)),
            "body-sha256-base64" => STANDARD.encode(Sha256::digest(self.body)),
            "timestamp" => self.now.as_secs().to_string(),
            "timestamp-ms" => self.now.as_millis().to_string(),
            "date" => httpdate::fmt_http_date(UNIX_EPOCH + self.now),
            "time" => self.format("%Y-%m-%dT%H:%M:%SZ")?,
            "signature" => signature.ok_or("the recipe's message contains its own signature")?.to_owned(),
            other => return Err(format!("the recipe knows no {{{other}}}")),
        };
        Ok(text.into_bytes())
    }

    fn format(&self, pattern: &str) -> Result<String, String> {
        let seconds = i64::try_from(self.now.as_secs()).map_err(|error| error.to_string())?;
        let moment = Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
        Ok(moment.strftime(pattern).to_string())
    }
}

/// The signature over a message, as the recipe has it written.
pub(super) fn signature(recipe: &Signature, key: &[u8], message: &[u8]) -> Result<String, String> {
    let decoded = match recipe.key_form {
        KeyForm::Text => key.to_vec(),
        KeyForm::Base64 => STANDARD.decode(key.trim_ascii()).map_err(|_| "the key is not base64".to_owned())?,
        KeyForm::Hex => unhex(key.trim_ascii()).ok_or("the key is not hexadecimal")?,
    };
    let algorithm = match recipe.hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, &decoded), message);
    Ok(match recipe.form {
        SignatureForm::Hex => hex(tag.as_ref()),
        SignatureForm::Base64 => STANDARD.encode(tag),
        SignatureForm::Base64Url => URL_SAFE_NO_PAD.encode(tag),
    })
}

/// What AWS Signature Version 4 adds to a request: names and values of header fields. `key` has its secrets in it.
pub(super) fn aws(signed: &Signed<'_>, key: &AwsSignature) -> Result<Vec<(&'static str, String)>, String> {
    let (time, day) = (signed.format("%Y%m%dT%H%M%SZ")?, signed.format("%Y%m%d")?);
    let payload = hex(&Sha256::digest(signed.body));
    let mut added = vec![("x-amz-date", time.clone())];
    if key.service == "s3" {
        added.push(("x-amz-content-sha256", payload.clone()));
    }
    added.extend(key.session_token.clone().map(|token| ("x-amz-security-token", token)));
    let mut fields: Vec<(String, String)> =
        added.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    fields.push(("host".to_owned(), host(signed.url)));
    for (name, value) in signed.headers {
        if name.as_str() == "content-type" || name.as_str().starts_with("x-amz-") {
            fields.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned()));
        }
    }
    fields.sort();
    let names = fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = fields.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let path = aws_path(signed.url.path(), key.service == "s3");
    let canonical =
        format!("{}\n{path}\n{}\n{lines}\n{names}\n{payload}", signed.method, aws_query(signed.url.query()));
    let scope = format!("{day}/{}/{}/aws4_request", key.region, key.service);
    let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut tag = mac(format!("AWS4{}", key.secret_access_key).as_bytes(), &day);
    for part in [key.region.as_str(), key.service.as_str(), "aws4_request", message.as_str()] {
        tag = mac(tag.as_ref(), part);
    }
    let (id, signature) = (&key.access_key_id, hex(tag.as_ref()));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    added.push(("authorization", authorization));
    Ok(added)
}

/// Every service but S3 wants the path encoded a second time.
fn aws_path(path: &str, is_s3: bool) -> String {
    let segments = path.split('/').map(|segment| {
        let once = aws_encode(&percent_encoding::percent_decode_str(segment).collect::<Vec<_>>());
        if is_s3 { once } else { aws_encode(once.as_bytes()) }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn aws_query(query: Option<&str>) -> String {
    let decoded = |text: &str| aws_encode(&percent_encoding::percent_decode_str(text).collect::<Vec<_>>());
    let mut pairs: Vec<_> = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn aws_encode(bytes: &[u8]) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encode(bytes, KEPT).to_string()
}

/// The host as the `Host` field has it.
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

/// A value that is kept out of HTTP/2's tables and of debug output.
pub(super) fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Method;

    /// The signature of Amazon's published test suite, at its moment.
    fn signed(method: Method, path: &str) -> String {
        let url = format!("https://example.amazonaws.com{path}").parse().unwrap();
        let request = Request::new(method, url);
        let key = AwsSignature {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let fields = aws(&Signed::new(&request, now), &key).unwrap();
        assert_eq!(fields[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        fields.last().unwrap().1.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn the_vectors_of_amazon() {
        for (method, path, wanted) in [
            (Method::GET, "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                Method::GET,
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (Method::POST, "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            assert_eq!(signed(method, path), wanted, "{path}");
        }
    }

    #[test]
    fn braces_and_parts() {
        let mut request = Request::new(Method::POST, "https://h.example:8443/a%20b?x=1".parse().unwrap());
        *request.body_mut() = Some("{\"k\":1}".into());
        let signed = Signed::new(&request, UNIX_EPOCH + Duration::from_millis(1_440_938_160_123));
        for (template, wanted) in [
            ("{method} {host}{path}?{query}", "POST h.example:8443/a%20b?x=1"),
            ("{{{body}}", "{{\"k\":1}}"),
            ("{timestamp} {timestamp-ms} {time}", "1440938160 1440938160123 2015-08-30T12:36:00Z"),
            ("{date}", "Sun, 30 Aug 2015 12:36:00 GMT"),
            ("{signature}", "s"),
        ] {
            assert_eq!(signed.expand(template, Some("s")).unwrap(), wanted.as_bytes(), "{template}");
        }
    }
}
