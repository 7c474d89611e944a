//! Every value comes back as its exact text (docs/TYPES.md), whichever way it came and however its column widened since.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::concat;
use proptest::prelude::*;

use super::Home;
use super::build::*;
use model::schema::value::{Moment, double_text, moment, timestamp_text, units_text};
use model::schema::{ColumnType, Offset, TableSchema, TimeFormat};

/// Values of a type, their texts, and the type that their column becomes.
struct Case {
    from: ColumnType,
    to: ColumnType,
    values: ArrayRef,
    texts: Vec<String>,
}

impl Case {
    fn new(from: ColumnType, values: ArrayRef, texts: &[&str]) -> Self {
        Self { from, to: TEXT, values, texts: texts.iter().map(|text| (*text).to_owned()).collect() }
    }
}

/// The values of each case in a column of its own, by every way: appended to a new table, upserted, as patches; and
/// converted on those ways because their columns have widened in the meantime.
fn check<H: Home>(cases: &[Case]) {
    let rows = cases.iter().map(|case| case.values.len()).max().unwrap();
    let keys = longs(&(0..i64::try_from(rows).unwrap()).collect::<Vec<_>>());
    let padded = |values: &ArrayRef| {
        let nulls = new_null_array(values.data_type(), rows - values.len());
        concat(&[values.as_ref(), nulls.as_ref()]).unwrap()
    };
    let columns = |kind: fn(&Case) -> ColumnType| -> Vec<(String, ColumnType)> {
        cases.iter().enumerate().map(|(index, case)| (format!("v{index}"), kind(case))).collect()
    };
    let tables = |kind: fn(&Case) -> ColumnType| -> Vec<TableSchema> {
        let columns = columns(kind);
        let columns: Vec<_> = columns.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let columns = [&[("id", LONG)], columns.as_slice()].concat();
        ["appended", "upserted", "patched", "late", "late upserted", "late patched"]
            .map(|name| table(name, &columns))
            .into()
    };
    let mut values: Vec<Values> = vec![(0, LONG, keys)];
    values.extend(cases.iter().enumerate().map(|(index, case)| (index + 1, case.from, padded(&case.values))));
    let (narrow, wide) = (tables(|case| case.from), tables(|case| case.to));
    let home = H::new();
    let (mut to, _) = home.open("c");
    let only_keys = |table| live(table, &values[..1]);
    let segments = vec![
        fresh(live(0, &values)),
        live(1, &values),
        only_keys(2),
        patches_of(2, &values),
        only_keys(4),
        only_keys(5),
    ];
    commit(&mut *to, &narrow, segments).unwrap();
    check_dumps(&home, cases, &narrow[..3], |case| case.from);
    let segments = vec![fresh(live(3, &values)), live(4, &values), patches_of(5, &values)];
    assert_eq!(commit(&mut *to, &wide, segments).unwrap().ignored, [0; 6]);
    check_dumps(&home, cases, &wide, |case| case.to);
}

fn check_dumps<H: Home>(home: &H, cases: &[Case], tables: &[TableSchema], kind: fn(&Case) -> ColumnType) {
    for table in tables {
        for (index, case) in cases.iter().enumerate() {
            let mut one = table.clone();
            one.columns = vec![table.columns[0].clone(), table.columns[index + 1].clone()];
            let found = home.dump("c", &one);
            for (row, text) in case.texts.iter().enumerate() {
                let expected = format!("{row}|{text}|false");
                assert_eq!(found[row], expected, "{} as {}, {}", case.from, kind(case), table.name);
            }
        }
    }
}

fn decimals(precision: u8, scale: u8, units: &[i128]) -> Case {
    let texts = units.iter().map(|units| units_text(*units, scale)).collect();
    let array = Decimal128Array::from(units.to_vec()).with_precision_and_scale(precision, scale.cast_signed()).unwrap();
    Case { from: ColumnType::Decimal { precision, scale }, to: TEXT, values: Arc::new(array), texts }
}

fn doubles(values: Vec<f64>) -> Case {
    let texts = values.iter().map(|value| double_text(*value)).collect();
    Case { from: ColumnType::Double, to: TEXT, values: Arc::new(Float64Array::from(values)), texts }
}

