//! Instants as the server keeps them (microseconds since 1970) and as it tells them (RFC 3339).

pub(super) use stream::now_us;

/// Microseconds of a day.
const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// An instant in RFC 3339, UTC, with milliseconds.
pub(super) fn text(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |instant| format!("{instant:.3}"))
}

/// Days since 1970, UTC.
pub(super) fn day(us: i64) -> i64 {
    us.div_euclid(DAY_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_in_utc() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_709_208_000_000_000), "2024-02-29T12:00:00.000Z");
        assert_eq!((day(DAY_US - 1), day(DAY_US), day(-1)), (0, 1, -1));
    }
}
