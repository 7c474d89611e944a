//! Pagination: which pages are asked for, in which order, and when it ends.

use std::cell::RefCell;
use std::rc::Rc;

use elt_sdk::pagination::Pagination;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, serve};

/// What was asked, and the records or the error.
pub(crate) type Came = (Vec<String>, Result<Vec<String>>);

/// Reads all pages of `https://api.test/x?a=1`; gives the queries asked, and the records or the error.
fn read<P: Pagination>(pagination: P, source: impl FnMut(&Asked) -> Answer + 'static) -> Came {
    read_pages(source, |request| request.query("a", 1).pages("items", pagination))
}

/// Reads the pages that are made of a request for `https://api.test/x`.
pub(crate) fn read_pages<P: Pagination>(
    mut source: impl FnMut(&Asked) -> Answer + 'static,
    pages: impl FnOnce(Request) -> Pages<P>,
) -> Came {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    serve(move |request| {
        let body = request.body();
        log.borrow_mut().push(request.url().trim_start_matches("https://api.test/").to_owned() + &body);
        source(request)
    });
    let mut records = Vec::new();
    let mut result = Ok(());
    for page in pages(Client::new("https://api.test").get("x")) {
        match page {
            Ok(page) => records.extend(page.records().map(|record| record.json().to_owned())),
            Err(error) => result = Err(error),
        }
    }
    let asked = asked.borrow().clone();
    (asked, result.map(|()| records))
}

