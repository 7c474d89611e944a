//! Cookies: what the source sets comes back, across redirects and requests, and to nobody else.

use super::server::{Act, Seen, answer, ok};
use super::*;

/// A source that wants its session: it sets it where somebody logs in and sends others there.
fn session(seen: &Seen) -> Vec<Act> {
    let cookie = seen.header("cookie").unwrap_or_default();
    let fields: Vec<(&str, &str)> = match seen.line() {
        "POST /login" => {
            vec![("set-cookie", "sid=abc; Path=/; HttpOnly"), ("set-cookie", "lang=en"), ("location", "/home")]
        }
        "GET /bounce" if !cookie.contains("seen=1") => vec![("set-cookie", "seen=1"), ("location", "/bounce")],
        _ if cookie.contains("sid=abc") || cookie.contains("seen=1") => return vec![Act::Send(ok("welcome"))],
        _ => return vec![Act::Send(answer(401, &[], "log in"))],
    };
    vec![Act::Send(answer(302, &fields, ""))]
}

#[tokio::test]
async fn a_login_by_cookie_holds_for_what_follows() {
    let server = Server::start(|_, seen| session(seen)).await;
    let client = client(&server);
    assert_eq!(fetch(&client, get(server.url("/data"))).await.unwrap().status(), 401);
    let form = Request { body: Some(Body::Form(headers(&[("user", "me")]))), ..post(server.url("/login")) };
    assert_eq!(text(&client, form).await.unwrap(), (200, "welcome".into()));
    assert_eq!(text(&client, get(server.url("/data"))).await.unwrap(), (200, "welcome".into()));
    let own = Request { headers: headers(&[("cookie", "mine=1; lang=de")]), ..get(server.url("/data")) };
    assert_eq!(text(&client, own).await.unwrap().0, 200);
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.header("cookie"), Some("mine=1; lang=de; sid=abc"));
}

#[tokio::test]
async fn a_redirect_to_itself_with_a_cookie_is_no_circle() {
    let server = Server::start(|_, seen| session(seen)).await;
    assert_eq!(text(&client(&server), get(server.url("/bounce"))).await.unwrap(), (200, "welcome".into()));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn cookies_go_to_nobody_else_and_end() {
    let server = Server::start(|before, _| {
        let fields = [
            ("set-cookie", "host=1"),
            ("set-cookie", "other=1; Domain=b.test"),
            ("set-cookie", "deep=1; Path=/deep"),
            ("set-cookie", "safe=1; Secure"),
            ("set-cookie", "=; ;;"),
            ("set-cookie", "\u{1}"),
        ];
        let gone = [("set-cookie", "host=; Max-Age=0")];
        vec![Act::Send(match before {
            0 => answer(200, &fields, ""),
            4 => answer(200, &gone, ""),
            _ => ok(""),
        })]
    })
    .await;
    let client = client(&server);
    for url in [
        server.url_as("a.test", "/"),
        server.url_as("a.test", "/x"),
        server.url_as("a.test", "/deep/x"),
        server.url_as("b.test", "/x"),
        server.url_as("a.test", "/x"),
        server.url_as("a.test", "/x"),
    ] {
        fetch(&client, get(url)).await.unwrap();
    }
    let sent: Vec<_> = server.seen().iter().map(|seen| seen.header("cookie").map(str::to_owned)).collect();
    let text = |index: usize| sent[index].clone().unwrap_or_default();
    assert_eq!((text(0), text(1), text(3)), (String::new(), "host=1".to_owned(), String::new()));
    assert!(text(2).contains("host=1") && text(2).contains("deep=1"), "{}", text(2));
    assert_eq!((text(4), text(5)), ("host=1".to_owned(), String::new()));
}

#[tokio::test]
async fn cookies_without_end_are_refused() {
    let server = Server::start(|before, _| {
        let fields: Vec<_> = (0..50).map(|n| format!("c{before}-{n}=x")).collect();
        let fields: Vec<_> = fields.iter().map(|field| ("set-cookie", field.as_str())).collect();
        vec![Act::Send(answer(200, &fields, ""))]
    })
    .await;
    let client = client(&server);
    let mut last = None;
    for _ in 0..7 {
        last = Some(fetch(&client, get(server.url("/"))).await);
    }
    let error = told(last.unwrap());
    assert!(error.message.contains("more than 300 cookies"), "{error}");
}
