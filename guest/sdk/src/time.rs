//! Instants, as states and sources write them: `2024-02-29T12:00:00Z`, and in the other forms that are in use.

mod civil;
mod format;

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::imports;
use civil::{Civil, SECONDS_A_DAY};

pub use format::TimeFormat;

/// An instant between the years 0 and 9999, to the nanosecond, without leap seconds.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let last: Timestamp = "2024-03-01T01:30:00+02:00".parse()?;
/// assert_eq!(last.to_string(), "2024-02-29T23:30:00Z");
/// let since = last - Duration::from_secs(3600); // read an hour again, for late records
/// assert_eq!(since.to_string(), "2024-02-29T22:30:00Z");
/// assert!(since < last);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Since 1970-01-01T00:00:00Z; negative before.
    seconds: i64,
    nanoseconds: u32,
}

/// 0000-01-01T00:00:00Z.
const SECONDS_MIN: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;

impl Timestamp {
    /// The present, by the host's clock, in whole seconds as sources compare them.
    pub fn now() -> Self {
        let since = imports::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_seconds(i64::try_from(since.as_secs()).unwrap_or(SECONDS_MAX))
    }

    /// Seconds since 1970-01-01T00:00:00Z. Years before 0 and after 9999 become the nearest instant there is.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::new(seconds, 0)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_milliseconds(milliseconds: i64) -> Self {
        let nanoseconds = u32::try_from(milliseconds.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
        Self::new(milliseconds.div_euclid(1000), nanoseconds)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_microseconds(microseconds: i64) -> Self {
        let nanoseconds = u32::try_from(microseconds.rem_euclid(1_000_000)).unwrap_or_default() * 1000;
        Self::new(microseconds.div_euclid(1_000_000), nanoseconds)
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_milliseconds(self) -> i64 {
        self.seconds * 1000 + i64::from(self.nanoseconds / 1_000_000)
    }

    /// Whole microseconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_microseconds(self) -> i64 {
        self.seconds * 1_000_000 + i64::from(self.nanoseconds / 1000)
    }

    /// Reads RFC 3339 (also with a space for the `T`, in lower case, without seconds, or with a zone like `+0100` or
    /// ` UTC`) and RFC 2822. Digits past the nanosecond are dropped; second 60 is the next minute's first. A source error
    /// names the text. What is no instant by itself, a number or a time without a zone, is read with a [`TimeFormat`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (seconds, nanoseconds, offset) = match civil::parse_iso(text).or_else(|| civil::parse_rfc2822(text)) {
            Some((seconds, nanoseconds, Some(offset))) => (seconds, nanoseconds, offset),
            Some((.., None)) => {
                let problem =
                    format_args!("`{text}` has no time zone: read it with `TimeFormat::Naive` or `TimeFormat::Date`");
                return Err(Error::source(problem));
            }
            None => {
                let text = crate::record::start_of(text);
                return Err(Error::source(format_args!("`{text}` is no RFC 3339 timestamp")));
            }
        };
        Ok(Self::new(seconds - offset, nanoseconds))
    }

    /// The time from here to `end` in slices of `step`, the last one shorter: for sources that answer a month or a day at
    /// a time. Each gives its beginning and its end, which is the beginning of the next. A step below a second is one.
    ///
    /// ```
    /// use elt_sdk::prelude::*;
    ///
    /// let since: Timestamp = "2024-02-28T00:00:00Z".parse()?;
    /// let days: Vec<_> = since.slices("2024-03-01T12:00:00Z".parse()?, Duration::from_hours(24)).collect();
    /// assert_eq!(days.len(), 3);
    /// assert_eq!(days[2].0.to_string(), "2024-03-01T00:00:00Z");
    /// assert_eq!(days[2].1.to_string(), "2024-03-01T12:00:00Z");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slices(self, end: Self, step: Duration) -> impl Iterator<Item = (Self, Self)> {
        let step = step.max(Duration::from_secs(1));
        let starts = std::iter::successors(Some(self), move |&start| Some(start + step));
        starts.take_while(move |&start| start < end).map(move |start| (start, (start + step).min(end)))
    }

    fn new(seconds: i64, nanoseconds: u32) -> Self {
        match seconds {
            ..SECONDS_MIN => Self { seconds: SECONDS_MIN, nanoseconds: 0 },
            SECONDS_MIN..=SECONDS_MAX => Self { seconds, nanoseconds },
            _ => Self { seconds: SECONDS_MAX, nanoseconds: 999_999_999 },
        }
    }

    fn shifted(self, seconds: i64, nanoseconds: i64) -> Self {
        let nanoseconds = i64::from(self.nanoseconds) + nanoseconds;
        let seconds = self.seconds.saturating_add(seconds).saturating_add(nanoseconds.div_euclid(1_000_000_000));
        Self::new(seconds, u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The instant so much later, at most the end of the year 9999.
    fn add(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.shifted(seconds, duration.subsec_nanos().into())
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// The instant so much earlier, at least the beginning of the year 0.
    fn sub(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.shifted(-seconds, -i64::from(duration.subsec_nanos()))
    }
}

/// RFC 3339 in UTC, with as many digits of a second as it needs: none, 3, 6 or 9.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day } = Civil::from_days(self.seconds.div_euclid(SECONDS_A_DAY));
        let second = self.seconds.rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.nanoseconds {
            0 => f.write_str("Z"),
            n if n % 1_000_000 == 0 => write!(f, ".{:03}Z", n / 1_000_000),
            n if n % 1000 == 0 => write!(f, ".{:06}Z", n / 1000),
            n => write!(f, ".{n:09}Z"),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the form HTTP dates are sent in, as seconds since 1970.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    civil::parse_rfc2822(text.trim()).map(|(seconds, _, offset)| seconds - offset.unwrap_or_default())
}

/// Whether a field's value is a moment: written as one, or a number in a field that is called like one.
pub(crate) fn looks_like_moment(field: &str, value: &str) -> bool {
    let value = value.trim();
    if civil::parse_iso(value).or_else(|| civil::parse_rfc2822(value)).is_some() {
        return true;
    }
    let name = field.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let called = ["time", "date", "modified", "changed", "since", "timestamp"].iter().any(|word| name.contains(word));
    let called = called || name.ends_with("_at") || field.ends_with("At") || name == "ts";
    // From 1990 to 2100, in seconds, milliseconds, microseconds.
    let number = civil::parse_decimal(value).map_or(0, |(whole, _)| whole);
    called && [1, 1000, 1_000_000].iter().any(|unit| (631_152_000..4_102_444_800).contains(&(number / unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), expect, "{text}");
    }

    #[test]
    fn every_form_of_rfc_3339_is_read() {
        check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
        check("2024-02-29t23:59:59.5z", "2024-02-29T23:59:59.500Z");
        check("2024-02-29 23:59:59.123456789012+00:00", "2024-02-29T23:59:59.123456789Z");
        check("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z");
        check("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z");
        check("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z");
        check("9999-12-31T23:59:59.000001Z", "9999-12-31T23:59:59.000001Z");
    }

    #[test]
    fn anything_else_is_refused() {
        let texts = "2024-02-30T00:00:00Z|2023-02-29T00:00:00Z|2024-13-01T00:00:00Z|2024-00-01T00:00:00Z|\
            2024-01-01T24:00:00Z|2024-01-01T00:60:00Z|2024-01-01T00:00:61Z|2024-01-01T00:00:00.Z|\
            2024-01-01T00:00:00+24:00|2024-01-01T00:00:00Zx|+024-01-01T00:00:00Z||é|1700000000|\
            2024-01-01T00:00:00 Europe/Berlin|06 Nov 1994|Sun, 31 Feb 1994 08:49:37 GMT|32 Jan 2024 00:00:00 GMT";
        for text in texts.split('|') {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
        for text in ["2024-02-29", "2024-01-01T00:00:00", "2024-01-01 00:00"] {
            assert!(Timestamp::parse(text).unwrap_err().message().contains("no time zone"), "{text}");
        }
    }

    #[test]
    fn every_other_way_to_write_an_instant_is_read() {
        check("2024-02-29T12:00:00.000+0100", "2024-02-29T11:00:00Z");
        check("2024-02-29 12:00:00 UTC", "2024-02-29T12:00:00Z");
        check("2024-02-29T12:00Z", "2024-02-29T12:00:00Z");
        check("2024-02-29T12:00:00,25-05", "2024-02-29T17:00:00.250Z");
        check("Thu, 29 Feb 2024 12:00:00 +0100", "2024-02-29T11:00:00Z");
        check("29 feb 24 12:00 EST", "2024-02-29T17:00:00Z");
        check("Sun, 6 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z");
    }

    #[test]
    fn a_moment_is_known_by_its_form_or_by_its_name() {
        for (field, value) in [
            ("x", "2024-02-29T12:00:00Z"),
            ("x", "2024-02-29"),
            ("x", "2024/02/29 12:00:00"),
            ("x", "29 Feb 2024 12:00:00 GMT"),
            ("updated_at", "1700000000"),
            ("lastModified", "1700000000123"),
            ("/meta/ts", "1700000000.25"),
            ("createdAt", "1700000000123456"),
        ] {
            assert!(looks_like_moment(field, value), "{field} {value}");
        }
        for (field, value) in [
            ("id", "1700000000"),
            ("updated_at", "17"),
            ("name", "2024"),
            ("format", "1700000000"),
            ("id", "2024-02-29-0001"),
        ] {
            assert!(!looks_like_moment(field, value), "{field} {value}");
        }
    }

    #[test]
    fn durations_are_added_and_subtracted_and_stop_at_the_ends() {
        let at = Timestamp::parse("2024-03-01T00:00:00.25Z").unwrap();
        assert_eq!((at - Duration::from_millis(500)).to_string(), "2024-02-29T23:59:59.750Z");
        assert_eq!((at + Duration::from_millis(750)).to_string(), "2024-03-01T00:00:01Z");
        assert_eq!((at - Duration::MAX).to_string(), "0000-01-01T00:00:00Z");
        assert_eq!((at + Duration::MAX).to_string(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(Timestamp::from_unix_milliseconds(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn days_of_ten_thousand_years_survive_a_round_trip() {
        for day in (SECONDS_MIN / SECONDS_A_DAY..=SECONDS_MAX / SECONDS_A_DAY).step_by(11) {
            let at = Timestamp::from_unix_seconds(day * SECONDS_A_DAY);
            assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
        }
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37"), None);
        assert_eq!(parse_http_date("06 Nov"), None);
    }
}
