//! Numbers as JSON writes them: which type holds one exactly, and how it is written again.

use std::borrow::Cow;

use crate::schema::ColumnType;
use crate::schema::column_type::DECIMAL_DIGITS_MAX;

/// Integers up to here are exact in 64-bit floating point.
const EXACT_MAX: u64 = 1 << 53;
/// Every decimal of so many significant digits survives a 64-bit float (IEEE 754: `DBL_DIG`).
const SAFE_DIGITS: usize = 15;
/// So many significant digits tell every 64-bit float from its neighbours, and many languages print as many.
const DOUBLE_DIGITS: usize = 17;
/// No 64-bit float has more significant digits in full.
const FLOAT_DIGITS_MAX: usize = 767;

/// A number, in the first of these that holds its value exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// An integer of 64 bits.
    Long(i64),
    /// What 64-bit floating point gives back as written, in its shortest form or in 17 digits. Zero has no sign: DuckDB does
    /// not keep it.
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

impl<'a> Number<'a> {
    /// The least type that holds it.
    pub fn column_type(&self) -> ColumnType {
        match *self {
            Self::Long(value) => ColumnType::Long { exact: value.unsigned_abs() <= EXACT_MAX },
            Self::Double(_) => ColumnType::Double,
            Self::Decimal { precision, scale, .. } => ColumnType::Decimal { precision, scale },
            Self::Text(_) => ColumnType::String,
        }
    }

    /// What it is as text, the same by way of any wider type.
    pub fn text(&self) -> Cow<'a, str> {
        match *self {
            Self::Long(value) => value.to_string().into(),
            Self::Double(value) => double_text(value).into(),
            Self::Decimal { units, scale, .. } => units_text(units, scale).into(),
            Self::Text(text) => text.into(),
        }
    }
}

/// Reads a number from its JSON text.
pub fn number(raw: &str) -> Number<'_> {
    if raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return integer(raw);
    }
    match raw.parse::<f64>() {
        // Adding zero takes the sign from zero.
        Ok(value) if value.is_finite() && is_double(raw, value) => Number::Double(value + 0.0),
        _ => decimal(raw).unwrap_or(Number::Text(raw)),
    }
}

fn integer(raw: &str) -> Number<'_> {
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

/// Whether `raw` has the digits of the shortest text that stands for `value`, or those of its first 17 digits.
fn is_double(raw: &str, value: f64) -> bool {
    let Some(written) = Digits::read(raw) else { return false };
    let count = written.significant.len();
    // Below the normal range precision runs out digit by digit, so only the comparison tells.
    if count == 0 || count <= SAFE_DIGITS && value.abs() >= f64::MIN_POSITIVE {
        return true;
    }
    count <= DOUBLE_DIGITS
        && (shortest(value).is_some_and(|kept| kept == written) || written.is_rounded(value, DOUBLE_DIGITS))
}

/// The 64-bit float that a number in JSON is a rendering of: its shortest, or the float rounded to as many digits as are
/// written. For columns that are declared so.
pub fn double(raw: &str) -> Option<f64> {
    let (written, value) = (Digits::read(raw)?, raw.parse::<f64>().ok()?);
    let is_given_back = written.is_shortest(value) || written.is_rounded(value, written.count());
    (value.is_finite() && is_given_back).then_some(value + 0.0)
}

/// The same for a 32-bit float.
pub fn float(raw: &str) -> Option<f32> {
    let (written, value) = (Digits::read(raw)?, raw.parse::<f32>().ok()?);
    let is_given_back = written.is_shortest(value) || written.is_rounded(value, written.count());
    (value.is_finite() && is_given_back).then_some(value + 0.0)
}

/// A number as CSV and XML have it, as JSON writes it: they also know `+5`, `007`, `.5` and `5.`. None for what is no number.
pub fn number_of_text(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        !digits.is_empty() && are_digits(digits)
    };
    if whole.len() + fraction.len() == 0
        || !are_digits(whole)
        || !are_digits(fraction)
        || !exponent.is_none_or(is_exponent)
    {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let (point, mark) = (if fraction.is_empty() { "" } else { "." }, if exponent.is_some() { "e" } else { "" });
    Some([sign, whole, point, fraction, mark, exponent.unwrap_or("")].concat())
}

fn decimal(raw: &str) -> Option<Number<'static>> {
    let written = Digits::read(raw)?;
    let length = i64::try_from(written.count()).ok()?;
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
    if written.significant.is_empty() {
        return Some(0);
    }
    let zeros = i64::from(scale) + written.point - i64::try_from(written.count()).ok()?;
    if zeros < 0 || written.point + i64::from(scale) > i64::from(DECIMAL_DIGITS_MAX) {
        return None;
    }
    let digits: i128 = std::str::from_utf8(&written.significant).ok()?.parse().ok()?;
    let units = digits.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
    Some(if written.negative { -units } else { units })
}

/// A number taken apart: value = 0.DIGITS × 10^point, without zeros at either end of the digits. No digits: zero.
#[derive(PartialEq, Eq)]
struct Digits {
    negative: bool,
    significant: Vec<u8>,
    point: i64,
}

impl Digits {
    /// None for what has an exponent past 32 bits and is not zero: nothing but text holds it.
    fn read(raw: &str) -> Option<Self> {
        let (negative, unsigned) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self { negative: false, significant: digits, point: 0 });
        }
        let exponent = match exponent {
            Some(exponent) => exponent.parse::<i32>().ok()?.into(),
            None => 0,
        };
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self { negative, significant: digits, point: point + exponent })
    }

    fn count(&self) -> usize {
        self.significant.len()
    }

    /// Whether these are the shortest digits that give a float of 64 or 32 bits back.
    fn is_shortest(&self, value: impl std::fmt::LowerExp) -> bool {
        Self::read(&format!("{value:e}")).as_ref() == Some(self)
    }

    /// Whether these are the first digits of a float of 64 or 32 bits, correctly rounded.
    fn is_rounded(&self, value: impl std::fmt::LowerExp, digits: usize) -> bool {
        digits <= FLOAT_DIGITS_MAX
            && Self::read(&format!("{value:.*e}", digits.saturating_sub(1))).as_ref() == Some(self)
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
    let Some(Digits { significant, point, .. }) = shortest(value) else { return format!("{value}") };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let digits: String = significant.into_iter().map(char::from).collect();
    match (usize::try_from(point), usize::try_from(-point)) {
        _ if digits.is_empty() => format!("{sign}0"),
        (_, Ok(zeros @ 0..=3)) => format!("{sign}0.{}{digits}", &"000"[..zeros]),
        (Ok(whole_digits @ 1..=16), _) => match digits.split_at_checked(whole_digits) {
            Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{digits:0<whole_digits$}"),
        },
        _ => {
            let (first, rest) = digits.split_at(1);
            let (dot, exponent) = (if rest.is_empty() { "" } else { "." }, point - 1);
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
mod tests;
