//! Strings that look like time: RFC 3339 timestamps and ISO 8601 dates, read so that the very bytes can be written again.

use std::fmt::Write as _;

use crate::schema::{ColumnType, Offset, TimeFormat};

const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// A date or timestamp and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970, in UTC if the format has an offset.
    Timestamp(i64, TimeFormat),
}

impl Moment {
    /// The least type that holds it.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Date(_) => ColumnType::NaiveDate,
            Self::Timestamp(_, format) if format.offset.is_some() => ColumnType::UtcDatetime(Some(*format)),
            Self::Timestamp(_, format) => ColumnType::NaiveDatetime(Some(*format)),
        }
    }
}

/// Reads `YYYY-MM-DD`, or that with `T` or a space, `HH:MM:SS`, up to 6 digits of a fraction, and `Z` or `±HH:MM` or
/// nothing. Years 0001 to 9999, dates that exist, no leap seconds. Anything else is just text.
pub fn moment(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || !bytes[0].is_ascii_digit() {
        return None;
    }
    let day = days(text.get(..10)?)?;
    if bytes.len() == 10 {
        return Some(Moment::Date(day));
    }
    let separator = match bytes[10] {
        b'T' => 'T',
        b' ' => ' ',
        _ => return None,
    };
    let clock = seconds(bytes.get(11..19)?)?;
    let (fraction_micros, fraction_digits, rest) = fraction(bytes.get(19..)?)?;
    let offset = offset(rest)?;
    let east_seconds = offset.map_or(0, Offset::east_minutes) * 60;
    let micros = (i64::from(day) * DAY_SECONDS + clock - east_seconds) * SECOND_MICROS + fraction_micros;
    Some(Moment::Timestamp(micros, TimeFormat { separator, fraction_digits, offset }))
}

/// Reads `HH:MM:SS` and up to 6 digits of a fraction: microseconds since midnight.
pub fn time_of_day(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let clock = seconds(bytes.get(..8)?)?;
    let (fraction_micros, _, rest) = fraction(bytes.get(8..)?)?;
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

/// A fraction if there is one: microseconds, digits, what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, u8, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, 0, bytes)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&length) {
        return None;
    }
    let value = i64::from(digits(&rest[..length])?) * 10i64.pow(u32::try_from(6 - length).ok()?);
    Some((value, u8::try_from(length).ok()?, &rest[length..]))
}

/// `Some(None)` for no offset, `None` for something that is no offset.
#[expect(clippy::option_option, reason = "no offset and no valid offset are two different answers")]
fn offset(bytes: &[u8]) -> Option<Option<Offset>> {
    match bytes {
        [] => Some(None),
        b"Z" => Some(Some(Offset::Zulu)),
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

/// Writes a moment as it was read.
pub fn moment_text(moment: Moment, out: &mut String) {
    match moment {
        Moment::Date(days) => date_text(i64::from(days), out),
        Moment::Timestamp(micros, format) => {
            let east_micros = format.offset.map_or(0, Offset::east_minutes) * 60 * SECOND_MICROS;
            let local = micros + east_micros;
            let day_micros = DAY_SECONDS * SECOND_MICROS;
            date_text(local.div_euclid(day_micros), out);
            out.push(format.separator);
            clock_digits(local.rem_euclid(day_micros), format.fraction_digits, out);
            match format.offset {
                Some(Offset::Zulu) => out.push('Z'),
                Some(offset) => drop(write!(out, "{offset}")),
                None => {}
            }
        }
    }
}

/// Two of thirteen columns of a usual record are times, so they are not written through the general formatter.
fn date_text(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    if !(0..=9_999).contains(&year) {
        let _ = write!(out, "{year:04}-{month:02}-{day:02}");
        return;
    }
    let mut text = *b"0000-00-00";
    put_digits(&mut text[..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..], day);
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
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
    out.push_str(text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default());
}

/// Fills a place with the last digits of a number that is not negative.
fn put_digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// A time whose format is not remembered: RFC 3339 with as many digits of a fraction as are not zero.
pub fn free_moment_text(micros: i64, is_utc: bool) -> String {
    let digits = (0..6).find(|digits| micros.rem_euclid(10i64.pow(6 - u32::from(*digits))) == 0).unwrap_or(6u8);
    let format = TimeFormat { separator: 'T', fraction_digits: digits, offset: is_utc.then_some(Offset::Zulu) };
    let mut text = String::with_capacity(32);
    moment_text(Moment::Timestamp(micros, format), &mut text);
    text
}

/// A time of day, in microseconds: `23:59:59.5`.
pub fn clock_text(micros: i64) -> String {
    free_moment_text(micros, false).split_off("1970-01-01T".len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants() {
        let micros = |text: &str| match moment(text) {
            Some(Moment::Timestamp(micros, _)) => micros,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(micros("1970-01-01T00:00:00Z"), 0);
        assert_eq!(micros("2024-02-29T12:34:56.789Z"), 1_709_210_096_789_000);
        assert_eq!(micros("2024-02-29T12:34:56+02:00"), 1_709_202_896_000_000);
        assert_eq!(micros("1969-12-31 23:59:59.000001"), -999_999);
        assert_eq!(moment("0001-01-01"), Some(Moment::Date(-719_162)));
    }

    #[test]
    fn what_only_looks_like_time_stays_text() {
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-1-1",
            "0000-01-01",
            "20240101",
            "2024-01-01T24:00:00Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01t00:00:00z",
            "2024-01-01T00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00+0200",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01 ",
            "2024-01-01T00:00:00Zx",
            "-024-01-01",
            "２024-01-01",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    proptest! {
        /// Rendering gives back the very bytes (docs/TYPES.md), whatever the format.
        #[test]
        fn a_moment_is_written_as_it_was_read(
            year in 1i32..=9999, month in 1i32..=12, day in 1i32..=31, clock in 0i64..86_400, fraction in "(\\.[0-9]{1,6})?",
            separator in "[T ]", offset in "(Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9])?",
        ) {
            let day = day.min(month_days(year, month));
            let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
            let text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
            let mut written = String::new();
            moment_text(moment(&text).unwrap(), &mut written);
            prop_assert_eq!(written, text);
        }
    }
}
