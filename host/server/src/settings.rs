//! What tenants and operators set, as what is in force: checked, with secrets masked where they are shown and filled in where
//! the mask came back. Pure.

use std::collections::BTreeMap;

use super::place;
use super::types::{self, ConnectionSettings, Connector, TenantSettings};
use model::error::{Code, Error, Result};
use model::schema::{self, SchemaContract};
use model::{RecordRules, Selection};
use sandbox::{EgressAllow, KeySource, Limits, SecretGrants, SecretKey, addresses, limits_text};
use warehouse::{DestinationUrl, ShrinkMax};

/// What is shown in place of a secret field.
pub(super) const MASK: &str = "********";
/// Texts of one list or map.
const ITEMS_MAX: usize = 1_000;
/// Bytes of a field of a configuration.
const FIELD_BYTES_MAX: usize = 64 << 10;

/// The limits of a connection: the tenant's with the connection's own on top, none looser than the operator allows.
pub(super) fn limits(connection: &ConnectionSettings, tenant: &TenantSettings) -> Result<Limits> {
    let most = most(tenant)?;
    let limits = limits_text::set_all(&within(&most), &connection.limits)?;
    match limits_text::exceeding(&limits, &most) {
        None => Ok(limits),
        Some((name, value)) => {
            Err(Error::new(Code::RequestInvalid, format!("set the limit {name}: it can be {value}"))
                .hint("The operator can raise what is allowed (limits_max of the tenant)."))
        }
    }
}

/// The loosest limits of a tenant's connections.
fn most(tenant: &TenantSettings) -> Result<Limits> {
    limits_text::set_all(&Limits::default(), &tenant.limits_max)
}

/// The defaults, where the operator allows as much.
fn within(most: &Limits) -> Limits {
    limits_text::stricter(&Limits::default(), most)
}

/// Which tables.
pub(super) fn selection(connection: &ConnectionSettings) -> Selection {
    if connection.tables.is_empty() { Selection::All } else { Selection::Tables(connection.tables.clone()) }
}

/// Which tables keep their history.
pub(super) fn history(connection: &ConnectionSettings) -> Selection {
    if connection.history.iter().any(|name| name == "*") {
        return Selection::All;
    }
    Selection::Tables(connection.history.clone())
}

/// What becomes of deleted rows.
pub(super) fn deletes(connection: &ConnectionSettings) -> warehouse::Deletes {
    match connection.deletes {
        types::Deletes::Soft => warehouse::Deletes::Soft,
        types::Deletes::Hard => warehouse::Deletes::Hard,
    }
}

/// What becomes of bad records.
pub(super) fn records(connection: &ConnectionSettings) -> RecordRules {
    RecordRules {
        on_bad_record: match connection.on_bad_record {
            types::OnBadRecord::Fail => model::OnBadRecord::Fail,
            types::OnBadRecord::Quarantine => model::OnBadRecord::Quarantine,
        },
        on_unstorable: match connection.on_unstorable {
            types::OnUnstorable::Fail => model::OnUnstorable::Fail,
            types::OnUnstorable::Replace => model::OnUnstorable::Replace,
        },
        rejected_max: connection.rejected_max.unwrap_or(model::REJECTED_MAX),
    }
}

/// How much of a table may go at once.
pub(super) fn shrink_max(connection: &ConnectionSettings) -> Result<ShrinkMax> {
    let Some(percent) = connection.shrink_max else { return Ok(ShrinkMax::default()) };
    ShrinkMax::percent(percent).ok_or_else(|| {
        Error::new(Code::RequestInvalid, format!("let {percent} percent of a table be deleted"))
            .hint("shrink_max is from 0 to 100.")
    })
}

/// Whether texts that look like time become time.
pub(super) fn timestamps(connection: &ConnectionSettings) -> bool {
    connection.timestamps == types::Timestamps::Infer
}

