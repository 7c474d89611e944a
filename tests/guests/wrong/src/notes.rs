//! The ways of being wrong that take a source which leads astray, each beside the right one: the copies of `/notes`.

use elt_sdk::prelude::*;

/// What the source gives in one answer; it is asked for more in the mode `short-pages`.
const PAGE: usize = 10;

/// Whether a mode copies notes.
pub(crate) fn has(mode: &str) -> bool {
    mode.starts_with("notes-")
}

/// The tables of a mode.
pub(crate) fn tables(mode: &str) -> Vec<Table> {
    let notes = Table::new("notes", ["id"]);
    if mode.ends_with("tables") { vec![notes, Table::new("texts", ["id"])] } else { vec![notes] }
}

/// A copy of notes, wrong or right as its mode says.
pub(crate) fn copy(mode: &str, http: &Client, state: State, operations: &mut Operations) -> Result<()> {
    match mode {
        "notes-ties" => by_key(http.get("notes/plain"), Keyset::new("updated_after", "updated_at"), state, operations),
        "notes-right-ties" => by_key(
            http.get("notes/plain"),
            Keyset::new("updated_since", "updated_at").inclusive(PAGE),
            state,
            operations,
        ),
        "notes-after" => window(http.get("notes/plain"), "updated_since", Duration::from_secs(1), state, operations),
        "notes-search" => search(http, state, operations),
        "notes-newest" => window(http.get("notes/mixed"), "updated_since", Duration::ZERO, state, operations),
        "notes-right-window" => window(http.get("notes/plain"), "updated_since", Duration::ZERO, state, operations),
        "notes-nulls" => window(http.get("notes/nulls"), "updated_since", Duration::ZERO, state, operations),
        "notes-short" => until_short(http, operations),
        "notes-tombstones" | "notes-right-tombstones" => feed(mode, http, operations),
        "notes-token" => token(http, state, operations),
        "notes-tables" | "notes-right-tables" => two_tables(mode, http, state, operations),
        _ => whole(http, operations),
    }
}

fn by_key(request: Request, keyset: Keyset, mut state: State, operations: &mut Operations) -> Result<()> {
    for page in request.query("limit", PAGE).pages("notes", keyset.start(state.get("updated_at"))) {
        let page = page?;
        operations.upsert_page("notes", &page)?;
        if let Some(last) = page.last() {
            state.set("updated_at", last.required("updated_at")?)?;
        }
        operations.checkpoint(&state)?;
    }
    Ok(())
}

/// Notes since the last one seen, and a step beyond it.
fn window(request: Request, field: &str, step: Duration, mut state: State, operations: &mut Operations) -> Result<()> {
    let mut newest: Option<Timestamp> = state.parse("newest")?;
    let request = request.query_if(field, newest.map(|newest| newest + step));
    for page in request.pages("notes", Offset::new("offset", "limit", PAGE as u64)) {
        for note in page?.records() {
            if let Some(at) = note.get("updated_at") {
                newest = newest.max(Some(at.parse()?));
            }
            operations.upsert("notes", note)?;
        }
        operations.checkpoint(&state)?;
    }
    state.set("newest", newest)?;
    operations.checkpoint(&state)
}

/// The moment is in the middle of a search.
fn search(http: &Client, mut state: State, operations: &mut Operations) -> Result<()> {
    let mut newest: Option<Timestamp> = state.parse("newest")?;
    let words = newest.map(|newest| format!("notes where updated_at > {newest}"));
    let request = http.get("notes/plain").query_if("q", words);
    for page in request.pages("notes", Offset::new("offset", "limit", PAGE as u64)) {
        for note in page?.records() {
            newest = newest.max(Some(note.required("updated_at")?.parse()?));
            operations.upsert("notes", note)?;
        }
        operations.checkpoint(&state)?;
    }
    state.set("newest", newest)?;
    operations.checkpoint(&state)
}

/// Asks for twenty, is given ten, and takes that for the end.
fn until_short(http: &Client, operations: &mut Operations) -> Result<()> {
    let (mut offset, limit) = (0, 2 * PAGE);
    loop {
        let page = http.get("notes/plain").query("limit", limit).query("offset", offset).page("notes")?;
        operations.upsert_page("notes", &page)?;
        offset += page.len();
        if page.len() < limit {
            return operations.checkpoint(&State::default());
        }
    }
}

fn whole(http: &Client, operations: &mut Operations) -> Result<()> {
    for page in http.get("notes/plain").pages("notes", Offset::new("offset", "limit", 2 * PAGE as u64)) {
        operations.upsert_page("notes", &page?)?;
    }
    operations.checkpoint(&State::default())
}

fn feed(mode: &str, http: &Client, operations: &mut Operations) -> Result<()> {
    for page in http.get("notes/feed").pages("notes", Offset::new("offset", "limit", PAGE as u64)) {
        for note in page?.records() {
            if mode == "notes-right-tombstones" && note.get("deleted").as_deref() == Some("true") {
                operations.delete("notes", json!({"id": note.value("id")}))?;
            } else {
                operations.upsert("notes", note)?;
            }
        }
    }
    operations.checkpoint(&State::default())
}

/// Keeps the token that it was given.
fn token(http: &Client, mut state: State, operations: &mut Operations) -> Result<()> {
    let given: elt_sdk::serde_json::Value = http.get("notes/login").send()?.error_for_status()?.json()?;
    state.set("token", given["session_token"].as_str())?;
    for page in http.get("notes/plain").pages("notes", Offset::new("offset", "limit", PAGE as u64)) {
        operations.upsert_page("notes", &page?)?;
    }
    operations.checkpoint(&state)
}

/// Two tables from one list: with one cursor for both, or with one each.
fn two_tables(mode: &str, http: &Client, mut state: State, operations: &mut Operations) -> Result<()> {
    let key = |table: &str| if mode == "notes-tables" { "done".to_owned() } else { format!("{table}_done") };
    let before = state.clone();
    for table in ["notes", "texts"] {
        if !operations.selects(table) {
            continue;
        }
        let begun: u64 = before.parse_or(&key(table), 0)?;
        let mut done = begun;
        for page in http.get("notes/plain").pages("notes", Offset::new("offset", "limit", PAGE as u64).start(begun)) {
            let page = page?;
            operations.upsert_page(table, &page)?;
            done += page.len() as u64;
        }
        state.set(&key(table), done)?;
    }
    operations.checkpoint(&state)
}
