//! Secrets under test as in the sandbox: the connector sees placeholders, the source the values.

use elt_sdk::http;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, Test};

struct Session;

const KEY: &str = "k3y \"quoted\" & long";
const TOKEN: &str = "the-token-of-the-session";

impl Connector for Session {
    const FIELDS: &[Field] =
        &[Field::required("api_key", "The key.").secret(), Field::optional("other", "Another.").secret()];
    const HOSTS: &[&str] = &["api.test"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new("https://api.test");
        let key = configuration.required("api_key")?;
        info!("the key is {key}, the other {:?}", configuration.get("other"));
        let mut token = state.get_or("token", "");
        if token.is_empty() {
            let answer = http.post("login").json(&json!({"key": key})).send()?;
            let answer: elt_sdk::serde_json::Value = answer.json()?;
            token = http::protect(answer["token"].as_str().unwrap_or_default(), &[]);
        }
        let seen = http.get("whoami").query("key", key).bearer_auth(&token).send()?.text()?;
        operations.upsert("seen", json!({"text": seen}))?;
        state.set("token", token)?;
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Session);

fn answer(asked: &Asked) -> Answer {
    match asked.path() {
        "/login" => Answer::json(json!({"token": TOKEN, "for": asked.body()}).to_string()),
        _ => Answer::status(200).body(format!(
            "{} {}",
            asked.query("key").unwrap_or_default(),
            asked.header("authorization").unwrap_or_default()
        )),
    }
}

#[test]
fn the_source_gets_values_and_the_connector_placeholders() {
    let sync = Test::<Session>::new().configuration("api_key", KEY).serve(answer).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.asked[0].body(), json!({"key": KEY}).to_string());
    assert_eq!(sync.asked[1].query("key").as_deref(), Some(KEY));
    assert_eq!(sync.asked[1].header("authorization"), Some(format!("Bearer {TOKEN}")));
    let told = format!("{:?} {:?} {:?}", sync.logs, sync.operations(), sync.state());
    assert!(!told.contains("k3y") && !told.contains(TOKEN), "{told}");
    assert!(sync.logs[0].1.contains("the key is elt_secret_") && sync.logs[0].1.ends_with("the other None"), "{told}");
    // The answer repeated both.
    assert!(told.contains("{\\\"text\\\":\\\"elt_secret_") && told.contains("Bearer elt_token_"), "{told}");
}

#[test]
fn a_token_in_the_state_is_used_again() {
    let first = Test::<Session>::new().configuration("api_key", KEY).serve(answer).update();
    let next = Test::<Session>::new().configuration("api_key", KEY).state(first.state()).serve(answer).update();
    assert_eq!(next.requests().len(), 1);
    assert_eq!(next.asked[0].header("authorization"), Some(format!("Bearer {TOKEN}")));
    assert_eq!(next.state(), first.state());
}
