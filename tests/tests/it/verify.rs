//! `host verify`: every rule catches the connector that breaks it and no other; the connectors of this repository break none.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::host::{Host, Output, component};
use tests::source::{Options, Source};

use super::source_and_host;

/// A key that is in no log by accident.
const KEY: &str = "sesame-open-9cbf";

fn verify(host: &Host, connector: &str, source: &Source, more: &[&str]) -> Result<Output> {
    let component = component(connector)?;
    let verify = ["verify", &component.to_string_lossy(), "--json", "--allow-private", &source.address()];
    host.run(&[&verify, more].concat())
}

/// A connector against a source at `address`: no rule is broken.
pub(super) fn breaks_no_rule(host: &Host, connector: &str, address: &str, configuration: &str) -> Result<()> {
    holds(host, connector, &["--allow-private", address, "--config", configuration], "checkpoints-honest")
}

/// A connector against what its source answered when a sync was recorded: no rule is broken.
pub(super) fn breaks_no_rule_of_recording(host: &Host, connector: &str, recording: &str) -> Result<()> {
    holds(host, connector, &["--recording", recording], "repeatable")
}

/// No rule is broken, and this one was tried.
fn holds(host: &Host, connector: &str, more: &[&str], tried: &str) -> Result<()> {
    let component = component(connector)?;
    let output = host.run(&[&["verify", &component.to_string_lossy(), "--json"], more].concat())?;
    assert_eq!(rules(&output, "fail")?, BTreeSet::new(), "{connector}: {}", output.stdout);
    ensure!(rules(&output, "pass")?.contains(tried), "{connector}: {}", output.stdout);
    Ok(())
}

/// The rules with this verdict.
fn rules(output: &Output, verdict: &str) -> Result<BTreeSet<String>> {
    let report: Value = serde_json::from_str(&output.stdout).with_context(|| output.stderr.clone())?;
    let findings = report["findings"].as_array().context("there are no findings")?;
    let with = findings.iter().filter(|finding| finding["verdict"] == verdict);
    Ok(with.filter_map(|finding| finding["rule"].as_str()).map(str::to_owned).collect())
}

/// A connector that is wrong in one way, against six pages of a source.
fn wrong(mode: &str) -> Result<Output> {
    // Memory is told apart from noise only where much is read.
    let (records, page_size) = if mode == "memory-flat" { (3_000, "500") } else { (60, "10") };
    let source = Source::start(Options { records, orders: 60, api_key: KEY.to_owned(), ..Options::default() })?;
    let host = Host::new()?;
    let url = source.url();
    let other = if mode == "hosts-declared" { "https://unused.example.com" } else { &url };
    let fields = [("api_key", KEY), ("page_size", page_size), ("mode", mode), ("other_url", other)];
    host.configure_with(&source, &fields)?;
    verify(&host, "wrong", &source, &["--config", "configuration.json"])
}

/// Breaks the rule of the test's name and no other.
fn breaks(rule: &str) -> Result<()> {
    breaks_by(rule, rule)
}

/// A way of being wrong breaks a rule and no other.
fn breaks_by(mode: &str, rule: &str) -> Result<()> {
    let output = wrong(mode)?.failed(3, "rules-broken")?;
    assert_eq!(rules(&output, "fail")?, BTreeSet::from([rule.to_owned()]), "{}", output.stdout);
    Ok(())
}

