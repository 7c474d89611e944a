//! The rows of a batch as parameters of a statement: an array for each column. For few rows that costs less than a temporary
//! table, whose making and dropping changes the server's own catalog, which every session of it then has to hear of.

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;
use postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::copy::{Column, WrongArray};
use crate::sql::LoadColumn;
use crate::sql::ddl::quoted;
use model::schema::ColumnType;

/// More rows than this go into a temporary table.
const ROWS_MAX: usize = 1_000;
/// So do more bytes: a statement is held in memory as a whole, here and there.
const BYTES_MAX: usize = 1 << 20;
/// And more columns: a statement has no more than 1,664, and each is a function that is called.
const COLUMNS_MAX: usize = 200;

/// A table of the parameters; none where they are too many.
pub(super) fn table(columns: &[LoadColumn], rows: &RecordBatch) -> Option<String> {
    let bytes = |array: &arrow::array::ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(usize::MAX);
    let is_small = rows.num_rows() <= ROWS_MAX
        && columns.len() <= COLUMNS_MAX
        && rows.columns().iter().map(bytes).fold(0, usize::saturating_add) <= BYTES_MAX;
    is_small.then(|| {
        let parameters: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        format!("(SELECT * FROM unnest({}) AS u ({}))", parameters.join(", "), names.join(", "))
    })
}

/// A column as the value of a parameter.
#[derive(Debug)]
pub(super) struct Values {
    kind: Type,
    /// As an array's `recv` function reads them.
    bytes: Vec<u8>,
}

impl Values {
    /// The type of the parameter.
    pub(super) fn kind(&self) -> Type {
        self.kind.clone()
    }
}

/// Every column as a parameter.
pub(super) fn values(columns: &[LoadColumn], rows: &RecordBatch) -> Result<Vec<Values>, WrongArray> {
    let count = i32::try_from(rows.num_rows()).unwrap_or(i32::MAX);
    let mut all = Vec::with_capacity(columns.len());
    for (index, (array, column)) in rows.columns().iter().zip(columns).enumerate() {
        let of = Column::of(array.as_ref(), column.column_type);
        let of = of.ok_or_else(|| WrongArray(index, array.data_type().clone(), column.column_type))?;
        let (element, kind) = types(column.column_type);
        let mut bytes = Vec::new();
        // One dimension, whether there is a NULL, the type, how many there are, the number of the first.
        for word in [1, i32::from(array.null_count() > 0), element.oid().cast_signed(), count, 1] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        (0..rows.num_rows()).for_each(|row| of.write(row, &mut bytes));
        all.push(Values { kind, bytes });
    }
    Ok(all)
}

/// The type of a column's values, and of an array of them.
fn types(column_type: ColumnType) -> (Type, Type) {
    match column_type {
        ColumnType::Boolean => (Type::BOOL, Type::BOOL_ARRAY),
        ColumnType::Short => (Type::INT2, Type::INT2_ARRAY),
        ColumnType::Int => (Type::INT4, Type::INT4_ARRAY),
        ColumnType::Long { .. } => (Type::INT8, Type::INT8_ARRAY),
        ColumnType::Decimal { .. } => (Type::NUMERIC, Type::NUMERIC_ARRAY),
        ColumnType::Float => (Type::FLOAT4, Type::FLOAT4_ARRAY),
        ColumnType::Double => (Type::FLOAT8, Type::FLOAT8_ARRAY),
        ColumnType::NaiveDate => (Type::DATE, Type::DATE_ARRAY),
        ColumnType::NaiveTime => (Type::TIME, Type::TIME_ARRAY),
        ColumnType::NaiveDatetime(_) => (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
        ColumnType::UtcDatetime(_) => (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
        ColumnType::Binary => (Type::BYTEA, Type::BYTEA_ARRAY),
        ColumnType::Xml | ColumnType::String => (Type::TEXT, Type::TEXT_ARRAY),
        ColumnType::Json => (Type::JSON, Type::JSON_ARRAY),
    }
}

impl ToSql for Values {
    fn to_sql(&self, _kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Send + Sync>> {
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
