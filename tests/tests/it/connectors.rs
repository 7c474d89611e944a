//! The other connectors of this repository: each another pagination, another style of sync.

use anyhow::Result;
use tests::source::{Options, Source};

use crate::source_and_host;

/// The APIs of these connectors need no key.
fn open() -> Options {
    Options { open: true, ..Options::default() }
}

#[test]
fn offset_window_reads_all_orders_and_later_only_what_may_have_changed() -> Result<()> {
    let (source, host) = source_and_host(open())?;
    host.configure_with(&source, &[("page_size", "500")])?;
    host.sync("offset-window", &source, &[])?.succeeded()?;
    let count = "SELECT count(*), count(*) FILTER (status = 'refunded') FROM \"offset-window\".orders";
    assert_eq!(host.query(count)?, "2500,0");
    assert_eq!(source.stats().requests, 5);

    // Seven orders have changed, and 100 are new.
    let later = Source::start(Options { orders: 2600, orders_changed: 7, ..open() })?;
    host.configure_with(&later, &[("page_size", "500")])?;
    host.sync("offset-window", &later, &[])?.succeeded()?;
    assert_eq!(host.query(count)?, "2600,7");
    assert!(later.stats().served_records < 500, "{:?}", later.stats());
    Ok(())
}

#[test]
fn parent_child_reads_customers_and_their_invoices() -> Result<()> {
    let (source, host) = source_and_host(open())?;
    host.configure_with(&source, &[("page_size", "50")])?;
    host.sync("parent-child", &source, &[])?.succeeded()?;
    // Customer n has n mod 4 invoices.
    assert_eq!(host.query("SELECT count(*) FROM \"parent-child\".customers")?, "250");
    assert_eq!(host.query("SELECT count(*), count(DISTINCT customer_id) FROM \"parent-child\".invoices")?, "375,188");
    assert_eq!(source.stats().requests, 5 + 250);
    Ok(())
}

#[test]
fn a_selected_table_alone_saves_the_requests_for_the_others() -> Result<()> {
    let (source, host) = source_and_host(open())?;
    host.configure_with(&source, &[("page_size", "50")])?;
    host.sync("parent-child", &source, &["--table", "customers"])?.succeeded()?;
    assert_eq!(source.stats().requests, 5);
    Ok(())
}

#[test]
fn operations_does_all_kinds_of_operations() -> Result<()> {
    let (source, host) = source_and_host(open())?;
    host.write("configuration.json", r#"{"rows": "10"}"#)?;
    for _ in 0..2 {
        host.sync("operations", &source, &[])?.succeeded()?;
        let rows = "SELECT id, name, _deleted FROM operations.planets WHERE id IN (1, 2, 10) ORDER BY id";
        assert_eq!(host.query(rows)?, "1,Mercury,false\n2,Planet 2,false\n10,Planet 10,true");
    }
    assert_eq!(source.stats().requests, 0);
    Ok(())
}
