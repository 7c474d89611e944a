//! How long a source asks to be left alone, in all the ways in which sources say it. Pure.
//!
//! The standard knows seconds and a date (RFC 9110, section 10.2.3). Sources send fractions, units, lists, epochs and
//! half a dozen fields of their own besides, and the draft `RateLimit` in two forms. What cannot be understood is not
//! heard: the host then waits as long as it would without.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use reqwest::header::HeaderMap;

/// Fields that say how long to wait, whatever the status, with the unit of a bare number.
const ASKED: [(&str, Unit); 5] = [
    ("retry-after-ms", Unit::Milliseconds),
    ("x-ms-retry-after-ms", Unit::Milliseconds),
    ("retry-after", Unit::Seconds),
    ("x-retry-after", Unit::Seconds),
    ("x-ratelimit-retry-after", Unit::Seconds),
];

/// Fields that say when the source begins to count anew.
const RESET: [(&str, Unit); 8] = [
    ("x-ratelimit-reset-after", Unit::Seconds),
    ("ratelimit-reset", Unit::Seconds),
    ("x-ratelimit-reset", Unit::Seconds),
    ("x-rate-limit-reset", Unit::Seconds),
    ("x-ratelimit-reset-ms", Unit::Milliseconds),
    ("x-rate-limit-reset-ms", Unit::Milliseconds),
    ("x-ratelimit-reset-requests", Unit::Seconds),
    ("x-ratelimit-reset-tokens", Unit::Seconds),
];

/// Fields that say how many requests are left.
const REMAINING: [&str; 5] = [
    "ratelimit-remaining",
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
];

/// The unit of a number without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What an answer says about being asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    /// How long to wait.
    asked: Option<Duration>,
    /// When the source counts anew.
    reset: Option<Duration>,
    /// Whether a request is left; none: it does not say.
    is_exhausted: Option<bool>,
}

impl Hint {
    /// Reads the header fields of an answer.
    pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let texts = |name: &'static str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let longest = |fields: &[(&'static str, Unit)]| {
            fields.iter().find_map(|(name, unit)| texts(name).filter_map(|text| wait(text, *unit, now)).max())
        };
        let mut hint = Self { asked: longest(&ASKED), reset: longest(&RESET), is_exhausted: None };
        for text in REMAINING.into_iter().flat_map(texts) {
            let left = text.split([',', ';']).filter_map(|part| part.trim().parse::<f64>().ok());
            hint.count(left.fold(None, |least: Option<f64>, left| Some(least.map_or(left, |least| least.min(left)))));
        }
        for text in ["ratelimit", "x-ratelimit"].into_iter().flat_map(texts) {
            for policy in text.split(',').map(Policy::read).collect::<Vec<_>>().as_slice().chunk_by(Policy::continues) {
                hint.take(&Policy::merged(policy), now);
            }
        }
        hint
    }

    /// The wait that the source asks for with this status.
    pub(super) fn wait(&self, status: u16) -> Option<Duration> {
        // A counter that is not used up is not what the source refuses for, and its reset says nothing.
        let counts = self.is_exhausted.unwrap_or(matches!(status, 429));
        self.asked.or(self.reset.filter(|_| counts))
    }

    /// Whether it says that it was asked too often.
    pub(super) fn is_throttled(&self) -> bool {
        self.asked.is_some() || self.is_exhausted == Some(true)
    }

    fn count(&mut self, left: Option<f64>) {
        if let Some(left) = left {
            self.is_exhausted = Some(self.is_exhausted == Some(true) || left <= 0.0);
        }
    }

    /// The draft's field. Of several policies the one that is used up and takes longest counts.
    fn take(&mut self, policy: &Policy<'_>, now: SystemTime) {
        self.count(policy.remaining);
        if policy.remaining.is_none_or(|left| left <= 0.0) {
            let reset = policy.reset.and_then(|text| wait(text, Unit::Seconds, now));
            self.reset = self.reset.max(reset);
        }
    }
}

