//! The code of a new connector, put together from parts.

use super::words::{Authentication, Choice, Pagination, SyncStyle};

/// What the example's source calls things; the author puts her own in their place.
struct Example {
    path: &'static str,
    /// Where an answer holds its records.
    records: &'static str,
    table: &'static str,
    key: &'static str,
    /// The parameter for the number of records in a page.
    size: &'static str,
    /// The field with the moment of the last change.
    changed: &'static str,
}

impl Example {
    fn of(pagination: Pagination) -> Self {
        let items =
            Self { path: "items", records: "items", table: "items", key: "id", size: "limit", changed: "updated_at" };
        match pagination {
            Pagination::Cursor => Self {
                path: "cds_data",
                records: "cds_records",
                table: "cds_records",
                key: "record_id",
                size: "page_size",
                changed: "updated_at",
            },
            Pagination::Offset => Self { path: "offset/orders", records: "orders", table: "orders", ..items },
            Pagination::NextUrl => Self { path: "customers", records: "data", table: "customers", ..items },
            Pagination::Page | Pagination::LinkHeader => items,
        }
    }
}

/// A field of the configuration: name, declaration, value in the example.
type Field = (&'static str, &'static str, &'static str);

fn fields(choice: Choice) -> Vec<Field> {
    let mut fields: Vec<Field> = vec![(
        "base_url",
        r#"Field::required("base_url", "Where the API lives, https://api.example.com for instance.")"#,
        "http://127.0.0.1:8765",
    )];
    match choice.authentication {
        Authentication::Header | Authentication::Query => {
            fields.push(("api_key", r#"Field::required("api_key", "The key the API asks for.").secret()"#, "123"));
        }
        Authentication::Basic => {
            fields.push(("user", r#"Field::required("user", "The user's name.")"#, "ada"));
            fields.push(("password", r#"Field::required("password", "The user's password.").secret()"#, "123"));
        }
        Authentication::Bearer => {
            fields.push(("token", r#"Field::required("token", "An API token.").secret()"#, "123"));
        }
        Authentication::None => {}
    }
    fields.push(("page_size", r#"Field::optional("page_size", "Records in one answer.").default("100")"#, "100"));
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
    let Example { table, key, .. } = Example::of(choice.pagination);
    let type_name = type_name(name);
    let fields: Vec<String> = fields(choice).iter().map(|(_, declared, _)| format!("        {declared},\n")).collect();
    let fields = fields.concat();
    let about = match choice.sync {
        SyncStyle::Position => "from the place where the last sync ended",
        SyncStyle::Window => "what changed since the last sync, and a little before",
        SyncStyle::Full => "everything each time",
    };
    format!(
        r#"//! Copies {table} page by page: {about}.

use elt_sdk::prelude::*;

struct {type_name};

impl Connector for {type_name} {{
    const FIELDS: &[Field] = &[
{fields}    ];
    const HOSTS: &[&str] = &["{{base_url}}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {{
        Ok(vec![Table::new("{table}", ["{key}"])])
    }}

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {{
{body}    }}
}}

elt_sdk::export!({type_name});

#[cfg(test)]
mod tests;
"#,
        body = body(choice)
    )
}

fn body(choice: Choice) -> String {
    let mut lines = client(choice.authentication);
    lines.extend(match choice.sync {
        SyncStyle::Position => position(choice),
        SyncStyle::Window => window(choice),
        SyncStyle::Full => full(choice),
    });
    lines.iter().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("        {line}\n") }).collect()
}

fn client(authentication: Authentication) -> Vec<String> {
    let base = r#"let http = Client::new(configuration.required("base_url")?)"#;
    let more = match authentication {
        Authentication::Header => r#"    .header("api_key", configuration.required("api_key")?);"#,
        Authentication::Basic => {
            r#"    .basic_auth(configuration.required("user")?, configuration.required("password")?);"#
        }
        Authentication::Bearer => r#"    .bearer_auth(configuration.required("token")?);"#,
        Authentication::Query | Authentication::None => return vec![format!("{base};")],
    };
    vec![base.to_owned(), more.to_owned()]
}

/// The request for a list: pages have their size and, where it goes there, the key.
fn request(choice: Choice, more: &[String]) -> Vec<String> {
    let Example { path, size, .. } = Example::of(choice.pagination);
    let mut lines = vec!["let request = http".to_owned(), format!("    .get(\"{path}\")")];
    // An offset's pagination says itself how many it wants.
    if choice.pagination != Pagination::Offset {
        lines.push(format!("    .query(\"{size}\", configuration.parse::<u32>(\"page_size\")?)"));
    }
    if choice.authentication == Authentication::Query {
        lines.push("    .query(\"api_key\", configuration.required(\"api_key\")?)".to_owned());
    }
    lines.extend(more.iter().map(|line| format!("    {line}")));
    if let Some(last) = lines.last_mut() {
        last.push(';');
    }
    lines
}

fn pages(pagination: Pagination) -> &'static str {
    match pagination {
        Pagination::Cursor => r#"Cursor::new("cursor", "next_cursor")"#,
        Pagination::Offset => {
            "Offset::new(\"offset\", \"limit\", configuration.parse(\"page_size\")?)\n            .total(\"total\")"
        }
        Pagination::Page => r#"PageNumber::new("page")"#,
        Pagination::NextUrl => r#"NextUrl::new("next")"#,
        Pagination::LinkHeader => "LinkHeader::new()",
    }
}

/// Where a pagination begins, from the state.
fn start(pagination: Pagination) -> &'static str {
    match pagination {
        Pagination::Offset => r#"state.parse_or("place", 0)?"#,
        Pagination::Page => r#"state.parse_or("place", 1)?"#,
        Pagination::Cursor | Pagination::NextUrl | Pagination::LinkHeader => r#"state.get("place")"#,
    }
}

/// A place as the pagination wants it back: numbers as numbers.
fn place(choice: Choice) -> &'static str {
    match choice.pagination {
        // The last page may grow: where a sync is to go on from there, it begins with that page again.
        Pagination::Page if choice.sync == SyncStyle::Position => {
            r#"state.set("place", place.parse::<u64>().map_err(Error::internal)? - 1)?"#
        }
        Pagination::Offset | Pagination::Page => {
            r#"state.set("place", place.parse::<u64>().map_err(Error::internal)?)?"#
        }
        Pagination::Cursor | Pagination::NextUrl | Pagination::LinkHeader => r#"state.set("place", place)?"#,
    }
}

fn page_loop(choice: Choice, inside: &[String]) -> Vec<String> {
    let Example { records, .. } = Example::of(choice.pagination);
    let mut lines = vec![String::new(), format!("for page in request.pages(\"{records}\", pages) {{")];
    lines.extend(inside.iter().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }));
    lines.push("}".to_owned());
    lines
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn position(choice: Choice) -> Vec<String> {
    let Example { table, .. } = Example::of(choice.pagination);
    let (pages, start, place) = (pages(choice.pagination), start(choice.pagination), place(choice));
    let mut lines = request(choice, &[]);
    lines.push(format!("let pages = {pages}.start({start});"));
    let upsert = format!("operations.upsert_all(\"{table}\", page.records())?;");
    lines.extend(page_loop(
        choice,
        &owned(&[
            "let page = page?;",
            &upsert,
            "// The last page names no next one: the next sync begins with that page again.",
            "if let Some(place) = page.cursor() {",
            &format!("    {place};"),
            "}",
            "operations.checkpoint(&state)?;",
        ]),
    ));
    lines.push("Ok(())".to_owned());
    lines
}

fn full(choice: Choice) -> Vec<String> {
    let Example { table, .. } = Example::of(choice.pagination);
    let (pages, start, place) = (pages(choice.pagination), start(choice.pagination), place(choice));
    let mut lines = request(choice, &[]);
    lines.push(format!("let pages = {pages}.start({start});"));
    let upsert = format!("operations.upsert_all(\"{table}\", page.records())?;");
    lines.extend(page_loop(
        choice,
        &owned(&[
            "let page = page?;",
            &upsert,
            "// An interrupted sync resumes at the next page; after the last one, everything is read again.",
            "match page.cursor() {",
            &format!("    Some(place) => {place},"),
            "    None => state.remove(\"place\"),",
            "}",
            "operations.checkpoint(&state)?;",
        ]),
    ));
    lines.push("Ok(())".to_owned());
    lines
}

fn window(choice: Choice) -> Vec<String> {
    let Example { table, changed, .. } = Example::of(choice.pagination);
    let pages = pages(choice.pagination);
    let mut lines = owned(&[
        "let overlap = Duration::from_mins(configuration.parse(\"overlap_minutes\")?);",
        &format!("let seen: Option<Timestamp> = state.parse(\"{changed}\")?;"),
        "let mut newest = seen;",
    ]);
    lines.extend(request(choice, &[".query_if(\"updated_since\", seen.map(|seen| seen - overlap))".to_owned()]));
    lines.push(format!("let pages = {pages};"));
    lines.extend(page_loop(
        choice,
        &owned(&[
            "for record in page?.records() {",
            &format!("    newest = newest.max(Some(record.required(\"{changed}\")?.parse()?));"),
            &format!("    operations.upsert(\"{table}\", record)?;"),
            "}",
            "// Records come in no order of time: until the last page, a resumed sync begins where this one began.",
            "operations.checkpoint(&state)?;",
        ]),
    ));
    lines.extend(owned(&[&format!("state.set(\"{changed}\", newest)?;"), "operations.checkpoint(&state)"]));
    lines
}

/// `src/tests.rs`.
pub(super) fn tests(name: &str, choice: Choice) -> String {
    let Example { records, table, key, changed, .. } = Example::of(choice.pagination);
    let type_name = type_name(name);
    let given: Vec<String> = fields(choice)
        .iter()
        .map(|(name, _, value)| {
            let value = if *name == "base_url" { "https://api.test" } else { value };
            format!("\n        .configuration(\"{name}\", \"{value}\")")
        })
        .collect();
    let given = given.concat();
    let first = format!(r#"{{"{records}": [{{"{key}": 1, "{changed}": "2026-01-31T10:20:30Z"}}], "total": 1}}"#);
    format!(
        r##"//! What it does with a page, and without its configuration.

use elt_sdk::testing::{{Answer, Test}};

use super::*;

fn connector() -> Test<{type_name}> {{
    Test::new(){given}
}}

#[test]
fn the_records_of_a_page_arrive_before_its_checkpoint() {{
    let page = Answer::json(r#"{first}"#);
    let end = Answer::json(r#"{{"{records}": [], "total": 1}}"#);
    let sync = connector().answers([page, end]).update();

    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("{table}"), [r#"{{"{key}": 1, "{changed}": "2026-01-31T10:20:30Z"}}"#]);
    assert!(sync.operations().last().is_some_and(|last| last.starts_with("checkpoint")));
}}

#[test]
fn without_its_configuration_it_says_what_is_missing() {{
    let sync = Test::<{type_name}>::new().update();
    assert!(matches!(sync.result, Err(Error::Configuration {{ .. }})), "{{:?}}", sync.result);
}}
"##
    )
}

/// `my-tickets` -> `MyTickets`.
fn type_name(name: &str) -> String {
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