/// Timestamps of one format.
fn moments(texts: Vec<String>) -> Case {
    let read = texts.iter().map(|text| match moment(text) {
        Some(Moment::Timestamp { micros, format: Some(format), .. }) => (micros, format),
        other => panic!("{text}: {other:?}"),
    });
    let (micros, formats): (Vec<i64>, Vec<TimeFormat>) = read.unzip();
    let array = TimestampMicrosecondArray::from(micros);
    let format = Some(formats[0]);
    if formats[0].offset.is_some() {
        let values = Arc::new(array.with_timezone("UTC"));
        return Case { from: ColumnType::UtcDatetime(format), to: TEXT, values, texts };
    }
    Case { from: ColumnType::NaiveDatetime(format), to: TEXT, values: Arc::new(array), texts }
}

/// Values of every type, the extreme ones among them.
fn samples() -> Vec<Case> {
    let utc = |micros: &[i64]| Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("UTC"));
    vec![
        Case::new(
            ColumnType::Boolean,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            &["true", "false", "-"],
        ),
        Case::new(
            ColumnType::Short,
            Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
            &["-32768", "32767", "-"],
        ),
        Case::new(
            ColumnType::Int,
            Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX])),
            &["-2147483648", "2147483647"],
        ),
        Case::new(LONG, longs(&[0, -1, 1 << 53, -(1 << 53)]), &["0", "-1", "9007199254740992", "-9007199254740992"]),
        Case::new(
            ColumnType::Long { exact: false },
            longs(&[i64::MIN, i64::MAX, (1 << 53) + 1]),
            &["-9223372036854775808", "9223372036854775807", "9007199254740993"],
        ),
        decimals(4, 2, &[0, -9_999, 150, -5]),
        decimals(22, 2, &[10i128.pow(22) - 1, 1, 100]),
        decimals(38, 0, &[10i128.pow(38) - 1, -(10i128.pow(38) - 1), 0]),
        Case::new(
            ColumnType::Float,
            Arc::new(Float32Array::from(vec![Some(0.1), Some(-0.0), Some(1.5), Some(16_777_216.0), None])),
            &["0.1", "-0", "1.5", "16777216", "-"],
        ),
        doubles(vec![0.1, -0.0, 0.0, 5e-324, f64::MAX, f64::MIN, 1e15, 1e16, 0.0001, 0.00001, 2.5e-5, 123_456.789]),
        Case::new(
            ColumnType::NaiveDate,
            Arc::new(Date32Array::from(vec![-719_162, -1, 0, 2_932_896])),
            &["0001-01-01", "1969-12-31", "1970-01-01", "9999-12-31"],
        ),
        Case::new(
            ColumnType::NaiveTime,
            Arc::new(Time64MicrosecondArray::from(vec![86_399_999_999, 0, 43_200_500_000])),
            &["23:59:59.999999", "00:00:00", "12:00:00.5"],
        ),
        Case::new(
            ColumnType::NaiveDatetime(None),
            Arc::new(TimestampMicrosecondArray::from(vec![-1, 0, 1_500_000])),
            &["1969-12-31T23:59:59.999999", "1970-01-01T00:00:00", "1970-01-01T00:00:01.5"],
        ),
        Case::new(
            ColumnType::UtcDatetime(None),
            utc(&[253_402_300_799_999_999, 0, 1_500_000, -62_135_596_800_000_000]),
            &["9999-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z", "0001-01-01T00:00:00Z"],
        ),
        moments(vec!["2024-02-29T12:00:00Z".to_owned()]),
        moments(vec!["2024-02-29 12:00:00.120".to_owned()]),
        Case::new(
            ColumnType::Binary,
            Arc::new(BinaryArray::from(vec![&b"\xff\x00a"[..], b"", b"ab"])),
            &["/wBh", "", "YWI="],
        ),
        Case::new(ColumnType::Xml, texts(&[Some("<a b='1'>ü</a>")]), &["<a b='1'>ü</a>"]),
        Case::new(TEXT, texts(&[Some(""), Some("1e3"), Some("007"), None, Some("-")]), &["", "1e3", "007", "-", "-"]),
        Case::new(
            ColumnType::Json,
            texts(&[Some("{\"b\": 1.50, \"a\":[ ], \"a\":0}"), Some("1.0"), Some("\"x\""), Some("null"), None]),
            &["{\"b\": 1.50, \"a\":[ ], \"a\":0}", "1.0", "\"x\"", "null", "-"],
        ),
    ]
}

