//! Connections: where a name leads, which of its addresses may be dialled, TLS, and the pools that keep connections.
//!
//! The address that is checked is the address that is dialled: names are resolved here, and what the policy refuses is
//! dropped before the connector sees it. Literal addresses never come by the resolver; the policy checks them with the
//! URL. The resolver is not told the port it resolves for, so there is one pool for each scheme and port.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use url::Host;

use super::Timing;
use crate::egress::{Policy, Scheme, Target};

/// Addresses of a name, when they are known.
pub(crate) type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of a name.
pub(crate) trait Resolver: Send + Sync + 'static {
    /// The addresses of a host, with this port.
    fn resolve(&self, host: String, port: u16) -> Resolving;
}

/// The resolver of the operating system.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: String, port: u16) -> Resolving {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The connections of one sync. Nothing is set up before the first request.
pub(super) struct Dialer {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolver>,
    timing: Timing,
    pools: Mutex<HashMap<(Scheme, u16), reqwest::Client>>,
}

impl Dialer {
    pub(super) fn new(policy: Arc<Policy>, resolver: Arc<dyn Resolver>, timing: Timing) -> Self {
        Self { policy, resolver, timing, pools: Mutex::default() }
    }

    /// The pool for a target; made when it is first asked for.
    pub(super) fn pool(&self, target: &Target) -> Result<reqwest::Client, String> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&(target.scheme, target.port)) {
            return Ok(pool.clone());
        }
        let pool = self.build(target)?;
        pools.insert((target.scheme, target.port), pool.clone());
        Ok(pool)
    }

    fn build(&self, target: &Target) -> Result<reqwest::Client, String> {
        const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
        const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
        const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
        let gate = Gate { policy: Arc::clone(&self.policy), resolver: Arc::clone(&self.resolver), port: target.port };
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls(target.scheme)?)
            .dns_resolver(gate)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(self.timing.connect)
            .pool_idle_timeout(self.timing.idle)
            .pool_max_idle_per_host(16)
            .tcp_nodelay(true)
            // Bodies that a guest leaves unread must not starve the others of their connection: its window is many
            // times that of a stream.
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string())
    }
}

/// Resolves names and lets only those addresses pass that may be dialled.
struct Gate {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolver>,
    port: u16,
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> reqwest::dns::Resolving {
        let (policy, port) = (Arc::clone(&self.policy), self.port);
        let resolving = self.resolver.resolve(name.as_str().to_owned(), port);
        Box::pin(async move {
            let host = Host::Domain(name.as_str().to_ascii_lowercase());
            let mut passed = Vec::new();
            let mut refusal = None;
            for address in resolving.await? {
                match policy.check_address(address.ip(), &host, port) {
                    Ok(()) => passed.push(SocketAddr::new(address.ip(), port)),
                    Err(denied) => refusal = refusal.or(Some(denied)),
                }
            }
            match refusal {
                Some(denied) if passed.is_empty() => Err(denied.into()),
                None if passed.is_empty() => Err("the name has no address".into()),
                _ => Ok(Box::new(passed.into_iter()) as Addrs),
            }
        })
    }
}

/// TLS towards whoever has a certificate that the operating system trusts, for the host's own requests.
pub fn trusted_tls() -> Result<ClientConfig, String> {
    tls(Scheme::Https)
}

/// TLS settings of their own for every pool, so that nothing is resumed across syncs; only the trusted certificates
/// are shared, and only read when https is first spoken.
fn tls(scheme: Scheme) -> Result<ClientConfig, String> {
    let versions = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = match scheme {
        // Never used, but the library wants to see one.
        Scheme::Http => versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        Scheme::Https => versions.dangerous().with_custom_certificate_verifier(verifier()?).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Checks certificates against those the operating system trusts.
fn verifier() -> Result<Arc<Verifier>, String> {
    static VERIFIER: OnceLock<Arc<Verifier>> = OnceLock::new();
    if let Some(verifier) = VERIFIER.get() {
        return Ok(Arc::clone(verifier));
    }
    // Not remembered when it fails: certificates may be installed while a server runs.
    let verifier = Verifier::new(provider())
        .map_err(|error| format!("the trusted certificates of this machine cannot be read: {error}"))?;
    Ok(Arc::clone(VERIFIER.get_or_init(|| Arc::new(verifier))))
}
