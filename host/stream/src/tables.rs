//! The tables of a running sync: what is declared, what is inferred so far, and the operations since the last checkpoint.
//!
//! Pure: takes batches of JSON lines, fills columns, widens types, refuses what breaks a rule, naming table and record.

use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::buffer::Log;
use super::declared::accept;
use super::fold::{Fold, Seen};
use super::marks::Mark;
use super::notes::{Note, NoteKind, Notes};
use super::record::{BadRecord, for_each_field, row_id};
use super::redeclared::redeclare;
use model::error::{Code, Error, Result};
use model::schema::value::Value;
use model::schema::{ColumnSchema, ColumnType, OnMismatch, ROW_ID, SchemaContract, TableSchema, TakenNames};
use model::{Batch, DataType, Halt, OperationKind, Selection, Table};
use sandbox::Limits;
use warehouse::{SYNCS, Segment};

/// Operations of one table by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) upserted: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) truncated: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: Self) {
        self.upserted += more.upserted;
        self.updated += more.updated;
        self.deleted += more.deleted;
        self.truncated += more.truncated;
    }

    pub(crate) fn rows(self) -> u64 {
        self.upserted + self.updated + self.deleted
    }

    fn count(&mut self, kind: OperationKind) {
        match kind {
            OperationKind::Upsert => self.upserted += 1,
            OperationKind::Update => self.updated += 1,
            OperationKind::Delete => self.deleted += 1,
            OperationKind::Truncate => self.truncated += 1,
        }
    }
}

/// One table while a sync runs.
struct Live {
    declared: Table,
    /// Source names of columns to their index.
    by_name: HashMap<String, usize>,
    /// The names that no new column can have.
    taken: TakenNames,
    /// How many columns the table had when the sync began; none: the table is new.
    columns_before: Option<usize>,
    /// The types of the key's columns, which cannot change.
    key_types: Vec<DataType>,
    /// The index of the column at each position of the last record: sources keep their order.
    order: Vec<usize>,
    log: Log,
    fold: Fold,
    seen: Seen,
    /// Operations since the last checkpoint, and those before it that are not committed.
    counted: Counts,
    folded: Counts,
    /// Operations ever, for the position in messages.
    position: u64,
    repeated: u64,
    samples: Vec<String>,
    /// The names of the key's columns.
    key_names: HashSet<String>,
    /// Bytes kept for the operations, for those of them that are folded, and for the table itself.
    rows_bytes: usize,
    fold_bytes: usize,
    kept_bytes: usize,
}

/// All tables of a sync.
pub(crate) struct Tables {
    /// What the connector declared.
    declared: Vec<Table>,
    selection: Selection,
    /// Which new tables keep their history.
    history: Selection,
    limits: Limits,
    /// Strings may become dates and timestamps.
    time: bool,
    sample_records: usize,
    contract: SchemaContract,
    notes: Notes,
    names: NameRules,
    hasher: DefaultHashBuilder,
    /// The schema as of now: a continuation of what the destination has.
    schemas: Vec<TableSchema>,
    live: Vec<Live>,
    /// Source names of tables to their index, in `declared` and in `schemas`.
    declared_at: HashMap<String, usize>,
    index_at: HashMap<String, usize>,
    /// The names that no new table can have.
    taken: TakenNames,
    /// Tables with operations since the last checkpoint, and since the last segments.
    logged: Vec<usize>,
    folded: Vec<usize>,
    /// The schema as of the last checkpoint, if it differs.
    checkpointed: Option<Vec<TableSchema>>,
    changed: bool,
    memory: Memory,
    /// Where the rest of the batch under way begins.
    resumes_at: usize,
    /// Rows of the batch under way so far.
    batch_rows: u64,
    /// Some tables are further than others.
    torn: bool,
    halt: Halt,
}

/// Bytes kept for the tables of a sync.
#[derive(Debug)]
struct Memory {
    /// For operations: they can be staged.
    rows: usize,
    /// For names, and what is told at the end.
    kept: usize,
    /// For keys that were seen: up to half a share, then no more are taken in.
    seen: usize,
    /// The most for rows, and for what is kept.
    share: usize,
}

/// What a destination holds as a name of a table or column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameRules {
    /// The longest, in bytes.
    pub(crate) bytes_max: usize,
    /// Names that a column cannot have, in lower case.
    pub(crate) reserved: &'static [&'static str],
}

