//! The tables of a running sync: what is declared, what is inferred so far, and the operations since the last checkpoint.
//!
//! Pure: takes batches of JSON lines, fills columns, widens types, refuses what breaks a rule, naming table and record.

use hashbrown::{DefaultHashBuilder, HashMap};

use super::buffer::Log;
use super::declared::accept;
use super::fold::{Fold, Seen};
use super::marks::Mark;
use super::notes::{Note, NoteKind, Notes};
use super::record::{BadRecord, Field, for_each_field, row_id};
use super::redeclared::redeclare;
use model::error::{Code, Error, Result};
use model::schema::value::Value;
use model::schema::{
    ColumnSchema, ColumnType, OnMismatch, ROW_ID, SchemaContract, TableSchema, TakenNames, Timestamps,
};
use model::{Batch, DataType, OperationKind, Selection, Table};
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
}

/// All tables of a sync.
pub(crate) struct Tables {
    /// What the connector declared.
    declared: Vec<Table>,
    selection: Selection,
    /// Which new tables keep their history.
    history: Selection,
    limits: Limits,
    /// What becomes of strings that look like time.
    timestamps: Timestamps,
    sample_records: usize,
    contract: SchemaContract,
    notes: Notes,
    names: NameRules,
    hasher: DefaultHashBuilder,
    /// The schema as of now: a continuation of what the destination has.
    schemas: Vec<TableSchema>,
    live: Vec<Live>,
    /// The schema as of the last checkpoint, if it differs.
    checkpointed: Option<Vec<TableSchema>>,
    changed: bool,
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
    pub(crate) timestamps: Timestamps,
    pub(crate) sample_records: usize,
    pub(crate) contract: SchemaContract,
    /// What the destination holds as a name.
    pub(crate) names: NameRules,
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
            if settings.history.contains(&schema.source_name) {
                begin_history(schema)?;
            }
            let table = declared.iter().find(|table| table.name == schema.source_name);
            let table = table.cloned().unwrap_or_else(|| undeclared(schema));
            check_key(schema, &table)?;
            forget_formats(schema, settings.timestamps);
            let columns_before = schema.columns.len();
            if settings.selection.contains(&schema.source_name) {
                redeclare(schema, &table, settings.contract, settings.names)?;
            }
            let empty = empty.get(index).copied().unwrap_or(false);
            let mut known = Live::new(table, schema, empty, settings.names);
            known.columns_before = Some(columns_before);
            live.push(known);
        }
        let Settings { selection, history, limits, timestamps, sample_records, contract, names } = settings;
        let checkpointed = Some(known.clone());
        let hasher = DefaultHashBuilder::default();
        Ok(Self {
            declared,
            selection,
            history,
            limits,
            timestamps,
            sample_records,
            contract,
            notes: Notes::default(),
            names,
            hasher,
            schemas: known,
            live,
            checkpointed,
            changed: false,
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
        let text = simdutf8::compat::from_utf8(&batch.rows).map_err(|error| {
            let line = batch.rows[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            let message = format!("read line {line} of a batch for table \"{}\": it is not UTF-8", batch.table);
            Error::new(Code::RecordInvalid, message)
                .hint("Rows are JSON, and JSON is UTF-8: convert the source's answer in the connector.")
                .because(error)
        })?;
        let mut lines = text.split('\n').filter(|line| line.bytes().any(|byte| !byte.is_ascii_whitespace())).peekable();
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
            self.take_row(index, batch.kind, line)?;
            rows += 1;
        }
        Ok((name, rows))
    }

    /// Returns the table's name in the warehouse. A table that never had a row has nothing to mark, and is not made.
    fn truncate(&mut self, source_name: &str) -> String {
        let Some(index) = self.schemas.iter().position(|schema| schema.source_name == source_name) else {
            return source_name.to_owned();
        };
        let live = &mut self.live[index];
        live.log.truncates.push(live.log.kinds.len());
        live.counted.count(OperationKind::Truncate);
        self.schemas[index].name.clone()
    }

    fn take_row(&mut self, index: usize, kind: OperationKind, line: &str) -> Result<()> {
        let table = &mut self.live[index];
        table.position += 1;
        let mut record = Row {
            live: table,
            schema: &mut self.schemas[index],
            limits: &self.limits,
            contract: self.contract,
            notes: &mut self.notes,
            timestamps: self.timestamps,
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
        if table.samples.len() < self.sample_records {
            table.samples.push(line.to_owned());
        }
        Ok(())
    }

    /// The table's index, made at its first operation.
    fn index_of(&mut self, source_name: &str) -> Result<usize> {
        if let Some(index) = self.schemas.iter().position(|schema| schema.source_name == source_name) {
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
        let taken = self.schemas.iter().map(|schema| schema.name.as_str()).chain([SYNCS]);
        let name = TakenNames::new(taken, self.names.bytes_max).unique(source_name).map_err(|error| {
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
        self.live.push(Live::new(declared, &schema, true, self.names));
        self.schemas.push(schema);
        self.changed = true;
        Ok(self.schemas.len() - 1)
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
                live.folded.add(std::mem::take(&mut live.counted));
            }
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
    // In another order they are the same key.
    if known.len() == wanted.len() && wanted.iter().all(|column| known.contains(column)) {
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

/// Under the rule of instants a column is no longer held to the one format that it has had so far.
fn forget_formats(schema: &mut TableSchema, timestamps: Timestamps) {
    if timestamps == Timestamps::Infer {
        for column in &mut schema.columns {
            column.column_type = column.column_type.without_format();
        }
    }
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
        Self {
            declared,
            by_name,
            taken: taken_names(schema, names),
            columns_before: None,
            order: Vec::new(),
            log: Log::default(),
            fold: Fold::default(),
            seen: Seen::new(empty),
            counted: Counts::default(),
            folded: Counts::default(),
            position: 0,
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
    notes: &'t mut Notes,
    timestamps: Timestamps,
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
        for_each_field(line, depth_max, |field| self.field(&field, key_only)).map_err(|error| match error {
            Ok(Refused(code, what)) => self.error(code, &what, line),
            Err(deep @ BadRecord::TooDeep(_)) => self.error(Code::LimitDepth, &deep.to_string(), line),
            Err(bad) => self.error(Code::RecordInvalid, "it is not a JSON object", line).because(bad),
        })
    }

    fn field(&mut self, field: &Field<'_>, key_only: bool) -> Result<(), Refused> {
        let (name, raw) = (field.name.as_ref(), field.raw.as_ref());
        let is_key = self.live.declared.primary_key.iter().any(|column| column == name);
        if key_only && !is_key {
            return Ok(());
        }
        let value = Value::read(raw).map_err(|error| Refused(Code::RecordInvalid, error.to_string()))?;
        let timestamps = if is_key { Timestamps::Text } else { self.timestamps };
        let known = self.find(name);
        let own = if known.is_some() { None } else { value.column_type(timestamps) };
        let index = match (known, own) {
            (Some(index), _) => index,
            // Not every warehouse compares JSON: a key that is an object or a list is its text.
            (None, Some(ColumnType::Json)) if is_key => self.add(name, ColumnType::String)?,
            (None, Some(own)) if self.may_add(name, raw)? => self.add(name, own)?,
            (None, _) => return Ok(()),
        };
        if is_key {
            self.check_key_type(index, &value)?;
        }
        self.store(index, &value, raw, timestamps)
    }

    /// A key that became text because another came that is text would make keys equal that differ.
    fn check_key_type(&self, index: usize, value: &Value<'_>) -> Result<(), Refused> {
        let known = &self.schema.columns[index];
        let own = match value.column_type(Timestamps::Text) {
            None => return Ok(()),
            Some(ColumnType::Json) => ColumnType::String,
            Some(own) => own,
        };
        if known.declared || known.column_type.join_key(own).is_some() {
            return Ok(());
        }
        let (name, first, now) = (&known.source_name, known.column_type.data_type(), own.data_type());
        let what =
            format!("its primary key \"{name}\" was {first} so far and is {now} now, which would be one key as text");
        Err(Refused(Code::RecordKeyType, what))
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
        let index = add_column(self.schema, &mut self.live.taken, (name, column_type, false))
            .map_err(|error| Refused(error.code(), error.chain()))?;
        self.live.by_name.insert(name.to_owned(), index);
        self.changed = true;
        Ok(index)
    }

    fn store(&mut self, index: usize, value: &Value<'_>, raw: &str, timestamps: Timestamps) -> Result<(), Refused> {
        let known = &mut self.schema.columns[index];
        let row = self.live.log.buffer.rows();
        let column = self.live.log.buffer.column(index, known.column_type);
        if column.len() > row {
            column.pop(); // the same name twice in one object: the last one counts
        }
        if !known.declared {
            let frozen = self.contract.fail || self.contract.freeze_types;
            if frozen && self.live.columns_before.is_some_and(|before| index < before) {
                let joined = column.joined(value, timestamps).0.unwrap_or(known.column_type);
                if joined.data_type() != known.column_type.data_type() {
                    return self.mismatch(index, value, raw);
                }
            }
            column.push(value, timestamps);
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
            Some(accepted) => column.push_declared(accepted.cell()),
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
                column.push(value, Timestamps::Text);
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
            self.changed = true;
        }
        let row = self.live.log.buffer.rows();
        for index in &self.schema.key {
            let column = &self.schema.columns[*index];
            let mark = self.live.log.buffer.mark(row, *index);
            if mark != Mark::Value {
                let how = if mark == Mark::Null { "null" } else { "missing" };
                let what = format!("its primary key \"{}\" is {how}", column.source_name);
                return Err(self.error(Code::RecordKeyMissing, &what, line));
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
        let columns = &self.schema.columns;
        let keeps_time = |name: &str| {
            let column = self.live.by_name.get(name).and_then(|index| columns.get(*index));
            column.is_some_and(|column| column.column_type.keeps_instants())
        };
        let id = row_id(line, keeps_time)
            .map_err(|error| self.error(Code::RecordInvalid, "it is not a JSON object", line).because(error))?;
        let index = self.schema.key[0];
        let column = self.live.log.buffer.column(index, ColumnType::String);
        column.push_declared(super::column::Cell::Text(id.as_bytes()));
        Ok(())
    }
}

/// Why a field was refused.
struct Refused(Code, String);
