//! The records of the cursor API, written as JSON by hand: it must cost the benchmarks next to nothing.

use super::draw::{Draw, scatter};
use super::options::Options;

const FIRST_NAMES: [&str; 16] = [
    "Amara", "Björn", "Chloé", "Dmitri", "Eleni", "Fatima", "George", "Hiroko", "Ingrid", "João", "Keanu", "Łucja",
    "Mei", "Noor", "Óscar", "Priya",
];
const LAST_NAMES: [&str; 16] = [
    "Adebayo",
    "Bianchi",
    "Castillo",
    "Dvořák",
    "Eriksson",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Nakamura",
    "O'Brien",
    "Petrov",
];
const STREETS: [&str; 8] = [
    "Chestnut Street",
    "Rue de la Paix",
    "Lindenstraße",
    "Avenida Paulista",
    "Harbour Road",
    "Calle Mayor",
    "Nørrebrogade",
    "Via Garibaldi",
];
const CITIES: [(&str, &str); 8] = [
    ("Lisboa", "PT"),
    ("Zürich", "CH"),
    ("Kraków", "PL"),
    ("São Paulo", "BR"),
    ("Portland", "US"),
    ("Osaka", "JP"),
    ("København", "DK"),
    ("Nairobi", "KE"),
];
const TAGS: [&str; 8] = ["new", "vip", "trial", "partner", "wholesale", "returning", "churn-risk", "newsletter"];
/// Already escaped for JSON, and different on purpose: plain text, other scripts, every kind of escape.
const NOTES: [&str; 12] = [
    "prefers to be called in the afternoon",
    "moved twice within the last year, check the address",
    r#"said \"please bring it back on Monday\""#,
    r"first line\nsecond line\twith a tab",
    r"keeps the files in C:\\data\\new",
    "naïve café, crème brûlée à la carte",
    "日本語のメモ、折り返し電話",
    r"snow \u2603 and a smile \ud83d\ude00",
    "🚀 launched, 🎉 celebrated",
    "Ελληνικά και кириллица",
    r"half\/half, 50 % off \u00e9t\u00e9",
    "asked for the invoice to be sent again by post",
];
const PLAIN: [&str; 6] = [
    "renewal is due in spring",
    "no open questions",
    "contract on file",
    "last contact by mail",
    "uses the mobile app",
    "reviewed by the second team",
];

/// The list of records behind `/cds_data`; nothing of it is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    pub(super) count: u64,
    seed: u64,
    text_keys: bool,
    /// 0: each record has its own.
    keys: u64,
}

impl Records {
    pub(super) fn new(options: &Options) -> Self {
        Self { count: options.records, seed: options.seed, text_keys: options.text_keys, keys: options.keys }
    }

