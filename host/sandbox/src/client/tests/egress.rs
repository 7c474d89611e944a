//! The second stage of the policy, where it matters: at the moment of dialling.

use super::server::{Act, ok};
use super::*;

const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

fn client_with(hosts: &[String], private: &[String], resolver: Arc<dyn Resolver>) -> Client {
    Client::with_resolver(policy(hosts, private), settings(), Arc::default(), Arc::new(()), resolver)
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_dialled() {
    let server = Server::same(ok("secret")).await;
    let host = format!("api.test:{}", server.port());
    let client = client_with(std::slice::from_ref(&host), &[], names(|_, _| vec![LOCAL]));
    let error = told(fetch(&client, get(format!("https://{host}/p?k=hunter2"))).await);
    assert_eq!((error.kind, server.connections()), (ErrorKind::Denied, 0));
    let wanted = format!("{host} leads to 127.0.0.1, a loopback address");
    assert!(error.message.contains(&wanted) && error.message.contains("--allow-private"), "{error}");
    assert_eq!((client.stats().denials(), client.stats().retries()), (1, 0));
}

#[tokio::test]
async fn a_name_that_is_rebound_is_refused_the_second_time() {
    // Every answer ends its connection, so that every request asks for the name again.
    let server = Server::start(|_, _| vec![Act::Send(ok("fine")), Act::Close]).await;
    let host = format!("api.test:{}", server.port());
    let rebinding = names(|question, _| vec![if question == 0 { LOCAL } else { METADATA }]);
    let hosts = [host.clone()];
    let client = client_with(&hosts, &hosts, rebinding);
    assert_eq!(text(&client, get(format!("http://{host}/"))).await.unwrap().1, "fine");
    while server.open() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let error = told(fetch(&client, post(format!("http://{host}/"))).await);
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("169.254.169.254, a cloud metadata address"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn only_the_addresses_that_pass_are_dialled() {
    let server = Server::same(ok("fine")).await;
    let host = format!("api.test:{}", server.port());
    let hosts = [host.clone()];
    let mixed = names(|_, _| vec![METADATA, "::ffff:127.0.0.1".parse().unwrap(), LOCAL, "0.0.0.0".parse().unwrap()]);
    let client = client_with(&hosts, &hosts, mixed);
    assert_eq!(text(&client, get(format!("http://{host}/"))).await.unwrap().1, "fine");
    let none = names(|_, _| vec![METADATA, "::ffff:127.0.0.1".parse().unwrap(), "0.0.0.0".parse().unwrap()]);
    let client = client_with(&hosts, &hosts, none);
    assert_eq!(kind(fetch(&client, get(format!("http://{host}/"))).await), ErrorKind::Denied);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_port_that_is_allowed_opens_no_other() {
    let (open, closed) = (Server::same(ok("open")).await, Server::same(ok("closed")).await);
    let hosts = [&open, &closed].map(|server| format!("api.test:{}", server.port()));
    let client = client_with(&hosts, &hosts[..1], names(|_, _| vec![LOCAL]));
    assert_eq!(text(&client, get(format!("http://{}/", hosts[0]))).await.unwrap().1, "open");
    assert_eq!(kind(client.send(get(format!("http://{}/", hosts[1])))), ErrorKind::Denied);
    assert_eq!(kind(fetch(&client, get(format!("https://{}/", hosts[1]))).await), ErrorKind::Denied);
    assert_eq!(closed.connections(), 0);
}

#[tokio::test]
async fn literal_addresses_are_refused_before_anything_is_dialled() {
    let server = Server::same(ok("secret")).await;
    let port = server.port();
    let hosts = ["127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"].map(|host| format!("{host}:{port}"));
    let client = client_with(&hosts, &[], names(|_, _| vec![LOCAL]));
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
        "0.0.0.0",
    ] {
        assert_eq!(kind(client.send(get(format!("https://{host}:{port}/")))), ErrorKind::Denied, "{host}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_is_not_declared_is_not_even_resolved() {
    let asked = names(|_, host| panic!("asked for {host}"));
    let client = client_with(&["api.test".into()], &[], asked);
    for url in ["https://other.test/", "https://api.test:8443/", "https://x.api.test/", "http://api.test/"] {
        assert_eq!(kind(client.send(get(url))), ErrorKind::Denied, "{url}");
    }
    assert_eq!(client.stats().requests(), 0);
}

#[tokio::test]
async fn a_name_without_addresses_is_named() {
    let client = client_with(&["api.test".into()], &[], names(|_, _| vec![]));
    let error = told(fetch(&client, get("https://api.test/p?k=hunter2")).await);
    assert_eq!((error.kind, client.stats().retries()), (ErrorKind::Connect, 4));
    assert_eq!(error.message, "GET https://api.test/p: could not connect: no such name");
}

#[tokio::test]
async fn the_system_resolves_names_of_this_machine() {
    let server = Server::same(ok("home")).await;
    let hosts = [format!("localhost:{}", server.port())];
    let client = Client::new(policy(&hosts, &hosts), settings(), Arc::default(), Arc::new(()));
    assert_eq!(text(&client, get(server.url_as("localhost", "/"))).await.unwrap().1, "home");
    assert_eq!(text(&client, get(server.url_as("LOCALHOST.", "/"))).await.unwrap().1, "home");
    assert_eq!(server.seen()[1].header("host"), Some(hosts[0].as_str()));
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_a_failed_connection() {
    let server = Server::start(|_, _| vec![Act::Close]).await;
    let hosts = [format!("127.0.0.1:{}", server.port())];
    let client = Client::new(policy(&hosts, &hosts), settings(), Arc::default(), Arc::new(()));
    // The server reads on for the end of a head that never comes; the handshake runs into the timeout, or fails.
    let request = Request { timeout_ms: Some(500), ..post(format!("https://{}/", hosts[0])) };
    assert!(matches!(kind(fetch(&client, request).await), ErrorKind::Connect | ErrorKind::Timeout));
    assert_eq!(server.connections(), 1);
}