pub(super) fn every_type_keeps_its_values_in_every_wider_type<H: Home>() {
    let mut cases: Vec<Case> = Vec::new();
    for other in samples() {
        for case in samples() {
            let to = case.from.join(other.from);
            if !cases.iter().any(|known| (known.from, known.to) == (case.from, to)) {
                cases.push(Case { to, ..case });
            }
        }
    }
    check::<H>(&cases);
}

pub(super) fn timestamps_come_back_as_they_were_written<H: Home>() {
    let offsets = ["", "Z", "+00:00", "-00:00", "+02:00", "-11:30", "+14:00", "+23:59", "-23:59"];
    let days = ["0001-01-01", "1582-10-10", "1600-02-29", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"];
    let clocks = ["00:00:00.000000", "23:59:59.999999", "12:34:56.120001", "00:00:00.000001"];
    let mut cases = Vec::new();
    for offset in offsets {
        for digits in 0..=6 {
            let end = if digits == 0 { 8 } else { 9 + digits };
            let separator = if digits % 2 == 0 { "T" } else { " " };
            let text = |day: &str, clock: &str| format!("{day}{separator}{}{offset}", &clock[..end]);
            cases.push(moments(days.iter().flat_map(|day| clocks.map(|clock| text(day, clock))).collect()));
        }
    }
    check::<H>(&cases);
}

pub(super) fn decimals_of_every_width_keep_their_digits<H: Home>() {
    let mut cases = Vec::new();
    for (precision, scale) in [(38, 38), (38, 0), (38, 37), (25, 15), (18, 1), (9, 9), (1, 1), (1, 0)] {
        let most = 10i128.pow(u32::from(precision)) - 1;
        let units = [0, 1, -1, most, -most, 5 * 10i128.pow(u32::from(precision) - 1)];
        cases.push(decimals(precision, scale, &units));
    }
    let wider = ColumnType::Decimal { precision: 38, scale: 19 };
    cases.push(Case { to: wider, ..decimals(4, 2, &[-9_999, 150, 0]) });
    cases.push(Case { to: wider, ..Case::new(LONG, longs(&[-7, 1 << 53]), &["-7", "9007199254740992"]) });
    check::<H>(&cases);
}

pub(super) fn any_float_keeps_its_bits<H: Home>() {
    let strategy = (proptest::collection::vec(any::<u64>(), 500), 0i32..20);
    proptest!(ProptestConfig::with_cases(8), |((bits, shift) in strategy)| {
        let scaled = bits.iter().map(|bits| f64::from(u16::try_from(bits & 0xffff).unwrap()) * 10f64.powi(10 - shift));
        let values = bits.iter().map(|bits| f64::from_bits(*bits)).filter(|value| value.is_finite()).chain(scaled);
        check::<H>(&[doubles(values.collect())]);
    });
}

pub(super) fn any_instant_comes_back<H: Home>() {
    let micros = proptest::collection::vec(-62_135_500_000_000_000i64..253_402_200_000_000_000, 200);
    let offset = (0u16..1_440, any::<bool>(), prop_oneof![Just('T'), Just(' ')]);
    proptest!(ProptestConfig::with_cases(8), |(micros in micros, (minutes, negative, separator) in offset)| {
        let format = TimeFormat { separator, fraction_digits: 6, offset: Some(Offset::Minutes { negative, minutes }) };
        let text = |micros: &i64| {
            let mut text = String::new();
            timestamp_text(*micros, format, &mut text);
            text
        };
        let texts = micros.iter().map(text).collect();
        let values = Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"));
        check::<H>(&[Case { from: ColumnType::UtcDatetime(Some(format)), to: TEXT, values, texts }]);
    });
}

pub(super) fn texts_of_any_length_and_script_are_kept<H: Home>() {
    let long = "0123456789 数据 🦆 ".repeat(50_000);
    let all = [
        long.as_str(),
        "",
        " ",
        "a text that is longer than twelve bytes",
        "e\u{301} is é in two",
        "👩‍👩‍👧‍👦 \u{202e}right to left",
        "\u{feff}\u{fffd}\u{10ffff}\u{1}\u{7f}",
        "a\r\n\t\"quoted\" 'quoted' \\n $1 ?",
        "NULL",
    ];
    let strings = |wrap: fn(&&str) -> String| Arc::new(StringArray::from_iter_values(all.iter().map(wrap))) as ArrayRef;
    let json = |text: &&str| serde_json::to_string(text).unwrap();
    let jsons: Vec<String> = all.iter().map(json).collect();
    check::<H>(&[
        Case::new(TEXT, strings(|text| (*text).to_owned()), &all),
        Case::new(ColumnType::Xml, strings(|text| (*text).to_owned()), &all),
        Case { from: ColumnType::Json, to: TEXT, values: strings(json), texts: jsons },
    ]);
}

pub(super) fn a_nul_is_kept_or_refused_without_loss<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let text = "a\0b 数据 a text that is longer than twelve bytes\0";
    let segments = vec![upserts(0, &[(1, Some("\0")), (2, Some(text))]), patches(0, &[(1, Some(Some(text)), false)])];
    match commit(&mut *to, &pairs(), segments) {
        Ok(_) => {
            let rows = [format!("1|{text}|false"), format!("2|{text}|false")];
            assert_eq!(home.dump("c", &pairs()[0]), rows);
        }
        Err(error) => {
            assert!(error.advice().is_some_and(|hint| !hint.is_empty()), "no hint: {}", error.chain());
            assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false"]);
        }
    }
    commit(&mut *to, &pairs(), vec![upserts(0, &[(3, Some("c"))])]).unwrap();
    assert_eq!(home.dump("c", &pairs()[0]).last().unwrap(), "3|c|false");
}

