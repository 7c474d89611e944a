//! How a source writes its moments: read from its records, and written back in its requests.

use super::Timestamp;
use super::civil::{self, Civil, SECONDS_A_DAY};
use crate::error::{Error, Result};
use crate::record::start_of;

/// How a source writes moments.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let moment = TimeFormat::UnixMilliseconds.parse("1709208000250")?;
/// assert_eq!(moment.to_string(), "2024-02-29T12:00:00.250Z");
/// assert_eq!(TimeFormat::Naive("+02:00").parse("2024-02-29 14:00:00")?.to_string(), "2024-02-29T12:00:00Z");
/// assert_eq!(TimeFormat::Naive("+02:00").write(moment)?, "2024-02-29T14:00:00.250");
/// assert_eq!(TimeFormat::Date("Z").write(moment)?, "2024-02-29");
/// assert_eq!(TimeFormat::Rfc2822.write(moment)?, "Thu, 29 Feb 2024 12:00:00 +0000");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2024-02-29T12:00:00Z`, with any offset.
    #[default]
    Rfc3339,
    /// `Thu, 29 Feb 2024 12:00:00 +0000`.
    Rfc2822,
    /// Seconds since 1970, as a number or as text, also with a fraction.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
    /// Microseconds since 1970.
    UnixMicroseconds,
    /// `2024-02-29T12:00:00`, of a place with this offset (`"+02:00"`, `"Z"`); `2024-02-29 12:00:00`, `2024-02-29 12:00` and
    /// `2024/02/29 12:00` are read too. A text that has an offset of its own keeps it. Where clocks are put forward in
    /// summer, give the offset of winter, and a [`Window`](crate::pagination::Window) more than an hour of overlap.
    Naive(&'static str),
    /// `2024-02-29 12:00:00`, else as [`Naive`](Self::Naive).
    NaiveWithBlank(&'static str),
    /// `2024-02-29`, a day of a place with this offset; it stands for its beginning.
    Date(&'static str),
}

impl TimeFormat {
    /// Reads a moment; a source error names the text.
    pub fn parse(self, text: &str) -> Result<Timestamp> {
        let text = text.trim();
        let complain = || Error::source(format_args!("`{}` is no {self:?} moment", start_of(text)));
        let unix = |a_second: i64| {
            let (units, billionths) = civil::parse_decimal(text).ok_or_else(complain)?;
            let billionths_a_unit = 1_000_000_000 / a_second;
            let nanoseconds = units.rem_euclid(a_second) * billionths_a_unit + i64::from(billionths) / a_second;
            Ok(Timestamp::new(units.div_euclid(a_second), u32::try_from(nanoseconds).unwrap_or_default()))
        };
        match self {
            Self::Rfc3339 | Self::Rfc2822 => Timestamp::parse(text),
            Self::UnixSeconds => unix(1),
            Self::UnixMilliseconds => unix(1000),
            Self::UnixMicroseconds => unix(1_000_000),
            Self::Naive(zone) | Self::NaiveWithBlank(zone) | Self::Date(zone) => {
                let (seconds, nanoseconds, own) = civil::parse_iso(text).ok_or_else(complain)?;
                let offset = own.map_or_else(|| offset(zone), Ok)?;
                Ok(Timestamp::new(seconds - offset, nanoseconds))
            }
        }
    }

    /// Writes a moment as the source does, rounded down to what the form can say.
    pub fn write(self, moment: Timestamp) -> Result<String> {
        Ok(match self {
            Self::Rfc3339 => moment.to_string(),
            Self::Rfc2822 => rfc2822(moment),
            Self::UnixSeconds => moment.unix_seconds().to_string(),
            Self::UnixMilliseconds => moment.unix_milliseconds().to_string(),
            Self::UnixMicroseconds => moment.unix_microseconds().to_string(),
            Self::Naive(zone) => moment.shifted(offset(zone)?, 0).to_string().trim_end_matches('Z').to_owned(),
            Self::NaiveWithBlank(zone) => Self::Naive(zone).write(moment)?.replace('T', " "),
            Self::Date(zone) => moment.shifted(offset(zone)?, 0).to_string()[..10].to_owned(),
        })
    }
}

/// The offset of a zone that the connector's author wrote down.
fn offset(zone: &str) -> Result<i64> {
    let complain = || Error::internal(format_args!("`{zone}` is no offset from UTC: write `Z` or `+02:00`"));
    civil::offset(zone).ok_or_else(complain)
}

fn rfc2822(moment: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Day 0 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (day, second) = (moment.seconds.div_euclid(SECONDS_A_DAY), moment.seconds.rem_euclid(SECONDS_A_DAY));
    let Civil { year, month, day: of_month } = Civil::from_days(day);
    let name = |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at)).copied();
    let weekday = name(&DAYS, day.rem_euclid(7)).unwrap_or_default();
    let month = name(&MONTHS, month - 1).unwrap_or_default();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {of_month:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_the_form_it_is_declared_in() {
        let check = |format: TimeFormat, text: &str, expect: &str| {
            assert_eq!(format.parse(text).unwrap().to_string(), expect, "{format:?} {text}");
        };
        check(TimeFormat::UnixSeconds, "1709208000", "2024-02-29T12:00:00Z");
        check(TimeFormat::UnixSeconds, "1709208000.123456", "2024-02-29T12:00:00.123456Z");
        check(TimeFormat::UnixSeconds, "1.709208e9", "2024-02-29T12:00:00Z");
        check(TimeFormat::UnixSeconds, "-0.5", "1969-12-31T23:59:59.500Z");
        check(TimeFormat::UnixMilliseconds, "1709208000123", "2024-02-29T12:00:00.123Z");
        check(TimeFormat::UnixMilliseconds, "1709208000123.5", "2024-02-29T12:00:00.123500Z");
        check(TimeFormat::UnixMicroseconds, "1709208000123456", "2024-02-29T12:00:00.123456Z");
        check(TimeFormat::Naive("-08:00"), "2024-02-29T12:00:00.5", "2024-02-29T20:00:00.500Z");
        check(TimeFormat::Naive("-08:00"), "2024/02/29 12:00", "2024-02-29T20:00:00Z");
        check(TimeFormat::Naive("-08:00"), "2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z");
        check(TimeFormat::Date("+02:00"), "2024-03-01", "2024-02-29T22:00:00Z");
        check(TimeFormat::Rfc2822, "Thu, 29 Feb 2024 12:00:00 GMT", "2024-02-29T12:00:00Z");
        for (format, text) in [
            (TimeFormat::UnixSeconds, "soon"),
            (TimeFormat::UnixSeconds, "99999999999999999999"),
            (TimeFormat::UnixSeconds, ""),
            (TimeFormat::Naive("Z"), "0000-00-00 00:00:00"),
            (TimeFormat::Date("Z"), "29.02.2024"),
            (TimeFormat::Naive("Europe/Berlin"), "2024-02-29T12:00:00"),
        ] {
            assert!(format.parse(text).is_err(), "{format:?} {text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_never_later() {
        let formats = [
            TimeFormat::Rfc3339,
            TimeFormat::Rfc2822,
            TimeFormat::UnixSeconds,
            TimeFormat::UnixMilliseconds,
            TimeFormat::UnixMicroseconds,
            TimeFormat::Naive("+05:30"),
            TimeFormat::NaiveWithBlank("-03:30"),
            TimeFormat::Date("+14:00"),
        ];
        for seconds in (-3_000_000_000_i64..5_000_000_000).step_by(123_456_789) {
            let moment = Timestamp::new(seconds, 987_654_321);
            for format in formats {
                let again = format.parse(&format.write(moment).unwrap()).unwrap();
                assert!(
                    again <= moment && moment.unix_seconds() - again.unix_seconds() < SECONDS_A_DAY,
                    "{format:?} {moment}"
                );
            }
        }
    }
}
