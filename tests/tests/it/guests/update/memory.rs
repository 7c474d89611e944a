//! Little rows of which a careless host makes much: each ends well, or as an error that names a limit, within bounds of memory
//! and processor time that are wide enough for a busy machine.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::host::Output;

use super::super::{Misbehaving, broken, limited, mode, succeeds};

const MIB: u64 = 1 << 20;

/// What the whole process took at most, the destination's engine included.
fn took(output: &Output, memory_mib_max: u64, cpu_max: Duration) -> Result<()> {
    let (memory_mib, cpu) = (output.memory_peak_bytes / MIB, output.cpu);
    ensure!(
        memory_mib <= memory_mib_max && cpu <= cpu_max,
        "the host took {memory_mib} MiB and {cpu:?}, and may take {memory_mib_max} MiB and {cpu_max:?}"
    );
    Ok(())
}

#[test]
pub(in super::super) fn updates_of_a_large_row() -> Result<()> {
    let (misbehaving, output) = succeeds(mode!(update, updates_of_a_large_row), &[])?;
    took(&output, 700, Duration::from_secs(30))?;
    let row = misbehaving.host.query("SELECT length(text), n FROM misbehaving.things WHERE id = 5")?;
    assert_eq!(row, format!("{},99999", 15 << 20));
    Ok(())
}

#[test]
pub(in super::super) fn columns_of_one_row() -> Result<()> {
    let (misbehaving, output) = succeeds(mode!(update, columns_of_one_row), &[])?;
    took(&output, 1_500, Duration::from_secs(90))?;
    let all = "SELECT count(*), count(c0), max(c4989) FROM misbehaving.things WHERE id >= 5";
    assert_eq!(misbehaving.host.query(all)?, "120001,1,12345678901234567890.25");
    Ok(())
}

#[test]
pub(in super::super) fn columns_in_turn() -> Result<()> {
    let (misbehaving, output) = succeeds(mode!(update, columns_in_turn), &["--commit-rows", "1000000"])?;
    took(&output, 1_500, Duration::from_secs(90))?;
    let all = "SELECT count(*), count(c0), count(c1999), max(c0) FROM misbehaving.things WHERE id >= 5";
    assert_eq!(misbehaving.host.query(all)?, "20000,10,10,x8000");
    Ok(())
}

#[test]
pub(in super::super) fn columns_of_many_tables() -> Result<()> {
    let misbehaving = Misbehaving::new(mode!(update, columns_of_many_tables))?;
    let output = misbehaving.sync(&[])?;
    took(&output, 900, Duration::from_secs(60))?;
    limited("limit-memory", &["sync-memory-bytes"]).check(output)
}

#[test]
pub(in super::super) fn names_without_rows() -> Result<()> {
    let misbehaving = Misbehaving::new(mode!(update, names_without_rows))?;
    let output = misbehaving.sync(&[])?;
    took(&output, 500, Duration::from_secs(30))?;
    broken("schema-invalid", &["name the table", "20971520 bytes"]).check(output)
}

#[test]
pub(in super::super) fn keyless_rows_nested_deep() -> Result<()> {
    let (_, output) = succeeds(mode!(update, keyless_rows_nested_deep), &[])?;
    took(&output, 1_000, Duration::from_secs(30))
}