    /// Appends the record at `index` (from 0) as a JSON object.
    pub(super) fn write(&self, index: u64, out: &mut Vec<u8>) {
        let mut draw = Draw::new(self.seed, index);
        text(out, r#"{"record_id":"#);
        self.write_key(index, out);
        write_person(&mut draw, index, out);
        write_numbers(&mut draw, out);
        write_address(&mut draw, out);
        write_tags(&mut draw, out);
        write_nickname(&mut draw, out);
        write_times(&mut draw, index, out);
        write_notes(&mut draw, out);
        out.push(b'}');
    }

    fn write_key(&self, index: u64, out: &mut Vec<u8>) {
        let index = index.checked_rem(self.keys).unwrap_or(index);
        if self.text_keys {
            // `scatter` gives no two positions the same bits, so the keys are unique.
            text(out, "\"rec_");
            for shift in (0..64).step_by(4).rev() {
                out.push(b"0123456789abcdef"[(scatter(index + 1) >> shift & 15) as usize]);
            }
            out.push(b'"');
        } else {
            number(out, index + 1);
        }
    }
}

fn write_person(draw: &mut Draw, index: u64, out: &mut Vec<u8>) {
    let (first, last) = (draw.pick(&FIRST_NAMES), draw.pick(&LAST_NAMES));
    text(out, r#","name":""#);
    text(out, first);
    out.push(b' ');
    text(out, last);
    text(out, r#"","email":"user"#);
    number(out, index + 1);
    text(out, draw.pick(&["@example.com\"", "@example.org\"", "@mail.example.net\""]));
}

fn write_numbers(draw: &mut Draw, out: &mut Vec<u8>) {
    text(out, r#","amount":"#);
    // Cents, so the text always has two digits after the point: 7.00, 123.45.
    let cents = draw.below(1_000_000);
    if draw.below(10) == 0 && cents > 0 {
        out.push(b'-');
    }
    number(out, cents / 100);
    out.push(b'.');
    digits(out, cents % 100, 2);
    text(out, r#","score":0."#);
    digits(out, draw.below(1_000_000) * 10 + 1 + draw.below(9), 7);
    text(out, if draw.below(3) == 0 { r#","active":false"# } else { r#","active":true"# });
}

fn write_address(draw: &mut Draw, out: &mut Vec<u8>) {
    let (city, country) = draw.pick(&CITIES);
    text(out, r#","address":{"street":""#);
    text(out, draw.pick(&STREETS));
    out.push(b' ');
    number(out, 1 + draw.below(199));
    text(out, r#"","city":""#);
    text(out, city);
    text(out, r#"","zip":""#);
    digits(out, draw.below(100_000), 5);
    text(out, r#"","country":""#);
    text(out, country);
    text(out, "\"}");
}

fn write_tags(draw: &mut Draw, out: &mut Vec<u8>) {
    text(out, r#","tags":["#);
    for place in 0..draw.below(4) {
        text(out, if place == 0 { "\"" } else { ",\"" });
        text(out, draw.pick(&TAGS));
        out.push(b'"');
    }
    out.push(b']');
}

/// A text, null or nothing at all: three different things.
fn write_nickname(draw: &mut Draw, out: &mut Vec<u8>) {
    match draw.below(8) {
        0 | 1 => text(out, r#","nickname":null"#),
        2 => {}
        _ => {
            text(out, r#","nickname":""#);
            text(out, draw.pick(&FIRST_NAMES));
            out.push(b'"');
        }
    }
}

fn write_times(draw: &mut Draw, index: u64, out: &mut Vec<u8>) {
    // 2021-01-01T00:00:00Z and later, a record every five minutes.
    let created = 1_609_459_200 + index * 300 % 100_000_000 + draw.below(300);
    text(out, r#","created_at":""#);
    timestamp(out, created);
    text(out, r#"Z","updated_at":""#);
    timestamp(out, created + draw.below(20_000_000));
    out.push(b'.');
    digits(out, draw.below(1000), 3);
    text(out, r#"Z","birth_date":""#);
    // Before and after 1970, leap days included.
    date(out, 706_000 + draw.below(25_000));
    out.push(b'"');
}

fn write_notes(draw: &mut Draw, out: &mut Vec<u8>) {
    text(out, r#","notes":""#);
    text(out, draw.pick(&NOTES));
    text(out, "; ");
    text(out, draw.pick(&PLAIN));
    out.push(b'"');
}

/// Appends a text that needs no escaping.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends a number in decimal.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    digits(out, value, value.checked_ilog10().unwrap_or(0) as usize + 1);
}

/// Appends the last `width` digits of a number, with zeros in front.
pub(super) fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Appends seconds since 1970 as `2024-02-29T12:34:56`, without a zone.
pub(super) fn timestamp(out: &mut Vec<u8>, seconds: u64) {
    date(out, 719_468 + seconds / 86_400);
    for (mark, value) in [(b'T', seconds / 3600 % 24), (b':', seconds / 60 % 60), (b':', seconds % 60)] {
        out.push(mark);
        digits(out, value, 2);
    }
}

/// Appends a day, counted from 0000-03-01, as `2024-02-29`.
///
/// Years are taken to begin in March, so that the leap day is the last; 400 of them are one cycle of 146,097 days.
pub(super) fn date(out: &mut Vec<u8>, days: u64) {
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    digits(out, cycle * 400 + year + u64::from(month <= 2), 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day - (153 * march_month + 2) / 5 + 1, 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(records: Records, index: u64) -> Vec<u8> {
        let mut out = Vec::new();
        records.write(index, &mut out);
        out
    }

    #[test]
    fn records_are_json_of_the_promised_size() {
        let records = Records { count: 10_000, seed: 1, text_keys: false, keys: 0 };
        let mut bytes = 0;
        for index in 0..records.count {
            let json = render(records, index);
            let record: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(record["record_id"], index + 1);
            assert!(record["address"].is_object() && record["tags"].is_array());
            bytes += json.len();
        }
        let mean = bytes / 10_000;
        assert!((410..=450).contains(&mean), "{mean} bytes a record");
    }

    #[test]
    fn records_depend_on_seed_and_position_only() {
        let records = Records { count: 10, seed: 1, text_keys: false, keys: 0 };
        assert_eq!(render(records, 3), render(records, 3));
        assert_ne!(render(records, 3), render(Records { seed: 2, ..records }, 3));
    }

    #[test]
    fn records_that_share_keys_differ_in_everything_else() {
        let records = Records { count: 10, seed: 1, text_keys: false, keys: 4 };
        let record = |index| serde_json::from_slice::<serde_json::Value>(&render(records, index)).unwrap();
        let keys: Vec<_> = (0..10).map(|index| record(index)["record_id"].as_u64().unwrap()).collect();
        assert_eq!(keys, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]);
        assert_ne!(record(0)["email"], record(4)["email"]);
    }

    #[test]
    fn text_keys_are_unique() {
        let records = Records { count: 10_000, seed: 1, text_keys: true, keys: 0 };
        let key = |index| {
            let mut out = Vec::new();
            records.write_key(index, &mut out);
            String::from_utf8(out).unwrap()
        };
        let keys: std::collections::HashSet<_> = (0..records.count).map(key).collect();
        assert_eq!(keys.len(), 10_000);
        assert_eq!(keys.iter().next().map(String::len), Some(22));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let start: jiff::civil::Date = "1900-01-01".parse().unwrap();
        for days in (0..80_000).step_by(7).chain([59, 60, 36_524, 36_584, 43_889]) {
            let mut out = Vec::new();
            date(&mut out, 693_901 + days);
            let expected = start.checked_add(jiff::Span::new().days(i64::try_from(days).unwrap())).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected.to_string());
        }
    }

    #[test]
    fn seconds_are_those_of_the_clock() {
        let mut out = Vec::new();
        timestamp(&mut out, 1_709_210_096);
        assert_eq!(out, b"2024-02-29T12:34:56");
    }
}
