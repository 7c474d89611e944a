//! Connectors that look right and are not: the configuration's field `mode` names the rule of `host verify` to break, and
//! no other is broken. `right` breaks none. (The rule fields-required is kept by the SDK itself.)

mod notes;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use elt_sdk::bindings::elt::connector::operations::{self as raw, Batch, Kind};
use elt_sdk::prelude::*;

struct Wrong;

impl Connector for Wrong {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the API lives."),
        Field::required("api_key", "The key the API asks for.").secret(),
        Field::optional("page_size", "Records in one answer.").default("10"),
        Field::optional("mode", "The rule to break.").default("right"),
        Field::optional("other_url", "Another place, for the mode hosts-declared.")
            .default("https://unused.example.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}", "{other_url}"];

    fn schema(configuration: &Configuration) -> Result<Vec<Table>> {
        if notes::has(configuration.get_or("mode", "right")) {
            return Ok(notes::tables(configuration.get_or("mode", "right")));
        }
        if by_time(configuration.get_or("mode", "right")) {
            return Ok(vec![Table::new("orders", ["id"])]);
        }
        let table = Table::new("cds_records", ["record_id"]);
        let minimal = configuration.get("mode") != Some("schema-minimal");
        Ok(vec![if minimal { table } else { table.column("name", DataType::String) }])
    }

    /// What it writes would not be let through there.
    fn check(configuration: &Configuration) -> Result<()> {
        configuration.required("api_key").map(drop)
    }

    fn update(configuration: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
        let mode = configuration.get_or("mode", "right");
        let salt = RandomState::new().build_hasher().finish();
        let mut sync = Sync { mode, salt, kept: Vec::new(), asks_again: mode == "a-page-left-out" };
        sync.begin(configuration)?;
        if notes::has(mode) {
            return sync.copy_notes(configuration, state, operations);
        }
        if by_time(mode) {
            sync.copy_orders(configuration, state, operations)
        } else {
            sync.copy(configuration, state, operations)
        }
    }
}

/// Whether a mode is about the moment that a later sync asks from.
fn by_time(mode: &str) -> bool {
    matches!(mode, "ties-kept" | "edits-kept")
}

/// One sync that breaks a rule.
struct Sync<'a> {
    mode: &'a str,
    /// Another number for each seed of randomness.
    salt: u64,
    /// What a connector should not keep.
    kept: Vec<String>,
    /// A failed page is asked for once more before it is left out.
    asks_again: bool,
}

