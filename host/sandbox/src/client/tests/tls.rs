//! TLS: authorities of the operator's own, certificates that prove who asks, and what can never be trusted.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::server::ok;
use super::*;

const CA: &[u8] = include_bytes!("tls/ca.pem");
const SERVER: (&[u8], &[u8]) = (include_bytes!("tls/server.pem"), include_bytes!("tls/server.key"));
const EXPIRED: (&[u8], &[u8]) = (include_bytes!("tls/expired.pem"), include_bytes!("tls/expired.key"));
const CLIENT: (&str, &str) = (include_str!("tls/client.pem"), include_str!("tls/client.key"));

/// A door with TLS before a server; gives its port.
async fn door(server: &Server, identity: (&[u8], &[u8]), wants_certificate: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if wants_certificate {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(identity.0).unwrap()];
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(identity.1).unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, inner) = (listener.local_addr().unwrap().port(), server.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = match acceptor.accept(stream).into_fallible().await {
                    Ok(outside) => outside,
                    // Closing on what was not read would take the alert away.
                    Err((_, mut stream)) => {
                        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        return;
                    }
                };
                let mut inside = TcpStream::connect(("127.0.0.1", inner)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

fn client_of(port: u16, authorities: Option<&[u8]>) -> Client {
    let hosts: Vec<_> = ["127.0.0.1", "a.test", "b.test"].map(|host| format!("{host}:{port}")).into();
    let route = Route::new(authorities, None).unwrap();
    let settings = Settings { route, ..settings() };
    Client::with_resolver(policy(&hosts, &hosts), settings, Arc::default(), Arc::new(()), names(|_, _| vec![LOCAL]))
}

/// The end of the sync by a fault of TLS.
fn untrusted<T>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Sync(error)) => {
            assert_eq!(error.code(), Code::SourceTls, "{}", error.chain());
            error.to_string()
        }
        Err(Failure::Exchange(error)) => panic!("the guest is told: {error}"),
        Ok(_) => panic!("it worked"),
    }
}

#[tokio::test]
async fn an_authority_of_the_operators_own_is_believed() {
    let server = Server::same(ok("fine")).await;
    let port = door(&server, SERVER, false).await;
    for host in ["a.test", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/");
        assert_eq!(text(&client_of(port, Some(CA)), get(&url)).await.unwrap().1, "fine", "{host}");
        let client = client_of(port, None);
        let message = untrusted(fetch(&client, get(&url)).await);
        assert!(message.contains("an authority that this machine does not trust"), "{message}");
        assert_eq!(client.stats().retries(), 0, "it would not change");
    }
}

#[tokio::test]
async fn what_cannot_be_trusted_is_told_at_once_and_why() {
    let server = Server::same(ok("fine")).await;
    let (expired, plain) = (door(&server, EXPIRED, false).await, server.port());
    let good = door(&server, SERVER, false).await;
    for (port, host, why) in [
        (expired, "a.test", "has expired"),
        (good, "b.test", "for other names"),
        (plain, "a.test", "does not speak TLS"),
    ] {
        let client = client_of(port, Some(CA));
        let message = untrusted(fetch(&client, get(format!("https://{host}:{port}/p?key=hunter2"))).await);
        assert!(message.contains(why) && !message.contains("hunter2"), "{message}");
        assert_eq!(client.stats().retries(), 0, "{why}");
    }
}

#[tokio::test]
async fn a_certificate_proves_who_asks() {
    let server = Server::same(ok("fine")).await;
    let port = door(&server, SERVER, true).await;
    let client = client_of(port, Some(CA));
    let asked = |pem: Option<String>| Request {
        terms: Terms { client_certificate: pem, ..Terms::default() },
        ..get(format!("https://a.test:{port}/"))
    };
    let (certificate, key) = CLIENT;
    let escaped = format!("{certificate}{key}").replace('\n', "\\n");
    for pem in [format!("{certificate}{key}"), format!("{key}\n{certificate}"), escaped] {
        assert_eq!(text(&client, asked(Some(pem))).await.unwrap().1, "fine");
    }
    let message = untrusted(fetch(&client, asked(None)).await);
    assert!(message.contains("certificate"), "{message}");
    for pem in ["", certificate, key, "hunter2"] {
        let error = told(fetch(&client, asked(Some(pem.to_owned()))).await);
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert!(error.message.contains("client's certificate") && !error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_without_certificates_is_refused() {
    for pem in
        [&b""[..], b"hello", CLIENT.1.as_bytes(), b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"]
    {
        let error = Route::new(Some(pem), None).unwrap_err();
        assert_eq!(error.code(), Code::Usage, "{error}");
    }
}
