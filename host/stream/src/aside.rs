//! Records that were set aside, once more: they are taken as if they came now, or deleted from their table, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::rejected::Rejection;
use super::run::{new_id, now_us};
use super::tables::{NameRules, Settings, Tables};
use super::unstorable::TextRules;
use model::error::{Code, Error, Result};
use model::schema::SchemaContract;
use model::{OperationKind, RecordRules, Selection};
use sandbox::Limits;
use warehouse::{
    Access, Commit, Deletes, DestinationUrl, Keyed, OpenDestination as _, OpenRequest, Opened, RejectedRecord,
    ShrinkMax, StartFrom, SyncRecord, TableInfo,
};

/// How records are taken that were set aside.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The bounds of records.
    pub limits: Limits,
    /// Strings that look like time become such.
    pub timestamps: bool,
    /// Which changes the tables follow.
    pub contract: SchemaContract,
    /// What becomes of texts that cannot be stored.
    pub records: RecordRules,
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// They are in their tables, or deleted, and set aside no more.
    pub settled: u64,
    /// They cannot be taken: each with why.
    pub kept: Vec<Rejection>,
}

/// Takes records that were set aside, or without `retry` deletes them.
pub fn settle(
    url: &DestinationUrl,
    connection: &str,
    (records, retry): (Vec<RejectedRecord>, Option<&Retry>),
) -> Result<Settled> {
    let mut sync =
        SyncRecord { id: new_id(), started_at_us: now_us(), outcome: "running".into(), ..SyncRecord::default() };
    let (start_from, deletes, shrink_max) = (StartFrom::LastCommit, Deletes::Soft, ShrinkMax::default());
    let overtaken = match retry {
        Some(_) => overtaken(url, connection, &records)?,
        None => BTreeSet::new(),
    };
    let request = OpenRequest {
        connection: connection.to_owned(),
        sync: sync.clone(),
        start_from,
        deletes,
        history: false,
        shrink_max,
    };
    let (mut destination, opened) = url.open(request)?;
    let mut tables = Tables::new(Vec::new(), opened.tables.clone(), &opened.empty, settings(&opened, retry, &sync))?;
    let mut settled = Settled::default();
    for record in &records {
        let taken = match retry {
            Some(_) if overtaken.contains(&place(record)) => Err(newer(record)),
            Some(_) => kind(record).and_then(|kind| tables.take_again(&record.table, kind, &record.record)),
            None => Ok(()),
        };
        match taken {
            Ok(()) => {
                tables.forget_rejected(&record.sync, &record.table, record.position)?;
                settled.settled += 1;
            }
            Err(error) => settled.kept.push(Rejection {
                table: record.table.clone(),
                position: record.position,
                reason: format!("{}: {}", error.code(), error.chain()),
            }),
        }
    }
    tables.checkpoint();
    (sync.outcome, sync.ended_at_us) = ("succeeded".into(), Some(now_us()));
    (sync.state_before, sync.state_after) = (opened.state.clone(), opened.state.clone());
    let commit = Commit {
        tables: tables.checkpointed().to_vec(),
        segments: tables.segments()?,
        state: opened.state,
        synced_at_us: now_us(),
        is_last: false,
        selection: Selection::All,
        sync: sync.clone(),
    };
    destination.commit(commit)?;
    destination.finish(&sync)?;
    Ok(settled)
}

fn settings(opened: &Opened, retry: Option<&Retry>, sync: &SyncRecord) -> Settings {
    Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: retry.map(|retry| retry.limits.clone()).unwrap_or_default(),
        time: retry.is_none_or(|retry| retry.timestamps),
        sample_records: 0,
        contract: retry.map(|retry| retry.contract).unwrap_or_default(),
        names: NameRules { bytes_max: opened.name_bytes_max, reserved: opened.columns_reserved },
        texts: TextRules { nul_fits: opened.nul_fits, any_json_fits: opened.any_json_fits },
        records: retry.map(|retry| retry.records).unwrap_or_default(),
        sync: sync.id.clone(),
    }
}

fn place(record: &RejectedRecord) -> (String, u64) {
    (record.sync.clone(), record.position)
}

fn kind(record: &RejectedRecord) -> Result<OperationKind> {
    Ok(match record.operation.as_str() {
        "upsert" => OperationKind::Upsert,
        "update" => OperationKind::Update,
        "delete" => OperationKind::Delete,
        other => {
            let message = format!("take a record again: its operation is \"{other}\"");
            return Err(Error::new(Code::WarehouseCorrupted, message).hint("Was the table _rejected changed by hand?"));
        }
    })
}

fn newer(record: &RejectedRecord) -> Error {
    let message =
        format!("take record {} of table \"{}\" again: a later row has its key", record.position, record.table);
    Error::new(Code::Conflict, message).hint("What came later stands: drop the record.")
}

/// The records whose key a later row has: it must not be replaced by what is older. A key that cannot be compared is taken for
/// one that a later row has.
fn overtaken(url: &DestinationUrl, connection: &str, records: &[RejectedRecord]) -> Result<BTreeSet<(String, u64)>> {
    let tables = warehouse::warehouse(url, Access::Read)?.tables()?;
    let (mut found, mut asked) = (BTreeSet::new(), BTreeMap::<usize, Vec<Keyed>>::new());
    for record in records {
        let is_meant = |table: &TableInfo| table.connection == connection && table.source_name == record.table;
        let Some(table) = tables.iter().position(is_meant) else { continue };
        match key_texts(&tables[table], &record.record) {
            Key::Texts(texts) => asked.entry(table).or_default().push((place(record), texts)),
            Key::Unclear => drop(found.insert(place(record))),
            Key::None => {}
        }
    }
    for (table, keyed) in asked {
        found.extend(warehouse::overtaken(url, (&tables[table], &keyed))?);
    }
    Ok(found)
}

/// The key in a record.
enum Key {
    Texts(Vec<String>),
    /// It has one that cannot be compared.
    Unclear,
    /// It has none, and will be refused again.
    None,
}

fn key_texts(table: &TableInfo, record: &[u8]) -> Key {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(record) else { return Key::None };
    let mut texts = Vec::new();
    for column in table.columns.iter().filter(|column| column.is_key) {
        let text = match fields.get(&column.source_name) {
            None | Some(serde_json::Value::Null) => return Key::None,
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            Some(_) => return Key::Unclear,
        };
        if !warehouse::is_written_alike(column.column_type) {
            return Key::Unclear;
        }
        texts.push(text);
    }
    Key::Texts(texts)
}
