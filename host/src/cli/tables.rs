//! `host tables`: what is in the warehouse.

use clap::Args;

use super::json::{self, Object};
use super::screen::Screen;
use super::text::{self, Room, numbers, words};
use crate::options::DestinationOptions;
use model::error::Result;
use warehouse::{Access, TableColumn, TableInfo};

/// What can be typed after `host tables`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    destination: DestinationOptions,
    /// Lists the columns of every table with their types
    #[arg(long)]
    columns: bool,
    /// Prints one JSON object a table and line
    #[arg(long, conflicts_with = "columns")]
    json: bool,
}

/// Lists the tables.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let tables = warehouse::warehouse(&arguments.destination.in_force()?, Access::Read)?.tables()?;
    let page = if arguments.json {
        tables.iter().map(|table| for_programs(table) + "\n").collect()
    } else if tables.is_empty() {
        screen.people("The warehouse has no tables yet: `host run` fills them.");
        String::new()
    } else if arguments.columns {
        columns_for_people(&tables, screen.room_for_data)
    } else {
        for_people(&tables, screen.room_for_data)
    };
    screen.data(&page).map(|_closed| ())
}

fn for_people(tables: &[TableInfo], room: Room) -> String {
    let mut titles = vec![
        words("schema"),
        words("table"),
        numbers("rows"),
        numbers("deleted"),
        numbers("columns"),
        words("last synced"),
    ];
    let any_history = tables.iter().any(|table| table.versions.is_some());
    if any_history {
        titles.push(numbers("versions kept"));
    }
    let row = |table: &TableInfo| {
        let mut cells = vec![
            table.connection.clone(),
            table.name.clone(),
            text::number(table.rows),
            text::number(table.deleted_rows),
            text::number(table.columns.len() as u64),
            table.synced_at_us.map_or_else(|| "never".to_owned(), text::instant),
        ];
        if any_history {
            cells.push(table.versions.map_or_else(|| "no history".to_owned(), text::number));
        }
        cells
    };
    text::table(&titles, &tables.iter().map(row).collect::<Vec<_>>(), room)
}

fn columns_for_people(tables: &[TableInfo], room: Room) -> String {
    let titles = [words("table"), words("column"), words("type"), words("note")];
    let note = |column: &TableColumn| match (column.is_key, column.declared) {
        (true, true) => "primary key, declared",
        (true, false) => "primary key",
        (false, true) => "declared",
        (false, false) => "",
    };
    let row = |table: &TableInfo, column: &TableColumn| {
        let name = format!("{}.{}", text::identifier(&table.connection), text::identifier(&table.name));
        vec![name, column.name.clone(), column.column_type.data_type().to_string(), note(column).to_owned()]
    };
    let rows: Vec<Vec<String>> =
        tables.iter().flat_map(|table| table.columns.iter().map(move |column| row(table, column))).collect();
    text::table(&titles, &rows, room)
}

fn for_programs(table: &TableInfo) -> String {
    let column = |column: &TableColumn| {
        Object::new()
            .put("name", &column.name)
            .put("type", &column.column_type.data_type().to_string())
            .put("primary_key", &column.is_key)
            .put("declared", &column.declared)
            .finish()
    };
    Object::new()
        .put("schema", &table.connection)
        .put("table", &table.name)
        .put("source_name", &table.source_name)
        .put("rows", &table.rows)
        .put("deleted", &table.deleted_rows)
        .put("versions", &table.versions)
        .put("synced_at", &table.synced_at_us.map(text::instant))
        .raw("columns", &json::list(table.columns.iter().map(column)))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::schema::ColumnType;

    fn table() -> TableInfo {
        let column = |name: &str, is_key: bool| TableColumn {
            source_name: name.into(),
            name: name.into(),
            column_type: ColumnType::Long { exact: true },
            declared: !is_key,
            is_key,
        };
        TableInfo {
            connection: "my-shop".into(),
            name: "orders".into(),
            source_name: "Orders".into(),
            rows: 1_234,
            deleted_rows: 5,
            versions: None,
            columns: vec![column("id", true), column("price", false)],
            synced_at_us: Some(1_700_000_000_123_456),
        }
    }

    #[test]
    fn people_see_a_line_a_table() {
        let expected = "
 schema    table     rows   deleted   columns   last synced
─────────────────────────────────────────────────────────────────────
 my-shop   orders   1,234         5         2   2023-11-14T22:13:20Z
";
        assert_eq!(format!("\n{}", for_people(&[table()], Room::Endless)), expected);
    }

    #[test]
    fn versions_are_shown_where_a_table_keeps_its_history() {
        let prices = TableInfo { name: "prices".into(), versions: Some(7_120), ..table() };
        let expected = "
 schema    table     rows   deleted   columns   last synced            versions kept
─────────────────────────────────────────────────────────────────────────────────────
 my-shop   orders   1,234         5         2   2023-11-14T22:13:20Z      no history
 my-shop   prices   1,234         5         2   2023-11-14T22:13:20Z           7,120
";
        assert_eq!(format!("\n{}", for_people(&[table(), prices.clone()], Room::Endless)), expected);
        assert!(for_programs(&prices).contains("\"deleted\":5,\"versions\":7120,"));
    }

    #[test]
    fn the_columns_can_be_listed() {
        let page = columns_for_people(&[table()], Room::Endless);
        assert!(page.contains("\"my-shop\".orders   id       LONG   primary key\n"), "{page}");
    }

    #[test]
    fn programs_get_everything() {
        assert_eq!(
            for_programs(&table()),
            r#"{"schema":"my-shop","table":"orders","source_name":"Orders","rows":1234,"deleted":5,"versions":null,"synced_at":"2023-11-14T22:13:20Z","columns":[{"name":"id","type":"LONG","primary_key":true,"declared":false},{"name":"price","type":"LONG","primary_key":false,"declared":true}]}"#
        );
    }
}