/// The settings of `Tables` that a sync chooses.
pub(crate) struct Settings {
    pub(crate) selection: Selection,
    /// Which tables keep their history from now on.
    pub(crate) history: Selection,
    pub(crate) limits: Limits,
    pub(crate) time: bool,
    pub(crate) sample_records: usize,
    pub(crate) contract: SchemaContract,
    /// What the destination holds as a name.
    pub(crate) names: NameRules,
    /// What ends the work.
    pub(crate) halt: Halt,
}

impl Tables {
    /// `declared`: the connector's schema. `known`: the destination's tables, `empty`: which of them have no rows.
    pub(crate) fn new(
        declared: Vec<Table>,
        mut known: Vec<TableSchema>,
        empty: &[bool],
        settings: Settings,
    ) -> Result<Self> {
        check_declared(&declared, &settings.limits)?;
        let declared_at = by_name(declared.iter().map(|table| &table.name));
        let mut live = Vec::with_capacity(known.len());
        for (index, schema) in known.iter_mut().enumerate() {
            if settings.history.contains(&schema.source_name) {
                begin_history(schema)?;
            }
            let table = declared_at.get(&schema.source_name).map(|index| &declared[*index]);
            let table = table.cloned().unwrap_or_else(|| undeclared(schema));
            check_key(schema, &table)?;
            let columns_before = schema.columns.len();
            if settings.selection.contains(&schema.source_name) {
                redeclare(schema, &table, settings.contract, settings.names)?;
            }
            let empty = empty.get(index).copied().unwrap_or(false);
            let mut known = Live::new(table, schema, empty, settings.names);
            known.columns_before = Some(columns_before);
            live.push(known);
        }
        let Settings { selection, history, limits, time, sample_records, contract, names, halt } = settings;
        let taken = TakenNames::new(known.iter().map(|schema| schema.name.as_str()).chain([SYNCS]), names.bytes_max);
        let kept = live.iter().map(|live| live.kept_bytes).sum();
        let memory = Memory { rows: 0, kept, seen: 0, share: limits.memory_share_bytes() };
        memory.check()?;
        Ok(Self {
            declared,
            selection,
            history,
            limits,
            time,
            sample_records,
            contract,
            notes: Notes::default(),
            names,
            hasher: DefaultHashBuilder::default(),
            declared_at,
            index_at: by_name(known.iter().map(|schema| &schema.source_name)),
            taken,
            logged: Vec::new(),
            folded: Vec::new(),
            checkpointed: Some(known.clone()),
            schemas: known,
            live,
            changed: false,
            memory,
            resumes_at: 0,
            batch_rows: 0,
            torn: false,
            halt,
        })
    }

    /// Decodes a batch into the table's log. Returns the warehouse's name of the table and the number of rows taken;
    /// stops before row `rows_max`, and behind each mebibyte of the batch (`has_more`): then the same batch, handed in again,
    /// goes on from there, once there is memory for it.
    pub(crate) fn take(&mut self, batch: &Batch, rows_max: u64) -> Result<(String, u64)> {
        if !self.selection.contains(&batch.table) {
            return Err(Error::new(
                Code::OperationInvalid,
                format!("take a batch: table \"{}\" was not selected", batch.table),
            )
            .hint("The connector must look at the selection it is given by `update`."));
        }
        if batch.kind == OperationKind::Truncate {
            return Ok((self.truncate(&batch.table), 0));
        }
        let from = std::mem::take(&mut self.resumes_at);
        if from == 0 {
            self.batch_rows = 0;
        }
        let piece = piece(&batch.rows, from);
        let text = simdutf8::compat::from_utf8(&batch.rows[piece.clone()]).map_err(|error| {
            let before = &batch.rows[..from + error.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            let message = format!("read line {line} of a batch for table \"{}\": it is not UTF-8", batch.table);
            Error::new(Code::RecordInvalid, message)
                .hint("Rows are JSON, and JSON is UTF-8: convert the source's answer in the connector.")
                .because(error)
        })?;
        if piece.end < batch.rows.len() {
            self.resumes_at = piece.end;
        }
        let is_row = |line: &&str| line.bytes().any(|byte| !byte.is_ascii_whitespace());
        let mut lines = text.split('\n').filter(is_row).peekable();
        if lines.peek().is_none() {
            return Ok((batch.table.clone(), 0));
        }
        let index = self.index_of(&batch.table)?;
        let name = self.schemas[index].name.clone();
        let mut rows = 0;
        while let Some(line) = lines.next_if(|_| rows < rows_max) {
            if self.batch_rows >= self.limits.batch_rows_max {
                let message = format!(
                    "take a batch for table \"{name}\": it has more than {} rows (limit batch-rows)",
                    self.batch_rows
                );
                return Err(Error::new(Code::LimitBatch, message)
                    .hint("Write smaller batches, or raise the limit with --limit batch-rows=…."));
            }
            self.halt.check()?;
            self.take_row(index, batch.kind, line)?;
            (rows, self.batch_rows) = (rows + 1, self.batch_rows + 1);
        }
        self.measure_log(index);
        self.memory.check()?;
        Ok((name, rows))
    }

    /// Whether the last batch was not taken to its end.
    pub(crate) fn has_more(&self) -> bool {
        self.resumes_at > 0
    }

    /// Whether operations take as much memory as there is for them.
    pub(crate) fn must_spill(&self) -> bool {
        self.memory.rows >= self.memory.share
    }

    /// Bytes that are kept for everything here.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.rows + self.memory.kept + self.memory.seen
    }

