//! The code of a new connector, put together from parts.
//!
//! All of them read the same example: `items`, with their `parts` where a list belongs to each. The author puts her own
//! names in their place.

use super::words::{Authentication, Choice, Pagination, SyncStyle};

/// The longest line that rustfmt leaves as it is, without the body's indentation.
const LINE_MAX: usize = 112;

/// A field of the configuration: name, declaration, value in the example.
type Field = (&'static str, &'static str, &'static str);

const CLIENT_ID: Field = ("client_id", r#"Field::required("client_id", "The id of your application.")"#, "app");
const CLIENT_SECRET: Field =
    ("client_secret", r#"Field::required("client_secret", "The secret of your application.").secret()"#, "123");
const REFRESH_TOKEN: Field = (
    "refresh_token",
    r#"Field::required("refresh_token", "The refresh token that came when a person agreed.").secret()"#,
    "123",
);

fn fields(choice: Choice) -> Vec<Field> {
    let base_url = r#"Field::required("base_url", "Where the API lives, https://api.example.com for instance.")"#;
    let mut fields: Vec<Field> = vec![("base_url", base_url, "http://127.0.0.1:8765")];
    fields.extend(match choice.authentication {
        Authentication::Header | Authentication::Query => {
            vec![("api_key", r#"Field::required("api_key", "The key the API asks for.").secret()"#, "123")]
        }
        Authentication::Basic | Authentication::Session => vec![
            ("user", r#"Field::required("user", "The user's name.")"#, "ada"),
            ("password", r#"Field::required("password", "The user's password.").secret()"#, "123"),
        ],
        Authentication::Bearer => vec![("token", r#"Field::required("token", "An API token.").secret()"#, "123")],
        Authentication::Oauth2Client => vec![CLIENT_ID, CLIENT_SECRET],
        Authentication::Oauth2Refresh => vec![CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN],
        Authentication::None => vec![],
    });
    if !choice.sync.is_export() {
        let declared = r#"Field::optional("page_size", "Records in one answer.").default("100")"#;
        fields.push(("page_size", declared, "100"));
    }
    if choice.sync == SyncStyle::Window {
        let declared =
            r#"Field::optional("overlap_minutes", "How far back from the last change to read.").default("60")"#;
        fields.push(("overlap_minutes", declared, "60"));
    }
    fields
}

/// `configuration.json`.
pub(super) fn configuration(choice: Choice) -> String {
    let lines: Vec<String> =
        fields(choice).iter().map(|(name, _, value)| format!("  \"{name}\": \"{value}\"")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// `src/lib.rs`.
pub(super) fn connector(name: &str, choice: Choice) -> String {
    let type_name = type_name(name);
    let declared = fields(choice).into_iter().map(|(_, declared, _)| format!("        {declared},\n"));
    let fields = declared.collect::<Vec<_>>().concat();
    let body: String = body(choice)
        .lines()
        .map(|line| if line.is_empty() { "\n".into() } else { format!("        {line}\n") })
        .collect();
    format!(
        r#"//! {about}.

use elt_sdk::prelude::*;

struct {type_name};

impl Connector for {type_name} {{
    const FIELDS: &[Field] = &[
{fields}    ];
    const HOSTS: &[&str] = &["{{base_url}}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {{
        Ok(vec![{tables}])
    }}

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {{
{body}    }}
{check}}}

elt_sdk::export!({type_name});

#[cfg(test)]
mod tests;
"#,
        about = about(choice.sync),
        tables = tables(choice.sync),
        check = check(choice.authentication),
    )
}

fn about(sync: SyncStyle) -> &'static str {
    match sync {
        SyncStyle::Position => "Copies items page by page: from the place where the last sync ended",
        SyncStyle::Window => "Copies items page by page: what changed since the last sync, and a little before",
        SyncStyle::Full => "Copies items page by page: everything each time",
        SyncStyle::ParentChild => "Copies items page by page and each one's parts: everything each time",
        SyncStyle::Csv => "Replaces a table by the source's export in CSV",
        SyncStyle::Ndjson => "Replaces a table by the source's export, lines of JSON",
        SyncStyle::Xml => "Replaces a table by the source's export in XML",
    }
}

fn tables(sync: SyncStyle) -> &'static str {
    match sync {
        SyncStyle::ParentChild => r#"Table::new("items", ["id"]), Table::new("parts", ["id"])"#,
        // Their values are texts: what is more than that is declared.
        SyncStyle::Csv | SyncStyle::Xml => r#"Table::new("items", ["id"]).column("updated_at", DataType::UtcDatetime)"#,
        _ => r#"Table::new("items", ["id"])"#,
    }
}

/// A check of its own, where the dry run that is usual would do harm.
fn check(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::Oauth2Refresh => {
            "
    /// A dry run would use the refresh token up and forget its successor; the fields are checked already.
    fn check(_: &Configuration) -> Result<()> {
        Ok(())
    }
"
        }
        _ => "",
    }
}

fn body(choice: Choice) -> String {
    let rest = match choice.sync {
        SyncStyle::Position | SyncStyle::Full | SyncStyle::ParentChild => paged(choice),
        SyncStyle::Window => window(choice),
        SyncStyle::Csv => export("items.csv", r#"Csv::new().expect(["id"])"#),
        SyncStyle::Ndjson => export("items.ndjson", r#"JsonLines::new().expect(["id"])"#),
        SyncStyle::Xml => export("items.xml", r#"Xml::new("item").root("items")"#),
    };
    // Every checkpoint has the newest refresh token: those before it are used up.
    let rest = match choice.authentication {
        Authentication::Oauth2Refresh => saved(&rest),
        _ => rest,
    };
    client(choice.authentication) + &rest
}

/// The same code with the login saved before every checkpoint.
fn saved(code: &str) -> String {
    let line = |line: &str| {
        let indentation = &line[..line.len() - line.trim_start().len()];
        if line.trim_start().starts_with("operations.checkpoint(") {
            format!("{indentation}login.save(&mut state, \"login\")?;\n{line}\n")
        } else {
            format!("{line}\n")
        }
    };
    code.lines().map(line).collect()
}

fn client(authentication: Authentication) -> String {
    let base = r#"let http = Client::new(configuration.required("base_url")?)"#;
    match authentication {
        Authentication::None => calls(base, &[]),
        Authentication::Header => calls(base, &[r#".header("api_key", configuration.required("api_key")?)"#]),
        Authentication::Query => calls(base, &[r#".query("api_key", configuration.required("api_key")?)"#]),
        Authentication::Basic => {
            calls(base, &[r#".basic_auth(configuration.required("user")?, configuration.required("password")?)"#])
        }
        Authentication::Bearer => calls(base, &[r#".bearer_auth(configuration.required("token")?)"#]),
        Authentication::Oauth2Client => calls(base, &[]) + OAUTH2_CLIENT,
        Authentication::Oauth2Refresh => calls(base, &[]) + OAUTH2_REFRESH,
        Authentication::Session => calls(base, &[]) + SESSION,
    }
}

const OAUTH2_CLIENT: &str = r#"let [id, secret] = ["client_id", "client_secret"].map(|field| configuration.required(field));
let login = Login::client_credentials(&http.url("items/oauth/token"), id?, secret?);
let http = http.login(&login);
"#;

const OAUTH2_REFRESH: &str = r#"let [id, secret, token] = ["client_id", "client_secret", "refresh_token"].map(|it| configuration.required(it));
let login = Login::refresh_token(&http.url("items/oauth/token"), id?, secret?, token?).resume(&state, "login")?;
// The refresh token that was used is gone: its successor must be safe before anything else can fail.
login.renew()?;
login.save(&mut state, "login")?;
operations.checkpoint(&state)?;
let http = http.login(&login);
"#;

const SESSION: &str = r#"let [user, password] = ["user", "password"].map(|field| configuration.required(field));
let credentials = json!({"user": user?, "password": password?});
let login = http.post("items/session").json(&credentials).idempotent(true);
let http = http.login(&Login::session(login, "token").header("X-Session", ""));
"#;

/// A statement that ends in calls: on one line where there is room, else a line for each.
fn calls(start: &str, calls: &[&str]) -> String {
    let line = format!("{start}{};\n", calls.concat());
    if line.trim_end().len() <= LINE_MAX { line } else { format!("{start}\n    {};\n", calls.join("\n    ")) }
}

/// The request for the list.
fn request(pagination: Pagination) -> &'static str {
    match pagination {
        // Its pagination says itself how many records it wants.
        Pagination::Offset => "let request = http.get(\"items\");\n",
        _ => "let request = http.get(\"items\").query(\"limit\", configuration.parse::<u32>(\"page_size\")?);\n",
    }
}

/// The pagination; with a place to begin at where `start` is given.
fn pages(pagination: Pagination, start: Option<&str>) -> String {
    let style = match pagination {
        Pagination::Cursor => &[r#"Cursor::new("cursor", "next_cursor")"#][..],
        Pagination::Offset => {
            &[r#"Offset::new("offset", "limit", configuration.parse("page_size")?)"#, r#".total("total")"#]
        }
        Pagination::Page => &[r#"PageNumber::new("page")"#],
        Pagination::NextUrl => &[r#"NextUrl::new("next")"#],
        Pagination::LinkHeader => &["LinkHeader::new()"],
    };
    let start = start.map(|place| format!(".start({place})"));
    let mut all = style[1..].to_vec();
    all.extend(start.as_deref());
    calls(&format!("let pages = {}", style[0]), &all)
}

/// How the state follows the pages.
fn advance(sync: SyncStyle) -> &'static str {
    match sync {
        SyncStyle::Position => {
            r#"    // Where the next sync goes on: after the last page, with what that one named, or with that page again.
    state.set("place", page.place())?;
"#
        }
        _ => {
            r#"    // An interrupted sync resumes at the next page; after the last one, everything is read again.
    state.set("place", page.cursor())?;
"#
        }
    }
}

const CHILDREN: &str = r#"    for item in page.records() {
        let parts = http.get(format!("items/{}/parts", elt_sdk::http::encode(&item.required("id")?)));
        for part in parts.page("parts")?.records() {
            operations.upsert("parts", part.with("item_id", item.value("id"))?)?;
        }
    }
"#;

fn paged(choice: Choice) -> String {
    let children = if choice.sync == SyncStyle::ParentChild { CHILDREN } else { "" };
    format!(
        r#"{request}{pages}for page in request.pages("items", pages) {{
    let page = page?;
    operations.upsert_page("items", &page)?;
{children}{advance}    operations.checkpoint(&state)?;
}}
Ok(())
"#,
        request = request(choice.pagination),
        pages = pages(choice.pagination, Some(r#"state.get("place")"#)),
        advance = advance(choice.sync),
    )
}

fn window(choice: Choice) -> String {
    // A cursor of the source's own stays where it is while records change; a count of records or pages does not.
    let start = match choice.pagination {
        Pagination::Cursor | Pagination::NextUrl | Pagination::LinkHeader => Some("window.cursor()"),
        Pagination::Offset | Pagination::Page => None,
    };
    format!(
        r#"let overlap = Duration::from_mins(configuration.parse("overlap_minutes")?);
let mut window = Window::new("updated_at").overlap(overlap).resume(&state)?;
{request}let request = request.query_if("updated_since", window.since()?);
{pages}
for page in request.pages("items", pages) {{
    let page = page?;
    operations.upsert_page("items", &page)?;
    // After the last page the next window begins at the newest change, but never after this sync began.
    window.advance(&page, &mut state)?;
    operations.checkpoint(&state)?;
}}
Ok(())
"#,
        request = request(choice.pagination),
        pages = pages(choice.pagination, start),
    )
}

fn export(path: &str, format: &str) -> String {
    format!(
        r#"let exported_at = Timestamp::now();
// An answer that is no export, or one without a record, is an error and replaces nothing. Where the source may
// really have no record, add `.may_be_empty()`.
let rows = http.get("{path}").stream().send()?.rows({format})?;

operations.truncate("items")?;
for row in rows {{
    operations.upsert("items", row?)?;
}}
// One checkpoint, at the end: half an export is none.
state.set("exported_at", exported_at)?;
operations.checkpoint(&state)
"#
    )
}

/// `src/tests.rs`.
pub(super) fn tests(name: &str, choice: Choice) -> String {
    let type_name = type_name(name);
    let given = fields(choice).into_iter().map(|(name, _, value)| {
        let value = if name == "base_url" { "https://api.test" } else { value };
        format!("\n        .configuration(\"{name}\", \"{value}\")")
    });
    let given = given.collect::<Vec<_>>().concat();
    let written = match choice.sync {
        SyncStyle::Csv | SyncStyle::Xml => r#"{"id":"1","updated_at":"2026-01-31T10:20:30Z"}"#,
        _ => r#"{"id": 1, "updated_at": "2026-01-31T10:20:30Z"}"#,
    };
    let parts = match choice.sync {
        SyncStyle::ParentChild => "\n    assert_eq!(sync.upserts(\"parts\"), [r#\"{\"id\": 7,\"item_id\":1}\"#]);",
        _ => "",
    };
    format!(
        r##"//! What it does with what the source sends, and without its configuration.

use elt_sdk::testing::{{Answer, Asked, Test}};

use super::*;

fn answer(asked: &Asked) -> Answer {{
    match asked.path() {{
{answers}        other => Answer::status(404).body(other),
    }}
}}

fn connector() -> Test<{type_name}> {{
    Test::new(){given}
}}

#[test]
fn records_arrive_before_their_checkpoint() {{
    let sync = connector().serve(answer).update();

    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("items"), [r#"{written}"#]);{parts}
    assert!(sync.operations().last().is_some_and(|last| last.starts_with("checkpoint")));
}}

{refused}#[test]
fn without_its_configuration_it_says_what_is_missing() {{
    let sync = Test::<{type_name}>::new().update();
    assert!(matches!(sync.result, Err(Error::Configuration {{ .. }})), "{{:?}}", sync.result);
}}
"##,
        answers = answers(choice),
        refused = if choice.sync.is_export() { NO_EXPORT } else { "" },
    )
}

/// The test that only connectors of exports have.
const NO_EXPORT: &str = r##"#[test]
fn an_answer_that_is_no_export_replaces_nothing() {
    for body in [r#"{"error": "export not ready"}"#, "<error>export not ready</error>", "Please wait.", ""] {
        let sync = connector().serve(move |asked| match asked.path() {
            path if path.starts_with("/items.") => Answer::status(200).body(body),
            _ => answer(asked),
        });
        let sync = sync.update();
        assert!(sync.result.is_err() && sync.checkpoints().iter().all(|state| !state.contains("exported_at")), "{body}");
    }
}

"##;

/// What the test's source answers, an arm for each path.
fn answers(choice: Choice) -> String {
    let login = match choice.authentication {
        Authentication::Oauth2Client | Authentication::Oauth2Refresh => {
            r##"        "/items/oauth/token" => Answer::json(r#"{"access_token": "t", "refresh_token": "r"}"#),
"##
        }
        Authentication::Session => {
            r##"        "/items/session" => Answer::json(r#"{"token": "t"}"#),
"##
        }
        _ => "",
    };
    let parts = match choice.sync {
        SyncStyle::ParentChild => {
            r##"        "/items/1/parts" => Answer::json(r#"{"parts": [{"id": 7}]}"#),
"##
        }
        _ => "",
    };
    login.to_owned() + parts + &list(choice)
}

fn list(choice: Choice) -> String {
    let record = r#"{"id": 1, "updated_at": "2026-01-31T10:20:30Z"}"#;
    match choice.sync {
        SyncStyle::Csv => {
            "        \"/items.csv\" => Answer::status(200).body(\"id,updated_at\\n1,2026-01-31T10:20:30Z\\n\"),\n"
                .into()
        }
        SyncStyle::Ndjson => format!("        \"/items.ndjson\" => Answer::status(200).body(r#\"{record}\"#),\n"),
        SyncStyle::Xml => {
            let item = "<item><id>1</id><updated_at>2026-01-31T10:20:30Z</updated_at></item>";
            format!("        \"/items.xml\" => Answer::status(200).body(\"<items>{item}</items>\"),\n")
        }
        _ => {
            // A source that counts pages says with an empty one that there are no more.
            let end = match choice.pagination {
                Pagination::Page => {
                    r##"        "/items" if asked.query("page").is_some_and(|page| page != "1") => Answer::json(r#"{"items": []}"#),
"##
                }
                _ => "",
            };
            format!("{end}        \"/items\" => Answer::json(r#\"{{\"items\": [{record}], \"total\": 1}}\"#),\n")
        }
    }
}

/// `my-tickets` -> `MyTickets`.
fn type_name(name: &str) -> String {
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