pub(super) fn tables_columns_and_types_change_in_the_transaction_of_their_rows<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    let first = vec![table("t", &[("id", LONG), ("v", LONG)])];
    let numbers = |values: &[(i64, i64)]| -> Vec<Values> {
        let (keys, values): (Vec<i64>, Vec<i64>) = values.iter().copied().unzip();
        vec![(0, LONG, longs(&keys)), (1, LONG, longs(&values))]
    };
    commit(&mut *to, &first, vec![fresh(live(0, &numbers(&[(1, 10), (2, 20)])))]).unwrap();
    let second = vec![
        table("t", &[("id", LONG), ("v", TEXT), ("new", ColumnType::Boolean)]),
        table("u", &[("id", LONG), ("v", TEXT)]),
    ];
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
    let wide =
        live(0, &[(0, LONG, longs(&[4, 5])), (1, TEXT, texts(&[Some("x"), None])), (2, ColumnType::Boolean, flags)]);
    // The first segment was made before the column widened.
    let segments =
        vec![live(0, &numbers(&[(2, 21)])), fresh(live(0, &numbers(&[(3, 30)]))), wide, upserts(1, &[(1, Some("u"))])];
    commit(&mut *to, &second, segments).unwrap();
    drop(to);
    assert_eq!(
        home.dump("c", &second[0]),
        ["1|10|-|false", "2|21|-|false", "3|30|-|false", "4|x|true|false", "5|-|-|false"]
    );
    let (mut to, opened) = home.open("c");
    assert_eq!(opened.tables, second);
    assert_eq!(opened.empty, [false, false]);
    // What was widened once widens no further, and its table takes more columns.
    let third = vec![
        table("t", &[("id", LONG), ("v", TEXT), ("new", TEXT), ("newer", ColumnType::Double)]),
        table("u", &[("id", LONG), ("v", TEXT)]),
    ];
    let newer: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let row = live(0, &[(0, LONG, longs(&[6])), (3, ColumnType::Double, newer)]);
    commit(&mut *to, &third, vec![row]).unwrap();
    assert_eq!(home.dump("c", &third[0])[3..], ["4|x|true|-|false", "5|-|-|-|false", "6|-|-|0.5|false"]);
}