    /// Notes what the log of a table takes by now.
    fn measure_log(&mut self, index: usize) {
        let live = &mut self.live[index];
        let bytes = live.log.memory_bytes() + live.fold_bytes;
        self.memory.rows = self.memory.rows - std::mem::replace(&mut live.rows_bytes, bytes) + bytes;
    }

    /// Returns the table's name in the warehouse. A table that never had a row has nothing to mark, and is not made.
    fn truncate(&mut self, source_name: &str) -> String {
        let Some(index) = self.index_at.get(source_name).copied() else {
            return source_name.to_owned();
        };
        self.note_logged(index);
        let live = &mut self.live[index];
        live.log.truncate();
        live.counted.count(OperationKind::Truncate);
        self.schemas[index].name.clone()
    }

    /// Remembers that a table has operations that no checkpoint covers.
    fn note_logged(&mut self, index: usize) {
        if self.live[index].log.is_empty() {
            self.logged.push(index);
        }
    }

    fn take_row(&mut self, index: usize, kind: OperationKind, line: &str) -> Result<()> {
        self.note_logged(index);
        let table = &mut self.live[index];
        table.position += 1;
        let mut record = Row {
            live: table,
            schema: &mut self.schemas[index],
            limits: &self.limits,
            contract: self.contract,
            notes: &mut self.notes,
            time: self.time,
            halt: &self.halt,
            kept: &mut self.memory.kept,
            place: 0,
            changed: false,
        };
        record.check(kind, line)?;
        record.fill(kind, line)?;
        record.finish(line)?;
        self.changed |= record.changed;
        let table = &mut self.live[index];
        table.log.buffer.end_row();
        table.log.kinds.push(kind);
        table.counted.count(kind);
        if table.samples.len() < self.sample_records && self.memory.kept + line.len() <= self.memory.share / 2 {
            self.memory.kept += line.len();
            table.samples.push(line.to_owned());
        }
        Ok(())
    }

    /// The table's index, made at its first operation.
    fn index_of(&mut self, source_name: &str) -> Result<usize> {
        if let Some(index) = self.index_at.get(source_name) {
            return Ok(*index);
        }
        if self.schemas.len() as u64 >= self.limits.tables_max {
            let message =
                format!("add table \"{source_name}\": the connection has {} tables (limit tables)", self.schemas.len());
            return Err(Error::new(Code::LimitTables, message));
        }
        // The first sync of a connection makes all its tables.
        if self.contract.fail && self.live.iter().any(|live| live.columns_before.is_some()) {
            let message = format!("add table \"{}\": the schema contract allows no change", shorten(source_name));
            return Err(Error::new(Code::SchemaChanged, message)
                .hint("Run once with --schema-change allow if the table is welcome."));
        }
        let declared = self.declared_at.get(source_name).map(|index| self.declared[*index].clone());
        let declared = declared.unwrap_or_else(|| keyless(source_name));
        let name = self.taken.unique(source_name).map_err(|error| {
            Error::new(Code::SchemaInvalid, format!("name the table {}", shorten(source_name))).because(error)
        })?;
        let history = self.history.contains(source_name);
        let mut schema =
            TableSchema { source_name: source_name.to_owned(), name, key: Vec::new(), columns: Vec::new(), history };
        if declared.primary_key.is_empty() {
            let name = ROW_ID.to_owned();
            schema.columns.push(ColumnSchema {
                source_name: name.clone(),
                name,
                column_type: ColumnType::String,
                declared: true,
            });
            schema.key = vec![0];
        }
        let mut taken = taken_names(&schema, self.names);
        for column in &declared.columns {
            add_column(&mut schema, &mut taken, (&column.name, ColumnType::declared(column.data_type), true))?;
        }
        let live = Live::new(declared, &schema, true, self.names);
        self.memory.kept += live.kept_bytes;
        self.live.push(live);
        self.index_at.insert(source_name.to_owned(), self.schemas.len());
        self.schemas.push(schema);
        self.changed = true;
        self.memory.check()?;
        Ok(self.schemas.len() - 1)
    }

