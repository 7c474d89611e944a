//! The source that new connectors are made for: one list, in every pagination at once, each item's parts, and the list as an
//! export. Whoever asks may say who she is in any of the ways a template knows, but must say it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::super::options::Options;
use super::Asked;
use super::oauth::form;

const ITEMS: u64 = 45;
const LIMIT_MAX: u64 = 500;
/// `ada:123`.
const BASIC: &str = "Basic YWRhOjEyMw==";
const ACCESS_TOKEN: &str = "items-access";
const SESSION: &str = "items-session";

/// The key that is a token, a password and a secret too; none where the source is open.
#[derive(Debug)]
pub(super) struct Items {
    key: Option<String>,
}

impl Items {
    pub(super) fn new(options: &Options) -> Self {
        Self { key: (!options.open).then(|| options.api_key.clone()) }
    }

    /// The answer at `/items` and the steps below it.
    pub(super) fn answer(&self, asked: &Asked<'_>, below: &[&str]) -> Answer {
        match below {
            ["oauth", "token"] => return self.token(asked),
            ["session"] => return self.session(asked),
            _ if !self.knows(asked) => {
                return Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "who are you?");
            }
            _ => {}
        }
        match below {
            [] => page(asked).unwrap_or_else(|refusal| refusal),
            [id, "parts"] => parts(id),
            _ => Answer::error(StatusCode::NOT_FOUND, "not_found", "there is nothing here"),
        }
    }

    /// All items in the format of that ending.
    pub(super) fn export(&self, asked: &Asked<'_>, ending: &str) -> Answer {
        if !self.knows(asked) {
            return Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "who are you?");
        }
        let each = |write: fn(u64) -> String| (1..=ITEMS).map(write).collect::<String>();
        match ending {
            "csv" => Answer::text(format!("id,name,updated_at\n{}", each(csv)), "text/csv"),
            "ndjson" => Answer::text(each(|id| format!("{}\n", item(id))), "application/x-ndjson"),
            _ => Answer::text(format!("<items>{}</items>", each(xml)), "application/xml"),
        }
    }

    fn knows(&self, asked: &Asked<'_>) -> bool {
        let Some(key) = self.key.as_deref() else { return true };
        [asked.header("api_key"), asked.query.get("api_key").unwrap_or_default(), asked.bearer()].contains(&key)
            || asked.header("authorization") == BASIC
            || asked.bearer() == ACCESS_TOKEN
            || asked.header("x-session") == SESSION
    }

    /// OAuth2, with the application's credentials in the form (RFC 6749, 4.4 and 6).
    fn token(&self, asked: &Asked<'_>) -> Answer {
        let form = form(asked.body);
        let refuse = |code: &str, status| Answer::json(json!({ "error": code })).with_status(status);
        let key = self.key.as_deref();
        if form.get("client_id") != Some("app") || key.is_some_and(|key| form.get("client_secret") != Some(key)) {
            return refuse("invalid_client", StatusCode::UNAUTHORIZED);
        }
        let mut granted = json!({"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3600});
        match (form.get("grant_type"), form.get("refresh_token")) {
            (Some("client_credentials"), _) => {}
            (Some("refresh_token"), Some(token)) if token == "items-refresh" || Some(token) == key => {
                granted["refresh_token"] = "items-refresh".into();
            }
            _ => return refuse("invalid_grant", StatusCode::BAD_REQUEST),
        }
        Answer::json(granted)
    }

    fn session(&self, asked: &Asked<'_>) -> Answer {
        let given = asked.json();
        if given["user"] != "ada" || self.key.as_deref().is_some_and(|key| given["password"] != key) {
            return Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "user or password is wrong");
        }
        Answer::json(json!({ "token": SESSION }))
    }
}

