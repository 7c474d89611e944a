//! Next pages by URL: which host is asked, what is kept of a URL for later syncs, and where credentials go.

use std::cell::RefCell;
use std::rc::Rc;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, Test, serve};

use crate::pagination::{number, page};

/// The URLs asked by a client, and the cursors of its pages.
fn follow(
    http: &Client,
    pages: impl FnOnce(Request) -> Pages<NextUrl>,
    next: &[&str],
) -> (Vec<String>, Vec<Option<String>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    let next: Vec<String> = next.iter().map(|next| format!(r#""next": "{next}","#)).collect();
    serve(move |request| {
        log.borrow_mut().push(request.url().to_owned());
        let n = log.borrow().len() - 1;
        page(n.min(2), next.get(n).map_or("", String::as_str))
    });
    let cursors = pages(http.get("x")).map(|page| page.unwrap().cursor().map(str::to_owned)).collect();
    let asked = asked.borrow().clone();
    (asked, cursors)
}

fn next_url(request: Request) -> Pages<NextUrl> {
    request.pages("items", NextUrl::new("next"))
}

#[test]
fn a_source_that_names_another_host_scheme_or_port_is_followed_where_it_lives() {
    for other in [
        "https://api.test/v1",
        "http://api.test/v1",
        "http://10.0.0.1:8080/v1",
        "//inner/v1",
        "/v1",
        "https://user:pass@api.test/v1",
    ] {
        let next = [format!("{other}/x?page=2"), format!("{other}/x?page=3#top")];
        let (asked, cursors) =
            follow(&Client::new("https://api.test/v1"), next_url, &next.each_ref().map(String::as_str));
        assert_eq!(asked, ["https://api.test/v1/x", "https://api.test/v1/x?page=2", "https://api.test/v1/x?page=3"]);
        assert_eq!(cursors, [Some("x?page=2".to_owned()), Some("x?page=3".to_owned()), None]);
    }
    let (asked, cursors) = follow(&Client::new("https://api.test/v1"), next_url, &["https://api.test/v2/x?page=2"]);
    assert_eq!((asked[1].as_str(), cursors[0].as_deref()), ("https://api.test/v2/x?page=2", Some("/v2/x?page=2")));
    let (asked, _) = follow(&Client::new("https://api.test/v1"), next_url, &["?page=2"]);
    assert_eq!(asked[1], "https://api.test/v1/x?page=2");
}

#[test]
fn a_cursor_in_the_state_follows_the_source_to_its_new_host() {
    for kept in ["x?page=2", "https://old.test/v1/x?page=2", "http://old.test:81/v1/x?page=2"] {
        let start = |request: Request| request.pages("items", NextUrl::new("next").start(Some(kept.to_owned())));
        let (asked, _) = follow(&Client::new("https://new.test:8443/v1"), start, &[]);
        assert_eq!(asked, ["https://new.test:8443/v1/x?page=2"]);
    }
}

#[test]
fn other_hosts_are_followed_where_the_author_says_so() {
    let pages = |request: Request| request.pages("items", NextUrl::new("next").elsewhere());
    let (asked, cursors) = follow(
        &Client::new("https://api.test"),
        pages,
        &["https://u:p@files.test/x?page=2", "https://api.test/x?page=3"],
    );
    assert_eq!(asked, ["https://api.test/x", "https://u:p@files.test/x?page=2", "https://api.test/x?page=3"]);
    assert_eq!(cursors[1].as_deref(), Some("x?page=3"));
}

#[test]
fn a_key_that_the_next_url_repeats_is_taken_out_and_sent_again() {
    let http = Client::new("https://api.test").query("key", "k e+y").query("lang", "en");
    let (asked, cursors) =
        follow(&http, next_url, &["/x?page=2&key=k%20e%2By&lang=en", "/x?key=k+e%2By&page=3&lang=de"]);
    assert_eq!(
        asked,
        [
            "https://api.test/x?key=k%20e%2By&lang=en",
            "https://api.test/x?page=2&key=k%20e%2By&lang=en",
            "https://api.test/x?page=3&lang=de&key=k%20e%2By"
        ]
    );
    assert_eq!(cursors, [Some("x?page=2".to_owned()), Some("x?page=3&lang=de".to_owned()), None]);
}

/// Copies behind a key in the query and keeps the next URL.
struct Keyed;

impl Connector for Keyed {
    const FIELDS: &[Field] = &[Field::required("key", "The key.").secret()];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(Vec::new())
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new("https://api.test").query("key", configuration.required("key")?);
        for page in http.get("x").pages("items", NextUrl::new("next").start(state.get("place"))) {
            let page = page?;
            operations.upsert_page("x", &page)?;
            state.set("place", page.place())?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

#[test]
fn no_key_and_no_placeholder_of_one_comes_into_the_state() {
    let source = |echo: &'static str| {
        move |asked: &Asked| {
            let next = format!(r#""next": "https://api.test/x?n={}&key={echo}","#, number(asked, "n") + 1);
            page(number(asked, "n"), if number(asked, "n") < 2 { &next } else { "" })
        }
    };
    for echo in ["sesame-12345", "***", ""] {
        let sync = Test::<Keyed>::new().configuration("key", "sesame-12345").serve(source(echo)).update();
        assert_eq!(sync.result, Ok(()));
        assert_eq!(
            sync.checkpoints(),
            [r#"{"place":"x?n=1"}"#, r#"{"place":"x?n=2"}"#, r#"{"place":"x?n=2"}"#],
            "{echo}"
        );
        let expect = ["x?key=sesame-12345", "x?n=1&key=sesame-12345", "x?n=2&key=sesame-12345"];
        assert_eq!(sync.requests(), expect.map(|url| format!("GET https://api.test/{url}")));
    }
}

#[test]
fn a_session_token_in_the_query_is_not_sent_twice() {
    serve(|asked| match asked.path() {
        "/login" => Answer::json(r#"{"token": "t2"}"#),
        _ if asked.url().matches("session=").count() != 1 => Answer::status(400),
        _ => page(number(asked, "n"), if number(asked, "n") == 0 { r#""next": "/x?n=1&session=t1","# } else { "" }),
    });
    let http = Client::new("https://api.test");
    let login = Login::session(http.post("login"), "token").query("session");
    assert_eq!(
        next_url(http.login(&login).get("x")).map(|page| page.map(drop)).collect::<Result<Vec<_>>>().unwrap().len(),
        2
    );
}

#[test]
fn a_next_url_is_found_in_any_header_and_among_links() {
    let header = |asked: &Asked| {
        let n = number(asked, "n");
        if n == 2 {
            page(2, "")
        } else {
            page(n, "").header("X-Next-Page-Url", &format!("https://api.test/x?n={}", n + 1))
        }
    };
    serve(header);
    let http = Client::new("https://api.test");
    assert_eq!(http.get("x").pages("items", NextUrl::new("header:x-next-page-url")).count(), 3);

    for (rel, href) in [("rel", "href"), ("relation", "url")] {
        serve(move |asked| {
            let n = number(asked, "n");
            let next =
                if n == 2 { String::new() } else { format!(r#", {{"{rel}": "next", "{href}": "/x?n={}"}}"#, n + 1) };
            page(n, &format!(r#""links": [{{"{rel}": "self", "{href}": "/x?n={n}"}}{next}],"#))
        });
        assert_eq!(http.get("x").pages("items", NextUrl::among("links")).count(), 3);
    }
    serve(|asked| {
        let n = number(asked, "n");
        let link = format!("<https://inner/x?n={}>; rel='next'; results='{}'", n + 1, n < 2);
        page(n, "").header("Link", &link)
    });
    let places: Vec<_> =
        http.get("x").pages("items", LinkHeader::new()).map(|page| page.unwrap().place().map(str::to_owned)).collect();
    assert_eq!(places, [1, 2, 3].map(|n| Some(format!("x?n={n}"))));
}

#[test]
fn the_query_of_a_base_url_goes_with_every_request() {
    let http = Client::new("https://api.test/v1/?tenant=a%20b&v=2#top");
    let (asked, cursors) = follow(&http, next_url, &["/v1/x?page=2&tenant=a+b&v=2"]);
    assert_eq!(asked, ["https://api.test/v1/x?tenant=a%20b&v=2", "https://api.test/v1/x?page=2&tenant=a%20b&v=2"]);
    assert_eq!(cursors[0].as_deref(), Some("x?page=2"));
    assert_eq!(http.url("oauth/token"), "https://api.test/v1/oauth/token?tenant=a%20b&v=2");
    assert_eq!(Client::new("https://api.test").url("x"), "https://api.test/x");
}