    /// Ends what a checkpoint covers: folds the logs into what will be committed.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.fold()?;
        if std::mem::take(&mut self.changed) || self.checkpointed.is_none() {
            self.checkpointed = Some(self.schemas.clone());
        }
        Ok(())
    }

    fn fold(&mut self) -> Result<()> {
        self.torn = true;
        for index in std::mem::take(&mut self.logged) {
            let (live, schema) = (&mut self.live[index], &self.schemas[index]);
            if live.fold.is_empty() {
                self.folded.push(index);
            }
            let mut log = std::mem::take(&mut live.log);
            live.fold.apply(&mut log, &schema.key, &self.hasher)?;
            live.folded.add(std::mem::take(&mut live.counted));
            live.fold_bytes = live.fold.memory_bytes();
            self.measure_log(index);
        }
        self.torn = false;
        Ok(())
    }

    /// Whether an error left some tables further than others: then nothing of them can be committed.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Forgets what came after the last checkpoint.
    pub(crate) fn drop_uncheckpointed(&mut self) {
        for index in std::mem::take(&mut self.logged) {
            let live = &mut self.live[index];
            live.log = Log::default();
            live.counted = Counts::default();
            self.measure_log(index);
        }
    }

    /// Takes the folded operations of every table out, as segments for the destination, one after the other.
    pub(crate) fn segments(&mut self, each: &mut dyn FnMut(Segment) -> Result<()>) -> Result<()> {
        self.torn = true;
        let mut folded = std::mem::take(&mut self.folded);
        folded.sort_unstable();
        for index in folded {
            let live = &mut self.live[index];
            let seen = live.seen.memory_bytes();
            live.seen.limit((self.memory.share / 2).saturating_sub(self.memory.seen));
            live.fold.finish(index, &mut live.seen, each)?;
            live.repeated += std::mem::take(&mut live.fold.repeated);
            live.fold_bytes = 0;
            self.memory.seen = self.memory.seen - seen + live.seen.memory_bytes();
            self.measure_log(index);
        }
        self.torn = false;
        Ok(())
    }

    /// The operations folded since the last call, by table.
    pub(crate) fn take_folded(&mut self) -> Vec<Counts> {
        self.live.iter_mut().map(|live| std::mem::take(&mut live.folded)).collect()
    }

    /// Takes out what no checkpoint covers yet, to be staged.
    pub(crate) fn spill(&mut self, each: &mut dyn FnMut(Segment) -> Result<()>) -> Result<()> {
        self.fold()?;
        self.segments(each)
    }

    /// The schema to commit with the last checkpoint.
    pub(crate) fn checkpointed(&self) -> &[TableSchema] {
        self.checkpointed.as_deref().unwrap_or(&self.schemas)
    }

    /// What operations may take before they are spilled.
    pub(crate) fn share_bytes(&self) -> usize {
        self.memory.share
    }

    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The schema as of now.
    pub(crate) fn schemas(&self) -> &[TableSchema] {
        &self.schemas
    }

    /// Upserts of keys that were upserted before in this sync.
    pub(crate) fn repeated(&self, table: usize) -> u64 {
        self.live.get(table).map_or(0, |live| live.repeated)
    }

    /// Values that were not stored as they came, since this was last asked.
    pub(crate) fn untold_notes(&mut self) -> Vec<Note> {
        self.notes.untold()
    }

    /// All values that were not stored as they came.
    pub(crate) fn notes(&self) -> &[Note] {
        self.notes.all()
    }

    /// The first records of a table.
    pub(crate) fn samples(&self, table: usize) -> &[String] {
        self.live.get(table).map_or(&[], |live| &live.samples)
    }
}

impl Memory {
    /// Refuses more than there is for what cannot be staged.
    fn check(&self) -> Result<()> {
        if self.kept <= self.share {
            return Ok(());
        }
        let message = format!(
            "keep the names of all tables and columns: they take more than {} bytes, a quarter of what there is for a sync \
             (limit sync-memory-bytes)",
            self.share
        );
        Err(Error::new(Code::LimitMemory, message).hint(
            "The connector makes very many columns; data in names of fields belongs into rows. Or raise the limit with \
             --limit sync-memory-bytes=….",
        ))
    }
}

