//! What the host learns about a connector, and how a check runs.

use elt_sdk::export::describe;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Test};

struct Shop;

impl Connector for Shop {
    const FIELDS: &[Field] = &[
        Field::required("shop", "The shop's name."),
        Field::required("token", "Its token.").secret().only_for(&["{shop}.example.com"]),
        Field::optional("page_size", "Orders in one answer.").default("50"),
    ];
    const HOSTS: &[&str] = &["{shop}.example.com"];
    const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_second(2), RateLimit::per_minute(40)];
    const NAME: Option<&str> = Some("shop");

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("orders", ["id"])])
    }

    fn update(_: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
        operations.truncate("orders")?;
        Client::new("https://a.example.com").get("orders").send()?.error_for_status()?;
        operations.checkpoint(&state)?;
        Err(Error::internal("a check goes no further than the first checkpoint"))
    }
}

elt_sdk::export!(Shop);

fn shop() -> Test<Shop> {
    Test::new().configuration("shop", "a").configuration("token", "t")
}

#[test]
fn a_description_holds_what_was_declared() {
    let description = describe::<Shop>();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("shop", env!("CARGO_PKG_VERSION")));
    assert_eq!(description.hosts, ["{shop}.example.com"]);
    assert_eq!(description.fields[1].hosts, ["{shop}.example.com"]);
    assert_eq!(description.fields[2].default.as_deref(), Some("50"));
    assert_eq!(description.rate_limits[1].window_ms, 60_000);
}

#[test]
fn a_check_passes_at_the_first_checkpoint() {
    assert_eq!(shop().answers([Answer::status(200)]).check(), Ok(()));
}

#[test]
fn a_check_fails_by_what_goes_wrong_before() {
    let refused = shop().answers([Answer::status(403)]).check();
    assert_eq!(refused, Err(Error::authentication("GET https://a.example.com/orders: status 403")));
    assert!(Test::<Shop>::new().check().is_err_and(|error| matches!(error, Error::Configuration { .. })));
}
