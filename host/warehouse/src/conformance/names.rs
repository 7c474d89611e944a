//! Names as sources give them, and how many of them.

use super::Home;
use super::build::*;
use crate::SyncRecord;
use model::error::Code;
use model::schema::ColumnType;

pub(super) fn any_name_will_do<H: Home>() {
    let bytes_max = H::new().open("c").1.name_bytes_max;
    let long = "x".repeat(bytes_max);
    for name in [
        "select",
        "a \"quoted\" name",
        "Größe 数据",
        "it's; DROP TABLE x --",
        "a.b",
        "a_b",
        " ",
        "$1 ?1 :a @b {}",
        "🦆🪿",
        "back\\slash\n\ttab",
        "warehouse",
        long.as_str(),
        "main",
        "temp",
        "rowid",
    ] {
        let home = H::new();
        let tables = vec![table(name, &[("id", LONG), (name, TEXT)])];
        let (mut to, _) = home.open(name);
        commit(&mut *to, &tables, vec![fresh(upserts(0, &[(1, Some("a"))]))]).unwrap();
        commit(&mut *to, &tables, vec![upserts(0, &[(1, Some("b"))]), patches(0, &[(1, Some(Some("c")), false)])])
            .unwrap();
        let wider = vec![table(name, &[("id", LONG), (name, TEXT), ("x y", LONG)])];
        commit(&mut *to, &wider, vec![truncate(0)]).unwrap();
        let widened = vec![table(name, &[("id", LONG), (name, TEXT), ("x y", ColumnType::Double)])];
        // Converted on the way: a segment made before the column widened.
        let late = live(0, &[(0, LONG, longs(&[2])), (1, TEXT, texts(&[Some("l")])), (2, LONG, longs(&[7]))]);
        commit(&mut *to, &widened, vec![late]).unwrap();
        assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [1]);
        drop(to);
        assert_eq!(home.dump(name, &widened[0]), ["1|c|-|true", "2|l|7|false"], "{name}");
        let (to, opened) = home.open(name);
        assert_eq!(opened.tables, widened, "{name}");
        drop(to);
        let info = home.look().tables().unwrap();
        assert_eq!((info[0].name.as_str(), info[0].rows, info[0].deleted_rows), (name, 1, 1));
        assert_eq!(home.look().reset(name).unwrap().tables, [name]);
    }
}

pub(super) fn names_that_cannot_be_a_schema_are_refused<H: Home>() {
    let home = H::new();
    for name in ["", "_ELT", "information_schema", "pg_catalog", "a\0b"] {
        assert_eq!(code(home.begin(request(name))), Code::Usage, "{name:?}");
    }
    drop(home.open("Orders"));
    assert_eq!(code(home.begin(request("orders"))), Code::Usage);
}

/// A table this wide is loaded, loaded again with all its columns widened, then once more, then given a tenth more columns.
pub(crate) fn many_columns<H: Home>(columns: usize) {
    let home = H::new();
    let names: Vec<String> = (0..columns + columns / 10).map(|index| format!("column {index}")).collect();
    let wide = |columns: usize, kind: ColumnType| {
        let kind = |index: usize| if index == 0 { LONG } else { kind };
        let columns: Vec<_> = names[..columns].iter().enumerate().map(|(at, name)| (name.as_str(), kind(at))).collect();
        vec![table("wide", &columns)]
    };
    let of = |columns: usize, text: Option<&str>| -> Vec<Values> {
        let value = |index: usize| match (index, text) {
            (0, _) => (index, LONG, longs(&[1])),
            (_, Some(text)) => (index, TEXT, texts(&[Some(text)])),
            (_, None) => (index, LONG, longs(&[7])),
        };
        (0..columns).map(value).collect()
    };
    let other: Vec<Values> = (0..columns).map(|index| (index, LONG, longs(&[2]))).collect();
    let steps =
        [(columns, LONG, None), (columns, TEXT, Some("a")), (columns, TEXT, Some("b")), (names.len(), TEXT, Some("c"))];
    for (index, (count, kind, text)) in steps.into_iter().enumerate() {
        let segment = live(0, &of(count, text));
        let segments = if index == 0 { vec![fresh(segment), fresh(live(0, &other))] } else { vec![segment] };
        commit(&mut *home.open("c").0, &wide(count, kind), segments).unwrap();
    }
    let [cells, none] = [(columns, "2|"), (names.len() - columns, "-|")].map(|(count, cell)| cell.repeat(count));
    let expected = [format!("1|{}false", "c|".repeat(names.len() - 1)), format!("{cells}{none}false")];
    assert!(home.dump("c", &wide(names.len(), TEXT)[0]) == expected, "{} columns differ", names.len());
}

pub(super) fn a_thousand_columns<H: Home>() {
    let home = H::new();
    let names: Vec<String> = (0..1_000).map(|index| format!("column {index}")).collect();
    let columns: Vec<(&str, ColumnType)> = names.iter().map(|name| (name.as_str(), LONG)).collect();
    let tables = vec![table("wide", &columns)];
    let values = |values: [i64; 3]| -> Vec<Values> {
        (0..1_000).map(|index| (index, LONG, longs(if index == 0 { &[1, 2, 3] } else { &values }))).collect()
    };
    let (mut to, _) = home.open("c");
    commit(&mut *to, &tables, vec![fresh(live(0, &values([4, 5, 6])))]).unwrap();
    commit(&mut *to, &tables, vec![live(0, &values([7, 8, 9])), patches_of(0, &values([10, 11, 12]))]).unwrap();
    drop(to);
    let expected: Vec<String> = (1..=3).map(|id| format!("{id}|{}false", format!("{}|", id + 9).repeat(999))).collect();
    assert_eq!(home.dump("c", &tables[0]), expected);
    assert_eq!(home.open("c").1.tables, tables);
}
