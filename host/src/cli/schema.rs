//! `host schema`: the tables a connector fills, their keys and declared columns.

use super::json::{self, Object};
use super::load::Look;
use super::screen::Screen;
use super::text::{self, Room, words};
use model::error::Result;
use model::{Column, Table};

/// Lists the tables.
pub(super) fn run(look: &Look, screen: &Screen) -> Result<()> {
    let tables = look.ask(*screen, async |component, grants| component.schema(grants).await)?;
    let page = if look.json { for_programs(&tables) + "\n" } else { for_people(&tables, screen.room_for_data) };
    screen.data(&page).map(|_closed| ())
}

fn for_people(tables: &[Table], room: Room) -> String {
    if tables.is_empty() {
        return "The connector names no tables: they appear with their first records, without a key.\n".to_owned();
    }
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|table| {
            let key = if table.primary_key.is_empty() { "none".to_owned() } else { table.primary_key.join(", ") };
            let declared: Vec<String> =
                table.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
            let declared = if declared.is_empty() { "none: all are inferred".to_owned() } else { declared.join(", ") };
            vec![table.name.clone(), key, declared]
        })
        .collect();
    text::table(&[words("table"), words("primary key"), words("declared columns")], &rows, room)
}

fn for_programs(tables: &[Table]) -> String {
    let column =
        |column: &Column| Object::new().put("name", &column.name).put("type", &column.data_type.to_string()).finish();
    let table = |table: &Table| {
        Object::new()
            .put("name", &table.name)
            .put("primary_key", &table.primary_key)
            .raw("columns", &json::list(table.columns.iter().map(column)))
            .finish()
    };
    Object::new().raw("tables", &json::list(tables.iter().map(table))).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::DataType;

    #[test]
    fn tables_are_shown_with_key_and_declared_columns() {
        let price = Column { name: "price".into(), data_type: DataType::Decimal(18, 2) };
        let tables = [
            Table { name: "orders".into(), primary_key: vec!["shop".into(), "id".into()], columns: vec![price] },
            Table { name: "log".into(), primary_key: vec![], columns: vec![] },
        ];
        let expected = "
 table    primary key   declared columns
───────────────────────────────────────────────
 orders   shop, id      price DECIMAL(18,2)
 log      none          none: all are inferred
";
        assert_eq!(format!("\n{}", for_people(&tables, Room::Endless)), expected);
        assert_eq!(
            for_programs(&tables[..1]),
            r#"{"tables":[{"name":"orders","primary_key":["shop","id"],"columns":[{"name":"price","type":"DECIMAL(18,2)"}]}]}"#
        );
    }
}
