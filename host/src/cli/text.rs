//! How numbers, sizes, durations, tables and foreign text are written for people. Pure.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    /// Whether to write escape sequences.
    pub(super) colours: bool,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }
}

/// `1,234,567`
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2,000 rows`
pub(super) fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// `512 bytes`, `1.5 KiB`, `45.3 MiB`
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, factor)| value >= *factor) {
        Some((name, factor)) => {
            let tenths = u128::from(value) * 10 / u128::from(*factor);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => counted(value, "byte", "bytes"),
    }
}

/// `35 ms`, `3.2 s`, `2 min 5 s`, `1 h 3 min`
pub(super) fn duration(value: Duration) -> String {
    let (milliseconds, seconds) = (value.as_millis(), value.as_secs());
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `12,345 rows/s`; none where no time has passed.
pub(super) fn rate(rows: u64, time: Duration) -> Option<String> {
    let microseconds = time.as_micros();
    let per_second = (u128::from(rows) * 1_000_000).checked_div(microseconds)?;
    Some(format!("{} rows/s", number(u64::try_from(per_second).unwrap_or(u64::MAX))))
}

/// Text of others as one line that does nothing to a terminal: control characters are shown, not obeyed.
pub(super) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // What turns the direction of writing could make a line read as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => line.extend(letter.escape_unicode()),
            _ if letter.is_control() => line.extend(letter.escape_unicode()),
            _ => line.push(letter),
        }
    }
    line
}

/// Text of others with its lines kept and harmless.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Microseconds since 1970 in RFC 3339, whole seconds.
pub(super) fn instant(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds).map_or_else(|_| "?".to_owned(), |instant| format!("{instant:.0}"))
}

/// At most this many characters, the last an ellipsis where something is missing.
pub(super) fn cut(text: &str, characters_max: usize) -> String {
    if text.char_indices().nth(characters_max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A state for people: `none`, or its text cut to a line.
pub(super) fn state(state: Option<&str>) -> String {
    const CHARACTERS_MAX: usize = 160;
    state.map_or_else(|| "none".to_owned(), |text| cut(&printable(text), CHARACTERS_MAX))
}

/// A name in SQL, quoted where it must be.
pub(super) fn identifier(name: &str) -> String {
    const WORDS: [&str; 24] = [
        "all", "case", "check", "column", "default", "desc", "end", "from", "group", "in", "limit", "not", "null",
        "offset", "on", "order", "select", "table", "then", "to", "union", "user", "when", "where",
    ];
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !WORDS.contains(&name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// One column of a table for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    /// Its title.
    pub(super) title: &'a str,
    /// Numbers stand at the right.
    pub(super) is_number: bool,
}

/// A column of text.
pub(super) fn words(title: &str) -> Column<'_> {
    Column { title, is_number: false }
}

/// A column of numbers.
pub(super) fn numbers(title: &str) -> Column<'_> {
    Column { title, is_number: true }
}

/// How much room a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Values stand in full.
    Endless,
    /// A terminal this many characters wide: long values are cut.
    Columns(usize),
}

/// A table with one line a row, indented by a space, each line ended.
pub(super) fn table(columns: &[Column<'_>], rows: &[Vec<String>], room: Room) -> String {
    let fit = match room {
        Room::Endless => Fit { columns: columns.len(), characters: usize::MAX },
        Room::Columns(width) => fitting(columns, rows, width),
    };
    let left_out = columns.len() - fit.columns;
    let cell = |text: &str| cut(&printable(text), fit.characters);
    let mut titles: Vec<String> = columns.iter().take(fit.columns).map(|column| cell(column.title)).collect();
    titles.extend((left_out > 0).then(|| format!("{left_out} more …")));
    let line = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(line)).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(titles);
    for row in rows {
        let cells = row.iter().take(fit.columns).map(|text| cell(text));
        table.add_row(cells.chain((left_out > 0).then(|| "…".to_owned())).collect::<Vec<_>>());
    }
    for (position, column) in columns.iter().take(fit.columns).enumerate() {
        if let (true, Some(layout)) = (column.is_number, table.column_mut(position)) {
            layout.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What of a table fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fit {
    /// Columns from the left.
    columns: usize,
    /// Characters of each cell.
    characters: usize,
}

/// Cuts long cells so that the table fits the width; where cells would become too short to tell anything, leaves out
/// columns at the right.
fn fitting(columns: &[Column<'_>], rows: &[Vec<String>], width: usize) -> Fit {
    const CHARACTERS_MIN: usize = 12;
    const PADDING: usize = 3;
    const NOTE: usize = 14;
    let length = |position: usize, column: &Column<'_>| {
        let cells = rows.iter().filter_map(|row| row.get(position)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(column.title.chars().count())
    };
    let lengths: Vec<usize> = columns.iter().enumerate().map(|(position, column)| length(position, column)).collect();
    let needed = |columns: usize, limit: usize| -> usize {
        lengths.iter().take(columns).map(|length| length.min(&limit) + PADDING).sum()
    };
    let all = lengths.len();
    if let Some(characters) =
        (CHARACTERS_MIN..=width.max(CHARACTERS_MIN)).rev().find(|limit| needed(all, *limit) <= width)
    {
        return Fit { columns: all, characters };
    }
    let some = (1..all).rev().find(|columns| needed(*columns, CHARACTERS_MIN) + NOTE <= width);
    Fit { columns: some.unwrap_or(all.min(1)), characters: CHARACTERS_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [1, 512, 1_536, 1 << 20, u64::MAX].map(bytes),
            ["1 byte", "512 bytes", "1.5 KiB", "1.0 MiB", "16777215.9 TiB"]
        );
        let times = [7, 999, 1_000, 3_260, 65_000, 3_780_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(times, ["7 ms", "999 ms", "1.0 s", "3.2 s", "1 min 5 s", "1 h 3 min"]);
        assert_eq!(rate(1_000, Duration::from_millis(500)).as_deref(), Some("2,000 rows/s"));
        assert_eq!(rate(1, Duration::ZERO), None);
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(cut("größer", 4), "grö…");
        assert_eq!(cut("größer", 6), "größer");
    }

    #[test]
    fn identifiers_are_quoted_only_where_they_must_be() {
        for (name, sql) in [
            ("cds_records", "cds_records"),
            ("my-shop", "\"my-shop\""),
            ("Order", "\"Order\""),
            ("order", "\"order\""),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(identifier(name), sql);
        }
    }

    #[test]
    fn a_table_has_a_line_a_row_and_is_cut_to_the_terminal() {
        let rows =
            [vec!["cds_records".into(), "1,000".into()], vec!["a much longer name than that".into(), "7".into()]];
        let columns = [words("table"), numbers("rows")];
        let expected = "
 table                           rows
──────────────────────────────────────
 cds_records                    1,000
 a much longer name than that       7
";
        assert_eq!(format!("\n{}", table(&columns, &rows, Room::Endless)), expected);
        let narrow = table(&columns, &rows, Room::Columns(24));
        assert!(narrow.lines().all(|line| line.chars().count() <= 24), "{narrow}");
        assert!(narrow.contains("a much lo"), "{narrow}");
    }

    #[test]
    fn columns_that_do_not_fit_are_counted() {
        let titles: Vec<String> = (0..20).map(|number| format!("column number {number}")).collect();
        let columns: Vec<Column<'_>> = titles.iter().map(|title| words(title)).collect();
        let page = table(&columns, std::slice::from_ref(&titles), Room::Columns(80));
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        assert!(page.starts_with(" column numb…   column numb…   column numb…   column numb…   16 more …\n"), "{page}");
    }
}
