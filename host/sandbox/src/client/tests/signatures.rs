//! Signatures and digests that the host makes: the key goes into them and nowhere else.

use super::secrets::client_with_secret;
use super::server::{Act, answer, ok};
use super::*;
use crate::world::{AwsSignature, Hash, KeyForm, Signature, SignatureForm};
use base64::Engine as _;
use ring::hmac;

const KEY: &str = "k3y-of-the-shop-0123456789";

fn recipe(key: &str) -> Signature {
    Signature {
        hash: Hash::Sha256,
        key: key.to_owned(),
        key_form: KeyForm::Text,
        message: "{timestamp}{method}{path}?{query}{{}{body}".to_owned(),
        form: SignatureForm::Hex,
        headers: headers(&[("X-Sign", "v1={signature}"), ("X-Time", "{timestamp}")]),
        query: headers(&[("s i", "{signature}")]),
    }
}

fn signed(signature: Signature, request: Request) -> Request {
    Request { terms: Terms { signature: Some(signature), ..Terms::default() }, ..request }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_recipe_is_followed_with_a_key_the_guest_never_sees() {
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], KEY, &[]);
    let request = Request { query: headers(&[("a", "1 2")]), ..post(server.url("/v1/x")) };
    fetch(&client, signed(recipe(&key), request)).await.unwrap();
    let seen = server.seen().pop().unwrap();
    let message = format!("{}POST/v1/x?a=1%202{{}}{{}}", seen.header("x-time").unwrap());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), message.as_bytes());
    let wanted = hex(tag.as_ref());
    assert_eq!(seen.header("x-sign"), Some(format!("v1={wanted}").as_str()));
    assert_eq!(seen.line(), format!("POST /v1/x?a=1%202&s%20i={wanted}"));
}

#[tokio::test]
async fn keys_and_signatures_have_their_forms() {
    let server = Server::same(ok("fine")).await;
    let raw: Vec<u8> = (200..232).collect();
    let base64 = base64::engine::general_purpose::STANDARD;
    for (value, key_form) in [(base64.encode(&raw), KeyForm::Base64), (hex(&raw), KeyForm::Hex)] {
        let (client, key) = client_with_secret(&[&server], &value, &[]);
        let own = Signature {
            key_form,
            hash: Hash::Sha512,
            form: SignatureForm::Base64,
            message: "{body-sha256}|{host}".to_owned(),
            query: vec![],
            ..recipe(&key)
        };
        fetch(&client, signed(own, get(server.url("/")))).await.unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let message = format!("{empty}|127.0.0.1:{}", server.port());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &raw), message.as_bytes());
        let wanted = format!("v1={}", base64.encode(tag));
        assert_eq!(server.seen().pop().unwrap().header("x-sign"), Some(wanted.as_str()));
    }
}

#[tokio::test]
async fn a_key_signs_for_its_hosts_only_and_not_across_origins() {
    let (server, elsewhere) = (Server::same(ok("fine")).await, Server::same(ok("fine")).await);
    let own = [format!("a.test:{}", server.port())];
    let (client, key) = client_with_secret(&[&server, &elsewhere], KEY, &own);
    assert_eq!(kind(fetch(&client, signed(recipe(&key), get(elsewhere.url("/")))).await), ErrorKind::Denied);
    let location = elsewhere.url("/x");
    let origin = Server::start(move |_, _| vec![Act::Send(answer(302, &[("location", &location)], ""))]).await;
    let (client, key) = client_with_secret(&[&origin, &elsewhere], KEY, &[]);
    fetch(&client, signed(recipe(&key), get(origin.url("/")))).await.unwrap();
    assert!(origin.seen()[0].header("x-sign").is_some());
    let arrived = elsewhere.seen().pop().unwrap();
    assert_eq!((arrived.line(), arrived.header("x-sign")), ("GET /x", None));
}

#[tokio::test]
async fn recipes_that_cannot_be_followed_are_the_connectors_fault() {
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], KEY, &[]);
    for (message, name, key_form) in [
        ("{nonsense}", "x", KeyForm::Text),
        ("{body", "x", KeyForm::Text),
        ("{signature}", "x", KeyForm::Text),
        ("m", "host", KeyForm::Text),
        ("m", "a b", KeyForm::Text),
        ("m", "x", KeyForm::Hex),
        ("m", "x", KeyForm::Base64),
    ] {
        let bad = Signature {
            message: message.to_owned(),
            key_form,
            headers: headers(&[(name, "{signature}")]),
            ..recipe(&key)
        };
        let error = told(fetch(&client, signed(bad, get(server.url("/")))).await);
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{message}");
        assert!(error.message.contains("cannot be signed") && !error.message.contains(KEY), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn aws_gets_its_header_fields() {
    let server = Server::same(ok("fine")).await;
    let (client, key) = client_with_secret(&[&server], KEY, &[]);
    let aws = AwsSignature {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: key,
        session_token: Some("token".to_owned()),
        region: "us-east-1".to_owned(),
        service: "execute-api".to_owned(),
    };
    let terms = Terms { aws_signature: Some(aws), ..Terms::default() };
    fetch(&client, Request { terms, ..post(server.url("/v1/items?b=2&a=1")) }).await.unwrap();
    let seen = server.seen().pop().unwrap();
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token";
    assert!(authorization.contains("/us-east-1/execute-api/aws4_request") && authorization.contains(names));
    assert_eq!(seen.header("x-amz-security-token"), Some("token"));
}

#[tokio::test]
async fn a_challenge_is_answered_once() {
    let challenge = "Digest realm=\"shop\", qop=\"auth\", nonce=\"n1\", algorithm=SHA-256";
    let server = Server::start(move |_, seen| {
        let fine = seen.header("authorization").is_some_and(|answer| answer.contains("username=\"me\""));
        vec![Act::Send(if fine { ok("in") } else { answer(401, &[("www-authenticate", challenge)], "out") })]
    })
    .await;
    let (client, key) = client_with_secret(&[&server], KEY, &[]);
    let digest = |user: &str| Terms { digest: Some((user.to_owned(), key.clone())), ..Terms::default() };
    assert_eq!(text(&client, Request { terms: digest("me"), ..post(server.url("/x?y=1")) }).await.unwrap().1, "in");
    let seen = server.seen();
    assert_eq!((seen.len(), seen[1].body.as_slice()), (2, &b"{}"[..]));
    assert!(seen[1].header("authorization").unwrap().contains("uri=\"/x?y=1\""));
    assert!(!seen.iter().any(|seen| seen.header("authorization").is_some_and(|field| field.contains(KEY))));
    assert_eq!(text(&client, Request { terms: digest("you"), ..get(server.url("/")) }).await.unwrap().0, 401);
    assert_eq!(server.seen().len(), 4);
}
