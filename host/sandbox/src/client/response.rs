//! An answer as the guest sees it: final, after retries and redirects.

use super::body::Body;
use super::{ErrorKind, Failure};

/// An answer. The body stays in the host until it is read; dropping the answer discards the rest.
pub(crate) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) url: String,
    pub(super) label: String,
    pub(super) body: Body,
}

impl Response {
    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Header fields, names in lower case; bytes that are not UTF-8 are replaced. Fields of one name stand together.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The URL that answered, after redirects.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next bytes of the body, decompressed: at least 1 and at most `bytes_max`; none is the end.
    pub(crate) async fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, Failure> {
        if bytes_max == 0 {
            return Err(Failure::new(ErrorKind::InvalidRequest, &self.label, "reading 0 bytes leads nowhere"));
        }
        self.body.read(bytes_max as usize).await
    }

    /// The rest of the body, decompressed.
    pub(crate) async fn read_all(&mut self) -> Result<Vec<u8>, Failure> {
        self.body.read_all().await
    }
}
