//! Columns widen without loss, and what cannot be kept never becomes another value.

use arrow::array::Array;
use proptest::prelude::*;

use super::*;

fn column_of(values: &[&str], timestamps: Timestamps) -> Column {
    let mut column = Column::new(None);
    for raw in values {
        column.push(&Value::read(raw).unwrap(), timestamps);
    }
    column
}

fn column(values: &[&str]) -> Column {
    column_of(values, Timestamps::Infer)
}

fn texts(mut column: Column) -> (String, Vec<Option<String>>) {
    let found = column.column_type().map_or("none".to_owned(), |found| found.to_string());
    column.widen(ColumnType::String);
    let array = column.into_array().unwrap();
    let strings = array.as_any().downcast_ref::<StringArray>().unwrap();
    (found, strings.iter().map(|text| text.map(str::to_owned)).collect())
}

fn check(values: &[&str], column_type: &str, expected: &[&str]) {
    check_with(values, Timestamps::Infer, (column_type, expected));
}

fn check_with(values: &[&str], timestamps: Timestamps, (column_type, expected): (&str, &[&str])) {
    let (found, written) = texts(column_of(values, timestamps));
    assert_eq!(found, column_type, "{values:?}");
    assert_eq!(written.iter().map(|text| text.as_deref().unwrap_or("NULL")).collect::<Vec<_>>(), expected);
}

#[test]
fn columns_widen_and_give_back_every_value() {
    check(&["1", "null", "2.5"], "DOUBLE", &["1", "NULL", "2.5"]);
    check(&["9007199254740993", "2.5"], "STRING", &["9007199254740993", "2.5"]);
    check(&["1", "9223372036854775808"], "DECIMAL(38,0)", &["1", "9223372036854775808"]);
    check(&["12345678901234567890.25", "7"], "DECIMAL(22,2)", &["12345678901234567890.25", "7"]);
    check(&["true", "\"true\""], "STRING", &["true", "true"]);
    check(&["\"2024-01-01\"", "\"x\""], "STRING", &["2024-01-01", "x"]);
    check(&["{\"a\": 1}", "5"], "STRING", &["{\"a\": 1}", "5"]);
    check(&["null"], "none", &["NULL"]);
    check(&["\"\"", "null"], "STRING", &["", "NULL"]);
}

#[test]
fn one_spelling_of_a_time_is_not_a_type() {
    check(
        &["\"2024-01-01T10:00:00.5Z\"", "\"2024-01-01t11:00:00z\"", "null", "\"2024-01-01 13:00:00.000000000+02:00\""],
        "UTC_DATETIME",
        &["2024-01-01T10:00:00.5Z", "2024-01-01T11:00:00Z", "NULL", "2024-01-01T11:00:00Z"],
    );
    check(
        &["\"2024-01-01T10:00:00\"", "\"2024-01-01 10:00:00.120\""],
        "NAIVE_DATETIME",
        &["2024-01-01T10:00:00", "2024-01-01T10:00:00.12"],
    );
    // Other kinds of time, and what is no time to the microsecond, are text; what came before is in its normal form.
    for other in ["2024-01-01T10:00:00", "2024-01-01", "2024-01-01T10:00:00.1234567Z", "0001-01-01T00:00:00+01:00", "x"]
    {
        let values = ["\"2024-01-01 13:00:00.50+02:00\"".to_owned(), format!("\"{other}\"")];
        check(&values.each_ref().map(String::as_str), "STRING", &["2024-01-01T11:00:00.5Z", other]);
    }
}

