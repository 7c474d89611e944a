//! Strings that look like time: RFC 3339 timestamps and ISO 8601 dates, read to the microsecond or not at all.

use std::fmt::Write as _;

use crate::schema::{ColumnType, Offset, TimeFormat, Timestamps};

const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;
const DAY_MICROS: i64 = DAY_SECONDS * SECOND_MICROS;
/// The first and the last day of years 1 to 9999, in days since 1970-01-01: every warehouse holds instants between them, some
/// hold no others.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;
/// Digits of a fraction that a string may have to become time. Digits past `KEPT_DIGITS` have to be zeros.
const INFERRED_DIGITS_MAX: usize = 9;
/// A microsecond.
const KEPT_DIGITS: usize = 6;

/// A date or timestamp, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Days since 1970-01-01.
    Date(i32),
    /// A date and a time of day.
    Timestamp {
        /// Microseconds since 1970, in UTC for an instant.
        micros: i64,
        /// An instant: it was written with an offset from UTC.
        is_utc: bool,
        /// What gives the very bytes back; none for spellings of which a column does not remember how they were.
        format: Option<TimeFormat>,
    },
}

impl Moment {
    /// The least type that holds it; what `timestamps` asks to be text is text.
    pub fn column_type(&self, timestamps: Timestamps) -> ColumnType {
        match *self {
            _ if timestamps == Timestamps::Text => ColumnType::String,
            Self::Date(_) => ColumnType::NaiveDate,
            Self::Timestamp { format: None, .. } if timestamps == Timestamps::Exact => ColumnType::String,
            Self::Timestamp { is_utc, format, .. } => {
                let format = format.filter(|_| timestamps == Timestamps::Exact);
                if is_utc { ColumnType::UtcDatetime(format) } else { ColumnType::NaiveDatetime(format) }
            }
        }
    }
}

/// Reads `YYYY-MM-DD`, or that with `T`, `t` or a blank, `HH:MM:SS`, up to 9 digits of a fraction, of which those past the
/// microsecond are zeros, and `Z`, `z`, `±HH:MM` or nothing. Years 1 to 9999 (of instants in UTC), dates that exist, no leap
/// seconds. Anything else is just text.
pub fn moment(text: &str) -> Option<Moment> {
    read_moment(text, INFERRED_DIGITS_MAX)
}

/// The same for a column that is declared so: RFC 3339 knows no most digits of a fraction.
pub fn declared_moment(text: &str) -> Option<Moment> {
    read_moment(text, usize::MAX)
}

fn read_moment(text: &str, digits_max: usize) -> Option<Moment> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || !bytes[0].is_ascii_digit() {
        return None;
    }
    let day = days(text.get(..10)?)?;
    let Some(separator) = bytes.get(10) else { return Some(Moment::Date(day)) };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let clock = seconds(bytes.get(11..19)?)?;
    let (fraction_micros, digits, rest) = fraction(bytes.get(19..)?, digits_max)?;
    let offset = offset(rest)?;
    let east_seconds = offset.map_or(0, Offset::east_minutes) * 60;
    let seconds = i64::from(day) * DAY_SECONDS + clock - east_seconds;
    if !(FIRST_DAY * DAY_SECONDS..(LAST_DAY + 1) * DAY_SECONDS).contains(&seconds) {
        return None;
    }
    let is_remembered = *separator != b't' && rest != b"z" && digits <= KEPT_DIGITS;
    let format = TimeFormat {
        separator: if *separator == b' ' { ' ' } else { 'T' },
        fraction_digits: u8::try_from(digits.min(KEPT_DIGITS)).ok()?,
        offset,
    };
    Some(Moment::Timestamp {
        micros: seconds * SECOND_MICROS + fraction_micros,
        is_utc: offset.is_some(),
        format: is_remembered.then_some(format),
    })
}

/// Reads `HH:MM:SS` and a fraction, of which the digits past the microsecond are zeros: microseconds since midnight.
pub fn time_of_day(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let clock = seconds(bytes.get(..8)?)?;
    let (fraction_micros, _, rest) = fraction(bytes.get(8..)?, usize::MAX)?;
    rest.is_empty().then_some(clock * SECOND_MICROS + fraction_micros)
}