/// One policy of the draft's field: `limit=100, remaining=0, reset=5` in older drafts, `"burst";r=0;t=5` in newer ones.
#[derive(Clone, Copy, Debug, Default)]
struct Policy<'a> {
    remaining: Option<f64>,
    reset: Option<&'a str>,
    /// Whether it begins one: the older form gives every parameter an item of its own.
    is_named: bool,
}

impl<'a> Policy<'a> {
    fn read(text: &'a str) -> Self {
        let mut policy = Self::default();
        for part in text.split(';').map(str::trim) {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("r" | "remaining", value)) => policy.remaining = value.parse().ok(),
                Some(("t" | "reset", value)) => policy.reset = Some(value),
                Some(_) => {}
                None => policy.is_named = true,
            }
        }
        policy
    }

    fn continues(_: &Self, next: &Self) -> bool {
        !next.is_named
    }

    fn merged(parts: &[Self]) -> Self {
        parts.iter().fold(Self::default(), |all, part| Self {
            remaining: all.remaining.or(part.remaining),
            reset: all.reset.or(part.reset),
            is_named: true,
        })
    }
}

/// Reads one value. Of a list the longest wait counts; what is over is no wait.
fn wait(text: &str, unit: Unit, now: SystemTime) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    // A date may contain a comma.
    number(text, unit, now).or_else(|| length(text)).or_else(|| moment(text, now)).or_else(|| {
        let parts = text.contains(',').then(|| text.split(','));
        parts?.filter_map(|part| number(part.trim(), unit, now).or_else(|| length(part.trim()))).max()
    })
}