#[test]
fn a_format_comes_back_where_it_is_asked_for() {
    let (one, other) = ("\"2024-01-01T01:00:00.50+02:00\"", "\"2024-01-01T01:00:00.5+02:00\"");
    let texts = ["2024-01-01T01:00:00.50+02:00", "2024-01-01T01:00:00.5+02:00"];
    check_with(&[one, one], Timestamps::Exact, ("UTC_DATETIME[T2+02:00]", &[texts[0]; 2]));
    check_with(&[one, other], Timestamps::Exact, ("STRING", &texts));
    check_with(&[one, other], Timestamps::Text, ("STRING", &texts));
    // A column that keeps instants already does not become text because of a spelling.
    let mut column = column(&[one]);
    column.push(&Value::read(other).unwrap(), Timestamps::Exact);
    assert_eq!(column.column_type(), Some(ColumnType::UtcDatetime(None)));
}

#[test]
fn what_cannot_be_kept_is_an_error_and_no_other_value() {
    let mut wrong = Column::new(Some(ColumnType::Short));
    wrong.push_declared(Cell::Integer(1 << 20));
    assert_eq!(wrong.into_array().map(drop), Err(Unkept::Mismatch));
    let mut wrong = Column::new(Some(ColumnType::Boolean));
    wrong.push_declared(Cell::Text(b"x"));
    wrong.push_declared(Cell::Boolean(true));
    assert_eq!(wrong.clone().into_array().map(drop), Err(Unkept::Mismatch));
    let mut right = column(&["true"]);
    right.append(&wrong);
    assert_eq!(right.into_array().map(drop), Err(Unkept::Mismatch));
    assert_eq!(units(&Number::Long(1), ColumnType::Decimal { precision: 38, scale: 38 }), Ok(10i128.pow(38)));
    assert_eq!(units(&Number::Long(2), ColumnType::Decimal { precision: 38, scale: 38 }), Err(Unkept::Mismatch));
    assert_eq!(rescaled(1, 3, 2), Err(Unkept::Mismatch));
    assert_eq!(append_texts((&mut vec![i32::MAX - 1], &mut vec![0]), (&[i32::MAX], &[])), Err(Unkept::TooLong));
}

proptest! {
    /// Equal keys hash alike, whichever type holds them.
    #[test]
    fn a_key_keeps_its_hash_when_its_column_widens(value in any::<i64>(), small in -1_000_000i64..1_000_000, scale in 0u8..10) {
        let hash = |cell: Cell<'_>, column_type: ColumnType| {
            let mut state = std::hash::DefaultHasher::new();
            cell.hash_key(Some(column_type), &mut state);
            state.finish()
        };
        let long = ColumnType::Long { exact: true };
        let decimal = |scale| ColumnType::Decimal { precision: 38, scale };
        let units = i128::from(value) * 10i128.pow(scale.into());
        prop_assert_eq!(hash(Cell::Integer(value), long), hash(Cell::Decimal(units), decimal(scale)));
        prop_assert_eq!(hash(Cell::Integer(small), long), hash(Cell::Double(small as f64), ColumnType::Double));
        let finer = i128::from(value) * 10i128.pow(5);
        prop_assert_eq!(hash(Cell::Decimal(value.into()), decimal(scale)), hash(Cell::Decimal(finer), decimal(scale + 5)));
        prop_assert_eq!(hash(Cell::Double(-0.0), ColumnType::Double), hash(Cell::Double(0.0), ColumnType::Double));
    }
}

#[test]
fn taking_back_and_padding_keep_rows_aligned() {
    let mut column = column(&["\"a\"", "\"bc\""]);
    column.pop();
    column.push(&Value::read("\"def\"").unwrap(), Timestamps::Infer);
    column.pad(4);
    assert_eq!((column.cell(0), column.cell(1)), (Some(Cell::Text(b"a")), Some(Cell::Text(b"def"))));
    assert_eq!((column.mark(3), column.len(), column.cell(3)), (Mark::Absent, 4, None));
}

#[test]
fn appending_keeps_values_and_marks() {
    let (mut first, second) = (column(&["\"a\"", "null"]), column(&["\"b\""]));
    first.append(&second);
    assert_eq!(first.cell(2), Some(Cell::Text(b"b")));
    assert_eq!(first.mark(1), Mark::Null);
}
