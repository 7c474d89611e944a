//! Several stations at once, one state each; some failures are left for later, many end the sync.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn stations() -> Test<Stations> {
    Test::new()
        .configuration("base_url", "https://api.test")
        .configuration("api_key", "k")
        .serve(|asked| answer(asked, 1))
}

/// Five stations with two pages each; the first `broken` of them cannot be read.
fn answer(asked: &Asked, broken: u32) -> Answer {
    let list: Vec<_> = (0..5).map(|id| format!(r#"{{"id": {id}}}"#)).collect();
    let Some(id) = asked.path().strip_prefix("/stations/") else {
        return Answer::json(format!(r#"{{"stations": [{}]}}"#, list.join(",")));
    };
    if id.trim_end_matches("/readings").parse::<u32>().unwrap() < broken {
        return Answer::status(422);
    }
    let at = asked.query("after").map_or(1, |after| after.parse::<u32>().unwrap() + 1);
    Answer::json(format!(r#"{{"readings": [{{"at": {at}}}], "more": {}}}"#, at < 2))
}

#[test]
fn stations_take_turns_and_a_broken_one_is_left_for_later() {
    let sync = stations().update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("readings").len(), 8);
    assert_eq!(sync.state(), Some(r#"{"1":{"at":"2"},"2":{"at":"2"},"3":{"at":"2"},"4":{"at":"2"}}"#));
    assert!(sync.logs[0].1.starts_with("station 0 is left for the next sync"), "{:?}", sync.logs);
    assert_eq!(sync.requests()[1], "GET https://api.test/stations/0/readings?key=k");

    let next = stations().state(sync.state()).update();
    assert!(next.requests().contains(&"GET https://api.test/stations/4/readings?key=k&after=2".to_owned()));
}

#[test]
fn three_failures_in_a_row_open_the_circuit() {
    let sync = stations().serve(|asked| answer(asked, 5)).update();
    let message = "3 stations failed in a row: GET https://api.test/stations/2/readings: status 422";
    assert_eq!(sync.result, Err(Error::source(message)));
}
