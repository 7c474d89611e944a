//! The way to a source that the operator sets: a proxy, authorities of his own, and the certificates that prove who asks.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use model::error::{Code, Error, Result};

/// By which way sources are reached, and whom to believe besides those whom the machine trusts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) proxy: Option<reqwest::Proxy>,
}

impl Route {
    /// Of certificates in PEM and a proxy's URL, as the operator gives them.
    pub(crate) fn new(authorities_pem: Option<&[u8]>, proxy: Option<&str>) -> Result<Self> {
        let authorities = authorities_pem.map(authorities).transpose()?.unwrap_or_default();
        Ok(Self { authorities, proxy: proxy.map(self::proxy).transpose()? })
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let hint = "Give a file with one or more blocks of -----BEGIN CERTIFICATE-----.";
    let usage = |what: String| Error::new(Code::Usage, what).hint(hint);
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| usage(format!("read the certificates of --ca-file: {error}")))?;
    if found.is_empty() {
        return Err(usage("read the certificates of --ca-file: there are none in it".to_owned()));
    }
    Ok(found)
}

fn proxy(text: &str) -> Result<reqwest::Proxy> {
    let hint = "Write --proxy http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ if it wants them.";
    let usage = |what: String| Error::new(Code::Usage, what).hint(hint);
    // The text may hold a password: messages do not repeat it.
    let mut url = Url::parse(text).map_err(|error| usage(format!("understand the proxy's URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !url.has_host() {
        return Err(usage("understand the proxy's URL: it is for http, https or socks5 and has a host".to_owned()));
    }
    // Names are resolved by the proxy, whatever its kind: it may be the only one who can.
    if url.scheme() == "socks5" {
        url = Url::parse(&text.trim_start().replacen("socks5", "socks5h", 1))
            .map_err(|error| usage(format!("understand the proxy's URL: {error}")))?;
    }
    reqwest::Proxy::all(url).map_err(|_| usage("use the proxy's URL".to_owned()))
}

/// A certificate with those above it, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads a client's certificate and key, PEM blocks in any order. Line ends that became `\\n` on the way are line ends.
pub(super) fn identity(pem: &str) -> std::result::Result<Identity, String> {
    let pem = pem.replace("\\n", "\n");
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|_| "the client's certificate is not in PEM")?;
    if chain.is_empty() {
        return Err("the client's certificate has no block of -----BEGIN CERTIFICATE-----".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "the client's certificate comes without its key, a block of -----BEGIN PRIVATE KEY-----")?;
    Ok((chain, key))
}