/// Reads `YYYY-MM-DD`: days since 1970-01-01.
pub fn days(text: &str) -> Option<i32> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let (month, day) = (digits(&bytes[5..7])?, digits(&bytes[8..])?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

fn digits(bytes: &[u8]) -> Option<i32> {
    bytes.iter().try_fold(0i32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0')))
}

fn month_days(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (the algorithm counts eras of 400 years from March).
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `HH:MM:SS` as seconds since midnight.
fn seconds(bytes: &[u8]) -> Option<i64> {
    if bytes.len() != 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (digits(&bytes[..2])?, digits(&bytes[3..5])?, digits(&bytes[6..])?);
    (hour < 24 && minute < 60 && second < 60).then(|| i64::from(hour * 3_600 + minute * 60 + second))
}

/// A fraction if there is one: microseconds, digits, what follows. None where there is more of it than microseconds.
fn fraction(bytes: &[u8], digits_max: usize) -> Option<(i64, usize, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, 0, bytes)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (written, rest) = rest.split_at(length);
    let (kept, spare) = written.split_at(length.min(KEPT_DIGITS));
    if kept.is_empty() || length > digits_max || spare.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let zeros = u32::try_from(KEPT_DIGITS - kept.len()).ok()?;
    Some((i64::from(digits(kept)?) * 10i64.pow(zeros), length, rest))
}

/// `Some(None)` for no offset, `None` for something that is no offset.
#[expect(clippy::option_option, reason = "no offset and no valid offset are two different answers")]
fn offset(bytes: &[u8]) -> Option<Option<Offset>> {
    match bytes {
        [] => Some(None),
        b"Z" | b"z" => Some(Some(Offset::Zulu)),
        [sign @ (b'+' | b'-'), clock @ ..] if clock.len() == 5 && clock[2] == b':' => {
            let (hours, minutes) = (digits(&clock[..2])?, digits(&clock[3..])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = u16::try_from(hours * 60 + minutes).ok()?;
            Some(Some(Offset::Minutes { negative: *sign == b'-', minutes }))
        }
        _ => None,
    }
}

/// Writes a timestamp in a format, `micros` in UTC if that has an offset.
pub fn timestamp_text(micros: i64, format: TimeFormat, out: &mut String) {
    let local = micros + format.offset.map_or(0, Offset::east_minutes) * 60 * SECOND_MICROS;
    date_text(local.div_euclid(DAY_MICROS), out);
    out.push(format.separator);
    clock_digits(local.rem_euclid(DAY_MICROS), format.fraction_digits, out);
    match format.offset {
        Some(Offset::Zulu) => out.push('Z'),
        // Writing into memory does not fail.
        Some(offset) => {
            let _ = write!(out, "{offset}");
        }
        None => {}
    }
}

/// Writes a date, in days since 1970-01-01. Two of thirteen columns of a usual record are times, so they are not written
/// through the general formatter.
pub fn date_text(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    if !(0..=9_999).contains(&year) {
        // Writing into memory does not fail.
        let _ = write!(out, "{year:04}-{month:02}-{day:02}");
        return;
    }
    let mut text = *b"0000-00-00";
    put_digits(&mut text[..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..], day);
    out.extend(text.map(char::from));
}

/// `HH:MM:SS` and so many digits of a fraction, of a time of day in microseconds.
fn clock_digits(micros: i64, fraction_digits: u8, out: &mut String) {
    let second = micros / SECOND_MICROS;
    let mut text = *b"00:00:00.000000";
    put_digits(&mut text[..2], second / 3_600);
    put_digits(&mut text[3..5], second / 60 % 60);
    put_digits(&mut text[6..8], second % 60);
    put_digits(&mut text[9..], micros % SECOND_MICROS);
    let length = if fraction_digits == 0 { 8 } else { 9 + usize::from(fraction_digits) };
    out.extend(text.into_iter().take(length).map(char::from));
}

/// Fills a place with the last digits of a number that is not negative.
fn put_digits(place: &mut [u8], number: i64) {
    let mut number = number.unsigned_abs();
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A time in the form in which a column gives it that does not remember how it was written: RFC 3339 with `T`, as many digits
/// of a fraction as are not zero, instants in UTC with `Z`.
pub fn free_moment_text(micros: i64, is_utc: bool) -> String {
    let spare = |digits: &u8| (*digits..6).fold(1, |spare, _| spare * 10);
    let fraction_digits = (0..6).find(|digits| micros.rem_euclid(spare(digits)) == 0).unwrap_or(6u8);
    let format = TimeFormat { separator: 'T', fraction_digits, offset: is_utc.then_some(Offset::Zulu) };
    let mut text = String::with_capacity(32);
    timestamp_text(micros, format, &mut text);
    text
}

/// A time of day, in microseconds: `23:59:59.5`.
pub fn clock_text(micros: i64) -> String {
    free_moment_text(micros, false).split_off("1970-01-01T".len())
}

#[cfg(test)]
mod tests;
