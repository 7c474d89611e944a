//! Reading and writing times, held against another implementation of RFC 3339 and of the calendar.

use proptest::prelude::*;

use super::*;

fn micros_of(text: &str) -> i64 {
    match moment(text) {
        Some(Moment::Timestamp { micros, .. }) => micros,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn known_instants() {
    assert_eq!(micros_of("1970-01-01T00:00:00Z"), 0);
    assert_eq!(micros_of("2024-02-29T12:34:56.789Z"), 1_709_210_096_789_000);
    assert_eq!(micros_of("2024-02-29T12:34:56+02:00"), 1_709_202_896_000_000);
    assert_eq!(micros_of("1969-12-31 23:59:59.000001"), -999_999);
    assert_eq!(moment("0001-01-01"), Some(Moment::Date(-719_162)));
}

#[test]
fn one_instant_has_many_spellings() {
    for text in [
        "2024-02-29T12:00:00.5Z",
        "2024-02-29T12:00:00.500Z",
        "2024-02-29T12:00:00.500000000Z",
        "2024-02-29t12:00:00.5z",
        "2024-02-29 12:00:00.5+00:00",
        "2024-02-29 12:00:00.50-00:00",
        "2024-02-29T17:30:00.5000000+05:30",
        "2024-03-01T11:59:00.5+23:59",
        "2024-02-28T12:01:00.5-23:59",
    ] {
        assert_eq!(micros_of(text), 1_709_208_000_500_000, "{text}");
        assert_eq!(free_moment_text(micros_of(text), true), "2024-02-29T12:00:00.5Z", "{text}");
    }
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
        "2024-01-01_00:00:00Z",
        "2024-01-01T00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00,5Z",
        "2024-01-01T00:00:00.1234567Z",
        "2024-01-01T00:00:00.000000001Z",
        "2024-01-01T00:00:00.5000000000Z",
        "2024-01-01T00:00:00+0200",
        "2024-01-01T00:00:00+02",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00 Z",
        "2024-01-01 ",
        "2024-01-01T00:00:00Zx",
        "-024-01-01",
        "+02024-01-01",
        "２024-01-01",
        // Years 0 and 10000 in UTC.
        "0001-01-01T00:00:00+00:01",
        "0001-01-01T23:58:59.999999+23:59",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T00:01:00-23:59",
    ] {
        assert_eq!(moment(text), None, "{text}");
    }
}

#[test]
fn the_first_and_the_last_instant() {
    assert_eq!(free_moment_text(micros_of("0001-01-01T23:59:00+23:59"), true), "0001-01-01T00:00:00Z");
    assert_eq!(free_moment_text(micros_of("9999-12-31T00:00:59.999999-23:59"), true), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn a_declared_time_has_any_number_of_digits() {
    let Some(Moment::Timestamp { micros, .. }) = declared_moment("1970-01-01T00:00:01.500000000000Z") else {
        panic!("not read")
    };
    assert_eq!(micros, 1_500_000);
    assert_eq!(declared_moment("1970-01-01T00:00:01.500000000001Z"), None);
    assert_eq!(time_of_day("00:00:01.5000000"), Some(1_500_000));
    assert_eq!(time_of_day("00:00:01.5000001"), None);
}

/// What another implementation makes of an RFC 3339 timestamp with an offset. Its instants end a day before ours, so its local
/// times are taken.
fn instant(text: &str) -> Option<i64> {
    let (local, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, 0),
        None => {
            let (local, offset) = text.split_at(text.len() - 6);
            let minutes = offset[1..3].parse::<i128>().ok()? * 60 + offset[4..].parse::<i128>().ok()?;
            (local, if offset.starts_with('-') { -minutes } else { minutes })
        }
    };
    let since = |time: jiff::civil::DateTime| {
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        time.duration_since(epoch).as_nanos()
    };
    let nanos = since(local.parse().ok()?) - offset * 60_000_000_000;
    let years = since(jiff::civil::date(1, 1, 1).at(0, 0, 0, 0))..=since(jiff::civil::DateTime::MAX);
    (years.contains(&nanos) && nanos % 1_000 == 0).then(|| i64::try_from(nanos / 1_000).unwrap())
}

prop_compose! {
    /// A timestamp with an offset, or nearly one.
    fn spelled()(
        year in prop_oneof![0i32..3, 1960i32..2040, 9997i32..=9999], month in 0u8..14, day in 0u8..33, hour in 0u8..25,
        minute in 0u8..61, second in 0u8..60, separator in "[Tt ]", fraction in "(\\.[0-9]{1,6}0{0,3}|\\.[0-9]{7,9})?",
        offset in "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])",
    ) -> String {
        format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{offset}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever RFC 3339 allows is the instant that another implementation reads, and what one refuses the other does.
    #[test]
    fn instants_are_those_of_another_implementation(text in spelled()) {
        let read = moment(&text).map(|moment| match moment {
            Moment::Timestamp { micros, is_utc: true, .. } => micros,
            other => panic!("{text}: {other:?}"),
        });
        prop_assert_eq!(read, instant(&text), "{}", text);
    }

    /// The normal form is read as the same instant, here and elsewhere, and is its own normal form.
    #[test]
    fn the_normal_form_is_the_same_instant(micros in FIRST_DAY * DAY_MICROS..(LAST_DAY + 1) * DAY_MICROS) {
        let text = free_moment_text(micros, true);
        prop_assert_eq!(micros_of(&text), micros, "{}", &text);
        prop_assert_eq!(instant(&text), Some(micros), "{}", &text);
        let naive = free_moment_text(micros, false);
        prop_assert_eq!(micros_of(&naive), micros, "{}", &naive);
        prop_assert_eq!(format!("{naive}Z"), text);
    }

    /// Dates are those of another calendar.
    #[test]
    fn dates_are_those_of_another_implementation(year in 0i16..=9999, month in 0i8..14, day in 0i8..33) {
        let text = format!("{year:04}-{month:02}-{day:02}");
        let theirs = jiff::civil::Date::new(year, month, day).ok().filter(|date| date.year() > 0);
        let since = theirs.map(|date| (date - jiff::civil::date(1970, 1, 1)).get_days());
        prop_assert_eq!(days(&text), since);
        if let Some(since) = since {
            let mut written = String::new();
            date_text(since.into(), &mut written);
            prop_assert_eq!(written, text);
        }
    }

    /// A column with one format gives back the very bytes (`--timestamps exact`).
    #[test]
    fn a_format_gives_back_the_bytes(text in spelled(), is_naive in any::<bool>()) {
        let text = if is_naive { text[..19].to_owned() } else { text };
        if let Some(Moment::Timestamp { micros, format: Some(format), .. }) = moment(&text) {
            let mut written = String::new();
            timestamp_text(micros, format, &mut written);
            prop_assert_eq!(written, text);
        }
    }

    /// Any text at all is read without harm.
    #[test]
    fn any_text_is_read(text in "\\PC{0,40}", digits in "[0-9TtZz:. +-]{10,40}") {
        let _ = (moment(&text), declared_moment(&text), moment(&digits), time_of_day(&digits));
    }
}