/// Declares a test for each rule; one without a test is found below.
macro_rules! broken_rules {
    ($($name:ident = $rule:literal;)*) => {
        $(#[test] fn $name() -> Result<()> { breaks($rule) })*
        const BROKEN: &[&str] = &[$($rule,)*];
    };
}

broken_rules! {
    succeeds = "succeeds";
    records_are_objects = "records-are-objects";
    keys_present = "keys-present";
    keys_unique = "keys-unique";
    keys_alike = "keys-alike";
    copy_complete = "copy-complete";
    tables_declared = "tables-declared";
    names_valid = "names-valid";
    schema_minimal = "schema-minimal";
    state_timestamps = "state-timestamps";
    log_quiet = "log-quiet";
    secrets_hidden = "secrets-hidden";
    memory_flat = "memory-flat";
    hosts_declared = "hosts-declared";
    unknown_fields = "unknown-fields";
    credentials_refused = "credentials-refused";
    repeatable = "repeatable";
    incremental = "incremental";
    checkpoints_honest = "checkpoints-honest";
    ties_kept = "ties-kept";
    edits_kept = "edits-kept";
    faults_survived = "faults-survived";
    later_faults = "later-faults";
    errors_typed = "errors-typed";
    empty_pages = "empty-pages";
    new_columns = "new-columns";
    type_changes = "type-changes";
}

/// Who asks once more survives a fault that passes, and not one that lasts.
#[test]
fn a_page_that_is_left_out_at_the_second_try() -> Result<()> {
    breaks_by("a-page-left-out", "faults-survived")
}

/// A rule is broken in more than one way, and each wrong connector has a right one beside it that breaks none.
#[test]
fn what_a_source_leads_astray_to_is_caught_and_the_right_way_is_not() -> Result<()> {
    for (mode, rule) in BROKEN_BY_NOTES.iter().chain(&[("asks-for-nothing", "incremental")]) {
        breaks_by(mode, rule).with_context(|| (*mode).to_owned())?;
    }
    for mode in
        ["notes-right", "notes-right-ties", "notes-right-window", "notes-right-tombstones", "notes-right-tables"]
    {
        let output = wrong(mode)?.succeeded().with_context(|| mode.to_owned())?;
        assert_eq!(rules(&output, "fail")?, BTreeSet::new(), "{mode}: {}", output.stdout);
    }
    Ok(())
}

/// The rules that notes are lost or kept wrongly by.
const BROKEN_BY_NOTES: &[(&str, &str)] = &[
    ("notes-ties", "ties-kept"),
    ("notes-after", "ties-kept"),
    ("notes-search", "ties-kept"),
    ("notes-newest", "edits-kept"),
    ("notes-nulls", "later-complete"),
    ("notes-short", "short-pages"),
    ("notes-tombstones", "tombstones-deleted"),
    ("notes-token", "tokens-sealed"),
    ("notes-tables", "tables-apart"),
];

/// Rules by name, and a look at few places, take few runs.
#[test]
fn rules_are_chosen_by_name() -> Result<()> {
    let (source, host) = source_and_host(Options { records: 60, ..Options::default() })?;
    host.configure_with(&source, &[("page_size", "10")])?;
    let some = ["--config", "configuration.json", "--quick", "--rules", "repeatable,checkpoints-honest"];
    let output = verify(&host, "guest", &source, &some)?.succeeded()?;
    let expected = ["succeeds", "repeatable", "checkpoints-honest"].map(str::to_owned);
    assert_eq!(rules(&output, "pass")?, BTreeSet::from(expected));
    ensure!(output.stdout.contains("3 of "), "{}", output.stdout);
    let unknown = verify(&host, "guest", &source, &["--rules", "repeatble"])?;
    ensure!(unknown.stderr.contains("there is no such rule"), "{}", unknown.stderr);
    Ok(())
}

/// The rule that the SDK keeps itself: only a connector without it could break it.
const KEPT_BY_THE_SDK: &str = "fields-required";

fn every_rule() -> impl Iterator<Item = &'static str> {
    let of_notes = BROKEN_BY_NOTES.iter().map(|(_, rule)| *rule);
    let all: BTreeSet<&str> = BROKEN.iter().copied().chain(of_notes).chain([KEPT_BY_THE_SDK]).collect();
    all.into_iter()
}

#[test]
fn the_right_connector_breaks_no_rule_and_each_rule_has_a_wrong_one() -> Result<()> {
    let output = wrong("right")?.succeeded()?;
    assert_eq!(rules(&output, "fail")?, BTreeSet::new());
    // Too little is read to tell; its cursor is no moment.
    let skipped = ["edits-kept", "later-complete", "memory-flat", "short-pages", "tables-apart", "ties-kept"];
    let skipped = skipped.into_iter().chain(["tokens-sealed", "tombstones-deleted"]).map(str::to_owned);
    assert_eq!(rules(&output, "skip")?, skipped.collect());
    let mut all = rules(&output, "pass")?;
    all.extend(rules(&output, "skip")?);
    assert_eq!(all, every_rule().map(str::to_owned).collect());
    Ok(())
}

