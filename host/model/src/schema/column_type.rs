//! The type of a column with all that must be remembered to give every value back, and the lattice of widening.

use std::fmt;
use std::str::FromStr;

use crate::DataType;

/// 2^53: integers up to here are exact in 64-bit floating point.
const EXACT_DIGITS: u8 = 16;
const LONG_DIGITS: u8 = 19;
/// The largest precision a DECIMAL has.
pub(crate) const DECIMAL_DIGITS_MAX: u8 = 38;

/// A column's type. `DataType` is what people see; this also remembers how values were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// true or false
    Boolean,
    /// 16-bit integer; declared only
    Short,
    /// 32-bit integer; declared only
    Int,
    /// 64-bit integer; `exact` while every value so far is exact in 64-bit floating point
    Long {
        /// No value's magnitude is past 2^53.
        exact: bool,
    },
    /// Exact decimal, precision up to 38
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// 32-bit floating point; declared only
    Float,
    /// 64-bit floating point
    Double,
    /// Date
    NaiveDate,
    /// Time of day; declared only
    NaiveTime,
    /// Date and time without a zone, microseconds. Without a format it is only the time that is kept, however it is written.
    NaiveDatetime(Option<TimeFormat>),
    /// Instant, microseconds. Without a format it is only the instant that is kept, however it is written.
    UtcDatetime(Option<TimeFormat>),
    /// Bytes; declared only
    Binary,
    /// XML text; declared only
    Xml,
    /// Text. The top of the lattice.
    String,
    /// JSON text: objects and arrays
    Json,
}

/// How every timestamp of a column was written, so that rendering gives back the very bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeFormat {
    /// `T` or a space.
    pub separator: char,
    /// Digits of the fraction of a second, 0 to 6; 0 means no point either.
    pub fraction_digits: u8,
    /// How the offset is written; none for a timestamp without a zone.
    pub offset: Option<Offset>,
}

/// The text of an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offset {
    /// `Z`
    Zulu,
    /// `+02:00`: sign and minutes. `-00:00` is `negative` with 0 minutes.
    Minutes {
        /// Written with a minus sign.
        negative: bool,
        /// Magnitude in minutes.
        minutes: u16,
    },
}

