//! Secrets on their way out and back: each where it belongs, at the hosts it belongs to, in no other place.

use super::server::{Act, Seen, answer, head, ok};
use super::*;
use crate::{SecretGrants, Secrets};
use base64::Engine as _;
use model::{Field, Secrecy};

const VALUE: &str = "s3cret/with \"quotes\" & more";

/// A client that knows a secret, for these hosts only (none: all), and the secret's placeholder.
fn client_with_secret(servers: &[&Server], value: &str, hosts: &[String]) -> (Client, String) {
    let field = Field {
        name: "api_key".into(),
        help: "The key.".into(),
        required: true,
        secrecy: Secrecy::Secret,
        default: None,
        hosts: hosts.to_vec(),
    };
    let all: Vec<_> = servers
        .iter()
        .flat_map(|server| ["127.0.0.1", "a.test", "b.test"].map(|host| format!("{host}:{}", server.port())))
        .collect();
    let description = Description { fields: vec![field], ..description(&all) };
    let configuration = Configuration([("api_key".to_owned(), value.to_owned())].into());
    let limits = crate::Limits::default();
    let secrets = Secrets::new(&description, &configuration, &SecretGrants::default(), ("test", &limits)).unwrap();
    let placeholder = secrets.shown().get("api_key").unwrap().to_owned();
    let settings = Settings { secrets, ..settings() };
    (client_for(servers, settings), placeholder)
}

fn text_of(seen: &Seen) -> String {
    String::from_utf8(seen.body.clone()).unwrap()
}

/// A text whose placeholders do not say how the secret was written.
fn without_spellings(text: &str) -> String {
    let (mut made, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("_as_") {
        made.push_str(before);
        rest = after.split_once('_').unwrap().1;
    }
    made + rest
}

/// A host that the connector declares beside the secret's own tries all that could tell it whether a guess is right: it puts
/// guesses, whole and in part, into bodies, header fields, redirects and broken answers, and the connector tells it what it
/// saw. Nothing that the connector sees depends on the secret.
#[tokio::test]
async fn a_host_beside_the_secrets_own_cannot_find_it_out() {
    const SECRET: &str = "s3cret-of-20-letters";
    let server = Server::start(|_, seen| {
        let (_, path) = seen.line().split_once(' ').unwrap();
        let (way, guess) = path[1..].split_once('/').unwrap();
        let guess = guess.trim_end_matches('?').to_owned();
        let plain = base64::engine::general_purpose::STANDARD.encode(&guess);
        match way {
            "body" => vec![Act::Send(ok(format!("{{\"guess\":\"{guess}\",\"base64\":\"{plain}\"}}")))],
            "header" => vec![Act::Send(answer(200, &[("x-guess", &guess)], "fine"))],
            "redirect" => vec![Act::Send(answer(302, &[("location", &format!("/header/{guess}"))], ""))],
            "nowhere" => vec![Act::Send(answer(302, &[("location", &format!("http://a.test:1/{guess}"))], ""))],
            _ => vec![Act::Send(format!("HTTP/1.1 {guess}\r\n\r\n").into_bytes())],
        }
    })
    .await;
    let own = [format!("a.test:{}", server.port())];
    let (client, _) = client_with_secret(&[&server], SECRET, &own);
    for way in ["body", "header", "redirect", "nowhere", "broken"] {
        for guess in (1..=SECRET.len()).map(|length| &SECRET[..length]).chain(["s3cret-of-20-lettes", "x"]) {
            let asked = Request { idempotent: false, ..post(server.url_as("b.test", &format!("/{way}/{guess}"))) };
            let seen = match fetch(&client, asked).await {
                Ok(mut response) => {
                    let body = String::from_utf8(response.read_all().await.unwrap()).unwrap();
                    format!("{} {:?} {body}", response.url(), response.headers())
                }
                Err(failure) => told(Err::<Response, _>(failure)).message,
            };
            assert!(!seen.contains("elt_secret_"), "{way} {guess}: {seen}");
            assert!(way == "broken" || seen.contains(guess), "{way} {guess}: {seen}");
        }
    }
    // The secret's own host repeats it: the connector does not see it.
    let mut response = fetch(&client, post(server.url_as("a.test", &format!("/body/{SECRET}")))).await.unwrap();
    let body = String::from_utf8(response.read_all().await.unwrap()).unwrap();
    assert!(!body.contains(SECRET) && body.contains("elt_secret_"), "{body}");
}

#[tokio::test]
async fn a_secret_is_put_in_as_its_place_demands() {
    const ENCODED: &str = "s3cret%2Fwith%20%22quotes%22%20%26%20more";
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], VALUE, &[]);
    let ask = async |request: Request| {
        assert_eq!(text(&client, request).await.unwrap().1, "fine");
        server.seen().pop().unwrap()
    };
    let seen = ask(Request { headers: headers(&[("X-Key", &format!("k={key};"))]), ..get(server.url("/")) }).await;
    assert_eq!(seen.header("x-key"), Some(format!("k={VALUE};").as_str()));
    let query = headers(&[("key", &key), ("n", "1")]);
    let seen = ask(Request { query, ..get(server.url(&format!("/v1/{key}/x?own={key}"))) }).await;
    assert_eq!(seen.line(), format!("GET /v1/{ENCODED}/x?own={ENCODED}&key={ENCODED}&n=1"));
    let bearer = Some(Authentication::Bearer(key.clone()));
    let seen = ask(Request { authentication: bearer, ..get(server.url("/")) }).await;
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {VALUE}").as_str()));
    let basic = Some(Authentication::Basic(key.clone(), format!("{key}!")));
    let seen = ask(Request { authentication: basic, ..get(server.url("/")) }).await;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{VALUE}:{VALUE}!"));
    assert_eq!(seen.header("authorization"), Some(format!("Basic {pair}").as_str()));
    let json = Some(Body::Json(format!("{{\"key\":\"{key}\"}}").into_bytes()));
    let seen = ask(Request { body: json, ..post(server.url("/")) }).await;
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((body["key"].as_str(), seen.header("content-length")), (Some(VALUE), Some("39")));
    let form = Some(Body::Form(headers(&[("k", &key), ("x", "1")])));
    let seen = ask(Request { body: form, ..post(server.url("/")) }).await;
    assert_eq!(text_of(&seen), "k=s3cret%2Fwith+%22quotes%22+%26+more&x=1");
    let bytes = Some(Body::Bytes(format!("<k>{key}</k>").into_bytes()));
    let xml = Request { body: bytes, headers: headers(&[("Content-Type", "text/xml")]), ..post(server.url("/")) };
    assert_eq!(text_of(&ask(xml).await), "<k>s3cret/with &quot;quotes&quot; &amp; more</k>");
}

