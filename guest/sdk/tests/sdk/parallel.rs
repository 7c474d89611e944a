//! Several lists read at once: what is under way, in which order pages come, and what an error ends.

use std::cell::RefCell;
use std::rc::Rc;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, serve};

/// List `n` has `n` pages of one record; list 9 breaks off at its second page.
fn source(asked: &Asked) -> Answer {
    let list: u32 = asked.path()[1..].parse().unwrap();
    let page = asked.query("c").map_or(1, |cursor| cursor.parse::<u32>().unwrap());
    if (list, page) == (9, 2) {
        return Answer::status(422);
    }
    let next = if page < list { (page + 1).to_string() } else { "null".to_owned() };
    Answer::json(format!(r#"{{"items":[{{"list":{list},"page":{page}}}],"next":{next}}}"#))
}

/// What comes from lists read `count` at a time, and what was asked.
fn read(count: usize, lists: &[u32]) -> (Vec<String>, Vec<String>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    serve(move |request| {
        log.borrow_mut().push(request.url().trim_start_matches("https://api.test/").to_owned());
        source(request)
    });
    let http = Client::new("https://api.test");
    let pages = lists.iter().map(|list| (*list, http.get(list.to_string()).pages("items", Cursor::new("c", "next"))));
    let came = parallel(count, pages).map(|(list, page)| match page {
        Ok(page) => {
            page.records().map(|record| record.required("page").unwrap()).fold(list.to_string(), |a, b| a + "." + &b)
        }
        Err(_) => format!("{list} failed"),
    });
    let came = came.collect();
    let asked = asked.borrow().clone();
    (came, asked)
}

#[test]
fn lists_take_turns_and_keep_their_own_order() {
    let (came, _) = read(2, &[3, 1, 2]);
    assert_eq!(came, ["3.1", "1.1", "3.2", "2.1", "3.3", "2.2"]);
    let (came, _) = read(1, &[2, 1]);
    assert_eq!(came, ["2.1", "2.2", "1.1"]);
    assert_eq!(read(0, &[1]).0, ["1.1"]);
}

#[test]
fn as_many_requests_are_under_way_as_lists_are_read() {
    let (_, asked) = read(3, &[2, 2, 2, 1]);
    assert_eq!(asked[..4], ["2", "2", "2", "2?c=2"]);
    assert_eq!(asked.len(), 7);
}

#[test]
fn an_error_ends_its_list_alone() {
    let (came, asked) = read(2, &[9, 2, 1]);
    assert_eq!(came, ["9.1", "2.1", "9 failed", "2.2", "1.1"]);
    assert_eq!(asked.len(), 5);
}