impl Offset {
    /// The offset east of UTC in minutes.
    pub fn east_minutes(self) -> i64 {
        match self {
            Self::Zulu => 0,
            Self::Minutes { negative, minutes } => {
                if negative {
                    -i64::from(minutes)
                } else {
                    i64::from(minutes)
                }
            }
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zulu => f.write_str("Z"),
            Self::Minutes { negative, minutes } => {
                let sign = if *negative { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl ColumnType {
    /// The type of a declared column.
    pub fn declared(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Short => Self::Short,
            DataType::Int => Self::Int,
            DataType::Long => Self::Long { exact: false },
            DataType::Decimal(precision, scale) => Self::Decimal { precision, scale },
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            DataType::NaiveDate => Self::NaiveDate,
            DataType::NaiveTime => Self::NaiveTime,
            DataType::NaiveDatetime => Self::NaiveDatetime(None),
            DataType::UtcDatetime => Self::UtcDatetime(None),
            DataType::Binary => Self::Binary,
            DataType::Xml => Self::Xml,
            DataType::String => Self::String,
            DataType::Json => Self::Json,
        }
    }

    /// What people see.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Short => DataType::Short,
            Self::Int => DataType::Int,
            Self::Long { .. } => DataType::Long,
            Self::Decimal { precision, scale } => DataType::Decimal(precision, scale),
            Self::Float => DataType::Float,
            Self::Double => DataType::Double,
            Self::NaiveDate => DataType::NaiveDate,
            Self::NaiveTime => DataType::NaiveTime,
            Self::NaiveDatetime(_) => DataType::NaiveDatetime,
            Self::UtcDatetime(_) => DataType::UtcDatetime,
            Self::Binary => DataType::Binary,
            Self::Xml => DataType::Xml,
            Self::String => DataType::String,
            Self::Json => DataType::Json,
        }
    }

    /// The least type that holds every value of both without loss: monotone, associative, commutative, idempotent.
    /// Rules: shared docs/TYPES.md. Types that only a declaration can give widen to STRING.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        use ColumnType::{Decimal, Double, Long, String};
        match (self, other) {
            (a, b) if a == b => a,
            (Long { exact: a }, Long { exact: b }) => Long { exact: a && b },
            (Long { exact: true }, Double) | (Double, Long { exact: true }) => Double,
            (Decimal { .. } | Long { .. }, Decimal { .. }) | (Decimal { .. }, Long { .. }) => self.join_decimal(other),
            _ => String,
        }
    }

    /// The same for the columns of a key: the least type in which keys that differ still do, and equal ones are equal. None
    /// where there is none: a number and the string of its digits are two keys, and would be one as text.
    #[must_use]
    pub fn join_key(self, other: Self) -> Option<Self> {
        let joined = self.join(other);
        (joined != Self::String || self == other).then_some(joined)
    }

    /// Whether it is time, and remembers nothing of how it was written.
    pub fn keeps_instants(self) -> bool {
        matches!(self, Self::NaiveDatetime(None) | Self::UtcDatetime(None))
    }

    /// The type with nothing remembered of how times were written.
    #[must_use]
    pub fn without_format(self) -> Self {
        match self {
            Self::NaiveDatetime(_) => Self::NaiveDatetime(None),
            Self::UtcDatetime(_) => Self::UtcDatetime(None),
            other => other,
        }
    }

    fn join_decimal(self, other: Self) -> Self {
        let ((whole_a, scale_a), (whole_b, scale_b)) = (self.decimal_digits(), other.decimal_digits());
        let (whole, scale) = (whole_a.max(whole_b), scale_a.max(scale_b));
        if whole + scale > DECIMAL_DIGITS_MAX {
            return Self::String;
        }
        Self::Decimal { precision: whole + scale, scale }
    }

    /// Digits before and after the point.
    fn decimal_digits(self) -> (u8, u8) {
        match self {
            Self::Decimal { precision, scale } => (precision - scale, scale),
            Self::Long { exact: true } => (EXACT_DIGITS, 0),
            _ => (LONG_DIGITS, 0),
        }
    }
}

/// The text kept in the warehouse's catalog: the name people see, and in brackets what else is remembered:
/// `LONG`, `LONG[53]` (exact), `UTC_DATETIME[T3Z]`, `NAIVE_DATETIME[_0]` (a space, no fraction).
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.data_type())?;
        match self {
            Self::Long { exact: true } => f.write_str("[53]"),
            Self::NaiveDatetime(Some(format)) | Self::UtcDatetime(Some(format)) => {
                let separator = if format.separator == 'T' { 'T' } else { '_' };
                write!(f, "[{separator}{}", format.fraction_digits)?;
                if let Some(offset) = format.offset {
                    write!(f, "{offset}")?;
                }
                f.write_str("]")
            }
            _ => Ok(()),
        }
    }
}

/// A text that is no column type.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no column type")]
pub struct UnknownColumnType(String);

impl FromStr for ColumnType {
    type Err = UnknownColumnType;

