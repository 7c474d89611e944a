//! What a connector declares of a table that the warehouse has: columns that were inferred so far get the type declared, new
//! ones are added. Pure.

use std::collections::HashMap;

use super::tables::{NameRules, add_column, shorten, taken_names};
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, OnMismatch, SchemaContract, TableSchema};
use model::{DataType, Table};

/// Has the table continue as declared, or says why it cannot. Nothing is declared away: columns that are no longer declared
/// keep the types that they have.
pub(super) fn redeclare(
    schema: &mut TableSchema,
    declared: &Table,
    contract: SchemaContract,
    names: NameRules,
) -> Result<()> {
    let known: HashMap<String, usize> =
        schema.columns.iter().enumerate().map(|(index, known)| (known.source_name.clone(), index)).collect();
    let mut taken = taken_names(schema, names);
    for column in &declared.columns {
        match known.get(&column.name).copied() {
            Some(index) => retype(schema, index, column.data_type, contract)?,
            None if contract.fail => {
                return Err(changed(schema, &format!("\"{}\" would be a new column", shorten(&column.name))));
            }
            // Its values are left out, and noted.
            None if contract.freeze_columns => {}
            None => {
                let added = (column.name.as_str(), ColumnType::declared(column.data_type), true);
                add_column(schema, &mut taken, added)?;
            }
        }
    }
    Ok(())
}

fn retype(schema: &mut TableSchema, index: usize, wanted: DataType, contract: SchemaContract) -> Result<()> {
    let known = &schema.columns[index];
    let (name, now, declared) = (known.name.clone(), known.column_type, ColumnType::declared(wanted));
    if now.data_type() == wanted {
        schema.columns[index].declared = true;
        return Ok(());
    }
    let change = format!("column \"{name}\" is {} and declared {wanted} now", now.data_type());
    if contract.fail {
        return Err(changed(schema, &change));
    }
    let widens = now.join(declared) == declared && !schema.key.contains(&index);
    if widens && !contract.freeze_types {
        let column = &mut schema.columns[index];
        (column.column_type, column.declared) = (declared, true);
        return Ok(());
    }
    // Whoever has values widened, nulled or types frozen has said that a type may be another than declared.
    if contract.freeze_types || contract.on_mismatch != OnMismatch::Fail {
        return Ok(());
    }
    let why =
        if widens || schema.key.contains(&index) { "a key keeps its type" } else { "that cannot hold its values" };
    Err(Error::new(Code::SchemaInvalid, format!("continue table \"{}\": {change}, but {why}", schema.name)).hint(
        "Declare the type it has, keep it with --on-mismatch widen, or remove the connection's tables with `host reset` and \
         sync again.",
    ))
}

fn changed(schema: &TableSchema, what: &str) -> Error {
    Error::new(Code::SchemaChanged, format!("continue table \"{}\": {what}", schema.name))
        .hint("Run once with --schema-change allow if the change is welcome.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Column;
    use model::schema::ColumnSchema;

    const NAMES: NameRules = NameRules { bytes_max: 100, reserved: &[] };
    const LONG: ColumnType = ColumnType::Long { exact: true };

    /// A table whose key is a LONG, with a column `v` of a type, after `v` or another column was declared.
    fn after(
        (was, was_declared): (ColumnType, bool),
        (column, wanted): (&str, DataType),
        contract: SchemaContract,
    ) -> Result<Vec<(String, ColumnType, bool)>, Code> {
        let column_of = |name: &str, column_type, declared| ColumnSchema {
            source_name: name.to_owned(),
            name: name.to_owned(),
            column_type,
            declared,
        };
        let mut schema = TableSchema {
            source_name: "t".into(),
            name: "t".into(),
            key: vec![0],
            columns: vec![column_of("id", LONG, false), column_of("v", was, was_declared)],
            history: false,
        };
        let declared = Table {
            name: "t".into(),
            primary_key: vec!["id".into()],
            columns: vec![Column { name: column.into(), data_type: wanted }],
        };
        redeclare(&mut schema, &declared, contract, NAMES).map_err(|error| error.code())?;
        Ok(schema.columns[1..]
            .iter()
            .map(|column| (column.name.clone(), column.column_type, column.declared))
            .collect())
    }

    fn one(column_type: ColumnType, declared: bool) -> Vec<(String, ColumnType, bool)> {
        vec![("v".to_owned(), column_type, declared)]
    }

    #[test]
    fn an_inferred_column_gets_the_type_declared_where_it_holds_its_values() {
        let allow = SchemaContract::default();
        assert_eq!(after((LONG, false), ("v", DataType::Long), allow), Ok(one(LONG, true)));
        assert_eq!(after((LONG, false), ("v", DataType::Double), allow), Ok(one(ColumnType::Double, true)));
        assert_eq!(after((LONG, false), ("v", DataType::String), allow), Ok(one(ColumnType::String, true)));
        assert_eq!(after((ColumnType::String, false), ("v", DataType::Double), allow), Err(Code::SchemaInvalid));
        assert_eq!(after((ColumnType::Int, true), ("v", DataType::Short), allow), Err(Code::SchemaInvalid));
        assert_eq!(after((LONG, false), ("id", DataType::String), allow), Err(Code::SchemaInvalid));
        let widen = SchemaContract { on_mismatch: OnMismatch::Widen, ..allow };
        assert_eq!(
            after((ColumnType::String, false), ("v", DataType::Double), widen),
            Ok(one(ColumnType::String, false))
        );
    }

    #[test]
    fn a_column_declared_later_is_added() {
        let added = after((LONG, false), ("w", DataType::Float), SchemaContract::default()).unwrap();
        assert_eq!(added[1], ("w".to_owned(), ColumnType::Float, true));
    }

    #[test]
    fn the_contract_goes_before_what_is_declared() {
        let fail = SchemaContract { fail: true, ..SchemaContract::default() };
        assert_eq!(after((LONG, false), ("v", DataType::Double), fail), Err(Code::SchemaChanged));
        assert_eq!(after((LONG, false), ("w", DataType::Double), fail), Err(Code::SchemaChanged));
        assert_eq!(after((LONG, false), ("v", DataType::Long), fail), Ok(one(LONG, true)));
        let frozen = SchemaContract { freeze_types: true, freeze_columns: true, ..SchemaContract::default() };
        assert_eq!(after((LONG, false), ("v", DataType::Double), frozen), Ok(one(LONG, false)));
        assert_eq!(after((LONG, false), ("w", DataType::Double), frozen), Ok(one(LONG, false)));
    }
}
