//! Rows that are none or do not fit, and names that a careless host would trip over.

use anyhow::Result;

use super::super::{broken, fails, limited, mode, succeeds};

/// The sixth record of the table, the second of its batch: four came before.
const SIXTH: &str = "record 6 of table \"things\"";
const FIFTH: &str = "record 5 of table \"things\"";

#[test]
pub(in super::super) fn rows_not_json() -> Result<()> {
    fails(mode!(update, rows_not_json), &[], &broken("record-invalid", &[SIXTH, "{\"id\": 6, oops}"]))
}

#[test]
pub(in super::super) fn rows_not_objects() -> Result<()> {
    fails(mode!(update, rows_not_objects), &[], &broken("record-invalid", &[SIXTH, "[6]"]))
}

#[test]
pub(in super::super) fn rows_not_utf8() -> Result<()> {
    fails(mode!(update, rows_not_utf8), &[], &broken("record-invalid", &["line ", "\"things\"", "not UTF-8"]))
}

#[test]
pub(in super::super) fn row_nested_deep() -> Result<()> {
    fails(mode!(update, row_nested_deep), &[], &limited("limit-depth", &[FIFTH, "limit json-depth"]))
}

#[test]
pub(in super::super) fn row_too_wide() -> Result<()> {
    fails(mode!(update, row_too_wide), &[], &limited("limit-columns", &[FIFTH, "limit columns: 5000"]))
}

#[test]
pub(in super::super) fn row_too_long() -> Result<()> {
    fails(mode!(update, row_too_long), &[], &limited("limit-row-bytes", &[FIFTH, "limit row-bytes"]))
}

#[test]
pub(in super::super) fn batch_of_many_rows() -> Result<()> {
    fails(mode!(update, batch_of_many_rows), &[], &limited("limit-batch", &["\"things\"", "limit batch-rows"]))
}

#[test]
pub(in super::super) fn key_missing() -> Result<()> {
    fails(mode!(update, key_missing), &[], &broken("record-key-missing", &[SIXTH, "\"id\" is missing", "nobody"]))
}

#[test]
pub(in super::super) fn key_null() -> Result<()> {
    fails(mode!(update, key_null), &[], &broken("record-key-missing", &[SIXTH, "\"id\" is null"]))
}

#[test]
pub(in super::super) fn key_of_another_type() -> Result<()> {
    fails(mode!(update, key_of_another_type), &[], &broken("record-key-type", &[SIXTH, "LONG", "STRING"]))
}

#[test]
pub(in super::super) fn key_twice_in_a_batch() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, key_twice_in_a_batch), &[])?;
    assert_eq!(misbehaving.host.query("SELECT id, n FROM misbehaving.things WHERE id >= 4 ORDER BY id")?, "4,\n5,last");
    Ok(())
}

#[test]
pub(in super::super) fn value_of_another_type() -> Result<()> {
    let words = ["record 2 of table \"amounts\"", "LONG", "\"a lot\""];
    fails(mode!(update, value_of_another_type), &[], &broken("value-mismatch", &words))
}

#[test]
pub(in super::super) fn column_name_too_long() -> Result<()> {
    fails(mode!(update, column_name_too_long), &[], &broken("schema-invalid", &[FIFTH, "10000 bytes"]))
}

#[test]
pub(in super::super) fn column_names_that_fit() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, column_names_that_fit), &[])?;
    let columns = "id, \"ID_2\", \"_\", \"select\", \"a\"\"b'c;--\", \"../..\", eleven, \"_synced_at_2\", \
        \"_deleted_2\", \"_row_id_2\", \"ünï 🦀\", _deleted";
    let row = misbehaving.host.query(&format!("SELECT {columns} FROM misbehaving.things WHERE id = 5"))?;
    assert_eq!(row, "5,6,7,8,9,10,11,12,13,14,15,false");
    Ok(())
}

#[test]
pub(in super::super) fn table_name_too_long() -> Result<()> {
    fails(mode!(update, table_name_too_long), &[], &broken("schema-invalid", &["name the table", "10000 bytes"]))
}

#[test]
pub(in super::super) fn table_names_that_fit() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, table_names_that_fit), &[])?;
    for name in ["_", "select", "a\"\"b'c;--", "../../etc", "_syncs_2", "THINGS_2", "ünï 🦀", "a.b"] {
        assert_eq!(misbehaving.host.query(&format!("SELECT n FROM misbehaving.\"{name}\""))?, "1", "{name}");
    }
    Ok(())
}

#[test]
pub(in super::super) fn tables_too_many() -> Result<()> {
    let failure = limited("limit-tables", &["add table \"table 4\"", "limit tables"]);
    fails(mode!(update, tables_too_many), &["--limit", "tables=5"], &failure)
}

#[test]
pub(in super::super) fn table_not_selected() -> Result<()> {
    let failure = broken("operation-invalid", &["table \"facts\" was not selected"]);
    fails(mode!(update, table_not_selected), &["--table", "things"], &failure)
}

#[test]
pub(in super::super) fn truncate_with_rows() -> Result<()> {
    fails(mode!(update, truncate_with_rows), &[], &broken("operation-invalid", &["truncate table \"things\""]))
}

#[test]
pub(in super::super) fn update_without_key() -> Result<()> {
    let failure = broken("operation-invalid", &["table \"facts\"", "primary key"]);
    fails(mode!(update, update_without_key), &[], &failure)
}
