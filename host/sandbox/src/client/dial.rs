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
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256};
use url::Host;

use super::route::{self, Identity, Route};
use super::{ErrorKind, Settings, Timing};
use crate::egress::{Denied, Policy, Scheme, Target};

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
    route: Route,
    pools: Mutex<HashMap<Purpose, reqwest::Client>>,
}

/// As many kinds of connections are kept at one time.
const POOLS_MAX: usize = 64;

/// Why there is no pool: whose fault, and what.
type NoPool = (ErrorKind, String);

/// What a pool is for: scheme, port, and a hash of the certificate that proves who asks.
type Purpose = (Scheme, u16, Option<[u8; 32]>);

impl Dialer {
    pub(super) fn new(policy: Arc<Policy>, resolver: Arc<dyn Resolver>, settings: &Settings) -> Self {
        let (timing, route) = (settings.timing.clone(), settings.route.clone());
        Self { policy, resolver, timing, route, pools: Mutex::default() }
    }

    /// The pool for a target; made when it is first asked for. `certificate` proves who asks.
    pub(super) fn pool(&self, target: &Target, certificate: Option<&str>) -> Result<reqwest::Client, NoPool> {
        let purpose = (target.scheme, target.port, certificate.map(|pem| Sha256::digest(pem).into()));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&purpose) {
            return Ok(pool.clone());
        }
        // A connector that makes up certificate after certificate has its connections closed.
        if pools.len() >= POOLS_MAX {
            pools.clear();
        }
        let identity = certificate.map(route::identity).transpose();
        let identity = identity.map_err(|reason| (ErrorKind::InvalidRequest, reason))?;
        let pool = self.build(target, identity).map_err(|reason| (ErrorKind::Connect, reason))?;
        pools.insert(purpose, pool.clone());
        Ok(pool)
    }

    /// Holds what a proxy will be asked for against the policy, as far as it can be known here. Names that only the proxy
    /// can resolve pass: where they lead is the operator's, who runs it.
    pub(super) async fn check_for_proxy(&self, target: &Target) -> Result<(), Denied> {
        let (Some(_), Host::Domain(name)) = (&self.route.proxy, &target.host) else { return Ok(()) };
        let resolving = self.resolver.resolve(name.clone(), target.port);
        if let Ok(Ok(addresses)) = tokio::time::timeout(self.timing.connect, resolving).await {
            for address in addresses {
                self.policy.check_address(address.ip(), &target.host, target.port)?;
            }
        }
        Ok(())
    }

    fn build(&self, target: &Target, identity: Option<Identity>) -> Result<reqwest::Client, String> {
        const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
        const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
        const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
        const HEADER_FIELDS_MAX: usize = 1_000;
        let gate = Gate {
            policy: self.route.proxy.is_none().then(|| Arc::clone(&self.policy)),
            resolver: Arc::clone(&self.resolver),
            port: target.port,
        };
        let builder = match &self.route.proxy {
            None => reqwest::Client::builder().no_proxy(),
            Some(proxy) => reqwest::Client::builder().proxy(proxy.clone()),
        };
        builder
            .tls_backend_preconfigured(tls(target.scheme, &self.route, identity)?)
            .dns_resolver(gate)
            .http1_max_headers(HEADER_FIELDS_MAX)
            // What browsers put up with in the header fields of an answer.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
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
    /// None: the name is that of the operator's proxy, which may be anywhere.
    policy: Option<Arc<Policy>>,
    resolver: Arc<dyn Resolver>,
    port: u16,
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> reqwest::dns::Resolving {
        let (policy, port) = (self.policy.clone(), self.port);
        let resolving = self.resolver.resolve(name.as_str().to_owned(), port);
        Box::pin(async move {
            let host = Host::Domain(name.as_str().to_ascii_lowercase());
            let mut passed = Vec::new();
            let mut refusal = None;
            for address in resolving.await? {
                match policy.as_ref().map_or(Ok(()), |policy| policy.check_address(address.ip(), &host, port)) {
                    // Where the port is the proxy's, the library puts it in.
                    Ok(()) => passed.push(SocketAddr::new(address.ip(), if policy.is_some() { port } else { 0 })),
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
    tls(Scheme::Https, &Route::default(), None)
}

/// TLS settings of their own for every pool, so that nothing is resumed across syncs; only the trusted certificates
/// are shared, and only read when https is first spoken.
fn tls(scheme: Scheme, route: &Route, identity: Option<Identity>) -> Result<ClientConfig, String> {
    let versions = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let versions = match scheme {
        // Never used, but the library wants to see one.
        Scheme::Http if route.proxy.is_none() => versions.with_root_certificates(RootCertStore::empty()),
        _ => versions.dangerous().with_custom_certificate_verifier(verifier(&route.authorities)?),
    };
    let mut config = match identity {
        None => versions.with_no_client_auth(),
        Some((chain, key)) => {
            let config = versions.with_client_auth_cert(chain, key);
            config.map_err(|error| format!("the client's certificate cannot be used: {error}"))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Checks certificates against those the operating system trusts, and those of the operator's own authorities.
fn verifier(authorities: &[CertificateDer<'static>]) -> Result<Arc<Verifier>, String> {
    static VERIFIER: OnceLock<Arc<Verifier>> = OnceLock::new();
    if let Some(verifier) = VERIFIER.get().filter(|_| authorities.is_empty()) {
        return Ok(Arc::clone(verifier));
    }
    // Not remembered when it fails: certificates may be installed while a server runs.
    let verifier = Verifier::new_with_extra_roots(authorities.iter().cloned(), provider())
        .map_err(|error| format!("the trusted certificates of this machine cannot be read: {error}"))?;
    if !authorities.is_empty() {
        return Ok(Arc::new(verifier));
    }
    Ok(Arc::clone(VERIFIER.get_or_init(|| Arc::new(verifier))))
}
