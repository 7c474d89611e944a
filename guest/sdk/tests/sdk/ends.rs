//! How pages end: what the source says is believed, in each of the ways that sources have of saying it.

use elt_sdk::pagination::Pagination;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, serve};

use crate::pagination::{Came, number, page, read_pages};

/// Reads by a pagination, and expects the five records of three pages.
fn check<P: Pagination>(pagination: P, source: impl FnMut(&Asked) -> Answer + 'static, expect: &[&str]) {
    five(read_pages(source, |request| request.pages("items", pagination)), expect);
}

fn five((asked, records): Came, expect: &[&str]) {
    assert_eq!(asked, expect);
    assert_eq!(records.unwrap(), [1, 2, 3, 4, 5].map(|id| format!(r#"{{"id":{id}}}"#)));
}

fn message(came: Came) -> String {
    came.1.unwrap_err().message().to_owned()
}

#[test]
fn a_cursor_on_the_last_page_too_ends_where_the_mark_says_so() {
    let marks = [(r#""has_more": true,"#, r#""has_more": false,"#), (r#""has_more": 1,"#, r#""has_more": "0","#)];
    for (yes, no) in marks {
        let source = move |asked: &Asked| {
            let n = number(asked, "c");
            page(n, &format!(r#""next": {}, {}"#, n + 1, if n == 2 { no } else { yes }))
        };
        check(Cursor::new("c", "next").more("has_more"), source, &["x", "x?c=1", "x?c=2"]);
    }
    let source = |asked: &Asked| {
        let n = number(asked, "c");
        page(n, &format!(r#""after": "{}", "end_of_stream": {},"#, n + 1, n == 2))
    };
    check(Cursor::new("c", "after").end("end_of_stream"), source, &["x", "x?c=1", "x?c=2"]);
    let source = |asked: &Asked| {
        let n = number(asked, "n");
        page(n, &format!(r#""next": "/x?n={}", "end_of_stream": {},"#, n + 1, n == 2))
    };
    check(NextUrl::new("next").end("end_of_stream"), source, &["x", "x?n=1", "x?n=2"]);
}

#[test]
fn a_mark_that_is_left_out_is_no_end_and_one_against_the_cursor_is_an_error() {
    // Some leave out what is false, some names are misspelt: records come until there are none.
    let source = |asked: &Asked| {
        let n = number(asked, "c");
        page(n, &format!(r#""next": {},"#, n + 1))
    };
    check(Cursor::new("c", "next").more("more"), source, &["x", "x?c=1", "x?c=2", "x?c=3"]);
    let came = read_pages(
        |_| page(0, r#""more": true,"#),
        |request| request.pages("items", Cursor::new("c", "next").more("more")),
    );
    let expect = "https://api.test/x: there is no cursor at `next`, though `more` says that there is more";
    assert_eq!(message(came), expect);
    let keyset = Keyset::new("c", "id").more("more");
    let came = read_pages(|_| page(3, r#""more": true,"#), |request| request.pages("items", keyset));
    assert_eq!(message(came), "https://api.test/x: the page is empty, though `more` says that there is more");
}

#[test]
fn every_way_to_say_that_there_is_no_cursor_is_an_end() {
    for end in ["null", "\"\"", "0", "\"0\"", "false", "\"false\"", "[]", "{}"] {
        let source = move |asked: &Asked| {
            let n = number(asked, "c");
            page(n, &format!(r#""next": {},"#, if n == 2 { end.to_owned() } else { (n + 1).to_string() }))
        };
        check(Cursor::new("c", "next"), source, &["x", "x?c=1", "x?c=2"]);
    }
    let source = |asked: &Asked| {
        let n = number(asked, "c");
        page(n, &format!(r#""next": "{}","#, if n == 2 { "LTE=".to_owned() } else { (n + 1).to_string() }))
    };
    check(Cursor::new("c", "next").last("LTE="), source, &["x", "x?c=1", "x?c=2"]);
}

#[test]
fn a_repeated_cursor_is_the_end_where_the_author_says_so() {
    let source = |asked: &Asked| {
        let n = number(asked, "c");
        page(n, &format!(r#""next": {},"#, (n + 1).min(2)))
    };
    let cursor = || Cursor::new("c", "next");
    five(
        read_pages(source, |request| request.pages("items", cursor()).end_on_repeated_cursor()),
        &["x", "x?c=1", "x?c=2"],
    );
    let came = read_pages(source, |request| request.pages("items", cursor()));
    assert_eq!(message(came), "https://api.test/x: the pages go round in circles, `2` leads back");
}

#[test]
fn a_last_page_that_comes_again_is_the_end_where_the_author_says_so() {
    let source = |asked: &Asked| {
        let n = number(asked, "p");
        page((n - 1).min(2), &format!(r#""page": {n},"#))
    };
    let pages = |request: Request| request.pages("items", PageNumber::new("p")).end_on_repeated_page();
    five(read_pages(source, pages), &["x?p=1", "x?p=2", "x?p=3", "x?p=4"]);
    // Half of it in common is not the same.
    let source = |asked: &Asked| {
        Answer::json(match number(asked, "p") {
            1 => r#"{"items": [{"id":1},{"id":2},{"id":5}]}"#,
            2 => r#"{"items": [{"id":1},{"id":3},{"id":5}]}"#,
            3 => r#"{"items": [{"id":1},{"id":4},{"id":5}]}"#,
            _ => r#"{"items": []}"#,
        })
    };
    assert_eq!(read_pages(source, pages).1.unwrap().len(), 9);
}

#[test]
fn a_status_or_a_code_beyond_the_end_is_one_and_at_the_beginning_it_is_an_error() {
    for status in [404, 400, 416] {
        let source = move |asked: &Asked| {
            if number(asked, "p") > 3 { Answer::status(status) } else { page(number(asked, "p") - 1, "") }
        };
        let pages = |request: Request| request.pages("items", PageNumber::new("p")).end_on([400, 404, 416]);
        five(read_pages(source, pages), &["x?p=1", "x?p=2", "x?p=3", "x?p=4"]);
        assert!(read_pages(move |_| Answer::status(status), pages).1.is_err());
        let other = move |asked: &Asked| if number(asked, "p") > 1 { Answer::status(status) } else { page(0, "") };
        assert!(read_pages(other, |request| request.pages("items", PageNumber::new("p")).end_on(410)).1.is_err());
    }
    let source = |asked: &Asked| {
        if number(asked, "o") < 5 {
            return page(number(asked, "o").div_ceil(2), "");
        }
        Answer::status(422).body(r#"{"code": "offset_too_large"}"#)
    };
    let pages = |request: Request| request.pages("items", Offset::new("o", "l", 2)).end_on("offset_too_large");
    five(read_pages(source, pages), &["x?l=2&o=0", "x?l=2&o=2", "x?l=2&o=4", "x?l=2&o=5"]);
    // Resumed at a page that is no more.
    let pages = |request: Request| request.pages("items", PageNumber::new("p").start(Some("4".into()))).end_on(404);
    assert_eq!(read_pages(|_| Answer::status(404), pages), (vec!["x?p=4".to_owned()], Ok(Vec::new())));
}

#[test]
fn an_end_by_status_leaves_no_place_in_a_copy_that_is_to_begin_anew() {
    serve(|asked| if number(asked, "p") > 3 { Answer::status(404) } else { page(number(asked, "p") - 1, "") });
    let pages = Client::new("https://api.test").get("x").pages("items", PageNumber::new("p")).end_on(404);
    let places: Vec<_> = pages
        .map(|page| page.map(|page| (page.cursor().map(str::to_owned), page.place().map(str::to_owned))).unwrap())
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(places, [(text("2"), text("2")), (text("3"), text("3")), (text("4"), text("4")), (None, text("3"))]);
}

#[test]
fn an_empty_page_is_not_the_end_where_the_source_says_that_there_is_more() {
    // Two records a page, and nothing at all on the second.
    let hole = |at: usize, more: &str| match at {
        0 => page(0, more),
        2 | 4 => page(3, more),
        6 => page(1, more),
        _ => page(2, more),
    };
    let source = move |asked: &Asked| hole(number(asked, "o"), r#""total": 9,"#);
    check(
        Offset::new("o", "l", 2).total("total"),
        source,
        &["x?l=2&o=0", "x?l=2&o=2", "x?l=2&o=4", "x?l=2&o=6", "x?l=2&o=8"],
    );
    let source = move |asked: &Asked| hole(number(asked, "p") * 2, r#""pages": 5,"#);
    let expect = ["x?p=0", "x?p=1", "x?p=2", "x?p=3", "x?p=4"];
    check(PageNumber::new("p").first(0).total_pages("pages"), source, &expect);
    let source = move |asked: &Asked| hole(number(asked, "p") * 2, r#""total": 9,"#);
    check(PageNumber::new("p").first(0).total("total"), source, &expect);
    let source = move |asked: &Asked| {
        let at = number(asked, "o");
        hole(at, if at < 8 { r#""more": true,"# } else { r#""more": false,"# })
    };
    check(
        Offset::new("o", "l", 2).more("more"),
        source,
        &["x?l=2&o=0", "x?l=2&o=2", "x?l=2&o=4", "x?l=2&o=6", "x?l=2&o=8"],
    );
}

#[test]
fn a_first_page_without_records_and_a_limit_that_was_lowered_lose_nothing() {
    // Asked for 100, the source gives 2; the total is in a header.
    let source = |asked: &Asked| page(number(asked, "o").div_ceil(2), "").header("X-Total-Count", "5");
    check(
        Offset::new("o", "l", 100).total("header:X-Total-Count"),
        source,
        &["x?l=100&o=0", "x?l=100&o=2", "x?l=100&o=4"],
    );
    let source = |asked: &Asked| page(number(asked, "p") - 1, r#""total": 5.0,"#);
    check(PageNumber::new("p").total("total"), source, &["x?p=1", "x?p=2", "x?p=3"]);
    // -1: it does not know.
    let source = |asked: &Asked| page(number(asked, "p") - 1, r#""total": -1,"#);
    check(PageNumber::new("p").total("total"), source, &["x?p=1", "x?p=2", "x?p=3", "x?p=4"]);
    let source = |asked: &Asked| match number(asked, "o") {
        0 => page(3, r#""total": 7,"#),
        at => page(at.div_ceil(2) - 1, r#""total": 7,"#),
    };
    check(Offset::new("o", "l", 2).total("total"), source, &["x?l=2&o=0", "x?l=2&o=2", "x?l=2&o=4", "x?l=2&o=6"]);
}

#[test]
fn a_source_without_an_end_of_empty_pages_is_an_error() {
    let came = read_pages(
        |_| page(3, r#""more": true,"#),
        |request| request.pages("items", Offset::new("o", "l", 2).more("more")),
    );
    assert!(message(came).ends_with("1000 pages in a row are empty, though the source says that there is more"));
}

#[test]
fn no_array_of_records_means_none_where_the_author_says_so() {
    let ask = |body: &'static str| {
        serve(move |_| Answer::json(body));
        Client::new("https://api.test").get("x").none_if_missing().page("/data/items").map(|page| page.len())
    };
    for none in [
        r#"{"total": 0}"#,
        r#"{"data": null}"#,
        r#"{"data": {}}"#,
        r#"{"data": {"items": null}, "error": null}"#,
        "null",
    ] {
        assert_eq!(ask(none), Ok(0), "{none}");
    }
    for other in [
        r#"{"error": "not ready"}"#,
        r#"{"data": "wait"}"#,
        r#"{"data": {"items": {}}}"#,
        r#"{"errors": [1]}"#,
        "7",
        "x",
    ] {
        assert!(ask(other).is_err(), "{other}");
    }
    let source =
        |asked: &Asked| if number(asked, "p") < 4 { page(number(asked, "p") - 1, "") } else { Answer::json("{}") };
    let pages = |request: Request| request.none_if_missing().pages("items", PageNumber::new("p"));
    five(read_pages(source, pages), &["x?p=1", "x?p=2", "x?p=3", "x?p=4"]);
}

#[test]
fn a_connection_whose_parent_is_null_has_no_pages() {
    serve(|_| Answer::json(r#"{"data": {"repository": null}}"#));
    let request = Client::new("https://api.test").post("x").graphql("q", &json!({})).none_if_missing();
    let pages =
        request.pages("/data/repository/issues/nodes", PageInfo::new("after", "/data/repository/issues/pageInfo"));
    assert_eq!(pages.map(|page| page.map(|page| page.len())).collect::<Vec<_>>(), [Ok(0)]);
}

#[test]
fn pages_of_rows_that_are_alike_are_no_circle() {
    let alike = |n: usize| Answer::json(format!(r#"{{"items": [{}], "next": {n}}}"#, [r#"{"v":0}"#; 3].join(",")));
    let source = move |asked: &Asked| if number(asked, "p") < 5 { alike(1) } else { page(3, "") };
    assert_eq!(read_pages(source, |request| request.pages("items", PageNumber::new("p"))).1.unwrap().len(), 12);

    // A cursor that moves shows that the source looks at it.
    let two = |n: usize| Answer::json(format!(r#"{{"items": [{{"v":0}},{{"v":1}}], "next": {n}}}"#));
    let source = move |asked: &Asked| if number(asked, "c") < 4 { two(number(asked, "c") + 1) } else { page(3, "") };
    assert_eq!(read_pages(source, |request| request.pages("items", Cursor::new("c", "next"))).1.unwrap().len(), 8);

    let source = move |asked: &Asked| if number(asked, "p") < 4 { two(1) } else { page(3, "") };
    assert!(read_pages(source, |request| request.pages("items", PageNumber::new("p"))).1.is_err());
    assert_eq!(read_pages(source, |request| request.pages("items", PageNumber::new("p")).alike()).1.unwrap().len(), 6);
}

#[test]
fn a_source_that_makes_up_cursors_and_looks_at_none_is_a_circle() {
    let mut count = 100;
    let source = move |_: &Asked| {
        count += 1;
        page(0, &format!(r#""next": {count},"#))
    };
    assert!(
        message(read_pages(source, |request| request.pages("items", Cursor::new("c", "next"))))
            .contains("are the same")
    );
}

#[test]
fn keys_that_records_may_share_are_refused_where_ties_would_be_lost() {
    let items = |items: &'static str| move |_: &Asked| Answer::json(format!(r#"{{"items": [{items}]}}"#));
    let read = |field: &str, source: Box<dyn FnMut(&Asked) -> Answer>| {
        read_pages(source, |request| request.pages("items", Keyset::new("since", field))).1
    };
    let moment = items(r#"{"at": "2024-02-29T12:00:00Z"}"#);
    assert!(
        matches!(read("at", Box::new(moment)), Err(Error::Internal(message)) if message.contains(".inclusive(page)"))
    );
    assert!(matches!(read("updated_at", Box::new(items(r#"{"updated_at": 1709208000}"#))), Err(Error::Internal(_))));
    let tie = items(r#"{"n": 1}, {"n": 7}, {"n": 7}"#);
    assert!(matches!(read("n", Box::new(tie)), Err(Error::Source(message)) if message.contains("same `n` (7)")));

    let source = |asked: &Asked| {
        if asked.query("since").is_some() {
            page(3, "")
        } else {
            Answer::json(r#"{"items": [{"at": "2024-02-29T12:00:00Z"}]}"#)
        }
    };
    assert!(read_pages(source, |request| request.pages("items", Keyset::new("since", "at").unique())).1.is_ok());
}

#[test]
fn a_page_of_ties_is_known_although_the_source_lowered_its_size() {
    // The source puts two into a page, whatever was told.
    let keys = [1, 2, 2, 2, 3];
    let source = move |asked: &Asked| {
        let from = number(asked, "from");
        let rows = keys.iter().enumerate().filter(|(_, key)| **key >= from).take(2);
        let rows: Vec<_> = rows.map(|(id, key)| format!(r#"{{"at":{key},"id":{id}}}"#)).collect();
        Answer::json(format!(r#"{{"items": [{}]}}"#, rows.join(",")))
    };
    let came =
        read_pages(source, |request| request.query("from", 0).pages("items", Keyset::new("from", "at").inclusive(50)));
    assert!(came.1.is_ok(), "without a page that was cut nothing shows it");
    let keys = [1, 2, 3, 3, 3, 4];
    let source = move |asked: &Asked| {
        let from = number(asked, "from");
        let rows = keys.iter().enumerate().filter(|(_, key)| **key >= from).take(2);
        let rows: Vec<_> = rows.map(|(id, key)| format!(r#"{{"at":{key},"id":{id}}}"#)).collect();
        Answer::json(format!(r#"{{"items": [{}]}}"#, rows.join(",")))
    };
    let came = read_pages(source, |request| request.pages("items", Keyset::new("from", "at").inclusive(50)));
    assert_eq!(message(came), "https://api.test/x: a page is full of records with one and the same `at`");
}
