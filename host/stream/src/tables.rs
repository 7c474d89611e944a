//! The tables of a running sync: what is declared, what is inferred so far, and the operations since the last checkpoint.
//!
//! Pure: takes batches of JSON lines, fills columns, widens types, refuses what breaks a rule, naming table and record.

use std::borrow::Cow;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::buffer::Log;
use super::column::Column;
use super::declared::accept;
use super::fold::{Fold, Seen};
use super::marks::Mark;
use super::notes::{Note, NoteKind, Notes};
use super::record::{BadRecord, for_each_field, row_id};
use super::redeclared::redeclare;
use super::rejected::{self, Rejected, Rejection};
use super::unstorable::TextRules;
use model::error::{Code, Error, Result};
use model::schema::value::Value;
use model::schema::{ColumnSchema, ColumnType, OnMismatch, REJECTED, ROW_ID, SchemaContract, TableSchema, TakenNames};
use model::{Batch, DataType, OnUnstorable, OperationKind, RecordRules, Selection, Table};
use sandbox::Limits;
use warehouse::{SYNCS, Segment};

/// Operations of one table by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) upserted: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) truncated: u64,
    /// Records that were set aside.
    pub(crate) rejected: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: Self) {
        self.upserted += more.upserted;
        self.updated += more.updated;
        self.deleted += more.deleted;
        self.truncated += more.truncated;
        self.rejected += more.rejected;
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
    /// The table was truncated.
    truncated: bool,
    repeated: u64,
    samples: Vec<String>,
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
    texts: TextRules,
    hasher: DefaultHashBuilder,
    /// The schema as of now: a continuation of what the destination has.
    schemas: Vec<TableSchema>,
    live: Vec<Live>,
    /// The schema as of the last checkpoint, if it differs.
    checkpointed: Option<Vec<TableSchema>>,
    changed: bool,
    rejected: Rejected,
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
    /// What it holds as a text.
    pub(crate) texts: TextRules,
    /// What becomes of bad records.
    pub(crate) records: RecordRules,
    /// The sync's id.
    pub(crate) sync: String,
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
        let mut live = Vec::with_capacity(known.len());
        for (index, schema) in known.iter_mut().enumerate() {
            if schema.is_rejected() {
                live.push(Live::new(undeclared(schema), schema, false, settings.names));
                continue;
            }
            if settings.history.contains(&schema.source_name) {
                begin_history(schema)?;
            }
            let table = declared.iter().find(|table| table.name == schema.source_name);
            let table = table.cloned().unwrap_or_else(|| undeclared(schema));
            check_key(schema, &table)?;
            complete_key(schema, &table);
            let columns_before = schema.columns.len();
            if settings.selection.contains(&schema.source_name) {
                redeclare(schema, &table, settings.contract, settings.names)?;
            }
            let empty = empty.get(index).copied().unwrap_or(false);
            let mut known = Live::new(table, schema, empty, settings.names);
            known.columns_before = Some(columns_before);
            live.push(known);
        }
        let Settings { selection, history, limits, time, sample_records, contract, names, texts, records, sync } =
            settings;
        let checkpointed = Some(known.clone());
        let hasher = DefaultHashBuilder::default();
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
            hasher,
            schemas: known,
            live,
            checkpointed,
            changed: false,
            texts,
            rejected: Rejected::new(records, sync),
        })
    }

    /// Decodes a batch into the table's log. Returns the warehouse's name of the table and the number of rows taken;
    /// stops before row `rows_max` of the batch.
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
        match simdutf8::basic::from_utf8(&batch.rows) {
            Ok(text) => self.take_lines(batch, text.split('\n').map(Ok), rows_max),
            Err(_) => {
                let lines = batch.rows.split(|byte| *byte == b'\n');
                self.take_lines(batch, lines.map(|line| std::str::from_utf8(line).map_err(|_| line)), rows_max)
            }
        }
    }

    /// Takes the lines of a batch; those that are not UTF-8 come as bytes.
    fn take_lines<'b>(
        &mut self,
        batch: &Batch,
        lines: impl Iterator<Item = Result<&'b str, &'b [u8]>>,
        rows_max: u64,
    ) -> Result<(String, u64)> {
        let is_blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
        let mut lines = lines.filter(|line| !line.is_ok_and(|line| is_blank(line.as_bytes()))).peekable();
        if lines.peek().is_none() {
            return Ok((batch.table.clone(), 0));
        }
        let index = self.index_of(&batch.table)?;
        let name = self.schemas[index].name.clone();
        let mut rows = 0;
        while let Some(line) = lines.next_if(|_| rows < rows_max) {
            if rows >= self.limits.batch_rows_max {
                let message =
                    format!("take a batch for table \"{name}\": it has more than {rows} rows (limit batch-rows)");
                return Err(Error::new(Code::LimitBatch, message)
                    .hint("Write smaller batches, or raise the limit with --limit batch-rows=…."));
            }
            rows += 1;
            self.take_line(index, batch.kind, line, rows)?;
        }
        Ok((name, rows))
    }

    /// Takes a record, or sets it aside. `number`: which line of its batch it is.
    fn take_line(&mut self, index: usize, kind: OperationKind, line: Result<&str, &[u8]>, number: u64) -> Result<()> {
        self.live[index].position += 1;
        let taken = match line {
            Ok(text) => self.take_row(index, kind, (text, text)).or_else(|error| self.mend(index, kind, text, error)),
            Err(_) => Err(self.not_unicode(index, number)),
        };
        let Err(error) = taken else { return Ok(()) };
        self.set_aside(index, kind, line.map_or_else(|bytes| bytes, str::as_bytes), error)
    }

    /// Takes a record that was set aside as if it came now.
    pub(crate) fn take_again(&mut self, table: &str, kind: OperationKind, record: &[u8]) -> Result<()> {
        let index = self.index_of(table)?;
        self.live[index].position += 1;
        let Ok(text) = std::str::from_utf8(record) else { return Err(self.not_unicode(index, 1)) };
        self.take_row(index, kind, (text, text)).or_else(|error| self.mend(index, kind, text, error))
    }

    /// Deletes a record from the table of those that were set aside.
    pub(crate) fn forget_rejected(&mut self, sync: &str, table: &str, position: u64) -> Result<()> {
        let index = self.rejected_index()?;
        rejected::forget(&mut self.live[index].log, sync, table, position);
        Ok(())
    }

    fn not_unicode(&self, index: usize, number: u64) -> Error {
        let (position, name) = (self.live[index].position, &self.schemas[index].name);
        let message = format!("take record {position} of table \"{name}\": line {number} of its batch is not UTF-8");
        Error::new(Code::RecordInvalid, message)
            .hint("Rows are JSON, and JSON is UTF-8: convert the source's answer in the connector.")
    }

    /// Takes a record whose texts cannot be stored with U+FFFD in the place of what cannot, where that is wanted. A key would
    /// be another one then.
    fn mend(&mut self, index: usize, kind: OperationKind, line: &str, error: Error) -> Result<()> {
        if error.code() != Code::ValueUnstorable || self.rejected.rules.on_unstorable == OnUnstorable::Fail {
            return Err(error);
        }
        let Some(mended) = mended(line, &self.limits, self.texts) else { return Err(error) };
        let key = &self.live[index].declared.primary_key;
        if mended.replaced.iter().any(|(name, _)| key.contains(name)) {
            return Err(error);
        }
        self.take_row(index, kind, (&mended.line, line))?;
        let (table, first_record) = (self.schemas[index].name.clone(), self.live[index].position);
        for (column, raw) in mended.replaced {
            let (table, first_value) = (table.clone(), shorten(&raw));
            self.notes.add(Note { table, column, kind: NoteKind::Replaced, values: 1, first_record, first_value });
        }
        Ok(())
    }

    /// Writes a record that cannot be taken into the table of those, if that is wanted.
    fn set_aside(&mut self, index: usize, kind: OperationKind, record: &[u8], error: Error) -> Result<()> {
        let (table, position) = (self.schemas[index].source_name.clone(), self.live[index].position);
        let rejection = self.rejected.admit(Rejection { table, position, reason: String::new() }, error)?;
        let place = self.rejected_index()?;
        let log = &mut self.live[place].log;
        self.rejected.write(log, &rejection, kind, record);
        self.live[index].counted.rejected += 1;
        self.rejected.untold.push(rejection);
        Ok(())
    }

    /// The index of the table of rejected records, made with the first.
    fn rejected_index(&mut self) -> Result<usize> {
        if let Some(index) = self.schemas.iter().position(TableSchema::is_rejected) {
            return Ok(index);
        }
        let schema = TableSchema::rejected();
        if self.schemas.iter().any(|table| table.name.eq_ignore_ascii_case(&schema.name)) {
            let message = format!("set a record aside: the connection has a table \"{}\" of another kind", schema.name);
            return Err(Error::new(Code::SchemaInvalid, message).hint(
                "Remove the connection's tables with `host reset` and sync again: then that table gets a number.",
            ));
        }
        self.live.push(Live::new(undeclared(&schema), &schema, true, self.names));
        self.schemas.push(schema);
        self.changed = true;
        Ok(self.schemas.len() - 1)
    }

    /// Returns the table's name in the warehouse. A table that never had a row has nothing to mark, and is not made.
    fn truncate(&mut self, source_name: &str) -> String {
        let Some(index) = self.known(source_name) else { return source_name.to_owned() };
        let live = &mut self.live[index];
        // Without a key there was never a row.
        if !self.schemas[index].key.is_empty() {
            live.log.truncates.push(live.log.kinds.len());
        }
        live.truncated = true;
        live.counted.count(OperationKind::Truncate);
        self.schemas[index].name.clone()
    }

    /// Takes a record, or leaves everything as it was. `original`: what the connector wrote, where the line is mended.
    fn take_row(&mut self, index: usize, kind: OperationKind, (line, original): (&str, &str)) -> Result<()> {
        let (table, schema) = (&mut self.live[index], &mut self.schemas[index]);
        let before = Before::of(schema);
        let mut record = Row {
            live: table,
            schema,
            limits: &self.limits,
            contract: self.contract,
            texts: self.texts,
            time: self.time,
            place: 0,
            before,
        };
        let taken =
            record.check(kind, line).and_then(|()| record.fill(kind, line)).and_then(|()| record.finish(original));
        if let Err(error) = taken {
            record.take_back();
            return Err(error);
        }
        self.changed |= record.before.changed;
        std::mem::take(&mut record.before.notes).into_iter().for_each(|note| self.notes.add(note));
        let table = &mut self.live[index];
        table.log.buffer.end_row();
        table.log.kinds.push(kind);
        table.counted.count(kind);
        if table.samples.len() < self.sample_records {
            table.samples.push(original.to_owned());
        }
        Ok(())
    }

    fn known(&self, source_name: &str) -> Option<usize> {
        self.schemas.iter().position(|schema| schema.source_name == source_name && !schema.is_rejected())
    }

    /// The table's index, made at its first operation.
    fn index_of(&mut self, source_name: &str) -> Result<usize> {
        if let Some(index) = self.known(source_name) {
            return Ok(index);
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
        let declared = self.declared.iter().find(|table| table.name == source_name).cloned();
        let declared = declared.unwrap_or_else(|| keyless(source_name));
        let taken = self.schemas.iter().map(|schema| schema.name.as_str()).chain([SYNCS, REJECTED]);
        let name = TakenNames::new(taken, self.names.bytes_max).unique(source_name).map_err(|error| {
            Error::new(Code::SchemaInvalid, format!("name the table \"{}\"", named(source_name))).because(error)
        })?;
        let history = self.history.contains(source_name);
        let mut schema =
            TableSchema { source_name: source_name.to_owned(), name, key: Vec::new(), columns: Vec::new(), history };
        if declared.primary_key.is_empty() {
            complete_key(&mut schema, &declared);
        }
        let mut taken = taken_names(&schema, self.names);
        for column in &declared.columns {
            add_column(&mut schema, &mut taken, (&column.name, ColumnType::declared(column.data_type), true))?;
        }
        complete_key(&mut schema, &declared);
        self.live.push(Live::new(declared, &schema, true, self.names));
        self.schemas.push(schema);
        self.changed = true;
        Ok(self.schemas.len() - 1)
    }

    /// Makes the tables that are declared and got no row, as far as the contract lets tables be made.
    pub(crate) fn add_declared(&mut self) -> Result<()> {
        let frozen = self.contract.fail && self.live.iter().any(|live| live.columns_before.is_some());
        let synced = self.declared.iter().filter(|table| !frozen && self.selection.contains(&table.name));
        let names: Vec<String> = synced.map(|table| table.name.clone()).collect();
        names.iter().try_for_each(|name| self.index_of(name).map(drop))
    }

    /// The declared tables that are synced and got nothing.
    pub(crate) fn without_operations(&self) -> Vec<String> {
        let has_some = |name: &str| {
            self.known(name).is_some_and(|index| self.live[index].position > 0 || self.live[index].truncated)
        };
        let declared = self.declared.iter().map(|table| &table.name);
        declared.filter(|name| self.selection.contains(name) && !has_some(name)).cloned().collect()
    }

    /// Ends what a checkpoint covers: folds the logs into what will be committed.
    pub(crate) fn checkpoint(&mut self) {
        self.fold();
        if std::mem::take(&mut self.changed) || self.checkpointed.is_none() {
            self.checkpointed = Some(self.schemas.clone());
        }
    }

    fn fold(&mut self) {
        for (live, schema) in self.live.iter_mut().zip(&self.schemas) {
            if !live.log.is_empty() {
                let mut log = std::mem::take(&mut live.log);
                live.fold.apply(&mut log, &schema.key, &self.hasher);
            }
            live.folded.add(std::mem::take(&mut live.counted));
        }
    }

    /// Forgets what came after the last checkpoint.
    pub(crate) fn drop_uncheckpointed(&mut self) {
        for live in &mut self.live {
            live.log = Log::default();
            live.counted = Counts::default();
        }
    }

    /// Takes the folded operations of every table out, as segments for the destination.
    pub(crate) fn segments(&mut self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for (index, live) in self.live.iter_mut().enumerate() {
            if !live.fold.is_empty() {
                segments.push(live.fold.finish(index, &mut live.seen)?);
                live.repeated += std::mem::take(&mut live.fold.repeated);
            }
        }
        Ok(segments)
    }

    /// The operations folded since the last call, by table.
    pub(crate) fn take_folded(&mut self) -> Vec<Counts> {
        self.live.iter_mut().map(|live| std::mem::take(&mut live.folded)).collect()
    }

    /// Takes out what no checkpoint covers yet, to be staged.
    pub(crate) fn spill(&mut self) -> Result<Vec<Segment>> {
        self.fold();
        self.segments()
    }

    /// The schema to commit with the last checkpoint.
    pub(crate) fn checkpointed(&self) -> &[TableSchema] {
        self.checkpointed.as_deref().unwrap_or(&self.schemas)
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

    /// Records that were set aside, since this was last asked.
    pub(crate) fn untold_rejections(&mut self) -> Vec<Rejection> {
        std::mem::take(&mut self.rejected.untold)
    }

    /// The first records of a table.
    pub(crate) fn samples(&self, table: usize) -> &[String] {
        self.live.get(table).map_or(&[], |live| &live.samples)
    }
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

/// A name as it can be shown, whatever is in it.
fn named(name: &str) -> String {
    shorten(name).replace('\0', "\\0")
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
        if let Some(json) = table.columns.iter().find(|column| column.data_type == DataType::Json)
            && table.primary_key.contains(&json.name)
        {
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

/// Names that no warehouse can hold are refused before the first row comes.
fn check_names(table: &Table) -> Result<()> {
    let columns = table.columns.iter().map(|column| &column.name);
    for name in [&table.name].into_iter().chain(&table.primary_key).chain(columns) {
        TakenNames::new(std::iter::empty(), usize::MAX).unique(name).map_err(|error| {
            let message =
                format!("use the connector's schema: table \"{}\" names \"{}\"", named(&table.name), named(name));
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
    // The key of a table that never had a row is not known.
    if known == wanted || known.is_empty() {
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

/// Gives a table its key, if its columns are there: a table without a key gets the column that identifies its rows. Others get
/// theirs with the first row.
fn complete_key(schema: &mut TableSchema, declared: &Table) {
    if !schema.key.is_empty() {
        return;
    }
    if declared.primary_key.is_empty() {
        let (name, column_type) = (ROW_ID.to_owned(), ColumnType::String);
        schema.columns.push(ColumnSchema { source_name: name.clone(), name, column_type, declared: true });
        schema.key = vec![schema.columns.len() - 1];
        return;
    }
    let place = |name: &String| schema.columns.iter().position(|column| column.source_name == *name);
    schema.key = declared.primary_key.iter().map(place).collect::<Option<_>>().unwrap_or_default();
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
        let message = format!("name column \"{}\" of table \"{}\"", named(source_name), schema.name);
        Error::new(Code::SchemaInvalid, message).because(error)
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
            truncated: false,
            repeated: 0,
            samples: Vec::new(),
        }
    }
}

/// One record on its way into the log.
struct Row<'t> {
    live: &'t mut Live,
    schema: &'t mut TableSchema,
    limits: &'t Limits,
    contract: SchemaContract,
    time: bool,
    texts: TextRules,
    /// How many fields were read.
    place: usize,
    before: Before,
}

/// What a record changes of its table's schema, as it was before.
struct Before {
    columns: usize,
    has_key: bool,
    /// Columns that were widened, with their values.
    widened: Vec<(usize, ColumnSchema, Column)>,
    /// The schema changed.
    changed: bool,
    /// Values that are not stored as they came.
    notes: Vec<Note>,
}

impl Before {
    fn of(schema: &TableSchema) -> Self {
        let (columns, has_key) = (schema.columns.len(), !schema.key.is_empty());
        Self { columns, has_key, widened: Vec::new(), changed: false, notes: Vec::new() }
    }
}

impl Row<'_> {
    /// Leaves everything as if the record had not come.
    fn take_back(&mut self) {
        let columns = self.before.columns;
        self.live.log.buffer.take_back_row(columns);
        for (index, schema, values) in self.before.widened.drain(..).rev() {
            if index < columns {
                self.schema.columns[index] = schema;
                self.live.log.buffer.columns[index] = values;
            }
        }
        for column in self.schema.columns.drain(columns..) {
            self.live.by_name.remove(&column.source_name);
            self.live.taken.give_back(&column.name);
        }
        self.live.order.clear();
        if !self.before.has_key {
            self.schema.key.clear();
            self.live.key_types.clear();
        }
    }

    /// Notes what a column was before it widens.
    fn widens(&mut self, index: usize) {
        let rows = self.live.log.buffer.rows();
        let column = self.live.log.buffer.column(index, self.schema.columns[index].column_type);
        if column.len() > rows {
            column.pop();
        }
        let values = column.clone();
        self.before.widened.push((index, self.schema.columns[index].clone(), values));
        self.before.changed = true;
    }

    fn error(&self, code: Code, what: &str, line: &str) -> Error {
        let message = format!("take record {} of table \"{}\": {what}", self.live.position, self.schema.name);
        Error::new(code, message).hint(format!("{}The record: {}", rejected::advice(code), shorten(line)))
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
        let is_key = self.live.declared.primary_key.iter().any(|column| column == name);
        if key_only && !is_key {
            return Ok(());
        }
        if let Some(what) = self.texts.unfit(raw) {
            let what = format!("\"{}\" has {what}, which the destination cannot hold: {}", shorten(name), shorten(raw));
            return Err(Refused(Code::ValueUnstorable, what));
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
        self.before.notes.push(Note {
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
        let index = add_column(self.schema, &mut self.live.taken, (name, column_type, false))
            .map_err(|error| Refused(error.code(), error.chain()))?;
        self.live.by_name.insert(name.to_owned(), index);
        self.before.changed = true;
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
            if !column.push_narrow(value, time) {
                self.widens(index);
                self.push_wide(index, value, time);
            }
            return Ok(());
        }
        if *value == Value::Null {
            column.push_empty(Mark::Null);
            return Ok(());
        }
        match accept(known.column_type, value, raw) {
            Some(accepted) => column.push_declared(accepted.cell()),
            None => return self.mismatch(index, value, raw),
        }
        Ok(())
    }

    /// Adds a value for which its column widens.
    fn push_wide(&mut self, index: usize, value: &Value<'_>, time: bool) {
        let known = &mut self.schema.columns[index];
        let column = self.live.log.buffer.column(index, known.column_type);
        column.push(value, time);
        known.column_type = column.column_type().unwrap_or(known.column_type);
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
                self.widens(index);
                self.schema.columns[index].declared = false;
                self.push_wide(index, value, false);
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
            self.before.changed = true;
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
        column.push_declared(super::column::Cell::Text(id.as_bytes()));
        Ok(())
    }
}

/// Why a field was refused.
struct Refused(Code, String);

/// A record with U+FFFD where its destination cannot hold what it has.
struct Mended {
    line: String,
    /// The fields that have changed, with what they were.
    replaced: Vec<(String, String)>,
}

/// The record mended; none if it is no record, or the name of a column is what cannot be held.
fn mended(line: &str, limits: &Limits, texts: TextRules) -> Option<Mended> {
    let mut mended = Mended { line: "{".to_owned(), replaced: Vec::new() };
    for_each_field::<()>(line, limits.json_depth_max, |name, raw| {
        if mended.line.len() > 1 {
            mended.line.push(',');
        }
        let text = texts.replaced(raw);
        if let Cow::Owned(_) = &text {
            mended.replaced.push((name.clone().into_owned(), raw.to_owned()));
        }
        let name = serde_json::to_string(&name).map_err(drop)?;
        mended.line.extend([name.as_str(), ":", &*text]);
        Ok(())
    })
    .ok()?;
    mended.line.push('}');
    Some(mended)
}
