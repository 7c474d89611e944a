//! Values of a query's result, taken out of Arrow arrays.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::Value;

/// A column of a batch, ready to be read by row.
pub(super) struct Values {
    array: ArrayRef,
    suffix: &'static str,
    is_json: bool,
}

impl Values {
    pub(super) fn new(array: &dyn Array, is_json: bool) -> Self {
        let array = arrow::array::make_array(array.to_data());
        match array.data_type() {
            // Shown in UTC whatever the session's zone is; its name would need a database of zones.
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                let plain = cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap_or(array);
                Self { array: plain, suffix: "Z", is_json }
            }
            _ => Self { array, suffix: "", is_json },
        }
    }

    pub(super) fn get(&self, row: usize) -> Value {
        let array = self.array.as_ref();
        if array.is_null(row) || array.data_type() == &DataType::Null {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
            DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row)), shown(array, row)),
            DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row), shown(array, row)),
            kind if kind.is_numeric() => Value::Number(shown(array, row)),
            kind if kind.is_nested() => Value::Json(nested(array, row).to_string()),
            DataType::Binary | DataType::LargeBinary => Value::Text(format!("\\x{}", shown(array, row))),
            _ if self.is_json => Value::Json(shown(array, row)),
            _ => Value::Text(shown(array, row) + self.suffix),
        }
    }
}

/// JSON has no notation for infinity and what is not a number.
fn float(value: f64, text: String) -> Value {
    if value.is_finite() { Value::Number(text) } else { Value::Text(text) }
}

fn shown(array: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default().with_display_error(true);
    ArrayFormatter::try_new(array, &options)
        .map_or_else(|error| error.to_string(), |format| format.value(row).to_string())
}

/// A list, struct or map as JSON.
fn nested(array: &dyn Array, row: usize) -> serde_json::Value {
    let list = |values: ArrayRef| {
        let values = Values::new(values.as_ref(), false);
        (0..values.array.len()).map(|index| values.get(index).json()).collect()
    };
    let object = |names: Vec<String>, values: Vec<Value>| {
        names.into_iter().zip(values.iter().map(Value::json)).collect::<serde_json::Map<_, _>>().into()
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let values = columns.map(|column| Values::new(column.as_ref(), false).get(row)).collect();
            object(fields.iter().map(|field| field.name().clone()).collect(), values)
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) =
                (Values::new(entries.column(0).as_ref(), false), Values::new(entries.column(1).as_ref(), false));
            let names = (0..entries.len()).map(|index| keys.get(index).text().unwrap_or_default().to_owned()).collect();
            object(names, (0..entries.len()).map(|index| values.get(index)).collect())
        }
        _ => shown(array, row).into(),
    }
}