#[tokio::test]
async fn a_secret_goes_nowhere_but_to_its_hosts() {
    let server = Server::same(ok("fine")).await;
    let own = [format!("a.test:{}", server.port())];
    let (client, key) = client_with_secret(&[&server], VALUE, &own);
    let carrying = |url: String| {
        [
            Request { headers: headers(&[("x-key", &key)]), ..get(&url) },
            Request { query: headers(&[("key", &key)]), ..get(&url) },
            get(format!("{url}{key}")),
            Request { authentication: Some(Authentication::Bearer(key.clone())), ..get(&url) },
            Request { authentication: Some(Authentication::Basic("me".into(), key.clone())), ..get(&url) },
            Request { body: Some(Body::Json(format!("\"{key}\"").into_bytes())), ..post(&url) },
            Request { body: Some(Body::Form(headers(&[("k", &key)]))), ..post(&url) },
            Request { body: Some(Body::Bytes(key.clone().into_bytes())), ..post(&url) },
        ]
    };
    for request in carrying(server.url_as("b.test", "/")) {
        let error = told(fetch(&client, request).await);
        assert_eq!(error.kind, ErrorKind::Denied);
        let wanted =
            format!("the secret \"api_key\" may not be sent to b.test:{0} (only to a.test:{0})", server.port());
        assert!(error.message.ends_with(&wanted), "{error}");
    }
    assert_eq!(server.seen().len(), 0);
    for request in carrying(server.url_as("a.test", "/")) {
        assert_eq!(fetch(&client, request).await.unwrap().status(), 200);
    }
}

/// The source repeats the secret in the address it redirects to, in all the ways it may be written there.
#[tokio::test]
async fn a_redirect_carries_a_secret_to_its_own_hosts_only() {
    let server = Server::start(|_, seen| {
        let port = seen.header("host").unwrap().rsplit_once(':').unwrap().1.to_owned();
        let (_, path) = seen.line().split_once(' ').unwrap();
        let Some((host, query)) = path.strip_prefix("/to/").and_then(|rest| rest.split_once('?')) else {
            return vec![Act::Send(ok("arrived"))];
        };
        let location = format!("http://{host}:{port}/new?{query}");
        vec![Act::Send(answer(302, &[("location", &location)], ""))]
    })
    .await;
    let own = [format!("a.test:{}", server.port())];
    let (client, key) = client_with_secret(&[&server], VALUE, &own);
    let ask = |to: &str| Request { query: headers(&[("key", &key)]), ..get(server.url_as("a.test", to)) };
    let mut response = fetch(&client, ask("/to/a.test")).await.unwrap();
    assert_eq!(response.read_all().await.unwrap(), b"arrived");
    assert_eq!(without_spellings(response.url()), server.url_as("a.test", &format!("/new?key={key}")));
    assert_eq!(server.seen()[1].line(), "GET /new?key=s3cret%2Fwith%20%22quotes%22%20%26%20more");
    let error = told(fetch(&client, ask("/to/b.test")).await);
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert_eq!(server.seen().len(), 3, "the redirect was not followed");
    // What does not carry it may go there.
    let plain = Request { headers: headers(&[("x-key", &key)]), ..get(server.url_as("a.test", "/to/b.test?x=1")) };
    assert_eq!(text(&client, plain).await.unwrap().1, "arrived");
    assert_eq!(server.seen()[4].header("x-key"), None);
}

