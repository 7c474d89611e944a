//! A source behind TLS: certificates are checked against what the machine trusts, HTTP/2 is spoken where it is offered.
//!
//! The certificates are made here, by the command `openssl`.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use axum::http::Response;
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tests::host::{Host, Output, component};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const BODY: &str = r#"{"cds_records":[{"record_id":"a"},{"record_id":"b"}],"next_cursor":null}"#;

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    let output = command.output().context("these tests need the command openssl")?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// `NAME.pem` and `NAME.key` of an authority that nobody trusts by itself.
fn make_authority(folder: &Path, name: &str) -> Result<()> {
    let subject = format!("-subj /CN={name} -days 10 -addext keyUsage=critical,keyCertSign");
    let key = format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key");
    openssl(folder, &format!("req -x509 {key} -out {name}.pem {subject}"))
}

/// `leaf.key`, and what an authority needs to sign for a host.
fn ask_for_leaf(folder: &Path, host: &str) -> Result<()> {
    std::fs::write(folder.join("leaf.ext"), format!("subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n"))?;
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf",
    )
}

/// `leaf.pem` and `leaf.key` for a host, signed by the authority `ca`.
fn make_leaf(folder: &Path, host: &str) -> Result<()> {
    ask_for_leaf(folder, host)?;
    openssl(
        folder,
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 10 -extfile leaf.ext",
    )
}

/// The same, valid for the year 2020 only.
fn make_expired_leaf(folder: &Path, host: &str) -> Result<()> {
    const SETTINGS: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n\
        default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";
    ask_for_leaf(folder, host)?;
    for (name, text) in [("ca.cnf", SETTINGS), ("index", ""), ("serial", "01\n")] {
        std::fs::write(folder.join(name), text)?;
    }
    let files = "-config ca.cnf -cert ca.pem -keyfile ca.key -in leaf.csr -out leaf.pem -extfile leaf.ext";
    openssl(folder, &format!("ca -batch -notext {files} -startdate 20200101000000Z -enddate 20210101000000Z"))
}

/// A source that offers these protocols; it ends with the test's process.
struct Source {
    port: u16,
    /// The protocol of every connection so far.
    spoken: Arc<Mutex<Vec<String>>>,
}

impl Source {
    fn start(folder: &Path, protocols: &[&str]) -> Result<Self> {
        let certificate = CertificateDer::from_pem_file(folder.join("leaf.pem"))?;
        let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let spoken = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, book) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&spoken));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(serve(listener, acceptor, book)));
        Ok(Self { port, spoken })
    }

    fn spoken(&self) -> Vec<String> {
        self.spoken.lock().map(|spoken| spoken.clone()).unwrap_or_default()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, book: Arc<Mutex<Vec<String>>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, book) = (acceptor.clone(), Arc::clone(&book));
        tokio::spawn(async move {
            // A client that does not trust the certificate goes away here.
            let stream = acceptor.accept(stream).await?;
            let protocol = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
            let protocol = protocol.unwrap_or_else(|| "none".to_owned());
            if let Ok(mut book) = book.lock() {
                book.push(protocol.clone());
            }
            if protocol == "h2" { speak_2(stream).await } else { speak_1(stream).await }
        });
    }
}

async fn speak_2(stream: TlsStream<TcpStream>) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request?;
        let head = Response::builder().header("content-type", "application/json").body(())?;
        respond.send_response(head, false)?.send_data(Bytes::from_static(BODY.as_bytes()), true)?;
    }
    Ok(())
}

async fn speak_1(mut stream: TlsStream<TcpStream>) -> Result<()> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the client has gone");
        bytes.extend_from_slice(&piece[..read]);
        if bytes.ends_with(b"\r\n\r\n") {
            bytes.clear();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
            stream.write_all(format!("{head}{BODY}").as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

/// A host that trusts one authority and nobody else.
fn trusting(authority: &str) -> Result<Host> {
    let mut host = Host::new()?;
    make_authority(host.folder(), "ca")?;
    make_authority(host.folder(), "stranger")?;
    let path = host.folder().join(authority);
    host.set_env("SSL_CERT_FILE", &path);
    host.set_env("SSL_CERT_DIR", host.folder().join("none"));
    Ok(host)
}

fn check(host: &Host, source: &Source, command: &[&str]) -> Result<Output> {
    let address = format!("localhost:{}", source.port);
    let configuration = serde_json::json!({"base_url": format!("https://{address}"), "api_key": "123"});
    host.write("configuration.json", configuration.to_string())?;
    let component = component("guest")?;
    let component = component.to_string_lossy();
    let arguments = ["--config", "configuration.json", "--allow-private", &address];
    host.run(&[command, &[&*component], &arguments].concat())
}

#[test]
fn a_source_with_a_trusted_certificate_is_read_by_http_2() -> Result<()> {
    let host = trusting("ca.pem")?;
    make_leaf(host.folder(), "localhost")?;
    let source = Source::start(host.folder(), &["h2", "http/1.1"])?;
    check(&host, &source, &["run"])?.succeeded()?;
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "2");
    let spoken = source.spoken();
    ensure!(!spoken.is_empty() && spoken.iter().all(|protocol| protocol == "h2"), "{spoken:?}");
    Ok(())
}

#[test]
fn a_source_without_http_2_is_read_by_http_1() -> Result<()> {
    let host = trusting("ca.pem")?;
    make_leaf(host.folder(), "localhost")?;
    for protocols in [&["http/1.1"][..], &[]] {
        let source = Source::start(host.folder(), protocols)?;
        check(&host, &source, &["run", "--full-refresh"])?.succeeded()?;
        let spoken = source.spoken();
        ensure!(spoken.iter().all(|protocol| protocol != "h2") && !spoken.is_empty(), "{spoken:?}");
    }
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "2");
    Ok(())
}

#[test]
fn a_certificate_of_a_stranger_is_refused_in_clear_words() -> Result<()> {
    let host = trusting("stranger.pem")?;
    make_leaf(host.folder(), "localhost")?;
    let source = Source::start(host.folder(), &["h2"])?;
    let output = check(&host, &source, &["check"])?.failed(3, "source-unavailable")?;
    ensure!(output.stderr.contains("certificate") && output.stderr.contains("UnknownIssuer"), "{}", output.stderr);
    ensure!(source.spoken().is_empty(), "a request went to a source that nobody trusts");
    Ok(())
}

#[test]
fn an_expired_certificate_is_refused_in_clear_words() -> Result<()> {
    let host = trusting("ca.pem")?;
    make_expired_leaf(host.folder(), "localhost")?;
    let source = Source::start(host.folder(), &["h2"])?;
    let output = check(&host, &source, &["check"])?.failed(3, "source-unavailable")?;
    ensure!(output.stderr.contains("certificate expired"), "{}", output.stderr);
    ensure!(source.spoken().is_empty(), "a request went to a source whose certificate has expired");
    Ok(())
}

#[test]
fn a_certificate_of_another_host_is_refused_in_clear_words() -> Result<()> {
    let host = trusting("ca.pem")?;
    make_leaf(host.folder(), "elsewhere.test")?;
    let source = Source::start(host.folder(), &["h2"])?;
    let output = check(&host, &source, &["check"])?.failed(3, "source-unavailable")?;
    ensure!(output.stderr.contains("certificate not valid for name \"localhost\""), "{}", output.stderr);
    Ok(())
}
