//! The connector and the test of `docs/guides/write-a-connector.md`, word for word.

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Test};

struct Tickets;

impl Connector for Tickets {
    const FIELDS: &[Field] = &[
        Field::required("token", "An API token, from your account's settings.").secret(),
        Field::optional("base_url", "Where the API lives.").default("https://api.example.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("tickets", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?).bearer_auth(configuration.required("token")?);
        let cursor = Cursor::new("cursor", "next_cursor").start(state.get("cursor"));

        for page in http.get("tickets").query("limit", 100).pages("tickets", cursor) {
            let page = page?;
            operations.upsert_page("tickets", &page)?;
            state.set("cursor", page.place())?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

elt_sdk::export!(Tickets);

#[test]
fn a_failed_page_leaves_the_checkpoint_before_it() {
    let page = Answer::json(r#"{"tickets": [{"id": 1}], "next_cursor": "b"}"#);
    let sync = Test::<Tickets>::new().configuration("token", "123").answers([page, Answer::status(503)]).update();

    assert!(matches!(sync.result, Err(Error::Transient(_))));
    assert_eq!(sync.operations(), [r#"upsert tickets {"id": 1}"#, r#"checkpoint {"cursor":"b"}"#]);
}

#[test]
fn the_guide_shows_this_code() {
    let guide = include_str!("../../../../docs/guides/write-a-connector.md");
    let code = guide.split("```").skip(1).step_by(2);
    let blocks = code.filter(|block| block.contains("struct Tickets") || block.contains("#[test]"));
    let lines: Vec<&str> = blocks.flat_map(|block| block.lines().skip(1)).collect();
    assert!(lines.len() > 30, "the guide's code was not found");
    for line in lines {
        assert!(include_str!("guide.rs").contains(line), "not in guide.rs: {line}");
    }
}