/// What is found is shown: the page, the request, the record.
#[test]
fn evidence_names_page_request_and_record() -> Result<()> {
    for (mode, words) in [
        ("keys-present", &["\"record_id\" of cds_records is missing", "nobody"][..]),
        ("keys-unique", &["record_id=7 was written after request", "/cds_data?page_size=10"]),
        (
            "checkpoints-honest",
            &["resumed from checkpoint 1 of 13", "10 rows of cds_records lost, the first record_id="],
        ),
        ("faults-survived", &["status 404 at request 1", "the sync succeeds, and 60 rows of cds_records lost"]),
        (
            "ties-kept",
            &["with updated_after=2024-01-01T00:19:00Z", "the row of orders whose updated_at is just that (id="],
        ),
        ("edits-kept", &["with updated_since=", " s after this one asked for its first page"]),
        (
            "type-changes",
            &["numbers that arrive as text at request 1", "10 rows of cds_records lost, the first record_id="],
        ),
    ] {
        let output = wrong(mode)?;
        let report: Value = serde_json::from_str(&output.stdout)?;
        let findings = report["findings"].as_array().context("there are no findings")?;
        let found = findings.iter().find(|finding| finding["rule"] == mode).context("the rule is not there")?;
        let evidence = found["evidence"].as_str().unwrap_or_default();
        ensure!(words.iter().all(|words| evidence.contains(words)), "{mode}: {evidence}");
        assert_eq!(found["guide"], format!("docs/guides/verify.md#{mode}"));
    }
    Ok(())
}

#[test]
fn the_connectors_of_this_repository_break_no_rule() -> Result<()> {
    let options = Options { records: 95, orders: 95, customers: 35, ..Options::default() };
    let (source, host) = source_and_host(options)?;
    host.configure_with(&source, &[("page_size", "10"), ("overlap_minutes", "5")])?;
    for connector in ["guest", "offset-window", "parent-child"] {
        let output = verify(&host, connector, &source, &["--config", "configuration.json"])?;
        assert_eq!(rules(&output, "fail")?, BTreeSet::new(), "{connector}: {}", output.stdout);
    }
    let output = verify(&host, "offset-window", &source, &["--config", "configuration.json"])?;
    let passed = rules(&output, "pass")?;
    ensure!(["ties-kept", "edits-kept", "type-changes"].iter().all(|rule| passed.contains(*rule)), "{}", output.stdout);
    let output = verify(&host, "operations", &source, &[])?;
    assert_eq!(rules(&output, "fail")?, BTreeSet::new(), "{}", output.stdout);
    Ok(())
}

/// With a recording there is no source, and what it cannot answer is not tried instead of guessed.
#[test]
fn a_recording_stands_for_the_source() -> Result<()> {
    let (source, host) = source_and_host(Options { records: 60, ..Options::default() })?;
    host.configure_with(&source, &[("page_size", "10")])?;
    host.sync("guest", &source, &["--record", "sync.rec"])?.succeeded()?;
    let served = source.stats().requests;
    let output = verify(&host, "guest", &source, &["--recording", "sync.rec"])?.succeeded()?;
    assert_eq!(source.stats().requests, served);
    ensure!(rules(&output, "pass")?.contains("checkpoints-honest"), "{}", output.stdout);
    ensure!(rules(&output, "pass")?.contains("faults-survived"), "{}", output.stdout);
    Ok(())
}

/// The source is asked once: what rules disturb and resume is answered with what it said.
#[test]
fn the_source_is_asked_once() -> Result<()> {
    let (source, host) = source_and_host(Options { records: 60, ..Options::default() })?;
    host.configure_with(&source, &[("page_size", "10")])?;
    verify(&host, "guest", &source, &["--config", "configuration.json"])?.succeeded()?;
    let requests = source.stats().requests;
    ensure!(requests <= 10, "{requests} requests for six pages");
    Ok(())
}

/// Every rule has its section in the guide.
#[test]
fn every_rule_is_in_the_guide() -> Result<()> {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guides/verify.md"))?;
    for rule in every_rule() {
        ensure!(guide.contains(&format!("\n### {rule}\n")), "docs/guides/verify.md has no section {rule}");
    }
    Ok(())
}

/// The page for those who generate connectors names every rule, so that its checklist is the one of `host verify`.
#[test]
fn every_rule_is_in_the_prompt() -> Result<()> {
    let prompt = Host::new()?.run(&["new", "--prompt"])?.succeeded()?.stdout;
    for rule in every_rule() {
        ensure!(prompt.contains(&format!("`{rule}`")), "the prompt does not name {rule}");
    }
    Ok(())
}
