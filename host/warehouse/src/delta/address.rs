//! Where a lake is, as typed after `delta:`: a folder, or a place in an S3-compatible store. Shown without its secret.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use model::error::{Code, Error, Result};

/// A lake's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaAddress {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of an S3-compatible store, and what the keys in it begin with.
    S3(Box<S3Address>),
}

/// A place in an S3-compatible store and how to log in, out of `s3://KEY:SECRET@bucket/prefix?region=…&endpoint=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Address {
    pub(super) bucket: String,
    /// Without a slash at its ends; may be empty.
    pub(super) prefix: String,
    pub(super) region: String,
    /// Scheme, host and port.
    pub(super) endpoint: String,
    pub(super) login: Option<Login>,
}

/// A key and what goes with it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) key: String,
    pub(super) secret: String,
    /// Of temporary credentials.
    pub(super) token: Option<String>,
}

const REGION: &str = "us-east-1";

impl DeltaAddress {
    /// Reads what follows `delta:`. What an S3 URL does not say is looked up under the names that all tools use.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.split_once("://") {
            None => Ok(Self::Folder(text.into())),
            Some(("s3", _)) => S3Address::parse(text).map(|address| Self::S3(Box::new(address))),
            Some(_) => Err(refused("a lake is a folder or an s3:// URL")),
        }
    }

    /// Fills in what is not in the URL from variables that all tools use for S3.
    #[must_use]
    pub fn completed(self, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let Self::S3(mut address) = self else { return self };
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if address.region.is_empty() {
            let named = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
            address.region = named.unwrap_or_else(|| REGION.to_owned());
        }
        if address.endpoint.is_empty() {
            let named = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
            let usual = || format!("https://s3.{}.amazonaws.com", address.region);
            address.endpoint = named.map_or_else(usual, |named| named.trim_end_matches('/').to_owned());
        }
        if address.login.is_none()
            && let (Some(key), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
        {
            address.login = Some(Login { key, secret, token: variable("AWS_SESSION_TOKEN") });
        }
        Self::S3(address)
    }
}

impl S3Address {
    fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|_| refused("it is no URL"))?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| refused("a part of it is no UTF-8"))?;
            Ok(text.into_owned())
        };
        let bucket = url.host_str().unwrap_or_default().to_owned();
        let prefix = decoded(url.path())?.trim_matches('/').to_owned();
        if bucket.is_empty() || url.fragment().is_some() || url.port().is_some() {
            return Err(refused("it names no bucket, or a part of it has a /, ?, # or @ that is not escaped"));
        }
        if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused("its prefix has other than plain letters"));
        }
        let login = match (decoded(url.username())?, url.password()) {
            (key, Some(secret)) if !key.is_empty() => Some(Login { key, secret: decoded(secret)?, token: None }),
            (key, None) if key.is_empty() => None,
            _ => return Err(refused("a key goes with its secret")),
        };
        let mut address = Self { bucket, prefix, region: String::new(), endpoint: String::new(), login };
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "region" => address.region = value.into_owned(),
                "endpoint" if value.starts_with("https://") || value.starts_with("http://") => {
                    value.trim_end_matches('/').clone_into(&mut address.endpoint);
                }
                _ => return Err(refused("it has a parameter other than region and endpoint")),
            }
        }
        Ok(address)
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::DestinationInvalid, format!("understand the destination's place: {why}")).hint(
        "Write delta:PATH or delta:s3://BUCKET/PREFIX. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or are in the \
         URL as s3://KEY:SECRET@BUCKET/PREFIX?region=…&endpoint=…, which --destination env:NAME or file:PATH keeps off the \
         command line.",
    )
}

impl fmt::Display for DeltaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3(address) => address.fmt(f),
        }
    }
}

/// Without key and secret.
impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl fmt::Debug for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(text: &str, variables: &[(&str, &str)]) -> S3Address {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        match DeltaAddress::parse(text).unwrap().completed(&variable) {
            DeltaAddress::S3(address) => *address,
            DeltaAddress::Folder(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn what_the_url_does_not_say_the_environment_does() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let address = s3("s3://bucket/a/b/", &variables);
        assert_eq!((address.bucket.as_str(), address.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!(address.endpoint, "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(address.login.and_then(|login| login.token).as_deref(), Some("t"));
        let address = s3("s3://K:a%2Fb@bucket?region=x&endpoint=http://127.0.0.1:9000/", &variables);
        assert_eq!((address.region.as_str(), address.endpoint.as_str()), ("x", "http://127.0.0.1:9000"));
        let login = address.login.unwrap();
        assert_eq!((login.key.as_str(), login.secret.as_str(), login.token), ("K", "a/b", None));
    }

    #[test]
    fn a_place_is_shown_without_its_secret() {
        let address = DeltaAddress::parse("s3://KEY:hidden@bucket/p").unwrap();
        assert_eq!((address.to_string(), format!("{address:?}")), ("s3://bucket/p".into(), "S3(s3://bucket/p)".into()));
        assert_eq!(DeltaAddress::parse("files/lake").unwrap().to_string(), "files/lake");
        for text in [
            "gs://bucket/hidden",
            "s3://",
            "s3://KEY@bucket/hidden",
            "s3://KEY:hid/hidden@bucket",
            "s3://bucket/p?hidden=1",
            "s3://bucket/p?endpoint=hidden",
            "s3://bucket/p#hidden",
        ] {
            let error = DeltaAddress::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::DestinationInvalid);
            assert!(!format!("{error:?} {}", error.chain()).contains("hidden"), "{text}: {error:?}");
        }
    }
}
