//! In `schema`: tables that cannot be, or that are too much.

use elt_sdk::bindings::Table;
use elt_sdk::bindings::elt::connector::checkpoint;
use elt_sdk::bindings::elt::connector::operations::Kind;
use elt_sdk::bindings::elt::connector::types::{Column, DataType};

use crate::ruin;

/// A table with a key, one without, one with a declared column.
pub(crate) fn well_behaved() -> Vec<Table> {
    let amount = Column { name: "amount".to_owned(), data_type: DataType::Long };
    vec![table("things", &["id"]), table("facts", &[]), Table { columns: vec![amount], ..table("amounts", &["id"]) }]
}

fn table(name: &str, key: &[&str]) -> Table {
    let primary_key = key.iter().map(|&column| column.to_owned()).collect();
    Table { name: name.to_owned(), primary_key, columns: Vec::new() }
}

fn and(table: Table) -> Vec<Table> {
    let mut tables = well_behaved();
    tables.push(table);
    tables
}

pub(crate) fn column_declared_twice() -> Vec<Table> {
    let column = |data_type| Column { name: "both".to_owned(), data_type };
    and(Table { columns: vec![column(DataType::Long), column(DataType::Xml)], ..table("twofold", &["id"]) })
}

pub(crate) fn decimal_too_wide() -> Vec<Table> {
    let column = Column { name: "wide".to_owned(), data_type: DataType::Decimal((255, 254)) };
    and(Table { columns: vec![column], ..table("widths", &["id"]) })
}

pub(crate) fn endless_loop() -> Vec<Table> {
    ruin::endless_loop();
    well_behaved()
}

pub(crate) fn huge_return_value() -> Vec<Table> {
    (0..40).map(|_| table(&"t".repeat(1 << 20), &["id"])).collect()
}

pub(crate) fn key_named_twice() -> Vec<Table> {
    and(table("twofold", &["id", "id"]))
}

pub(crate) fn many_tables() -> Vec<Table> {
    (0..10_001).map(|number| table(&format!("table {number}"), &["id"])).collect()
}

/// Names that a careless host would trip over.
const NAMES: [&str; 7] = ["", "select", "a\"b'c;--", "../../etc", "_syncs", "Things", "ünï 🦀"];

/// Keys named like the columns of the host.
pub(crate) fn names_that_fit() -> Vec<Table> {
    let mut tables = well_behaved();
    tables.extend(NAMES.map(|name| table(name, &["_row_id", "_synced_at", "_DELETED", ""])));
    tables
}

/// A row for each of those tables, written twice: one row each has to come out.
pub(crate) fn fill_names() {
    for name in [NAMES, NAMES].concat() {
        let row = r#"{"_row_id": 1, "_synced_at": "x", "_DELETED": true, "": 2.5}"#;
        crate::component::write(name, Kind::Upsert, row);
    }
}

pub(crate) fn panic() -> Vec<Table> {
    ruin::panic();
    well_behaved()
}

pub(crate) fn save() -> Vec<Table> {
    checkpoint::save("{}");
    well_behaved()
}

pub(crate) fn same_name_twice() -> Vec<Table> {
    and(table("things", &["other"]))
}

pub(crate) fn sleep() -> Vec<Table> {
    ruin::sleep();
    well_behaved()
}

pub(crate) fn table_name_too_long() -> Vec<Table> {
    and(table(&"n".repeat(10_000), &["id"]))
}

pub(crate) fn write() -> Vec<Table> {
    crate::component::write("things", Kind::Upsert, "{\"id\": 9}");
    well_behaved()
}