/// Whatever says where to begin: a cursor, an offset, or the number of a page. The answer says in every way how to go on.
fn page(asked: &Asked<'_>) -> Result<Answer, Answer> {
    let number = |name, default, least| asked.query.number(name, default, least, u64::from(u32::MAX));
    let limit = asked.query.number("limit", 20, 1, LIMIT_MAX)?;
    let skipped = (number("page", 1, 1)? - 1) * limit;
    let from = number("cursor", 0, 0)? + number("offset", 0, 0)? + skipped;
    let since = asked.query.get("updated_since").unwrap_or_default();
    let found: Vec<u64> = (1..=ITEMS).filter(|id| updated_at(*id).as_str() >= since).collect();
    let items: Vec<Value> =
        found.iter().zip(0..).filter(|(_, at)| (from..from + limit).contains(at)).map(|(id, _)| item(*id)).collect();
    let total = found.len() as u64;
    let end = from + limit;
    let more = end < total;
    let since = if since.is_empty() { String::new() } else { format!("&updated_since={since}") };
    let next = more.then(|| format!("{}/items?limit={limit}&cursor={end}{since}", asked.origin()));
    let cursor = more.then(|| end.to_string());
    let mut answer = Answer::json(json!({"items": items, "next_cursor": cursor, "next": next, "total": total}));
    answer.records = items.len() as u64;
    Ok(match next {
        Some(next) => answer.with_header("link", format!("<{next}>; rel=\"next\"")),
        None => answer,
    })
}

/// In no order of time: the ids run against it within blocks of five.
fn updated_at(id: u64) -> String {
    let minute = (id - 1) / 5 * 5 + (4 - (id - 1) % 5);
    format!("2024-05-01T08:{minute:02}:00Z")
}

fn item(id: u64) -> Value {
    json!({"id": id, "name": format!("Item {id}"), "updated_at": updated_at(id)})
}

fn csv(id: u64) -> String {
    format!("{id},Item {id},{}\n", updated_at(id))
}

fn xml(id: u64) -> String {
    format!("<item><id>{id}</id><name>Item {id}</name><updated_at>{}</updated_at></item>", updated_at(id))
}

/// None to two, so that items without parts are there too.
fn parts(id: &str) -> Answer {
    match id.parse::<u64>() {
        Ok(id) if (1..=ITEMS).contains(&id) => {
            let parts: Vec<Value> = (0..id % 3).map(|place| json!({"id": id * 10 + place, "weight": place})).collect();
            Answer::json(json!({ "parts": parts }))
        }
        _ => Answer::error(StatusCode::NOT_FOUND, "not_found", "there is no such item"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName};

    use super::super::super::answer::Query;
    use super::*;

    fn ask(headers: &[(&'static str, &str)], query: &[(&str, &str)], below: &[&str]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let query = Query::new(query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        let asked = Asked { method: "GET", path: "/items", query: &query, headers: &map, body: b"" };
        Items::new(&Options::default()).answer(&asked, below)
    }

    #[test]
    fn who_says_nothing_or_something_wrong_is_refused() {
        assert_eq!(ask(&[], &[], &[]).status, 401);
        assert_eq!(ask(&[("api_key", "124")], &[("api_key", "")], &["1", "parts"]).status, 401);
        assert_eq!(ask(&[("authorization", "Bearer 12")], &[], &[]).status, 401);
        for (name, value) in
            [("api_key", "123"), ("authorization", BASIC), ("authorization", "Bearer 123"), ("x-session", SESSION)]
        {
            assert_eq!(ask(&[(name, value)], &[], &[]).status, 200, "{name}: {value}");
        }
        assert_eq!(ask(&[], &[("api_key", "123")], &[]).status, 200);
        assert_eq!(ask(&[], &[], &["oauth", "token"]).status, 401);
        assert_eq!(ask(&[], &[], &["session"]).status, 401);
    }

    #[test]
    fn every_way_to_page_leads_to_the_same_items() {
        let page = |place: (&str, &str)| {
            let answer = ask(&[("api_key", "123")], &[("limit", "20"), place], &[]);
            serde_json::from_slice::<Value>(&answer.whole()).unwrap()
        };
        let last = page(("cursor", "40"));
        assert_eq!(
            (last["items"].as_array().unwrap().len(), &last["next_cursor"], &last["next"]),
            (5, &Value::Null, &Value::Null)
        );
        assert_eq!(last, page(("offset", "40")));
        assert_eq!(last, page(("page", "3")));
        assert_eq!(page(("page", "1"))["next_cursor"], "20");
        assert_eq!(page(("updated_since", "2024-05-01T08:44:00Z"))["total"], 1);
    }
}
