//! The demo, as the README shows it.

use anyhow::Result;

use crate::{records, source_and_host};

/// What the types of the demo's columns are, and stay.
const COLUMNS: &str = "\
record_id,BIGINT
name,VARCHAR
email,VARCHAR
amount,DOUBLE
score,DOUBLE
active,BOOLEAN
address,JSON
tags,JSON
nickname,VARCHAR
created_at,TIMESTAMP WITH TIME ZONE
updated_at,TIMESTAMP WITH TIME ZONE
birth_date,DATE
notes,VARCHAR";

#[test]
fn the_demo_loads_every_record_with_its_types() -> Result<()> {
    let (source, host) = source_and_host(records(100_000))?;
    host.sync("guest", &source, &[])?.succeeded()?;

    let counts = "SELECT count(*), count(DISTINCT record_id), sum(record_id)::BIGINT FROM cds.cds_records";
    assert_eq!(host.query(counts)?, "100000,100000,5000050000");
    let columns = "SELECT column_name, data_type FROM information_schema.columns \
                   WHERE table_schema = 'cds' AND table_name = 'cds_records' AND column_name NOT LIKE '\\_%' ESCAPE '\\' \
                   ORDER BY ordinal_position";
    assert_eq!(host.query(columns)?, COLUMNS);
    let stats = source.stats();
    assert_eq!((stats.requests, stats.served_records), (100, 100_000));
    Ok(())
}

#[test]
fn values_arrive_as_they_were_sent() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    host.sync("guest", &source, &[])?.succeeded()?;
    let first = "SELECT name, amount, score, active, address->>'$.city', len(tags::VARCHAR[]), nickname, birth_date \
                 FROM cds.cds_records WHERE record_id = 1";
    assert_eq!(host.query(first)?, "Keanu Lindqvist,6564.13,0.1462348,false,São Paulo,0,João,1990-07-17");
    let second = "SELECT notes, nickname IS NULL, epoch_ms(updated_at) FROM cds.cds_records WHERE record_id = 2";
    assert_eq!(
        host.query(second)?,
        "\"said \"\"please bring it back on Monday\"\"; uses the mobile app\",true,1627059684310"
    );
    Ok(())
}

#[test]
fn the_second_sync_goes_on_where_the_first_one_ended() -> Result<()> {
    let (source, host) = source_and_host(records(5_000))?;
    host.sync("guest", &source, &[])?.succeeded()?;
    assert_eq!(source.stats().requests, 5);
    host.sync("guest", &source, &[])?.succeeded()?;
    // The last page has no cursor, so it is the one that is read again.
    assert_eq!(source.stats().requests, 6);
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "5000");
    Ok(())
}

#[test]
fn a_full_refresh_replaces_every_row() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    host.sync("guest", &source, &[])?.succeeded()?;
    // The same keys with other values, and fewer of them.
    let (later, _) = source_and_host(tests::source::Options { seed: 2, ..records(2_000) })?;
    host.configure(&later)?;
    host.sync("guest", &later, &["--full-refresh"])?.succeeded()?;
    assert_eq!(later.stats().requests, 2);
    assert_eq!(host.query("SELECT name FROM cds.cds_records WHERE record_id = 1")?, first_name(&later)?);
    Ok(())
}

/// The name in the first record of a source, as the source itself tells it.
fn first_name(source: &tests::source::Source) -> Result<String> {
    let host = tests::host::Host::new()?;
    host.configure(source)?;
    host.sync("guest", source, &[])?.succeeded()?;
    host.query("SELECT name FROM cds.cds_records WHERE record_id = 1")
}
