//! What leads to the next page: where it is found, where it goes, in which type, and what is left of it for the next sync.

use std::cell::RefCell;
use std::rc::Rc;

use elt_sdk::pagination::Pagination;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, serve};

use crate::pagination::{number, page, read_pages};

/// The bodies that are sent for the pages of a request.
fn bodies<P: Pagination>(
    request: impl FnOnce(Request) -> Request,
    pagination: P,
    mut answer: impl FnMut(usize) -> Answer + 'static,
) -> Vec<String> {
    let bodies = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&bodies);
    serve(move |asked| {
        log.borrow_mut().push(asked.body());
        answer(log.borrow().len() - 1)
    });
    let pages = request(Client::new("https://api.test").post("x")).pages("items", pagination);
    pages.for_each(|page| drop(page.unwrap()));
    bodies.borrow().clone()
}

#[test]
fn a_cursor_in_a_body_keeps_its_type_over_the_state_too() {
    for value in
        ["17", r#""17""#, r#""abc""#, "1.50", "12345678901234567890123", r#"["x", 7]"#, r#"{"k": [null]}"#, "true"]
    {
        let body = format!(r#"{{"after":{value},"limit":2}}"#);
        let next = format!(r#""next": {value},"#);
        let request = |request: Request| request.json(&json!({"limit": 2}));
        let answer = move |n: usize| page(n, if n == 0 { &next } else { "" });
        let cursor = || Cursor::new("after", "next").in_body();
        assert_eq!(bodies(request, cursor(), answer.clone()), [r#"{"limit":2}"#, &body]);

        serve(move |_| answer(0));
        let mut state = State::default();
        let pages = request(Client::new("https://api.test").post("x")).pages("items", cursor()).limit(1);
        state.set("place", pages.last().unwrap().unwrap().place()).unwrap();
        let state = State::from_json(Some(&state.to_string())).unwrap();
        assert_eq!(bodies(request, cursor().start(state.get("place")), |_| page(1, "")), [body]);
    }
}

#[test]
fn offset_and_page_number_go_into_a_body() {
    let request = |request: Request| request.json(&json!({"filter": "x"}));
    let sent = bodies(request, Offset::new("/page/from", "/page/size", 2).total("total").in_body(), |n| {
        page(n, r#""total": 4,"#)
    });
    assert_eq!(sent, [r#"{"filter":"x","page":{"from":0,"size":2}}"#, r#"{"filter":"x","page":{"from":2,"size":2}}"#]);
    let sent = bodies(request, PageNumber::new("page").total_pages("pages").in_body(), |n| page(n, r#""pages": 2,"#));
    assert_eq!(sent, [r#"{"filter":"x","page":1}"#, r#"{"filter":"x","page":2}"#]);
    let form = |request: Request| request.form([("filter", "x")]);
    let sent =
        bodies(form, Cursor::new("cursor", "next").in_body(), |n| page(n, if n == 0 { r#""next": "b","# } else { "" }));
    assert_eq!(sent, ["filter=x", "filter=x&cursor=b"]);
    let sent = bodies(request, Keyset::new("after", "id").more("more").in_body(), |n| {
        page(n, &format!(r#""more": {},"#, n == 0))
    });
    assert_eq!(sent, [r#"{"filter":"x"}"#, r#"{"after":2,"filter":"x"}"#]);
}

#[test]
fn a_cursor_goes_into_a_header_and_comes_from_one() {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&sent);
    serve(move |asked| {
        log.borrow_mut().push(asked.header("x-cursor"));
        let n = log.borrow().len();
        if n == 3 { page(2, "") } else { page(n - 1, "").header("X-Next-Cursor", &format!("c{n}")) }
    });
    let cursor = Cursor::new("X-Cursor", "header:X-Next-Cursor").in_header();
    assert_eq!(Client::new("https://api.test").get("x").pages("items", cursor).count(), 3);
    assert_eq!(*sent.borrow(), [None, Some("c1".to_owned()), Some("c2".to_owned())]);
}

#[test]
fn a_first_cursor_is_sent_even_an_empty_one() {
    let source = |asked: &Asked| match asked.query("c").as_deref() {
        Some("" | "*") => page(0, r#""next": 1,"#),
        _ => page(1, ""),
    };
    let asked =
        |first: &str| read_pages(source, |request| request.pages("items", Cursor::new("c", "next").first(first))).0;
    assert_eq!(asked(""), ["x?c=", "x?c=1"]);
    assert_eq!(asked("*"), ["x?c=%2A", "x?c=1"]);
    let sent = bodies(|request| request, Cursor::new("c", "next").first("null").in_body(), |_| page(0, ""));
    assert_eq!(sent, [r#"{"c":null}"#]);
}

#[test]
fn a_parameter_that_was_there_is_replaced() {
    let source = |asked: &Asked| page(number(asked, "p"), r#""pages": 2,"#);
    let pages = |request: Request| {
        request.query("p", 7).query("a", 1).pages("items", PageNumber::new("p").first(0).total_pages("pages"))
    };
    assert_eq!(read_pages(source, pages).0, ["x?p=0&a=1", "x?p=1&a=1"]);

    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    serve(move |request| {
        log.borrow_mut().push(request.url().to_owned());
        page(number(request, "c"), if request.query("c").as_deref() == Some("0") { r#""next": 1,"# } else { "" })
    });
    let pages = Client::new("https://api.test").get("x?c=0&a=1").pages("items", Cursor::new("c", "next"));
    assert_eq!(pages.count(), 2);
    assert_eq!(*asked.borrow(), ["https://api.test/x?c=0&a=1", "https://api.test/x?a=1&c=1"]);
}

#[test]
fn several_values_continue_together() {
    let source = |asked: &Asked| match asked.query("gapcontinue").as_deref() {
        None => page(0, r#""continue": {"gapcontinue": "B", "continue": "g||"},"#),
        Some("B") => page(1, r#""continue": {"gapcontinue": "C", "plcontinue": 7, "continue": "||"},"#),
        _ => page(2, ""),
    };
    let pages = |request: Request| request.query("continue", "").pages("items", Continuation::object("continue"));
    let (asked, records) = read_pages(source, pages);
    assert_eq!(
        asked,
        ["x?continue=", "x?continue=g%7C%7C&gapcontinue=B", "x?continue=%7C%7C&gapcontinue=C&plcontinue=7"]
    );
    assert_eq!(records.unwrap().len(), 5);

    let source = |asked: &Asked| match asked.query("NextPartition").as_deref() {
        None => page(0, r#""row": 5,"#).header("x-ms-partition", "p2"),
        _ => page(1, ""),
    };
    let keys = || Continuation::each([("NextPartition", "header:x-ms-partition"), ("NextRow", "row")]);
    let (asked, _) = read_pages(source, |request| request.pages("items", keys()));
    assert_eq!(asked, ["x", "x?NextPartition=p2&NextRow=5"]);
    let (asked, _) = read_pages(source, |request| {
        request.pages("items", keys().start(Some(r#"{"NextPartition":"p2","NextRow":5}"#.into())))
    });
    assert_eq!(asked, ["x?NextPartition=p2&NextRow=5"]);
}

/// `Page::place` and `Page::cursor` of the last page.
fn last<P: Pagination>(
    pagination: P,
    source: impl FnMut(&Asked) -> Answer + 'static,
) -> (Option<String>, Option<String>) {
    serve(source);
    let pages = Client::new("https://api.test").get("x").pages("items", pagination);
    let page = pages.last().unwrap().unwrap();
    (page.cursor().map(str::to_owned), page.place().map(str::to_owned))
}

#[test]
fn the_last_page_says_where_the_next_sync_goes_on() {
    let check = |came: (Option<String>, Option<String>), place: Option<&str>| {
        assert_eq!(came, (None, place.map(str::to_owned)));
    };
    let two = |asked: &Asked| page(number(asked, "c"), if asked.query("c").is_none() { r#""next": 1,"# } else { "" });
    check(last(Cursor::new("c", "next"), two), Some("1"));
    check(last(Cursor::new("c", "next"), |_| page(2, "")), None);
    let always =
        |asked: &Asked| page(number(asked, "c"), &format!(r#""next": {}, "more": false,"#, number(asked, "c") + 1));
    check(last(Cursor::new("c", "next").more("more"), always), Some("1"));
    check(last(Offset::new("c", "l", 2), |asked| page(number(asked, "c").div_ceil(2), "")), Some("5"));
    check(last(PageNumber::new("c"), |asked| page(number(asked, "c") - 1, "")), Some("3"));
    check(last(PageNumber::new("c").start(Some("3".into())), |_| page(3, "")), Some("3"));
    check(last(Keyset::new("c", "id"), |asked| page(number(asked, "c").div_ceil(2), "")), Some("5"));
    check(last(Keyset::new("c", "id").start(Some("5".into())), |_| page(3, "")), Some("5"));
    let info = |_: &Asked| page(0, r#""p": {"hasNextPage": false, "endCursor": "z"},"#);
    check(last(PageInfo::new("after", "p"), info), Some("z"));
}

#[test]
fn an_expired_cursor_begins_anew_at_a_named_place() {
    for answer in [
        Answer::status(410),
        Answer::status(422).body("invalid cursor"),
        Answer::json(r#"{"error": {"code": "EXPIRED_PAGE_TOKEN"}}"#),
    ] {
        let source = move |asked: &Asked| match asked.query("c").as_deref() {
            Some("old") => answer.clone(),
            None => page(0, r#""next": 1,"#),
            _ => page(1, ""),
        };
        let pages = |request: Request| {
            let anew = request.clone().query("since", "2024");
            let expired = |error: &Error| error.message().contains("invalid cursor");
            let pages = request.pages("items", Cursor::new("c", "next").start(Some("old".into())));
            pages.restart_on(410, anew.clone()).restart_on(expired, anew.clone()).restart_on("EXPIRED_PAGE_TOKEN", anew)
        };
        let (asked, records) = read_pages(source, pages);
        assert_eq!(asked, ["x?c=old", "x?since=2024", "x?since=2024&c=1"]);
        assert_eq!(records.unwrap().len(), 4);
    }
}

#[test]
fn a_restart_is_told_once_and_only_for_the_answer_named() {
    let source = |asked: &Asked| match asked.query("c").as_deref() {
        Some("old") => Answer::status(410),
        None => page(0, r#""next": 1,"#),
        _ => page(1, ""),
    };
    serve(source);
    let ask = |http: &Client| {
        let cursor = Cursor::new("c", "next").start(Some("old".into()));
        http.get("x").pages("items", cursor).restart_on([410, 422], http.get("x").query("since", "2024"))
    };
    let http = Client::new("https://api.test");
    let told: Vec<_> = ask(&http).map(|page| page.map(|page| (page.restarted(), page.len())).unwrap()).collect();
    assert_eq!(told, [(true, 2), (false, 2)]);
    let (asked, _) = read_pages(source, |_| ask(&Client::new("https://api.test")));
    assert_eq!(asked, ["x?c=old", "x?since=2024", "x?since=2024&c=1"]);

    serve(|asked| if asked.query("c").is_some() { Answer::status(410) } else { page(0, r#""next": "old","#) });
    assert!(ask(&http).last().unwrap().is_err(), "a cursor that is new and expired ends the sync");
    serve(|_| Answer::status(400));
    assert_eq!(ask(&http).count(), 1);
}

#[test]
fn headers_of_the_answer_are_on_the_page() {
    serve(|_| {
        Answer::json(r#"{"items": [{"id": 1}], "meta": {"as_of": "t", "n": 1.0}}"#)
            .header("X-Version", "7")
            .header("x-version", "8")
    });
    let page = Client::new("https://api.test").get("x").page("items").unwrap();
    assert_eq!((page.header("x-VERSION"), page.get("header:X-Version")), (Some("7"), Some("7".to_owned())));
    assert_eq!(page.headers().iter().filter(|(name, _)| name == "x-version").count(), 2);
    assert_eq!(
        (page.get("/meta/as_of").as_deref(), page.value("/meta/n").map(elt_sdk::RawValue::get)),
        (Some("t"), Some("1.0"))
    );
    assert_eq!((page.get("nothing"), page.header("nothing")), (None, None));
}
