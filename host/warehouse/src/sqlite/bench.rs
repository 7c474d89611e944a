//! What loads cost in SQLite.
//!
//! `cargo test --release -p host --lib sqlite::bench -- --ignored --nocapture --test-threads 1`

use super::tests::Home;
use crate::conformance::Home as _;
use crate::conformance::load::{Keys, load_history, load_twice, one_record};

#[test]
#[ignore = "a measurement"]
fn a_sync_of_one_record() {
    for rows in [0, 1_000_000] {
        let home = Home::new();
        one_record(&|request| home.begin(request), rows);
    }
}

#[test]
#[ignore = "a measurement"]
fn the_whole_destination() {
    for keys in [Keys::RandomText, Keys::Integers] {
        let home = Home::new();
        load_twice(&|request| home.begin(request), keys);
    }
}

#[test]
#[ignore = "a measurement"]
fn tables_that_keep_their_history() {
    for keys in [Keys::RandomText, Keys::Integers] {
        let home = Home::new();
        load_history(&|request| home.begin(request), keys);
    }
}