/// Every request is answered with all that was in it.
async fn echo() -> Server {
    Server::start(|_, seen| {
        let body = format!("{} {} {}", seen.line(), seen.header("x-key").unwrap_or_default(), text_of(seen));
        let fields = [("x-echo", seen.header("x-key").unwrap_or_default())];
        vec![Act::Send(answer(200, &fields, body))]
    })
    .await
}

#[tokio::test]
async fn where_an_answer_repeats_a_secret_the_guest_sees_the_placeholder() {
    let server = echo().await;
    let (client, key) = client_with_secret(&[&server], VALUE, &[]);
    let request = Request {
        query: headers(&[("k", &key)]),
        headers: headers(&[("x-key", &key)]),
        body: Some(Body::Json(format!("[\"{key}\"]").into_bytes())),
        ..post(server.url("/"))
    };
    let mut response = fetch(&client, request).await.unwrap();
    let fields = response.headers().iter().find(|(name, _)| name == "x-echo").unwrap();
    assert_eq!(fields.1, key);
    let body = String::from_utf8(response.read_all().await.unwrap()).unwrap();
    assert_eq!(without_spellings(&body), format!("POST /?k={key} {key} [\"{key}\"]"));
}

#[tokio::test]
async fn a_secret_that_comes_in_pieces_is_seen_all_the_same() {
    const SECRET: &str = "abcabcabd-secret";
    let server = Server::start(|_, _| {
        let body = "x".repeat(70_000) + "abcabc" + SECRET + "abcabcabd" + SECRET + "abcabcabd-secre";
        let mut acts = vec![Act::Send(head(200, &[("content-length", &body.len().to_string())]))];
        acts.push(Act::Send(body.as_bytes()[..70_000].to_vec()));
        acts.extend(
            body.as_bytes()[70_000..]
                .chunks(5)
                .flat_map(|piece| [Act::Send(piece.to_vec()), Act::Wait(Duration::from_millis(5))]),
        );
        acts
    })
    .await;
    let (client, key) = client_with_secret(&[&server], SECRET, &[]);
    let wanted = "x".repeat(70_000) + "abcabc" + &key + "abcabcabd" + &key + "abcabcabd-secre";
    for buffer in [false, true] {
        for bytes_max in [7, 100_000] {
            let mut response = fetch(&client, Request { buffer, ..get(server.url("/")) }).await.unwrap();
            let mut body = Vec::new();
            loop {
                let piece = response.read(bytes_max).await.unwrap();
                assert!(piece.len() <= bytes_max as usize);
                if piece.is_empty() {
                    break;
                }
                body.extend(piece);
            }
            assert!(String::from_utf8(body).unwrap() == wanted, "buffer {buffer}, at most {bytes_max}");
        }
    }
}

/// Placeholders are longer than what they stand for: the limit holds for what the guest is handed.
#[tokio::test]
async fn placeholders_count_towards_the_limit_of_an_answer() {
    let server = Server::same(ok("s3cretly".repeat(100))).await;
    let (_, _) = client_with_secret(&[&server], "s3cretly", &[]);
    let (client, _) = client_with_secret(&[&server], "s3cretly", &[]);
    assert_eq!(text(&client, get(server.url("/"))).await.unwrap().1.len(), 100 * 43);
    let mut settings = client.0.settings.clone();
    settings.limits.response_bytes_max = 4_000;
    limit(text(&client_for(&[&server], settings), get(server.url("/"))).await);
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_the_configurations_fault() {
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], "two\nlines-of-it", &[]);
    let request = Request { headers: headers(&[("x-key", &key)]), ..get(server.url("/")) };
    match fetch(&client, request).await {
        Err(Failure::Sync(error)) => {
            assert_eq!(error.code(), Code::ConfigurationInvalid);
            assert!(error.to_string().contains("\"api_key\"") && !error.to_string().contains("lines-of-it"), "{error}");
        }
        _ => panic!("it was sent"),
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn many_secrets_do_not_make_a_request_larger_than_allowed() {
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], &"v".repeat(10_000), &[]);
    let request = Request { headers: headers(&[("x-key", &key.repeat(7))]), ..get(server.url("/")) };
    limit(fetch(&client, request).await);
    let query = Request { query: headers(&[("q", &key.repeat(7))]), ..get(server.url("/")) };
    limit(fetch(&client, query).await);
    let body = Some(Body::Bytes(key.repeat(2_000).into_bytes()));
    limit(fetch(&client, Request { body, ..post(server.url("/")) }).await);
    assert_eq!(server.seen().len(), 0);
}