/// A bare number: a length of time, or a moment counted from 1970 where it is too large for one.
fn number(text: &str, unit: Unit, now: SystemTime) -> Option<Duration> {
    /// Larger numbers are moments in seconds, milliseconds, microseconds, nanoseconds.
    const MOMENTS: [(f64, f64, f64); 4] = [(1e9, 1e11, 1.0), (1e11, 1e14, 1e3), (1e14, 1e17, 1e6), (1e17, 1e20, 1e9)];
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.starts_with(|c: char| c.is_ascii_digit());
    let value: f64 = plain.then(|| text.parse().ok())??;
    for (least, most, scale) in MOMENTS {
        if (least..most).contains(&value) && !(unit == Unit::Milliseconds && value < 1e11) {
            return Some(until(Duration::try_from_secs_f64(value / scale).ok()?, now));
        }
    }
    let seconds = if unit == Unit::Milliseconds { value / 1e3 } else { value };
    // More than fits is still a number, and a long wait.
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// A length with units: `30s`, `6m0s`, `1.5 seconds`, `PT30S`.
fn length(text: &str) -> Option<Duration> {
    let length: SignedDuration = text.to_ascii_lowercase().parse().or_else(|_| text.parse()).ok()?;
    Some(Duration::try_from(length).unwrap_or_default())
}

/// A moment: HTTP's dates, those of mail, RFC 3339 and ISO 8601; without a zone it is UTC.
fn moment(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let found = text.parse::<Timestamp>().ok().or_else(|| {
        let mail = jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
        mail.or_else(|| Some(text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()))
    })?;
    Some(SystemTime::from(found).duration_since(now).unwrap_or_default())
}

/// How long it is until a moment counted from 1970.
fn until(moment: Duration, now: SystemTime) -> Duration {
    moment.saturating_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    /// Sun, 06 Nov 1994 08:49:37 GMT would be too early to be told from a length: Fri, 20 Nov 2026 08:00:00 GMT.
    const NOW_S: u64 = 1_795_161_600;

    fn read(fields: &[(&str, &str)]) -> Hint {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Hint::read(&headers, UNIX_EPOCH + Duration::from_secs(NOW_S))
    }

    /// The wait in milliseconds.
    fn ms(status: u16, fields: &[(&str, &str)]) -> Option<u128> {
        read(fields).wait(status).map(|wait| wait.as_millis())
    }

    #[test]
    fn retry_after_is_heard_in_every_form() {
        for (text, wanted) in [
            ("7", Some(7_000)),
            (" 7 ", Some(7_000)),
            ("0", Some(0)),
            ("\"7\"", Some(7_000)),
            ("0.493", Some(493)),
            ("1.5", Some(1_500)),
            ("7.0", Some(7_000)),
            ("2814, 2", Some(2_814_000)),
            ("2,2814", Some(2_814_000)),
            ("30s", Some(30_000)),
            ("30 seconds", Some(30_000)),
            ("6m0s", Some(360_000)),
            ("500ms", Some(500)),
            ("PT30S", Some(30_000)),
            ("1795161620", Some(20_000)),
            ("1795161620.5", Some(20_500)),
            ("1795161620000", Some(20_000)),
            ("1795161620000000", Some(20_000)),
            ("1795161500", Some(0)),
            ("Fri, 20 Nov 2026 08:00:20 GMT", Some(20_000)),
            ("Friday, 20-Nov-26 08:00:20 GMT", Some(20_000)),
            ("Fri Nov 20 08:00:20 2026", Some(20_000)),
            ("Fri, 20 Nov 2026 09:00:20 +0100", Some(20_000)),
            ("20 Nov 2026 08:00:20 +0000", Some(20_000)),
            ("2026-11-20T08:00:20Z", Some(20_000)),
            ("2026-11-20T09:00:20+01:00", Some(20_000)),
            ("2026-11-20 08:00:20", Some(20_000)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("31536000", Some(31_536_000_000)),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("+1", None),
            ("nan", None),
            ("inf", None),
            ("1e9", None),
            ("0x10", None),
            ("Sun, 99 Nov 1994 08:49:57 GMT", None),
        ] {
            assert_eq!(ms(429, &[("retry-after", text)]), wanted, "{text:?}");
            assert_eq!(ms(503, &[("retry-after", text)]), wanted, "{text:?}");
        }
        let endless = ms(429, &[("retry-after", "99999999999999999999999999")]);
        assert!(endless.is_some_and(|wait| wait > 1_000_000_000_000));
        assert_eq!(ms(429, &[("retry-after-ms", "1500"), ("retry-after", "2")]), Some(1_500));
        assert_eq!(ms(429, &[("x-ms-retry-after-ms", "20.5")]), Some(20));
        assert_eq!(ms(429, &[("retry-after", "1"), ("retry-after", "4")]), Some(4_000));
        assert_eq!(ms(429, &[("retry-after", "soon"), ("x-ratelimit-reset", "4")]), Some(4_000));
    }

    #[test]
    fn resets_count_where_the_counter_is_used_up() {
        for name in ["x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after"] {
            for (text, wanted) in [
                ("5", 5_000),
                ("0.25", 250),
                ("1795161605", 5_000),
                ("1795161605000", 5_000),
                ("6m0s", 360_000),
                ("2026-11-20T08:00:05Z", 5_000),
            ] {
                assert_eq!(ms(429, &[(name, text)]), Some(wanted), "{name}: {text}");
                assert_eq!(ms(503, &[(name, text)]), None, "{name}: {text}");
            }
        }
        for remaining in ["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"] {
            let hint = read(&[(remaining, "0"), ("x-ratelimit-reset", "5")]);
            assert!(hint.is_throttled() && hint.wait(403) == Some(Duration::from_secs(5)), "{remaining}");
            let hint = read(&[(remaining, "17"), ("x-ratelimit-reset", "5")]);
            assert!(!hint.is_throttled() && hint.wait(429).is_none(), "{remaining}");
            assert!(read(&[(remaining, "9, 0;w=1")]).is_throttled(), "{remaining}");
        }
        assert_eq!(read(&[("x-request-id", "7")]), Hint::default());
    }

    #[test]
    fn the_drafts_field_is_heard_in_both_forms() {
        for (text, wanted) in [
            ("limit=100, remaining=0, reset=5", Some(5_000)),
            ("limit=100,remaining=50,reset=5", None),
            ("\"default\";r=0;t=5", Some(5_000)),
            ("\"default\";r=50;t=5", None),
            ("\"burst\";r=0;t=5, \"daily\";r=900;t=3600", Some(5_000)),
            ("\"burst\";r=0;t=5, \"daily\";r=0;t=60", Some(60_000)),
            ("nonsense", None),
        ] {
            assert_eq!(ms(429, &[("ratelimit", text)]), wanted, "{text}");
        }
    }
}
