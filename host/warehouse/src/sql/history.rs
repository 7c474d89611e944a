//! Tables that keep their history: every version of a row is a row, with the time from which on and until which it was there.
//!
//! The segments of a transaction are merged by the ordinary rules (`merge`) into a temporary table, which then holds the rows
//! they touch as the transaction leaves them. Compared with the active versions, each of those rows is the same, or ends a
//! version, or begins one, or both (docs/decisions/0009-history.md).

use super::ddl::{self, quoted};
use super::engine::{Engine, failed, matches};
use super::merge::{Incoming, Merge, Place, WORK};
use super::stage::{Batch, Staged};
use crate::{SegmentColumn, Versions};
use model::error::Result;
use model::schema::{ACTIVE, ColumnSchema, ColumnType, DELETED, SYNCED_AT, VALID_FROM, VALID_TO};

impl<E: Engine> Merge<'_, E> {
    /// Applies all segments of a transaction to a table that keeps its history. Returns how many patches found no row, and
    /// what became of the versions.
    pub(super) fn add_versions(&mut self, segments: &[&Staged]) -> Result<(u64, Versions)> {
        if segments.iter().all(|segment| self.only_begins(segment)) {
            return self.begin_versions(segments);
        }
        let work = self.engine.temporary(WORK);
        let create = ddl::create_temporary(self.engine, WORK, self.table);
        self.engine.run(&create).map_err(failed::<E>(self.what("make room for the changes of")))?;
        let (mut ignored, mut truncated) = (0, false);
        for (number, segment) in segments.iter().enumerate() {
            truncated |= segment.truncates;
            self.place = Place::Work { is_empty: number == 0, truncated };
            let not_found = self.apply(segment)?;
            ignored += if segment.is_rest { 0 } else { not_found };
        }
        self.place = Place::Table;
        let mut versions = self.settle(&work)?;
        if truncated {
            // What the transaction did not touch otherwise.
            let older = format!(" AND {} < {}", quoted(SYNCED_AT), self.engine.instant(self.synced_at_us));
            versions.ended += self.end_versions(&older)?;
        }
        self.engine.run(&format!("DROP TABLE {work}")).map_err(failed::<E>(self.what("clear the changes of")))?;
        Ok((ignored, versions))
    }

    /// Whether a segment has nothing but rows that the table cannot have yet, ready to be appended.
    fn only_begins(&self, segment: &Staged) -> bool {
        let in_memory = matches!(segment.rows, Batch::Memory(_)) && segment.patches.rows() == 0;
        let appends = segment.fresh && !segment.truncates && !segment.rows.may_delete();
        in_memory && appends && self.as_they_are(segment)
    }

    /// First versions need no comparing: they are appended like rows of any table.
    fn begin_versions(&mut self, segments: &[&Staged]) -> Result<(u64, Versions)> {
        let mut versions = Versions::default();
        for segment in segments {
            self.apply(segment)?;
            versions.begun += segment.rows.rows() as u64;
        }
        Ok((0, versions))
    }

    /// Brings the active rows that patches change to where they are merged, unless they are there already.
    pub(super) fn bring(&mut self, incoming: &Incoming<'_>, columns: &[SegmentColumn], truncated: bool) -> Result<()> {
        let (table, work) = (self.engine.table(self.schema, &self.table.name), self.engine.temporary(WORK));
        let (deleted, synced_at, active) = (quoted(DELETED), quoted(SYNCED_AT), quoted(ACTIVE));
        let (names, values) = (self.names(""), self.names("t."));
        let same: Vec<String> = self.key_columns().map(|key| format!("w.{key} = t.{key}")).collect();
        let sql = format!(
            "INSERT INTO {work} ({names}, {deleted}, {synced_at}) SELECT {values}, {truncated}, t.{synced_at} \
             FROM {} AS s JOIN {table} AS t ON {} LEFT JOIN {work} AS w ON {} \
             WHERE t.{active} AND w.{deleted} IS NULL",
            incoming.sql,
            matches(&self.key(columns)?),
            same.join(" AND "),
        );
        self.execute_with(&sql, incoming, "find the rows to update in").map(drop)
    }

    /// Makes versions of the rows in `work`. Three steps, each of which leaves fewer active versions to the next one: those that
    /// stay the same are written by this transaction then, those that do not are ended, and what is left begins.
    fn settle(&mut self, work: &str) -> Result<Versions> {
        let table = self.engine.table(self.schema, &self.table.name);
        let now = self.engine.instant(self.synced_at_us);
        let [deleted, synced_at, from, to, active] = [DELETED, SYNCED_AT, VALID_FROM, VALID_TO, ACTIVE].map(quoted);
        let key: Vec<(String, String)> = self.key_columns().map(|key| (key.clone(), format!("s.{key}"))).collect();
        let (key, same) = (matches(&key), self.same());
        let sql = format!(
            "UPDATE {table} AS t SET {synced_at} = {now} FROM {work} AS s \
             WHERE t.{active} AND {key} AND NOT s.{deleted} AND {same}"
        );
        self.execute(&sql, "compare rows with")?;
        let sql = format!(
            "UPDATE {table} AS t SET {active} = false, {to} = {now}, {synced_at} = {now}, {deleted} = s.{deleted} \
             FROM {work} AS s WHERE t.{active} AND t.{synced_at} < {now} AND {key}"
        );
        let ended = self.execute(&sql, "end versions in")?;
        let (names, values) = (self.names(""), self.names("s."));
        let sql = format!(
            "INSERT INTO {table} ({names}, {deleted}, {synced_at}, {from}, {active}) \
             SELECT {values}, false, {now}, {now}, true FROM {work} AS s \
             WHERE NOT s.{deleted} AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.{active} AND {key})"
        );
        let begun = self.execute(&sql, "begin versions in")?;
        Ok(Versions { begun, ended })
    }

    /// Ends active versions whose rows are gone, and returns how many there were.
    pub(super) fn end_versions(&mut self, condition: &str) -> Result<u64> {
        let (table, now) = (self.engine.table(self.schema, &self.table.name), self.engine.instant(self.synced_at_us));
        let [deleted, synced_at, to, active] = [DELETED, SYNCED_AT, VALID_TO, ACTIVE].map(quoted);
        let sql = format!(
            "UPDATE {table} SET {active} = false, {to} = {now}, {synced_at} = {now}, {deleted} = true \
             WHERE {active}{condition}"
        );
        self.execute(&sql, "end the versions that are gone from")
    }

    /// The version `t` and the row `s` hold the same in every column: what is stored would be the same, bit for bit.
    fn same(&self) -> String {
        let others = self.table.columns.iter().enumerate().filter(|(index, _)| !self.table.key.contains(index));
        let terms: Vec<String> = others.map(|(_, column)| self.same_value(column)).collect();
        all_of(&terms)
    }

    fn same_value(&self, column: &ColumnSchema) -> String {
        let (name, column_type) = (quoted(&column.name), column.column_type);
        let (old, new) = (format!("t.{name}"), format!("s.{name}"));
        let text = |value: &str| self.engine.expression(value, column_type, ColumnType::String);
        match (column_type, text(&old), text(&new)) {
            // Not every engine compares JSON.
            (ColumnType::Json, Some(old), Some(new)) => format!("{old} IS NOT DISTINCT FROM {new}"),
            // To every engine -0 is 0.
            (ColumnType::Float | ColumnType::Double, Some(old_text), Some(new_text)) => format!(
                "({old} IS NOT DISTINCT FROM {new} AND ({old} IS NULL OR {old} <> 0 OR {old_text} = {new_text}))"
            ),
            _ => format!("{old} IS NOT DISTINCT FROM {new}"),
        }
    }

    /// The key's columns, quoted.
    fn key_columns(&self) -> impl Iterator<Item = String> {
        self.table.key.iter().map(|column| quoted(&self.table.columns[*column].name))
    }

    /// The names of all columns, each with a prefix.
    fn names(&self, prefix: &str) -> String {
        let names: Vec<String> =
            self.table.columns.iter().map(|column| format!("{prefix}{}", quoted(&column.name))).collect();
        names.join(", ")
    }
}

/// All terms joined by AND, in a tree that is not deep: engines bound the depth of an expression.
fn all_of(terms: &[String]) -> String {
    match terms {
        [] => "true".to_owned(),
        [only] => only.clone(),
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!("({} AND {})", all_of(left), all_of(right))
        }
    }
}