/// The `number`-th of three pages of two, two and one record, and `more` beside the records.
pub(crate) fn page(number: usize, more: &str) -> Answer {
    let items = [r#"{"id":1}, {"id":2}"#, r#"{"id":3}, {"id":4}"#, r#"{"id":5}"#, ""];
    Answer::json(format!(r#"{{{more} "items": [{}]}}"#, items[number]))
}

pub(crate) fn number(asked: &Asked, parameter: &str) -> usize {
    asked.query(parameter).and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn check<P: Pagination>(pagination: P, source: impl FnMut(&Asked) -> Answer + 'static, expect: &[&str]) {
    let (asked, records) = read(pagination, source);
    assert_eq!(asked, expect);
    assert_eq!(records.unwrap(), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#, r#"{"id":5}"#]);
}

#[test]
fn a_cursor_goes_back_until_there_is_none() {
    let next = [r#""meta": {"next": 1},"#, r#""meta": {"next": "2"},"#, r#""meta": {"next": ""},"#];
    let source = move |asked: &Asked| page(number(asked, "c"), next[number(asked, "c")]);
    check(Cursor::new("c", "/meta/next"), source, &["x?a=1", "x?a=1&c=1", "x?a=1&c=2"]);
}

#[test]
fn a_cursor_may_stand_for_all_parameters_or_go_into_the_body() {
    let next = [r#""n": 1,"#, r#""n": 2,"#, ""];
    let source = move |asked: &Asked| page(number(asked, "c"), next[number(asked, "c")]);
    check(Cursor::new("c", "n").alone(), source, &["x?a=1", "x?c=1", "x?c=2"]);

    let bodies = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&bodies);
    serve(move |asked| {
        log.borrow_mut().push(asked.body());
        page(log.borrow().len() - 1, next[log.borrow().len() - 1])
    });
    let request = Client::new("https://api.test").post("x").json(&json!({"limit": 2}));
    assert_eq!(request.pages("items", Cursor::new("/paging/c", "n").in_body()).count(), 3);
    let expect = [r#"{"limit":2}"#, r#"{"limit":2,"paging":{"c":1}}"#, r#"{"limit":2,"paging":{"c":2}}"#];
    assert_eq!(*bodies.borrow(), expect);
}

#[test]
fn the_last_key_leads_on_until_nothing_comes_or_there_is_no_more() {
    let source = |asked: &Asked| page(number(asked, "after").div_ceil(2), "");
    check(Keyset::new("after", "id"), source, &["x?a=1", "x?a=1&after=2", "x?a=1&after=4", "x?a=1&after=5"]);
    let source = |asked: &Asked| {
        let more = number(asked, "after") < 4;
        page(number(asked, "after").div_ceil(2), &format!(r#""more": {more},"#))
    };
    check(Keyset::new("after", "id").more("more"), source, &["x?a=1", "x?a=1&after=2", "x?a=1&after=4"]);
}

#[test]
fn keys_that_records_share_are_not_skipped() {
    // Pages of two, from the key on: 1, 2, 2, 3.
    let source = |asked: &Asked| {
        let rows: &[&str] = match number(asked, "from") {
            0 => &["1, \"id\": 1", "2, \"id\": 2"],
            2 => &["2, \"id\": 2", "2, \"id\": 3", "3, \"id\": 4"],
            _ => &["3, \"id\": 4"],
        };
        let rows: Vec<_> = rows.iter().map(|row| format!("{{\"at\": {row}}}")).collect();
        Answer::json(format!(r#"{{"items": [{}]}}"#, rows.join(",")))
    };
    let (asked, records) = read(Keyset::new("from", "at").inclusive(3), source);
    assert_eq!(asked, ["x?a=1", "x?a=1&from=2", "x?a=1&from=3"]);
    assert_eq!(records.unwrap().len(), 6);

    let stuck = |asked: &Asked| {
        Answer::json(format!(r#"{{"items": [{{"at": 7}}, {{"at": 7, "n": {}}}]}}"#, number(asked, "from")))
    };
    let (_, result) = read(Keyset::new("from", "at").inclusive(2), stuck);
    let message = "https://api.test/x: a page is full of records with one and the same `at`";
    assert_eq!(result, Err(Error::source(message)));
}

#[test]
fn page_info_leads_on_while_there_is_a_next_page() {
    let answer = |has_next: bool, cursor: &str| {
        Answer::json(format!(r#"{{"items": [{{}}], "p": {{"hasNextPage": {has_next}, "endCursor": {cursor}}}}}"#))
    };
    let bodies = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&bodies);
    serve(move |asked| {
        log.borrow_mut().push(asked.body());
        if log.borrow().len() == 1 { answer(true, "\"c\"") } else { answer(false, "\"d\"") }
    });
    let ask = || Client::new("https://api.test").post("x").graphql("q", &json!({}));
    assert!(ask().pages("items", PageInfo::new("after", "/p")).all(|page| page.is_ok()));
    assert_eq!(*bodies.borrow(), [r#"{"query":"q","variables":{}}"#, r#"{"query":"q","variables":{"after":"c"}}"#]);

    serve(move |_| answer(true, "null"));
    let page = ask().pages("items", PageInfo::new("after", "/p")).next().unwrap();
    let message = "https://api.test/x: the pageInfo has no endCursor, though there is more";
    assert_eq!(page.unwrap_err(), Error::source(message));
}

#[test]
fn a_key_in_the_query_goes_with_every_page() {
    let next = [r#""next": "/y?n=1","#, r#""next": "/z?n=2&key=echoed","#, ""];
    let urls = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&urls);
    serve(move |asked| {
        log.borrow_mut().push(asked.url().trim_start_matches("https://api.test/").to_owned());
        page(number(asked, "n"), next[number(asked, "n")])
    });
    let http = Client::new("https://api.test").query("key", "k");
    assert_eq!(http.get("x").query("a", 1).pages("items", NextUrl::new("next")).count(), 3);
    assert_eq!(*urls.borrow(), ["x?key=k&a=1", "y?n=1&key=k", "z?n=2&key=echoed"]);
}

#[test]
fn an_offset_grows_by_what_came_until_nothing_comes() {
    let source = |asked: &Asked| page(number(asked, "offset").div_ceil(2), "");
    let expect =
        ["x?a=1&limit=9&offset=0", "x?a=1&limit=9&offset=2", "x?a=1&limit=9&offset=4", "x?a=1&limit=9&offset=5"];
    check(Offset::new("offset", "limit", 9), source, &expect);
}

#[test]
fn an_offset_ends_at_the_total() {
    let source = |asked: &Asked| page(number(asked, "o").div_ceil(2), r#""total": 5,"#);
    check(Offset::new("o", "l", 2).total("total"), source, &["x?a=1&l=2&o=0", "x?a=1&l=2&o=2", "x?a=1&l=2&o=4"]);
}

#[test]
fn page_numbers_count_until_nothing_comes_or_to_the_last() {
    let source = |asked: &Asked| page(number(asked, "p") - 1, "");
    check(PageNumber::new("p"), source, &["x?a=1&p=1", "x?a=1&p=2", "x?a=1&p=3", "x?a=1&p=4"]);
    let source = |asked: &Asked| page(number(asked, "p"), r#""pages": 3,"#);
    check(PageNumber::new("p").first(0).total_pages("pages"), source, &["x?a=1&p=0", "x?a=1&p=1", "x?a=1&p=2"]);
}

#[test]
fn urls_in_the_body_are_followed_whole_or_relative() {
    let next = [r#""next": "/y?n=1","#, r#""next": "https://api.test/z?n=2","#, ""];
    let source = move |asked: &Asked| page(number(asked, "n"), next[number(asked, "n")]);
    check(NextUrl::new("next"), source, &["x?a=1", "y?n=1", "z?n=2"]);
}

#[test]
fn links_in_the_header_are_followed() {
    let source = |asked: &Asked| {
        let n = number(asked, "n");
        let answer = page(n, "");
        if n == 2 { answer } else { answer.header("Link", &format!("<?n={}>; rel=\"next\"", n + 1)) }
    };
    check(LinkHeader::new(), source, &["x?a=1", "x?n=1", "x?n=2"]);
}

#[test]
fn a_limit_ends_the_pages_without_another_request() {
    let asked = Rc::new(RefCell::new(0));
    let count = Rc::clone(&asked);
    serve(move |_| {
        *count.borrow_mut() += 1;
        Answer::json(format!(r#"{{"items": [{{"id": {0}}}], "next": {0}}}"#, count.borrow()))
    });
    let pages = Client::new("https://api.test").get("x").pages("items", Cursor::new("c", "next")).limit(2);
    let last = pages.last().unwrap().unwrap();
    assert_eq!((*asked.borrow(), last.cursor()), (2, Some("2")));
}

#[test]
fn a_start_resumes() {
    let source = |asked: &Asked| page(number(asked, "c"), "");
    let (asked, records) = read(Cursor::new("c", "next").start(Some("2".into())), source);
    assert_eq!((asked, records.unwrap()), (vec!["x?a=1&c=2".to_owned()], vec![r#"{"id":5}"#.to_owned()]));
    let (asked, _) = read(Cursor::new("c", "next").start(Some(String::new())), source);
    assert_eq!(asked, ["x?a=1"]);
}

#[test]
fn endless_pages_are_the_sources_fault() {
    let circle = |asked: &Asked| page(0, if number(asked, "c") == 1 { r#""n": 2,"# } else { r#""n": 1,"# });
    let circle = move |asked: &Asked| if number(asked, "c") == 1 { page(1, r#""n": 2,"#) } else { circle(asked) };
    let (asked, result) = read(Cursor::new("c", "n"), circle);
    assert_eq!(asked.len(), 3);
    assert_eq!(result, Err(Error::source("https://api.test/x: the pages go round in circles, `1` leads back")));

    let (asked, result) = read(PageNumber::new("p"), |_| page(0, ""));
    assert_eq!(asked.len(), 2);
    assert!(
        result.is_err_and(|error| error.message().starts_with("https://api.test/x: two pages in a row are the same"))
    );
}

#[test]
fn an_answer_without_records_is_an_error_and_an_empty_one_is_not() {
    let error = |answer: Answer| read(LinkHeader::new(), move |_| answer.clone()).1;
    let missing =
        "GET https://api.test/x: status 200: no array of records at `/items`; the body starts: {\"data\": []}";
    assert_eq!(error(Answer::json("{\"data\": []}")), Err(Error::source(missing)));
    assert!(
        error(Answer::status(200).body("<html>")).is_err_and(|error| error.message().ends_with("it starts: <html>"))
    );
    assert!(error(Answer::status(401)).is_err_and(|error| matches!(error, Error::Authentication(_))));
    assert_eq!(error(Answer::status(204)), Ok(Vec::new()));
    assert_eq!(error(Answer::json("{\"items\": null}")), Ok(Vec::new()));
    assert!(error(Answer::json("{\"items\": [{}, {")).is_err());
}

#[test]
fn the_next_page_is_asked_for_while_one_is_worked_on() {
    let asked = Rc::new(RefCell::new(0));
    let count = Rc::clone(&asked);
    serve(move |_| {
        *count.borrow_mut() += 1;
        Answer::json(format!(r#"{{"items": [{{}}], "next": {}}}"#, count.borrow()))
    });
    let mut pages = Client::new("https://api.test").get("x").pages("items", Cursor::new("c", "next"));
    assert_eq!(*asked.borrow(), 1);
    assert!(pages.next().unwrap().is_ok());
    assert_eq!(*asked.borrow(), 2);
}
