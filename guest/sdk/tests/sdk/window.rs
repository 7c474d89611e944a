//! What changed since the last sync: where the next window begins, whatever the moments are like.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, Sync, Test};

/// Reads orders by windows, as the configuration says.
struct Orders;

impl Connector for Orders {
    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("orders", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let format = match configuration.get_or("format", "rfc3339") {
            "seconds" => TimeFormat::UnixSeconds,
            "milliseconds" => TimeFormat::UnixMilliseconds,
            "microseconds" => TimeFormat::UnixMicroseconds,
            "naive" => TimeFormat::NaiveWithBlank("+02:00"),
            "date" => TimeFormat::Date("Z"),
            "rfc2822" => TimeFormat::Rfc2822,
            _ => TimeFormat::Rfc3339,
        };
        let mut window = Window::new("/meta/at").key("at").format(format).overlap(Duration::from_mins(10));
        if configuration.get("ordered").is_some() {
            window = window.ordered();
        }
        let mut window = window.resume(&state)?;
        let request = Client::new("https://api.test").get("orders").query_if("since", window.since()?);
        for page in request.pages("orders", Cursor::new("c", "next").start(window.cursor())) {
            let page = page?;
            operations.upsert_page("orders", &page)?;
            window.advance(&page, &mut state)?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

const NOW: &str = "2024-03-01T00:00:00Z";

fn test() -> Test<Orders> {
    Test::new().now(NOW.parse().unwrap())
}

/// A page with the moments given, as JSON.
fn page(moments: &[&str], next: &str) -> Answer {
    let orders = moments.iter().enumerate().map(|(id, at)| format!(r#"{{"id":{id},"meta":{{"at":{at}}}}}"#));
    Answer::json(format!(r#"{{"orders":[{}],"next":{next}}}"#, orders.collect::<Vec<_>>().join(",")))
}

/// The state that a page of these moments leaves, and how many rows came.
fn after(test: Test<Orders>, moments: &[&str]) -> (String, usize) {
    let sync = test.answers([page(moments, "null")]).update();
    assert_eq!(sync.result, Ok(()));
    (sync.state().unwrap().to_owned(), sync.upserts("orders").len())
}

fn warnings(sync: &Sync) -> Vec<&str> {
    sync.logs.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn the_window_begins_before_the_newest_change_that_was_seen() {
    let (state, _) = after(test(), &[r#""2024-02-29T12:00:00Z""#, r#""2024-02-28T12:00:00Z""#]);
    assert_eq!(state, r#"{"at":"2024-02-29T12:00:00Z"}"#);
    let next = test().state(state.as_str()).answers([page(&[], "null")]).update();
    assert_eq!(next.requests(), ["GET https://api.test/orders?since=2024-02-29T11%3A50%3A00Z"]);
    assert_eq!(next.state(), Some(state.as_str()), "nothing new moves nothing");
}

#[test]
fn a_record_of_the_future_moves_nothing_and_is_told() {
    let sync = test().answers([page(&[r#""2099-01-01T00:00:00Z""#, r#""2024-02-29T12:00:00Z""#], "null")]).update();
    assert_eq!(sync.state(), Some(r#"{"at":"2024-03-01T00:00:00Z"}"#));
    assert_eq!(sync.upserts("orders").len(), 2);
    assert!(warnings(&sync)[0].contains("lies in the future (2099-01-01T00:00:00Z)"), "{:?}", sync.logs);
}

#[test]
fn a_state_that_was_poisoned_before_heals() {
    let sync = test()
        .state(r#"{"at":"2098-12-31T00:00:00Z"}"#)
        .answers([page(&[r#""2024-02-29T12:00:00Z""#], "null")])
        .update();
    assert_eq!(sync.requests(), ["GET https://api.test/orders"]);
    assert_eq!(sync.state(), Some(r#"{"at":"2024-02-29T12:00:00Z"}"#));
}

#[test]
fn the_sources_clock_counts_where_it_has_one() {
    let date = "Thu, 29 Feb 2024 06:00:00 GMT";
    let sync = test().answers([page(&[r#""2024-02-29T12:00:00Z""#], "null").header("Date", date)]).update();
    assert_eq!(sync.state(), Some(r#"{"at":"2024-02-29T05:59:59Z"}"#));
}

#[test]
fn a_change_between_pages_is_read_by_the_next_sync() {
    // Order 1 changes after its page was read, and order 9 on the last page later still.
    let moved = "2024-03-01T00:00:30Z";
    let sync = test()
        .answers([page(&[r#""2024-02-29T12:00:00Z""#], "2"), page(&[r#""2024-03-01T02:00:00Z""#], "null")])
        .update();
    let next = test().state(sync.state()).answers([page(&[], "null")]).update();
    let since: Timestamp = next.asked[0].query("since").unwrap().parse().unwrap();
    assert!(since < moved.parse().unwrap(), "{since}");
}

#[test]
fn a_record_without_a_moment_stays_and_moves_nothing() {
    let moments = ["null", r#""2024-02-29T12:00:00Z""#, r#""""#, r#""0000-00-00 00:00:00""#];
    assert_eq!(after(test(), &moments), (r#"{"at":"2024-02-29T12:00:00Z"}"#.to_owned(), 4));
    // None at all can be read: the format is another one, and that must not pass for a window that does not move.
    let sync = test().answers([page(&["1709208000"], "null")]).update();
    assert!(matches!(sync.result, Err(Error::Source(text)) if text.contains("`1709208000`; what is its format?")));
    let sync = test().answers([page(&["null", "null"], "null")]).update();
    assert!(sync.result.is_ok() && warnings(&sync)[0].contains("no record has a moment at `/meta/at`"));
}

#[test]
fn moments_are_read_and_asked_for_in_the_sources_form() {
    for (format, moment, since) in [
        ("seconds", "1709208000", "1709207400"),
        ("seconds", "1709208000.75", "1709207400"),
        ("milliseconds", "1709208000123", "1709207400123"),
        ("microseconds", r#""1709208000123456""#, "1709207400123456"),
        ("naive", r#""2024-02-29 14:00:00""#, "2024-02-29 13:50:00"),
        ("date", r#""2024-02-29""#, "2024-02-28"),
        ("rfc2822", r#""Thu, 29 Feb 2024 12:00:00 +0000""#, "Thu, 29 Feb 2024 11:50:00 +0000"),
        ("rfc3339", r#""2024-02-29T14:00:00.000+0200""#, "2024-02-29T11:50:00Z"),
    ] {
        let (state, _) = after(test().configuration("format", format), &[moment]);
        assert!(state.starts_with(r#"{"at":"2024-02-29T"#), "{format}: {state}");
        let next = test().configuration("format", format).state(state.as_str()).answers([page(&[], "null")]).update();
        assert_eq!(next.asked[0].query("since").as_deref(), Some(since), "{format}");
    }
}

#[test]
fn an_interrupted_window_goes_on_at_its_cursor_and_ends_where_its_own_sync_began() {
    let first = page(&[r#""2024-02-29T12:00:00Z""#], "2");
    let sync = test().state(r#"{"at":"2024-02-01T00:00:00Z"}"#).answers([first, Answer::status(400)]).update();
    assert!(sync.result.is_err());
    let expect = r#"{"at":"2024-02-01T00:00:00Z","at_pages":{"cursor":"2","newest":"2024-02-29T12:00:00Z","started":"2024-03-01T00:00:00Z"}}"#;
    assert_eq!(sync.state(), Some(expect));

    // A day later: what changed meanwhile on the first page is not yet read.
    let later = Test::<Orders>::new().now("2024-03-02T00:00:00Z".parse().unwrap()).state(sync.state());
    let sync = later.answers([page(&[r#""2024-03-01T23:00:00Z""#], "null")]).update();
    assert_eq!(sync.requests(), ["GET https://api.test/orders?since=2024-01-31T23%3A50%3A00Z&c=2"]);
    assert_eq!(sync.state(), Some(r#"{"at":"2024-03-01T00:00:00Z"}"#));
}

#[test]
fn a_list_in_order_moves_on_with_every_page_but_not_into_the_future() {
    let answers = [
        page(&[r#""2024-02-01T00:00:00Z""#], "2"),
        page(&[r#""2024-02-02T00:00:00Z""#, r#""2099-01-01T00:00:00Z""#], "null"),
    ];
    let sync = test().configuration("ordered", "yes").answers(answers).update();
    assert_eq!(sync.checkpoints(), [r#"{"at":"2024-02-01T00:00:00Z"}"#, r#"{"at":"2024-03-01T00:00:00Z"}"#]);
}

/// Orders in the order of their keys, four a page; while a page is read, others change.
struct Changing {
    orders: BTreeMap<u64, i64>,
    now: i64,
    chance: u64,
}

impl Changing {
    fn new(chance: u64) -> Self {
        let orders = (0..20).map(|id| (id, 1_700_000_000)).collect();
        Self { orders, now: 1_709_251_200, chance }
    }

    /// The page asked for; with nothing left that changes, where it is the last sync.
    fn answer(&mut self, asked: &Asked, changes: u32) -> Answer {
        let since = asked.query("since").map_or(0, |since| since.parse::<Timestamp>().unwrap().unix_seconds());
        let from: u64 = asked.query("c").map_or(0, |cursor| cursor.parse().unwrap());
        let found = self.orders.iter().filter(|(id, at)| **id >= from && **at >= since).take(4);
        let found: Vec<(u64, i64)> = found.map(|(id, at)| (*id, *at)).collect();
        for _ in 0..changes {
            self.now += 900;
            self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.orders.insert((self.chance >> 33) % 20, self.now);
        }
        let next = if found.len() == 4 { (found[3].0 + 1).to_string() } else { "null".to_owned() };
        let rows = found.iter().map(|(id, at)| format!(r#"{{"id":{id},"meta":{{"at":"{}"}}}}"#, written(*at)));
        Answer::json(format!(r#"{{"orders":[{}],"next":{next}}}"#, rows.collect::<Vec<_>>().join(",")))
    }
}

fn written(at: i64) -> String {
    Timestamp::from_unix_seconds(at).to_string()
}

#[test]
fn whatever_changes_while_pages_are_read_arrives_by_the_next_sync() {
    for seed in 0..40 {
        let source = Rc::new(RefCell::new(Changing::new(seed)));
        let mut warehouse = BTreeMap::new();
        let mut state: Option<String> = None;
        for changes in [3, 3, 3, 0] {
            let now = Timestamp::from_unix_seconds(source.borrow().now);
            let answers = Rc::clone(&source);
            let test = Test::<Orders>::new().now(now).state(state.as_deref());
            let sync = test.serve(move |asked| answers.borrow_mut().answer(asked, changes)).update();
            assert_eq!(sync.result, Ok(()));
            for row in sync.upserts("orders") {
                let row: elt_sdk::serde_json::Value = elt_sdk::serde_json::from_str(row).unwrap();
                warehouse.insert(row["id"].as_u64().unwrap(), row["meta"]["at"].as_str().unwrap().to_owned());
            }
            state = sync.state().map(str::to_owned);
        }
        let truth: BTreeMap<u64, String> = source.borrow().orders.iter().map(|(id, at)| (*id, written(*at))).collect();
        assert_eq!(warehouse, truth, "seed {seed}");
    }
}
