//! Cron expressions of five fields, in UTC. Pure.

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use model::error::{Code, Error, Result};

/// Characters of an expression.
const LENGTH_MAX: usize = 200;

/// A cron expression, understood.
#[derive(Clone, Debug)]
pub(super) struct Cron(croner::Cron);

impl Cron {
    /// Understands `minute hour day month weekday`, or says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refused = |text: &str| {
            Error::new(Code::RequestInvalid, format!("understand the cron expression \"{text}\"")).hint(
                "Write minute, hour, day of the month, month and day of the week, such as \"0 6 * * MON-FRI\" (UTC).",
            )
        };
        let fields = text.split_whitespace().count();
        if text.len() > LENGTH_MAX || fields != 5 {
            return Err(refused(&text.chars().take(LENGTH_MAX).collect::<String>()));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map(Self).map_err(|error| refused(text).because(error))?;
        // What has no time after the beginning of 1970 has none at all.
        cron.next(0).map(|_| cron).ok_or_else(|| refused(text).because("there is no such time, ever"))
    }

    /// The next time after an instant, both in microseconds since 1970. None: there is none in reach.
    pub(super) fn next(&self, after_us: i64) -> Option<i64> {
        let after = Timestamp::from_microsecond(after_us).ok()?.to_zoned(TimeZone::UTC).datetime();
        let next = self.0.find_next_occurrence(&after, false).ok()?;
        Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    fn after(expression: &str, instant: &str) -> String {
        let instant: Timestamp = instant.parse().unwrap();
        time::text(Cron::parse(expression).unwrap().next(instant.as_microsecond()).unwrap())
    }

    #[test]
    fn expressions_name_times_in_utc() {
        for (expression, instant, next) in [
            ("*/15 * * * *", "2026-02-28T23:50:00Z", "2026-03-01T00:00:00.000Z"),
            ("0 6 * * MON-FRI", "2026-11-27T06:00:00Z", "2026-11-30T06:00:00.000Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"),
            ("30 2 1,15 * *", "2026-11-01T02:30:00.000001Z", "2026-11-15T02:30:00.000Z"),
            ("59 23 31 12 *", "2026-12-31T23:59:30Z", "2027-12-31T23:59:00.000Z"),
        ] {
            assert_eq!(after(expression, instant), next, "{expression}");
        }
    }

    #[test]
    fn a_day_that_never_comes_is_refused() {
        for never in ["0 0 30 2 *", "0 0 31 4,6 *"] {
            assert_eq!(Cron::parse(never).unwrap_err().code(), Code::RequestInvalid, "{never}");
        }
    }
}