/// The schema contract.
pub(super) fn contract(connection: &ConnectionSettings) -> Result<SchemaContract> {
    let has = |change| connection.schema_change.contains(&change);
    let contract = SchemaContract {
        freeze_columns: has(types::SchemaChange::FreezeColumns),
        freeze_types: has(types::SchemaChange::FreezeTypes),
        fail: has(types::SchemaChange::Fail),
        on_mismatch: match connection.on_mismatch {
            types::OnMismatch::Fail => schema::OnMismatch::Fail,
            types::OnMismatch::Widen => schema::OnMismatch::Widen,
            types::OnMismatch::Null => schema::OnMismatch::Null,
        },
    };
    if contract.on_mismatch == schema::OnMismatch::Widen && (contract.freeze_types || contract.fail) {
        return Err(Error::new(Code::RequestInvalid, "widen columns whose types schema_change keeps as they are")
            .hint("Use on_mismatch null or fail with it, or leave schema_change at allow."));
    }
    Ok(contract)
}

/// What may be done with secrets: fields that the connector may see, and what seals tokens in states.
pub(super) fn secrets(connection: &ConnectionSettings, token_key: Option<&str>) -> SecretGrants {
    let key = token_key.and_then(SecretKey::parse).map_or(KeySource::None, KeySource::Key);
    SecretGrants { exposed: connection.expose.clone(), key }
}

/// Addresses beyond the public internet.
pub(super) fn allow(tenant: &TenantSettings) -> EgressAllow {
    EgressAllow { private: tenant.allow_private.clone(), http: tenant.allow_http.clone() }
}

/// Whether an operator's settings of a tenant can be in force.
pub(super) fn check_tenant(settings: &TenantSettings) -> Result<()> {
    let lists = [&settings.destinations, &settings.allow_private, &settings.allow_http];
    if lists.iter().any(|list| list.len() > ITEMS_MAX) {
        return Err(Error::new(Code::RequestInvalid, format!("keep a list of more than {ITEMS_MAX} items")));
    }
    settings.destinations.iter().try_for_each(|entry| place::check_entry(entry))?;
    addresses::checked(&settings.allow_private)?;
    addresses::checked(&settings.allow_http)?;
    most(settings)?;
    check_quotas(&settings.quotas)
}

/// Whether quotas are within what the document of the API says.
fn check_quotas(quotas: &types::Quotas) -> Result<()> {
    let number = |number: Option<u32>| number.map(u64::from);
    let bounds = [
        ("syncs_at_once", number(Some(quotas.syncs_at_once)), 0, 10_000),
        ("requests_per_second", number(quotas.requests_per_second), 1, 1_000_000),
        ("cpu_seconds_per_day", quotas.cpu_seconds_per_day, 0, 1_000_000_000_000),
        ("rows_per_day", quotas.rows_per_day, 0, 1_000_000_000_000_000),
        ("disk_bytes", quotas.disk_bytes, 0, 1_000_000_000_000_000),
        ("connections", number(Some(quotas.connections)), 0, 1_000_000),
        ("connectors", number(Some(quotas.connectors)), 0, 10_000),
    ];
    let outside = |(_, value, least, most): &&(&str, Option<u64>, u64, u64)| {
        value.is_some_and(|value| value < *least || value > *most)
    };
    let Some((name, _, least, most)) = bounds.iter().find(outside) else { return Ok(()) };
    Err(Error::new(Code::RequestInvalid, format!("set the quota {name}: it is from {least} to {most}"))
        .hint("Leave a quota out for its default."))
}

/// Whether a name can be a tenant's or a connection's.
pub(super) fn check_name(name: &str) -> Result<()> {
    model::connection_name(Some(name), name).map(drop)
}

