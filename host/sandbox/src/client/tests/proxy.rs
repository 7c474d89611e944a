//! By way of the operator's proxy: what it is asked for is held against the policy as what is dialled otherwise.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Act, ok};
use super::*;

/// A client whose proxy is at that URL, and which may reach these hosts.
fn proxied(proxy: &str, hosts: &[&str], resolver: Arc<dyn Resolver>) -> Client {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let settings = Settings { route: Route::new(None, Some(proxy)).unwrap(), ..settings() };
    Client::with_resolver(policy(&hosts, &hosts), settings, Arc::default(), Arc::new(()), resolver)
}

fn nowhere() -> Arc<dyn Resolver> {
    names(|_, host| if host == "proxy.test" { vec![LOCAL] } else { vec![] })
}

#[tokio::test]
async fn a_source_is_asked_by_way_of_the_proxy() {
    let proxy = Server::start(|_, _| vec![Act::Send(ok("by proxy"))]).await;
    // The name is known to the proxy alone.
    let client = proxied(&format!("http://me:pw@proxy.test:{}", proxy.port()), &["source.test:80"], nowhere());
    assert_eq!(text(&client, get("http://source.test/p?x=1")).await.unwrap().1, "by proxy");
    let seen = proxy.seen().pop().unwrap();
    assert_eq!(seen.line(), "GET http://source.test/p?x=1");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6cHc="));
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let proxy = Server::start(|_, _| {
        vec![Act::Send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec()), Act::Close]
    })
    .await;
    let client = proxied(&format!("http://127.0.0.1:{}", proxy.port()), &["source.test:8443"], nowhere());
    let error = told(fetch(&client, get("https://source.test:8443/p")).await);
    assert_eq!(error.kind, ErrorKind::Connect, "{error}");
    assert_eq!(proxy.seen()[0].line(), "CONNECT source.test:8443");
}

#[tokio::test]
async fn the_policy_holds_for_what_the_proxy_is_asked_for() {
    let proxy = Server::start(|_, _| vec![Act::Send(ok("by proxy"))]).await;
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let inside = names(|_, _| vec!["10.0.0.7".parse().unwrap()]);
    let hosts = ["a.test".to_owned(), "127.0.0.1".to_owned(), "169.254.169.254".to_owned(), "2852039166".to_owned()];
    let settings = Settings { route: Route::new(None, Some(&url)).unwrap(), ..settings() };
    let client = Client::with_resolver(policy(&hosts[..1], &[]), settings, Arc::default(), Arc::new(()), inside);
    for url in
        ["https://a.test/", "https://127.0.0.1/", "https://169.254.169.254/", "https://b.test/", "http://a.test/"]
    {
        assert_eq!(kind(fetch(&client, get(url)).await), ErrorKind::Denied, "{url}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn socks_is_given_the_name() {
    let source = Server::same(ok("by socks")).await;
    let (listener, inner) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), source.port());
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            let mut bytes = [0; 512];
            // Greeting: no authentication. Then the request: connect, a name, a port.
            let _ = outside.read(&mut bytes).await.unwrap();
            outside.write_all(&[5, 0]).await.unwrap();
            let count = outside.read(&mut bytes).await.unwrap();
            noted.lock().unwrap().push(bytes[..count].to_vec());
            outside.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let mut inside = TcpStream::connect(("127.0.0.1", inner)).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        }
    });
    for scheme in ["socks5", "socks5h"] {
        let client = proxied(&format!("{scheme}://127.0.0.1:{port}"), &["source.test:80"], nowhere());
        assert_eq!(text(&client, get("http://source.test/")).await.unwrap().1, "by socks", "{scheme}");
        let request = asked.lock().unwrap().pop().unwrap();
        assert_eq!(request, [&[5, 1, 0, 3, 11][..], b"source.test", &[0, 80]].concat(), "{scheme}");
    }
}

#[test]
fn a_proxy_that_cannot_be_is_refused_without_showing_its_password() {
    for url in ["", "proxy:8080", "ftp://me:hunter2@proxy", "http://", "socks4://proxy", "file:///x"] {
        let error = Route::new(None, Some(url)).unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        assert!(!error.chain().contains("hunter2"), "{url}");
    }
}