    fn from_str(text: &str) -> Result<Self, UnknownColumnType> {
        parse(text).ok_or_else(|| UnknownColumnType(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<ColumnType> {
    let (name, detail) = match text.split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
        None => (text, None),
    };
    if let Some(arguments) = name.strip_prefix("DECIMAL(") {
        let (precision, scale) = arguments.strip_suffix(')')?.split_once(',')?;
        let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
        let exists = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision;
        return exists.then_some(ColumnType::Decimal { precision, scale });
    }
    Some(match name {
        "BOOLEAN" => ColumnType::Boolean,
        "SHORT" => ColumnType::Short,
        "INT" => ColumnType::Int,
        "LONG" => match detail {
            None => ColumnType::Long { exact: false },
            Some("53") => ColumnType::Long { exact: true },
            Some(_) => return None,
        },
        "FLOAT" => ColumnType::Float,
        "DOUBLE" => ColumnType::Double,
        "NAIVE_DATE" => ColumnType::NaiveDate,
        "NAIVE_TIME" => ColumnType::NaiveTime,
        "NAIVE_DATETIME" => ColumnType::NaiveDatetime(parse_format(detail, false)?),
        "UTC_DATETIME" => ColumnType::UtcDatetime(parse_format(detail, true)?),
        "BINARY" => ColumnType::Binary,
        "XML" => ColumnType::Xml,
        "STRING" => ColumnType::String,
        "JSON" => ColumnType::Json,
        _ => return None,
    })
}

/// `Some(None)` for no detail, `None` for a detail that is no format.
#[expect(clippy::option_option, reason = "no detail and no valid detail are two different answers")]
fn parse_format(detail: Option<&str>, is_utc: bool) -> Option<Option<TimeFormat>> {
    let Some(detail) = detail else { return Some(None) };
    let mut letters = detail.chars();
    let separator = match letters.next()? {
        'T' => 'T',
        '_' => ' ',
        _ => return None,
    };
    let fraction_digits = u8::try_from(letters.next()?.to_digit(10)?).ok().filter(|digits| *digits <= 6)?;
    let offset = match letters.as_str() {
        "" => None,
        "Z" => Some(Offset::Zulu),
        text => {
            let negative = text.starts_with('-');
            let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
            let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
            (hours < 24 && minutes < 60).then_some(())?;
            Some(Offset::Minutes { negative, minutes: hours * 60 + minutes })
        }
    };
    (offset.is_some() == is_utc).then_some(Some(TimeFormat { separator, fraction_digits, offset }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The types that values have by themselves, each with a value.
    fn inferred() -> Vec<(ColumnType, &'static str)> {
        vec![
            (ColumnType::Boolean, "`true`"),
            (ColumnType::Long { exact: true }, "`7`"),
            (ColumnType::Long { exact: false }, "`9007199254740993` (past 2^53)"),
            (ColumnType::Decimal { precision: 38, scale: 0 }, "`9223372036854775808` (past 64 bits)"),
            (ColumnType::Decimal { precision: 22, scale: 2 }, "`12345678901234567890.25`"),
            (ColumnType::Double, "`1.5`"),
            (ColumnType::NaiveDate, "`\"2024-02-29\"`"),
            (ColumnType::NaiveDatetime(None), "`\"2024-02-29T12:00:00\"`"),
            (ColumnType::UtcDatetime(None), "`\"2024-02-29T12:00:00Z\"`"),
            (ColumnType::Json, "`{\"a\": 1}`, `[1]`"),
            (ColumnType::String, "`\"text\"`, `1e400`"),
        ]
    }

    /// The part of docs/TYPES.md that follows from the lattice.
    fn matrix() -> String {
        use std::fmt::Write as _;
        let types = inferred();
        let mut page = String::from("| value | type |\n|---|---|\n");
        for (column_type, value) in &types {
            let _ = writeln!(page, "| {value} | {} |", column_type.data_type());
        }
        page.push_str("\n| |");
        for (column_type, _) in &types {
            let _ = write!(page, " {} |", short(*column_type));
        }
        page.push_str("\n|---|");
        page.push_str(&"---|".repeat(types.len()));
        for (left, _) in &types {
            let _ = write!(page, "\n| **{}** |", short(*left));
            for (right, _) in &types {
                let _ = write!(page, " {} |", short(left.join(*right)));
            }
        }
        page + "\n"
    }

    fn short(column_type: ColumnType) -> String {
        match column_type {
            ColumnType::Long { exact: false } => "LONG past 2^53".to_owned(),
            other => other.data_type().to_string(),
        }
    }

    #[test]
    fn the_page_of_types_shows_the_lattice() {
        let page = include_str!("../../../../docs/TYPES.md");
        let expected = matrix();
        assert!(page.contains(&expected), "docs/TYPES.md should contain:\n{expected}");
    }

    fn any_type() -> impl Strategy<Value = ColumnType> {
        let offset = prop_oneof![
            Just(None),
            Just(Some(Offset::Zulu)),
            Just(Some(Offset::Minutes { negative: true, minutes: 90 }))
        ];
        let time = (any::<bool>(), 0u8..7, offset).prop_map(|(space, fraction_digits, offset)| {
            let format = Some(TimeFormat { separator: if space { ' ' } else { 'T' }, fraction_digits, offset });
            if offset.is_some() { ColumnType::UtcDatetime(format) } else { ColumnType::NaiveDatetime(format) }
        });
        let decimal = (0u8..=38, 0u8..=38).prop_filter_map("a precision", |(whole, scale)| {
            let precision = whole + scale;
            (1..=38).contains(&precision).then_some(ColumnType::Decimal { precision, scale })
        });
        let plain =
            prop::sample::select(inferred().into_iter().map(|(column_type, _)| column_type).collect::<Vec<_>>());
        prop_oneof![plain, time, decimal]
    }

    proptest! {
        #[test]
        fn widening_is_a_lattice(a in any_type(), b in any_type(), c in any_type()) {
            prop_assert_eq!(a.join(a), a);
            prop_assert_eq!(a.join(b), b.join(a));
            prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
            // Monotone: what is joined stays above both.
            prop_assert_eq!(a.join(b).join(a), a.join(b));
        }

        /// … whatever the order of the values.
        #[test]
        fn the_order_of_values_decides_nothing(types in prop::collection::vec(any_type(), 1..6), seed in any::<u64>()) {
            let mut shuffled = types.clone();
            let mut rest = seed;
            for last in (1..shuffled.len()).rev() {
                let count = last as u64 + 1;
                shuffled.swap(last, usize::try_from(rest % count).unwrap());
                rest /= count;
            }
            let join = |types: &[ColumnType]| types.iter().copied().reduce(ColumnType::join);
            prop_assert_eq!(join(&types), join(&shuffled));
            let join_key = |types: &[ColumnType]| {
                types[1..].iter().try_fold(types[0], |all, one| all.join_key(*one))
            };
            prop_assert_eq!(join_key(&types), join_key(&shuffled));
        }

        /// A key is never text because something else than text came.
        #[test]
        fn a_key_becomes_text_from_text_only(a in any_type(), b in any_type()) {
            prop_assert_eq!(a.join_key(b), b.join_key(a));
            if let Some(joined) = a.join_key(b) {
                prop_assert_eq!(joined, a.join(b));
                prop_assert!(joined != ColumnType::String || a == ColumnType::String && b == ColumnType::String);
            }
        }

        #[test]
        fn any_text_is_a_type_or_none(name in "[A-Z_]{3,14}", detail in "(\\[[T_x0-9+:Z-]{0,9}\\]?|\\([0-9]{1,3},[0-9]{1,3}\\))?") {
            if let Ok(column_type) = format!("{name}{detail}").parse::<ColumnType>() {
                prop_assert_eq!(column_type.to_string().parse::<ColumnType>().unwrap(), column_type);
            }
            for name in ["DECIMAL", "UTC_DATETIME", "NAIVE_DATETIME", "LONG"] {
                let _ = format!("{name}{detail}").parse::<ColumnType>();
            }
        }

        #[test]
        fn what_is_remembered_survives_the_catalog(a in any_type()) {
            prop_assert_eq!(a.to_string().parse::<ColumnType>().unwrap(), a);
        }
    }
}