/// Whether the texts of a connection are of bounded length and number.
pub(super) fn check_sizes(settings: &ConnectionSettings) -> Result<()> {
    let too_much = |what: &str| Err(Error::new(Code::RequestInvalid, format!("keep {what}")));
    let counts = [
        settings.configuration.len(),
        settings.tables.len(),
        settings.limits.len(),
        settings.schema_change.len(),
        settings.expose.len(),
        settings.history.len(),
    ];
    if counts.iter().any(|count| *count > ITEMS_MAX) {
        return too_much(&format!("a list of more than {ITEMS_MAX} items"));
    }
    let texts = settings.configuration.iter().flat_map(|(name, value)| [name, value]).chain(&settings.tables);
    if texts.chain([&settings.destination]).any(|text| text.len() > FIELD_BYTES_MAX) {
        return too_much(&format!("a text of more than {FIELD_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// What can be shown of a connection: secrets masked. A field that the connector does not know may be one.
pub(super) fn masked(settings: &ConnectionSettings, connector: Option<&Connector>) -> ConnectionSettings {
    let is_plain = |name: &str| {
        connector.is_some_and(|found| found.fields.iter().any(|field| field.name == *name && !field.secret))
    };
    let mask = |(name, value): (&String, &String)| {
        (name.clone(), if is_plain(name) { value.clone() } else { MASK.to_owned() })
    };
    ConnectionSettings {
        configuration: settings.configuration.iter().map(mask).collect(),
        destination: shown(&settings.destination),
        ..settings.clone()
    }
}

/// A destination without its password.
pub(super) fn shown(destination: &str) -> String {
    destination.parse().map_or_else(|_| MASK.to_owned(), |url: DestinationUrl| url.to_string())
}

/// What is meant by settings in which masks stand for what is there already.
pub(super) fn unmasked(
    mut given: ConnectionSettings,
    known: Option<&ConnectionSettings>,
) -> Result<ConnectionSettings> {
    let missing = |what: &str| {
        Error::new(Code::RequestInvalid, format!("keep {what}: there is none yet"))
            .hint("A mask stands for what is there already; give the secret itself.")
    };
    let before = known.map(|known| &known.configuration);
    for (name, value) in &mut given.configuration {
        if value == MASK {
            let kept = before.and_then(|before: &BTreeMap<String, String>| before.get(name));
            value.clone_from(kept.ok_or_else(|| missing(&format!("the secret \"{name}\"")))?);
        }
    }
    let unchanged =
        known.filter(|known| known.destination != given.destination && shown(&known.destination) == given.destination);
    if let Some(known) = unchanged {
        given.destination.clone_from(&known.destination);
    } else if given.destination.contains(":***@") {
        return Err(missing("the destination's password"));
    }
    Ok(given)
}

/// Names of what is different, without values.
pub(super) fn differences(before: &ConnectionSettings, after: &ConnectionSettings) -> Vec<String> {
    let mut names = Vec::new();
    let fields: std::collections::BTreeSet<&String> =
        before.configuration.keys().chain(after.configuration.keys()).collect();
    for field in fields {
        if before.configuration.get(field) != after.configuration.get(field) {
            names.push(format!("configuration.{field}"));
        }
    }
    let others = [
        ("connector", before.connector != after.connector),
        ("digest", before.digest != after.digest),
        ("destination", before.destination != after.destination),
        ("schedule", before.schedule != after.schedule),
        ("tables", before.tables != after.tables),
        ("expose", before.expose != after.expose),
        ("limits", before.limits != after.limits),
        ("schema_change", before.schema_change != after.schema_change),
        ("on_mismatch", before.on_mismatch != after.on_mismatch),
        ("deletes", before.deletes != after.deletes),
        ("on_bad_record", before.on_bad_record != after.on_bad_record),
        ("on_unstorable", before.on_unstorable != after.on_unstorable),
        ("rejected_max", before.rejected_max != after.rejected_max),
        ("shrink_max", before.shrink_max != after.shrink_max),
        ("history", before.history != after.history),
        ("timestamps", before.timestamps != after.timestamps),
    ];
    names.extend(others.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ConnectorField;

    fn settings(configuration: &[(&str, &str)], destination: &str) -> ConnectionSettings {
        let mut settings: ConnectionSettings =
            serde_json::from_str(r#"{"connector":"shop","destination":"null:"}"#).unwrap();
        settings.configuration = configuration.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        settings.destination = destination.to_owned();
        settings
    }

    fn connector() -> Connector {
        let field = |name: &str, secret| ConnectorField {
            name: name.into(),
            help: String::new(),
            required: true,
            secret,
            default: None,
        };
        Connector {
            name: "shop".into(),
            version: "1".into(),
            digest: "d".into(),
            bytes: 1,
            shared: true,
            uploaded_at: String::new(),
            fields: vec![field("url", false), field("key", true)],
            hosts: vec![],
        }
    }

    #[test]
    fn secrets_are_masked_and_the_mask_stands_for_them() {
        let known = settings(&[("url", "https://x"), ("key", "s3cret"), ("odd", "s3cret")], "postgres://u:s3cret@h/d");
        let shown = masked(&known, Some(&connector()));
        assert!(!format!("{shown:?}").contains("s3cret"));
        assert_eq!(shown.configuration["url"], "https://x");
        assert_eq!(shown.destination, "postgres://u:***@h:5432/d");
        assert!(!format!("{:?}", masked(&known, None)).contains("s3cret"));
        assert_eq!(unmasked(shown.clone(), Some(&known)).unwrap(), known);
        assert_eq!(unmasked(shown, None).unwrap_err().code(), Code::RequestInvalid);
        let elsewhere = settings(&[], "postgres://u:***@evil/d");
        assert_eq!(unmasked(elsewhere, Some(&known)).unwrap_err().code(), Code::RequestInvalid);
    }

    #[test]
    fn what_differs_is_named_without_its_value() {
        let before = settings(&[("url", "a"), ("key", "old")], "null:");
        let mut after = settings(&[("url", "a"), ("key", "new"), ("more", "x")], "null:");
        after.deletes = types::Deletes::Hard;
        assert_eq!(differences(&before, &after), ["configuration.key", "configuration.more", "deletes"]);
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn a_tenant_cannot_set_limits_above_what_the_operator_allows() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let tenant = TenantSettings { limits_max: one("memory-bytes", "64MiB"), ..TenantSettings::default() };
        let with = |limits| limits_of(limits, &tenant);
        assert_eq!(with(BTreeMap::new()).unwrap().memory_bytes_max, 64 << 20);
        assert_eq!(with(one("memory-bytes", "32MiB")).unwrap().memory_bytes_max, 32 << 20);
        assert_eq!(with(one("memory-bytes", "65MiB")).unwrap_err().code(), Code::RequestInvalid);
        assert_eq!(with(one("wall", "7h")).unwrap_err().code(), Code::RequestInvalid);
        let generous = TenantSettings { limits_max: one("wall", "24h"), ..TenantSettings::default() };
        assert_eq!(limits_of(BTreeMap::new(), &generous).unwrap(), Limits::default());
        assert!(limits_of(one("wall", "7h"), &generous).is_ok());
    }

    #[test]
    fn a_tenant_cannot_have_sources_trickle_more_slowly_than_the_operator_allows() {
        let floor = |value: &str| BTreeMap::from([("bytes-per-minute-min".to_owned(), value.to_owned())]);
        let tenant = TenantSettings { limits_max: floor("4KiB"), ..TenantSettings::default() };
        assert_eq!(limits_of(BTreeMap::new(), &tenant).unwrap().bytes_per_minute_min, 4 << 10);
        assert_eq!(limits_of(floor("1MiB"), &tenant).unwrap().bytes_per_minute_min, 1 << 20);
        let error = limits_of(floor("4095"), &tenant).unwrap_err();
        assert_eq!(error.code(), Code::RequestInvalid);
        assert!(error.to_string().contains("bytes-per-minute-min: it can be 4KiB at least"), "{error}");
        // Where the operator allows less than the default, the default stays until the connection asks for less.
        let patient = TenantSettings { limits_max: floor("512"), ..TenantSettings::default() };
        assert_eq!(limits_of(BTreeMap::new(), &patient).unwrap(), Limits::default());
        assert_eq!(limits_of(floor("512"), &patient).unwrap().bytes_per_minute_min, 512);
        assert!(limits_of(floor("1"), &patient).is_err());
    }

    fn limits_of(limits: BTreeMap<String, String>, tenant: &TenantSettings) -> Result<Limits> {
        super::limits(&ConnectionSettings { limits, ..settings(&[], "null:") }, tenant)
    }

    #[test]
    fn an_operators_settings_are_checked() {
        let checked = |change: &dyn Fn(&mut TenantSettings)| {
            let mut settings = TenantSettings::default();
            change(&mut settings);
            check_tenant(&settings)
        };
        assert!(checked(&|_| ()).is_ok());
        assert!(checked(&|settings| settings.destinations.push("postgres://h/d".into())).is_ok());
        assert!(checked(&|settings| settings.destinations.push("everything".into())).is_err());
        assert!(checked(&|settings| settings.allow_private.push("http://x/".into())).is_err());
        assert!(checked(&|settings| settings.quotas.requests_per_second = Some(0)).is_err());
        assert!(checked(&|settings| settings.quotas.rows_per_day = Some(u64::MAX)).is_err());
        assert!(checked(&|settings| drop(settings.limits_max.insert("x".into(), "1".into()))).is_err());
    }
}