/// Names to their place.
fn by_name<'a>(names: impl Iterator<Item = &'a String>) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, name) in names.enumerate() {
        places.entry(name.clone()).or_insert(place);
    }
    places
}

fn keyless(name: &str) -> Table {
    Table { name: name.to_owned(), primary_key: Vec::new(), columns: Vec::new() }
}

/// A table that the warehouse has and the connector no longer declares keeps its key.
fn undeclared(schema: &TableSchema) -> Table {
    let key = if schema.is_keyless() { &[][..] } else { &schema.key[..] };
    let primary_key = key.iter().map(|index| schema.columns[*index].source_name.clone()).collect();
    Table { name: schema.source_name.clone(), primary_key, columns: Vec::new() }
}

pub(super) fn shorten(text: &str) -> String {
    let short: String = text.chars().take(200).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Two tables of one name, a key named twice and the like.
fn check_declared(declared: &[Table], limits: &Limits) -> Result<()> {
    let invalid =
        |message: String| Err(Error::new(Code::SchemaInvalid, format!("use the connector's schema: {message}")));
    if declared.len() as u64 > limits.tables_max {
        let message =
            format!("use the connector's schema: {} tables (limit tables: {})", declared.len(), limits.tables_max);
        return Err(Error::new(Code::LimitTables, message));
    }
    let mut names = std::collections::HashSet::new();
    for table in declared {
        check_names(table)?;
        let name = shorten(&table.name);
        check_numbers(table, limits)?;
        if !names.insert(&table.name) {
            return invalid(format!("two tables are named \"{name}\""));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = table.primary_key.iter().find(|column| !seen.insert(*column)) {
            return invalid(format!("the primary key of \"{name}\" names \"{}\" twice", shorten(twice)));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = table.columns.iter().find(|column| !seen.insert(&column.name)) {
            return invalid(format!("table \"{name}\" declares column \"{}\" twice", shorten(&twice.name)));
        }
        let is_key: HashSet<&String> = table.primary_key.iter().collect();
        let mut json = table.columns.iter().filter(|column| column.data_type == DataType::Json);
        if let Some(json) = json.find(|column| is_key.contains(&column.name)) {
            let column = shorten(&json.name);
            return invalid(format!("the key \"{column}\" of \"{name}\" is declared JSON: a key can be STRING"));
        }
        for column in &table.columns {
            if let DataType::Decimal(precision, scale) = column.data_type
                && (precision == 0 || precision > 38 || scale > precision)
            {
                return invalid(format!(
                    "column \"{}\" of \"{name}\" is DECIMAL({precision},{scale})",
                    shorten(&column.name)
                ));
            }
        }
    }
    Ok(())
}

/// A table is held to the limits of columns and of a key before the first row comes.
fn check_numbers(table: &Table, limits: &Limits) -> Result<()> {
    let (name, columns, key) = (shorten(&table.name), table.columns.len(), table.primary_key.len());
    if columns as u64 > limits.columns_max {
        let message = format!(
            "use the connector's schema: table \"{name}\" declares {columns} columns (limit columns: {})",
            limits.columns_max
        );
        return Err(Error::new(Code::LimitColumns, message));
    }
    if key > KEY_COLUMNS_MAX {
        let message = format!(
            "use the connector's schema: the primary key of \"{name}\" has {key} columns, and can have {KEY_COLUMNS_MAX}"
        );
        return Err(Error::new(Code::SchemaInvalid, message));
    }
    Ok(())
}

/// Names that no warehouse can hold are refused before the first row comes.
fn check_names(table: &Table) -> Result<()> {
    let columns = table.columns.iter().map(|column| &column.name);
    for name in [&table.name].into_iter().chain(&table.primary_key).chain(columns) {
        TakenNames::new(std::iter::empty(), usize::MAX).unique(name).map_err(|error| {
            let message =
                format!("use the connector's schema: table \"{}\" names {}", shorten(&table.name), shorten(name));
            Error::new(Code::SchemaInvalid, message).because(error)
        })?;
    }
    Ok(())
}

/// A key cannot change once there are rows.
fn check_key(schema: &TableSchema, declared: &Table) -> Result<()> {
    let known: Vec<&str> = schema.key.iter().map(|index| schema.columns[*index].source_name.as_str()).collect();
    let wanted: Vec<&str> = match declared.primary_key.as_slice() {
        [] => vec![ROW_ID],
        key => key.iter().map(String::as_str).collect(),
    };
    if known == wanted {
        return Ok(());
    }
    let message = format!(
        "continue table \"{}\": its primary key was ({}) and is now ({})",
        schema.name,
        known.join(", "),
        wanted.join(", ")
    );
    Err(Error::new(Code::SchemaInvalid, message)
        .hint("Remove the connection's tables with `host reset` and sync again."))
}

/// From now on the table keeps its history. Its columns cannot be renamed any more, so none may have a name that this needs.
fn begin_history(schema: &mut TableSchema) -> Result<()> {
    schema.history = true;
    let needed = |name: &str| schema.system_columns().iter().any(|needed| needed.eq_ignore_ascii_case(name));
    let Some(column) = schema.columns.iter().find(|column| needed(&column.name)) else { return Ok(()) };
    let message = format!(
        "keep the history of table \"{}\": its column \"{}\" has a name that the history needs",
        schema.name, column.name
    );
    Err(Error::new(Code::Usage, message).hint(
        "Remove the connection's tables with `host reset` and sync again with --history: then the column gets a number.",
    ))
}

pub(super) fn taken_names(schema: &TableSchema, rules: NameRules) -> TakenNames {
    let own = schema.columns.iter().map(|column| column.name.as_str());
    let system = schema.system_columns().iter().copied().chain([ROW_ID]);
    let names = own.chain(system).chain(rules.reserved.iter().copied());
    TakenNames::new(names, rules.bytes_max)
}

/// `column`: its source name, its type, and whether it is declared.
pub(super) fn add_column(
    schema: &mut TableSchema,
    taken: &mut TakenNames,
    (source_name, column_type, declared): (&str, ColumnType, bool),
) -> Result<usize> {
    let name = taken.unique(source_name).map_err(|error| {
        Error::new(Code::SchemaInvalid, format!("name column {} of table \"{}\"", shorten(source_name), schema.name))
            .because(error)
    })?;
    schema.columns.push(ColumnSchema { source_name: source_name.to_owned(), name, column_type, declared });
    Ok(schema.columns.len() - 1)
}

impl Live {
    fn new(declared: Table, schema: &TableSchema, empty: bool, names: NameRules) -> Self {
        let row_id = schema.is_keyless().then(|| schema.key[0]);
        let own = schema.columns.iter().enumerate().filter(|(index, _)| Some(*index) != row_id);
        let by_name = own.map(|(index, column)| (column.source_name.clone(), index)).collect();
        let key_types = schema.key.iter().map(|index| schema.columns[*index].column_type.data_type()).collect();
        let key_names = declared.primary_key.iter().cloned().collect();
        let columns: usize = schema.columns.iter().map(|column| column_bytes(&column.source_name)).sum();
        let declared_bytes: usize = declared.columns.iter().map(|column| 2 * column.name.len() + 64).sum();
        let kept_bytes = TABLE_BYTES + 4 * schema.source_name.len() + columns + declared_bytes;
        Self {
            declared,
            by_name,
            taken: taken_names(schema, names),
            columns_before: None,
            key_types,
            order: Vec::new(),
            log: Log::default(),
            fold: Fold::default(),
            seen: Seen::new(empty),
            counted: Counts::default(),
            folded: Counts::default(),
            position: 0,
            repeated: 0,
            samples: Vec::new(),
            key_names,
            rows_bytes: 0,
            fold_bytes: 0,
            kept_bytes,
        }
    }
}

/// What a table takes without columns: its schema, its counters, and the copies of both that a commit has.
const TABLE_BYTES: usize = 2_000;
/// Columns of a key: warehouses compare them one by one.
const KEY_COLUMNS_MAX: usize = 256;
/// So much of a batch is decoded before memory and time are measured again.
const PIECE_BYTES: usize = 1 << 20;

/// The lines of a batch from a place on that are decoded at once.
fn piece(rows: &[u8], from: usize) -> Range<usize> {
    let rest = rows.get(from..).unwrap_or_default();
    let end = match rest.get(PIECE_BYTES..) {
        Some(further) => memchr::memchr(b'\n', further).map_or(rest.len(), |more| PIECE_BYTES + more + 1),
        None => rest.len(),
    };
    from..from + end
}

/// What a column takes without values: its names and type here, at the checkpoint, in the commit and in the destination, and
/// the places where its names are looked up.
fn column_bytes(name: &str) -> usize {
    4 * (size_of::<ColumnSchema>() + 2 * name.len()) + 2 * (name.len() + 64)
}

/// One record on its way into the log.
struct Row<'t> {
    live: &'t mut Live,
    schema: &'t mut TableSchema,
    limits: &'t Limits,
    contract: SchemaContract,
    notes: &'t mut Notes,
    time: bool,
    halt: &'t Halt,
    /// Bytes kept for names, of all tables.
    kept: &'t mut usize,
    /// How many fields were read.
    place: usize,
    /// The schema changed.
    changed: bool,
}

impl Row<'_> {
    fn error(&self, code: Code, what: &str, line: &str) -> Error {
        let message = format!("take record {} of table \"{}\": {what}", self.live.position, self.schema.name);
        Error::new(code, message).hint(format!("The record: {}", shorten(line)))
    }

    fn check(&self, kind: OperationKind, line: &str) -> Result<()> {
        if line.len() as u64 > self.limits.row_bytes_max {
            let what = format!("it has {} bytes (limit row-bytes: {})", line.len(), self.limits.row_bytes_max);
            return Err(self.error(Code::LimitRowBytes, &what, line));
        }
        if kind == OperationKind::Update && self.live.declared.primary_key.is_empty() {
            return Err(self.error(Code::OperationInvalid, "an update needs a table with a primary key", line));
        }
        Ok(())
    }

    fn fill(&mut self, kind: OperationKind, line: &str) -> Result<()> {
        let key_only = kind == OperationKind::Delete && !self.live.declared.primary_key.is_empty();
        let depth_max = self.limits.json_depth_max;
        for_each_field(line, depth_max, |name, raw| self.field(&name, raw, key_only)).map_err(|error| match error {
            Ok(Refused(code, what)) => self.error(code, &what, line),
            Err(deep @ BadRecord::TooDeep(_)) => self.error(Code::LimitDepth, &deep.to_string(), line),
            Err(bad) => self.error(Code::RecordInvalid, "it is not a JSON object", line).because(bad),
        })
    }

    fn field(&mut self, name: &str, raw: &str, key_only: bool) -> Result<(), Refused> {
        if self.halt.is_due() {
            return Err(Refused(Code::Interrupted, "the sync has ended".to_owned()));
        }
        let is_key = self.live.key_names.contains(name);
        if key_only && !is_key {
            return Ok(());
        }
        let value = Value::read(raw).map_err(|error| Refused(Code::RecordInvalid, error.to_string()))?;
        let time = self.time && !is_key;
        let known = self.find(name);
        let index = match (known, value.column_type(time && known.is_none())) {
            (Some(index), _) => index,
            // Not every warehouse compares JSON: a key that is an object or a list is its text.
            (None, Some(ColumnType::Json)) if is_key => self.add(name, ColumnType::String)?,
            (None, Some(own)) if self.may_add(name, raw)? => self.add(name, own)?,
            (None, _) => return Ok(()),
        };
        self.store(index, &value, raw, time)
    }

    /// The column of a field: the one at this place in the last record, or looked up.
    fn find(&mut self, name: &str) -> Option<usize> {
        let place = self.place;
        if let Some(index) = self.live.order.get(place)
            && self.schema.columns[*index].source_name == name
        {
            self.place += 1;
            return Some(*index);
        }
        let index = *self.live.by_name.get(name)?;
        self.live.order.truncate(place);
        self.live.order.push(index);
        self.place += 1;
        Some(index)
    }

    /// Whether the contract lets the table have a column more.
    fn may_add(&mut self, name: &str, raw: &str) -> Result<bool, Refused> {
        if self.live.columns_before.is_none() {
            return Ok(true);
        }
        if self.contract.fail {
            return Err(Refused(Code::SchemaChanged, format!("\"{}\" would be a new column", shorten(name))));
        }
        if self.contract.freeze_columns {
            self.note(name.to_owned(), NoteKind::LeftOut, raw);
        }
        Ok(!self.contract.freeze_columns)
    }

    fn note(&mut self, column: String, kind: NoteKind, raw: &str) {
        self.notes.add(Note {
            table: self.schema.name.clone(),
            column,
            kind,
            values: 1,
            first_record: self.live.position,
            first_value: shorten(raw),
        });
    }

    fn add(&mut self, name: &str, column_type: ColumnType) -> Result<usize, Refused> {
        if self.schema.columns.len() as u64 >= self.limits.columns_max {
            return Err(Refused(
                Code::LimitColumns,
                format!("column \"{}\" is one too many (limit columns: {})", shorten(name), self.limits.columns_max),
            ));
        }
        let index = add_column(self.schema, &mut self.live.taken, (name, column_type, false))?;
        self.live.by_name.insert(name.to_owned(), index);
        *self.kept += column_bytes(name);
        self.changed = true;
        Ok(index)
    }

    fn store(&mut self, index: usize, value: &Value<'_>, raw: &str, time: bool) -> Result<(), Refused> {
        let known = &mut self.schema.columns[index];
        let row = self.live.log.buffer.rows();
        let column = self.live.log.buffer.column(index, known.column_type);
        if column.len() > row {
            column.pop(); // the same name twice in one object: the last one counts
        }
        if !known.declared {
            let frozen = self.contract.fail || self.contract.freeze_types;
            if frozen && self.live.columns_before.is_some_and(|before| index < before) {
                let joined = column.joined(value, time).0.unwrap_or(known.column_type);
                if joined.data_type() != known.column_type.data_type() {
                    return self.mismatch(index, value, raw);
                }
            }
            column.push(value, time)?;
            let now = column.column_type().unwrap_or(known.column_type);
            if now != known.column_type {
                known.column_type = now;
                self.changed = true;
            }
            return Ok(());
        }
        if *value == Value::Null {
            column.push_empty(Mark::Null);
            return Ok(());
        }
        match accept(known.column_type, value, raw) {
            Some(accepted) => column.push_declared(accepted.cell())?,
            None => return self.mismatch(index, value, raw),
        }
        Ok(())
    }

    /// A value that its column cannot hold, and whose type is fixed: by a declaration or by the contract.
    fn mismatch(&mut self, index: usize, value: &Value<'_>, raw: &str) -> Result<(), Refused> {
        let known = &mut self.schema.columns[index];
        let column = self.live.log.buffer.column(index, known.column_type);
        let (name, data_type) = (known.name.clone(), known.column_type.data_type());
        let is_key = self.schema.key.contains(&index);
        let declared = if known.declared { "declared " } else { "" };
        let what = || format!("\"{name}\" is {declared}{data_type} and cannot hold {}", shorten(raw));
        match self.contract.on_mismatch {
            _ if self.contract.fail && !known.declared => Err(Refused(Code::SchemaChanged, what())),
            OnMismatch::Fail => Err(Refused(Code::ValueMismatch, what())),
            _ if is_key => Err(Refused(Code::RecordKeyType, what())),
            OnMismatch::Widen => {
                known.declared = false;
                column.push(value, false)?;
                known.column_type = column.column_type().unwrap_or(known.column_type);
                self.changed = true;
                Ok(())
            }
            OnMismatch::Null => {
                column.push_empty(Mark::Null);
                self.note(name, NoteKind::Nulled, raw);
                Ok(())
            }
        }
    }

    /// Checks the key, or makes it.
    fn finish(&mut self, line: &str) -> Result<()> {
        if self.live.declared.primary_key.is_empty() {
            return self.identify(line);
        }
        if self.schema.key.is_empty() {
            self.schema.key = self.resolve_key(line)?;
            let types = self.schema.key.iter().map(|index| self.schema.columns[*index].column_type.data_type());
            self.live.key_types = types.collect();
            self.changed = true;
        }
        let row = self.live.log.buffer.rows();
        for (index, first) in self.schema.key.iter().zip(&self.live.key_types) {
            let column = &self.schema.columns[*index];
            let mark = self.live.log.buffer.mark(row, *index);
            if mark != Mark::Value {
                let how = if mark == Mark::Null { "null" } else { "missing" };
                let what = format!("its primary key \"{}\" is {how}", column.source_name);
                return Err(self.error(Code::RecordKeyMissing, &what, line));
            }
            // A key that changes its type would make equal keys differ.
            let now = column.column_type.data_type();
            if now != *first {
                let what = format!("its primary key \"{}\" was {first} so far and is {now} now", column.source_name);
                return Err(self.error(Code::RecordKeyType, &what, line));
            }
        }
        Ok(())
    }

    fn resolve_key(&self, line: &str) -> Result<Vec<usize>> {
        let found = self.live.declared.primary_key.iter().map(|name| {
            self.live.by_name.get(name).copied().ok_or_else(|| {
                self.error(Code::RecordKeyMissing, &format!("its primary key \"{name}\" is missing or null"), line)
            })
        });
        found.collect()
    }

    /// Adds the hash that identifies a record without a key.
    fn identify(&mut self, line: &str) -> Result<()> {
        let id = row_id(line)
            .map_err(|error| self.error(Code::RecordInvalid, "it is not a JSON object", line).because(error))?;
        let index = self.schema.key[0];
        let column = self.live.log.buffer.column(index, ColumnType::String);
        column.push_declared(super::column::Cell::Text(id.as_bytes()))
    }
}

/// Why a field was refused.
struct Refused(Code, String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error.code(), error.chain())
    }
}