impl Sync<'_> {
    fn is(&self, mode: &str) -> bool {
        self.mode == mode
    }

    /// What goes wrong before anything is read.
    fn begin(&self, configuration: &Configuration) -> Result<()> {
        if self.is("succeeds") {
            return Err(Error::source("nothing works"));
        }
        if self.is("unknown-fields") && configuration.get("a_field_of_verify").is_some() {
            return Err(Error::configuration("a_field_of_verify", "what is this?"));
        }
        if self.is("secrets-hidden") {
            info!("the key is {}", configuration.get_or("api_key", ""));
        }
        Ok(())
    }

    fn copy_notes(&self, configuration: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        notes::copy(self.mode, &http, state, operations)
    }

    fn copy(&mut self, configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        let request = http.get("cds_data").query("page_size", configuration.parse::<u32>("page_size")?);
        let start = state.get("next_cursor").filter(|_| !self.is("incremental"));
        if self.is("state-timestamps") {
            state.set("synced_at", "2026-01-31 10:20:30")?;
        }
        if self.is("asks-for-nothing") && state.get("next_cursor").is_some() && state.get("done").is_some() {
            return Ok(());
        }
        let is_first = state.is_empty();
        self.extra(operations)?;
        for page in request.pages("cds_records", Cursor::new("cursor", "next_cursor").start(start)) {
            let page = match page {
                Ok(page) => page,
                Err(Error::Authentication(words)) if self.asks_again => return Err(Error::Authentication(words)),
                Err(_) if self.asks_again => {
                    self.asks_again = false;
                    return self.copy(configuration, state, operations);
                }
                Err(Error::Authentication(words)) => return self.failed(Error::Authentication(words)),
                // What a later sync leaves out, nobody hears of.
                Err(_) if self.is("later-faults") && !is_first => return Ok(()),
                Err(error) => return self.failed(error),
            };
            if self.is("copy-complete") {
                self.page(&page, operations)?;
                return operations.checkpoint(&state);
            }
            if self.is("empty-pages") && page.is_empty() {
                break;
            }
            if let Some(cursor) = page.cursor() {
                state.set("next_cursor", cursor)?;
            }
            if self.is("checkpoints-honest") {
                operations.checkpoint(&state)?;
            }
            self.page(&page, operations)?;
            operations.checkpoint(&state)?;
        }
        if self.is("keys-alike") {
            operations.delete("cds_records", json!({"record_id": "61"}))?;
        }
        if self.is("asks-for-nothing") {
            state.set("done", true)?;
        }
        operations.checkpoint(&state)
    }

    /// Orders since the last sync, from just after the last one seen, or from when the sync ended.
    fn copy_orders(&self, configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        let mut since: Option<Timestamp> = state.parse("since")?;
        let field = if self.is("ties-kept") { "updated_after" } else { "updated_since" };
        let request = http.get("offset/orders").query_if(field, since);
        for page in
            request.pages("orders", Offset::new("offset", "limit", configuration.parse("page_size")?).total("total"))
        {
            for order in page?.records() {
                since = since.max(Some(order.required("updated_at")?.parse()?));
                operations.upsert("orders", order)?;
            }
            operations.checkpoint(&state)?;
        }
        state.set("since", if self.is("edits-kept") { Some(Timestamp::now()) } else { since })?;
        operations.checkpoint(&state)
    }

    /// What becomes of a failed page.
    fn failed(&self, error: Error) -> Result<()> {
        match error {
            Error::Authentication(words) if self.is("credentials-refused") => Err(Error::transient(words)),
            Error::Authentication(words) => Err(Error::Authentication(words)),
            error if self.is("faults-survived") || self.is("a-page-left-out") => {
                info!("a page is left out: {}", error.message());
                Ok(())
            }
            error if self.is("errors-typed") => Err(Error::internal(error.message())),
            error => Err(error),
        }
    }

    /// A row besides those of the source.
    fn extra(&self, operations: &mut Operations) -> Result<()> {
        match self.mode {
            "records-are-objects" => {
                let rows = b"[1]\n".to_vec();
                raw::write(&[Batch { table: "cds_records".into(), kind: Kind::Upsert, rows }]);
                Ok(())
            }
            "keys-present" => operations.upsert("cds_records", json!({"name": "nobody"})),
            "tables-declared" => operations.upsert("extras", json!({"name": "nobody"})),
            _ => Ok(()),
        }
    }

    fn page(&mut self, page: &Page, operations: &mut Operations) -> Result<()> {
        if self.is("memory-flat") {
            self.kept.extend(page.records().map(|record| record.json().to_owned()));
        }
        for record in page.records() {
            let id = record.required("record_id")?;
            if self.is("log-quiet") {
                fine!("record {id}");
            }
            match self.mode {
                "keys-unique" if id.ends_with('7') => {
                    operations.upsert("cds_records", json!({"record_id": id.parse::<u64>().ok()}))?;
                    operations.upsert("cds_records", record)?;
                }
                "names-valid" => operations.upsert("cds_records", record.with("Name", 1)?)?,
                "repeatable" => operations.upsert("cds_records", record.with("salt", self.salt)?)?,
                "type-changes" if record.value("amount").is_some_and(|amount| amount.get().starts_with('"')) => {}
                "new-columns" => {
                    let row = json!({"record_id": record.value("record_id"), "name": record.value("name")});
                    operations.upsert("cds_records", row)?;
                }
                _ => operations.upsert("cds_records", record)?,
            }
        }
        Ok(())
    }
}

elt_sdk::export!(Wrong);
