//! Numbers as JSON writes them: which type holds one exactly, and how it is written again.

use crate::schema::ColumnType;
use crate::schema::column_type::DECIMAL_DIGITS_MAX;

/// Integers up to here are exact in 64-bit floating point.
const EXACT_MAX: u64 = 1 << 53;
/// Every decimal of so many significant digits survives a 64-bit float (IEEE 754: `DBL_DIG`).
const SAFE_DIGITS: usize = 15;

/// A number, in the first of these that holds its value exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// An integer of 64 bits.
    Long(i64),
    /// What 64-bit floating point gives back as written, in value.
    Double(f64),
    /// Up to 38 digits: value = units / 10^scale.
    Decimal {
        /// The digits as an integer.
        units: i128,
        /// Digits in all, 38 for integers.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// None of these: kept as text.
    Text(&'a str),
}

impl Number<'_> {
    /// The least type that holds it.
    pub fn column_type(&self) -> ColumnType {
        match *self {
            Self::Long(value) => ColumnType::Long { exact: value.unsigned_abs() <= EXACT_MAX },
            Self::Double(_) => ColumnType::Double,
            Self::Decimal { precision, scale, .. } => ColumnType::Decimal { precision, scale },
            Self::Text(_) => ColumnType::String,
        }
    }
}

/// Reads a number from its JSON text.
pub fn number(raw: &str) -> Number<'_> {
    if raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return integer(raw);
    }
    match raw.parse::<f64>() {
        Ok(value) if value.is_finite() && is_exact(raw, value) => Number::Double(value),
        _ => decimal(raw).unwrap_or(Number::Text(raw)),
    }
}

fn integer(raw: &str) -> Number<'_> {
    if raw == "-0" {
        return Number::Double(-0.0);
    }
    if let Ok(value) = raw.parse::<i64>() {
        return Number::Long(value);
    }
    match raw.parse::<i128>() {
        Ok(units) if raw.trim_start_matches('-').len() <= usize::from(DECIMAL_DIGITS_MAX) => {
            Number::Decimal { units, precision: DECIMAL_DIGITS_MAX, scale: 0 }
        }
        _ => Number::Text(raw),
    }
}

/// Whether the shortest text that stands for `value` has the digits of `raw`.
fn is_exact(raw: &str, value: f64) -> bool {
    let Some(written) = Digits::read(raw) else { return false };
    if written.significant.is_empty() {
        return true;
    }
    // Below the normal range precision runs out digit by digit, so only the comparison tells.
    if written.significant.len() <= SAFE_DIGITS && value.abs() >= f64::MIN_POSITIVE {
        return true;
    }
    shortest(value).is_some_and(|kept| kept.significant == written.significant && kept.point == written.point)
}

fn decimal(raw: &str) -> Option<Number<'static>> {
    let written = Digits::read(raw)?;
    let length = i64::try_from(written.significant.len()).ok()?;
    let whole = written.point.max(0);
    let scale = (length - written.point).max(0);
    if whole + scale > i64::from(DECIMAL_DIGITS_MAX) {
        return None;
    }
    let scale = u8::try_from(scale).ok()?;
    let precision = u8::try_from(whole).ok()? + scale;
    let units = decimal_units(raw, scale)?;
    Some(Number::Decimal { units, precision: precision.max(1), scale })
}

/// `raw` as a whole number of 10^-scale; none if it is not one or has more than 38 digits.
pub fn decimal_units(raw: &str, scale: u8) -> Option<i128> {
    let written = Digits::read(raw)?;
    let zeros = i64::from(scale) + written.point - i64::try_from(written.significant.len()).ok()?;
    if written.significant.is_empty() {
        return Some(0);
    }
    if zeros < 0 || written.point + i64::from(scale) > i64::from(DECIMAL_DIGITS_MAX) {
        return None;
    }
    let digits: i128 = std::str::from_utf8(&written.significant).ok()?.parse().ok()?;
    let units = digits.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
    Some(if written.negative { -units } else { units })
}

/// A number taken apart: value = 0.DIGITS × 10^point, without zeros at either end of the digits.
struct Digits {
    negative: bool,
    significant: Vec<u8>,
    point: i64,
}

impl Digits {
    fn read(raw: &str) -> Option<Self> {
        let (negative, unsigned) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self { negative, significant: digits, point: point.checked_add(exponent)? })
    }
}

/// The shortest digits that give the float back; of two that are equally near the even one, as warehouses do (Rust's own
/// formatting takes the upper one).
fn shortest(value: f64) -> Option<Digits> {
    Digits::read(&serde_json::Number::from_f64(value)?.to_string())
}

/// A 64-bit float as JSON, shortest text that gives it back: `1`, `0.1`, `1e+16`, `1e-05`. Whole numbers are written as
/// integers are, so it does not matter whether a LONG became text by way of DOUBLE; the rest is the text of a warehouse's
/// own cast (DuckDB 1.5: positional from 1e-4 to below 1e16), so it does not matter where a column is widened.
pub fn double_text(value: f64) -> String {
    let Some(Digits { negative, significant: digits, point }) = shortest(value) else { return format!("{value}") };
    let sign = if negative { "-" } else { "" };
    let digits = String::from_utf8_lossy(&digits);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let whole_digits = usize::try_from(point).unwrap_or(0);
    match point - 1 {
        _ if digits.is_empty() => format!("{sign}0"),
        -4..=-1 => format!("{sign}0.{}{digits}", zeros(-point)),
        0..=15 => match digits.split_at_checked(whole_digits) {
            Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{digits}{}", "0".repeat(whole_digits - digits.len())),
        },
        exponent => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let direction = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{first}{dot}{rest}e{direction}{:02}", exponent.abs())
        }
    }
}

/// A 32-bit float, widened: the shortest text that gives its 32 bits back, in the form of `double_text`.
pub fn float_text(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the value came from 32 bits")]
    let narrow = value as f32;
    format!("{narrow:e}").parse().map_or_else(|_| format!("{narrow}"), double_text)
}

/// A decimal as JSON: `units` / 10^`scale`, without zeros at the end of the fraction.
pub fn units_text(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_are_written_as_the_warehouse_writes_them() {
        for (value, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (123.45, "123.45"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn decimals_are_written_without_padding() {
        for (units, scale, text) in
            [(150, 2, "1.5"), (-5, 3, "-0.005"), (1200, 0, "1200"), (0, 4, "0"), (-100, 2, "-1")]
        {
            assert_eq!(units_text(units, scale), text);
        }
    }

    #[test]
    fn exponents_beyond_reason_do_no_harm() {
        for raw in ["1e99999999999999999999", "1e-9223372036854775808", "0e999999999", "1e9223372036854775807"] {
            let _ = number(raw);
        }
        assert_eq!(number("0e999999999"), Number::Double(0.0));
    }

    proptest! {
        /// No value is lost: what `number` keeps has the digits of what was written.
        #[test]
        fn a_number_keeps_its_value(raw in "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,3})?") {
            let kept = match number(&raw) {
                Number::Long(value) => value.to_string(),
                Number::Double(value) => double_text(value),
                Number::Decimal { units, scale, .. } => units_text(units, scale),
                Number::Text(text) => text.to_owned(),
            };
            let (before, after) = (Digits::read(&raw).unwrap(), Digits::read(&kept).unwrap());
            prop_assert_eq!(&before.significant, &after.significant);
            prop_assert!(before.significant.is_empty() || (before.point == after.point && before.negative == after.negative));
        }
    }
}
