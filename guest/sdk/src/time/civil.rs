//! The calendar: days since 1970 to year, month, day and back, and the ways of writing them that are read here.

pub(super) const SECONDS_A_DAY: i64 = 86_400;

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Civil {
    /// Years are counted from March on, so that the leap day is a year's last; 400 of them have 146,097 days.
    pub(super) fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    pub(super) fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted_month = (self.month + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    fn exists(self) -> bool {
        (1..=12).contains(&self.month) && self.day >= 1 && Self::from_days(self.to_days()) == self
    }
}

/// Seconds since 1970, as if the place were UTC, and nanoseconds; and the place's offset where the text has one.
pub(super) type Local = (i64, u32, Option<i64>);

/// `2024-02-29T12:00:00.5+01:00`: RFC 3339, and what is written in its place: without the zone, the seconds, or the time.
pub(super) fn parse_iso(text: &str) -> Option<Local> {
    let (date, rest) = text.split_at_checked(10)?;
    let separator = date.as_bytes()[4] as char;
    let [year, month, day] = numbers(date, if separator == '/' { '/' } else { '-' }, [4, 2, 2])?;
    let day = Civil { year, month, day };
    let midnight = day.exists().then(|| day.to_days() * SECONDS_A_DAY)?;
    if rest.is_empty() {
        return Some((midnight, 0, None));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (minutes, rest) = rest.split_at_checked(5)?;
    let (seconds, nanoseconds, rest) = match rest.strip_prefix(':') {
        None => (seconds_of_day(&format!("{minutes}:00"))?, 0, rest),
        Some(rest) => {
            let (second, rest) = rest.split_at_checked(2)?;
            let seconds = seconds_of_day(&format!("{minutes}:{second}"))?;
            match rest.strip_prefix(['.', ',']) {
                None => (seconds, 0, rest),
                Some(rest) => fraction(rest).map(|(nanoseconds, rest)| (seconds, nanoseconds, rest))?,
            }
        }
    };
    let zone = rest.trim();
    let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
    Some((midnight + seconds, nanoseconds, offset))
}

/// `Sun, 06 Nov 1994 08:49:37 +0100`: RFC 2822, its older zones and years among it; the weekday and the seconds may be
/// missing. HTTP dates are written so.
pub(super) fn parse_rfc2822(text: &str) -> Option<Local> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let [day, month, year, time, zone] = text.split_whitespace().take(5).collect::<Vec<_>>().try_into().ok()?;
    let month = month.to_ascii_lowercase();
    let month = (1..=12).zip(MONTHS).find_map(|(number, name)| (name == month).then_some(number))?;
    let year = match (year.len(), number(year, year.len())?) {
        (2, year) if year < 50 => 2000 + year,
        (2 | 3, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    let day = Civil { year, month, day: number(day, day.len()).filter(|_| day.len() <= 2)? };
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    let midnight = day.exists().then(|| day.to_days() * SECONDS_A_DAY)?;
    Some((midnight + seconds_of_day(&time)?, 0, Some(offset(zone)?)))
}

/// `+01:00`, `+0100`, `+01` or a name in seconds. Names are those of RFC 2822; no others mean the same everywhere.
pub(super) fn offset(text: &str) -> Option<i64> {
    const NAMES: [(&str, i64); 12] = [
        ("Z", 0),
        ("UTC", 0),
        ("GMT", 0),
        ("UT", 0),
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
    ];
    if let Some((_, hours)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(hours * 3600);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?;
    let [hours, minutes] = match digits.len() {
        2 => [number(digits, 2)?, 0],
        4 => [number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?],
        _ => numbers(digits, ':', [2, 2])?,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `1700000000.25` in whole units and billionths of one; exponents as some languages write large numbers.
pub(super) fn parse_decimal(text: &str) -> Option<(i64, u32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: usize =
        exponent.strip_prefix('+').unwrap_or(exponent).parse().ok().filter(|exponent| *exponent <= 18)?;
    let (negative, digits) = mantissa.strip_prefix('-').map_or((false, mantissa), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<width$}", width = exponent + 9);
    let whole: i64 = format!("{whole}{}", &fraction[..exponent]).parse().ok()?;
    let billionths: u32 = fraction[exponent..exponent + 9].parse().ok()?;
    Some(match (negative, billionths) {
        (false, billionths) => (whole, billionths),
        (true, 0) => (-whole, 0),
        (true, billionths) => (-whole - 1, 1_000_000_000 - billionths),
    })
}

/// `12:00:00` in seconds; second 60 is a leap second.
fn seconds_of_day(text: &str) -> Option<i64> {
    let [hour, minute, second] = numbers(text, ':', [2, 2, 2])?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// The digits at the beginning of a text as nanoseconds, and the rest.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let nine = &format!("{digits:0<9}")[..9];
    if digits.is_empty() { None } else { Some((nine.parse().ok()?, rest)) }
}

/// Numbers of exactly so many digits, with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (slot, length) in numbers.iter_mut().zip(digits) {
        *slot = number(parts.next()?, length)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}