/// The key of a table widens among numbers: rows are found by keys of the new type, and by those of segments made before.
pub(super) fn keys_that_have_widened_are_found_again<H: Home>() {
    let decimal = |scale: u8, units: &[i128]| decimals(38, scale, units).values;
    let doubles = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let hundredths = ColumnType::Decimal { precision: 22, scale: 2 };
    let finer = ColumnType::Decimal { precision: 38, scale: 18 };
    let e18 = 10i128.pow(18);
    let all_longs = ColumnType::Long { exact: false };
    for (from, to, old, new, names) in [
        (
            LONG,
            ColumnType::Decimal { precision: 38, scale: 0 },
            longs(&[1, 2, 3]),
            decimal(0, &[1, 2, (1 << 64) - 1]),
            "18446744073709551615",
        ),
        (LONG, ColumnType::Double, longs(&[1, 2, 3]), doubles(&[1.0, 2.0, 0.5]), "0.5"),
        (LONG, all_longs, longs(&[1, 2, 3]), longs(&[1, 2, (1 << 53) + 1]), "9007199254740993"),
        (
            hundredths,
            finer,
            decimals(22, 2, &[100, 200, 300]).values,
            decimal(18, &[e18, 2 * e18, 1]),
            "0.000000000000000001",
        ),
    ] {
        let home = H::new();
        let (mut to_home, _) = home.open("c");
        let tables = |kind| vec![table("t", &[("id", kind), ("v", TEXT)])];
        let rows = |kind, keys: &ArrayRef, values: &[&str]| -> Vec<Values> {
            let values: Vec<Option<&str>> = values.iter().copied().map(Some).collect();
            vec![(0, kind, Arc::clone(keys)), (1, TEXT, texts(&values))]
        };
        commit(&mut *to_home, &tables(from), vec![fresh(live(0, &rows(from, &old, &["a", "b", "c"])))]).unwrap();
        let segments = vec![
            live(0, &rows(from, &old.slice(2, 1), &["late"])),
            patches_of(0, &rows(to, &new.slice(0, 1), &["patched"])),
            live(0, &rows(to, &new.slice(1, 2), &["replaced", "new"])),
        ];
        assert_eq!(commit(&mut *to_home, &tables(to), segments).unwrap().ignored, [0], "{from} to {to}");
        let mut found = home.dump("c", &tables(to)[0]);
        found.sort();
        let mut expected =
            ["1|patched", "2|replaced", "3|late", &format!("{names}|new")].map(|row| format!("{row}|false"));
        expected.sort();
        assert_eq!(found, expected, "{from} to {to}");
    }
}

/// A column that remembered one format keeps instants from now on: nothing changes but how it is read as text.
pub(super) fn a_format_that_is_given_up_leaves_the_instants<H: Home>() {
    let format = TimeFormat {
        separator: ' ',
        fraction_digits: 2,
        offset: Some(Offset::Minutes { negative: false, minutes: 120 }),
    };
    let kinds = [ColumnType::UtcDatetime(Some(format)), ColumnType::UtcDatetime(None), TEXT];
    let tables = |kind| vec![table("t", &[("id", LONG), ("at", kind)])];
    let row = |kind, id: i64, micros: i64| {
        let at = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        live(0, &[(0, LONG, longs(&[id])), (1, kind, Arc::new(at) as ArrayRef)])
    };
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &tables(kinds[0]), vec![fresh(row(kinds[0], 1, 1_500_000))]).unwrap();
    assert_eq!(home.dump("c", &tables(kinds[0])[0]), ["1|1970-01-01 02:00:01.50+02:00|false"]);
    let segments = vec![row(kinds[0], 2, 0), row(kinds[1], 3, 250_000)];
    commit(&mut *to, &tables(kinds[1]), segments).unwrap();
    let normal = ["1|1970-01-01T00:00:01.5Z|false", "2|1970-01-01T00:00:00Z|false", "3|1970-01-01T00:00:00.25Z|false"];
    assert_eq!(home.dump("c", &tables(kinds[1])[0]), normal);
    commit(&mut *to, &tables(kinds[2]), vec![]).unwrap();
    assert_eq!(home.dump("c", &tables(kinds[2])[0]), normal);
}
