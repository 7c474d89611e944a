//! What a tenant may use in a day, and of the disk: a sync that runs is stopped, later ones do not begin.

use anyhow::Result;
use serde_json::{Value, json};
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, operations, reaching, server_for};
use crate::records;

#[test]
fn quotas_of_a_day_end_and_refuse_syncs() -> Result<()> {
    let source = Source::start(records(5_000))?;
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let mut settings = reaching(Some(&source));
    settings["quotas"] = json!({"rows_per_day": 4_000, "connections": 2});
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &cds(&source, "null:"))?;
    // The first one may still end before anybody looks; the next does not begin.
    server.sync("shop", "c")?;
    let sync = server.sync("shop", "c")?;
    assert_eq!((&sync["outcome"], &sync["error_code"]), (&json!("failed"), &json!("limit-quota")));
    let used = server.ask_as(&token, "GET", "/v1/tenants/shop", &Value::Null)?;
    assert_eq!(used["used_today"]["rows"], 5_000);
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/d", &operations("null:"))?;
    let body = operations("null:").to_string();
    let third = server.send(Some(&token), "PUT", "/v1/tenants/shop/connections/e", body.as_bytes())?;
    assert_eq!(third.status, 429, "{}", third.body);
    Ok(())
}

#[test]
fn a_sync_that_commits_more_rows_than_its_tenant_may_is_stopped() -> Result<()> {
    // 50 pages are a commit; five pages later the source answers no more, so the sync does not end by itself.
    let source = Source::start(records(100_000).failing_from(55, Kind::Hang))?;
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let mut settings = reaching(Some(&source));
    settings["quotas"] = json!({"rows_per_day": 40_000});
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &cds(&source, "null:"))?;
    let mut rows = Vec::new();
    for what in ["stopped", "not begun"] {
        let sync = server.sync("shop", "c")?;
        let outcome = (&sync["outcome"], &sync["error_code"]);
        assert_eq!(outcome, (&json!("failed"), &json!("limit-quota")), "{what}: {sync}");
        rows.push(sync["rows"].as_u64().unwrap_or_default());
    }
    // What the pages behind the commit brought by then is committed too.
    assert!((50_000..=54_000).contains(&rows[0]) && rows[1] == 0, "{rows:?}");
    let used = server.ask_as(&token, "GET", "/v1/tenants/shop", &Value::Null)?;
    assert_eq!(used["used_today"]["rows"], rows[0]);
    Ok(())
}

#[test]
fn a_sync_that_computes_more_than_its_tenant_may_is_stopped() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    server.upload("misbehaving")?;
    server.ask("PUT", "/v1/tenants/shop", &json!({"quotas": {"cpu_seconds_per_day": 1}}))?;
    // It would be ended after ten seconds without a call of the host, and for another reason.
    let mut connection = operations("null:");
    connection["connector"] = "misbehaving".into();
    connection["configuration"] = json!({"mode": "update.endless_loop", "signing_key": "k"});
    connection["expose"] = json!(["signing_key"]);
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &connection)?;
    for what in ["stopped", "not begun"] {
        let sync = server.sync("shop", "c")?;
        assert_eq!(
            (&sync["outcome"], &sync["error_code"]),
            (&json!("failed"), &json!("limit-quota")),
            "{what}: {sync}"
        );
    }
    let used = server.ask_as(&token, "GET", "/v1/tenants/shop", &Value::Null)?;
    let used_ms = used["used_today"]["cpu_ms"].as_u64().unwrap_or_default();
    assert!((1_000..10_000).contains(&used_ms), "{used}");
    // Others are not concerned.
    let other = server.tenant("other", &json!({}))?;
    server.ask_as(&other, "PUT", "/v1/tenants/other/connections/c", &operations("null:"))?;
    assert_eq!(server.sync("other", "c")?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_tenant_whose_files_are_too_large_begins_no_sync() -> Result<()> {
    let (host, server, token) = server_for(None, &[])?;
    server.ask("PUT", "/v1/tenants/shop", &json!({"quotas": {"disk_bytes": 10_000}}))?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &operations("duckdb:deep/w.db"))?;
    assert_eq!(server.sync("shop", "c")?["outcome"], "succeeded");
    let refused = server.sync("shop", "c")?;
    assert_eq!((&refused["outcome"], &refused["error_code"]), (&json!("failed"), &json!("limit-quota")));
    assert!(refused["error"]["message"].as_str().unwrap_or_default().contains("its quota is 10000"), "{refused}");
    std::fs::remove_dir_all(host.folder().join("data/tenants/shop/deep"))?;
    assert_eq!(server.sync("shop", "c")?["outcome"], "succeeded");
    Ok(())
}
