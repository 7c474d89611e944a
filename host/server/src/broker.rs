//! Who may ask a source how often: connections with the same credential keep to its rate limits together, and all syncs of a
//! tenant to its quota of requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use model::{Configuration, Description, RateLimit, Secrecy};
use sandbox::{Pace, Pacing};

/// Schedules remembered; beyond it those of syncs that have ended are forgotten.
const PACES_MAX: usize = 100_000;

/// The schedules that syncs share.
#[derive(Default)]
pub(super) struct Broker(Mutex<HashMap<Key, (Vec<RateLimit>, Pace)>>);

/// What syncs have in common that share a schedule, as a number.
type Key = [u8; 32];

impl Broker {
    /// What a sync of this tenant's connection shares with others. A credential is all secret fields of a configuration; the
    /// connections of a connector without any share one schedule. Tenants never share one, so that none can slow another.
    pub(super) fn pacing(
        &self,
        tenant: &str,
        description: &Description,
        configuration: &Configuration,
        requests_per_second: Option<u32>,
    ) -> Pacing {
        let source = (!description.rate_limits.is_empty()).then(|| {
            let key = credential(tenant, description, configuration);
            self.pace(key, &description.rate_limits)
        });
        let quota = requests_per_second.map(|requests| {
            let key = digest(&["quota", tenant]);
            self.pace(key, &[RateLimit { requests, window_ms: 1_000 }])
        });
        Pacing { source, quota }
    }

    /// The schedule of a key; a new one if its limits have changed.
    fn pace(&self, key: Key, limits: &[RateLimit]) -> Pace {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, pace)) = paces.get(&key)
            && known == limits
        {
            return pace.clone();
        }
        if paces.len() >= PACES_MAX {
            paces.retain(|_, (_, pace)| pace.is_shared());
        }
        let pace = Pace::new(limits);
        paces.insert(key, (limits.to_vec(), pace.clone()));
        pace
    }
}

fn credential(tenant: &str, description: &Description, configuration: &Configuration) -> Key {
    let mut parts = vec!["source", tenant, &description.name];
    for field in description.fields.iter().filter(|field| field.secrecy != Secrecy::Plain) {
        parts.extend([field.name.as_str(), configuration.get(&field.name).unwrap_or_default()]);
    }
    digest(&parts)
}

/// One number for a list of texts; their lengths keep them apart.
fn digest(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use model::Field;

    fn described() -> Description {
        let field = |name: &str, secrecy| Field {
            name: name.into(),
            help: String::new(),
            required: true,
            secrecy,
            default: None,
            hosts: vec![],
        };
        Description {
            name: "shop".into(),
            version: "1".into(),
            fields: vec![field("url", Secrecy::Plain), field("key", Secrecy::Secret)],
            hosts: vec![],
            rate_limits: vec![RateLimit { requests: 1, window_ms: 1_000 }],
        }
    }

    fn with(url: &str, key: &str) -> Configuration {
        Configuration([("url", url), ("key", key)].map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn the_same_credential_keeps_to_one_schedule() {
        let (broker, now) = (Broker::default(), Instant::now());
        let wait = |tenant: &str, configuration: &Configuration| {
            let pacing = broker.pacing(tenant, &described(), configuration, None);
            pacing.source.unwrap().wait(now).as_secs()
        };
        assert_eq!(wait("a", &with("x", "1")), 0);
        assert_eq!(wait("a", &with("y", "1")), 1, "another place, the same credential");
        assert_eq!(wait("a", &with("x", "2")), 0, "another credential");
        assert_eq!(wait("b", &with("x", "1")), 0, "another tenant");
    }

    #[test]
    fn a_quota_is_for_all_of_a_tenant_and_can_change() {
        let (broker, now) = (Broker::default(), Instant::now());
        let wait = |tenant: &str, key: &str, quota: u32| {
            let pacing = broker.pacing(tenant, &described(), &with("x", key), Some(quota));
            pacing.quota.unwrap().wait(now).as_millis()
        };
        assert_eq!([wait("a", "1", 1), wait("a", "2", 1), wait("b", "1", 1)], [0, 1_000, 0]);
        assert_eq!(wait("a", "1", 10), 0, "a new quota counts from now on");
    }
}
