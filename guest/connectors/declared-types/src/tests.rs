//! The pages, counted from 0; the types are the host's business.

use elt_sdk::testing::{Answer, Test};

use super::*;

#[test]
fn pages_are_counted_from_zero_to_the_last() {
    let products = Test::<Products>::new().configuration("base_url", "https://api.test").serve(|asked| {
        let page = asked.query("page").unwrap();
        Answer::json(format!(r#"{{"products": [{{"sku": "{page}", "price": 1.10}}], "pages": 2}}"#))
    });
    let sync = products.update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("products"), [r#"{"sku": "0", "price": 1.10}"#, r#"{"sku": "1", "price": 1.10}"#]);
}
