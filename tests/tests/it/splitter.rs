//! The SDK tells the records of a page apart by vectors of WebAssembly where it runs as a component, and byte by byte
//! where it runs natively: on many generated pages, whole and damaged, both see the same.

use std::collections::BTreeMap;

use anyhow::Result;
use elt_sdk::testing::{Answer, Test};
use splitter::Splitter;
use tests::host::Host;
use tests::source::{Options, Source, page};

const PAGES: u32 = 600;

#[test]
fn a_component_splits_pages_as_the_portable_code_does() -> Result<()> {
    let source = Source::start(Options::default())?;
    let host = Host::new()?;
    let pages = PAGES.to_string();
    host.write("configuration.json", serde_json::json!({"base_url": source.url(), "pages": pages}).to_string())?;
    host.sync("splitter", &source, &[])?.succeeded()?;
    let component =
        host.query("SELECT concat(page, ' ', place, ' ', hex(text)) FROM splitter.records ORDER BY page, place")?;

    let native = Test::<Splitter>::new().configuration("base_url", &source.url()).configuration("pages", &pages);
    let native = native.serve(|asked| Answer::json(page(asked.query("number").unwrap().parse().unwrap()))).update();
    assert_eq!(native.result, Ok(()));
    let mut rows = BTreeMap::new();
    for row in native.upserts("records") {
        let row: serde_json::Value = serde_json::from_str(row)?;
        let text: Vec<_> = row["text"].as_str().unwrap().bytes().map(|byte| format!("{byte:02X}")).collect();
        rows.insert((row["page"].as_u64(), row["place"].as_i64()), text.concat());
    }
    let native = rows
        .iter()
        .map(|((page, place), text)| format!("{} {} {text}", page.unwrap_or_default(), place.unwrap_or_default()));
    let native: Vec<_> = native.collect();

    // Pages that are whole have dozens of records, damaged ones an error or fewer.
    assert!(
        native.len() > 5000 && rows.keys().filter(|(_, place)| *place == Some(-1)).count() > 20,
        "{}",
        native.len()
    );
    for (of_component, of_native) in component.lines().zip(&native) {
        assert_eq!(of_component, of_native);
    }
    assert_eq!(component.lines().count(), native.len());
    Ok(())
}
