//! How many of one kind each tenant has at one time: streams, checks, uploads. Nothing is remembered of who has none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::error::{Code, Error, Result};

/// What tenants have at one time.
pub(super) struct Turns {
    what: &'static str,
    most: u32,
    held: Arc<Held>,
}

/// One of them; given back when it is dropped.
pub(super) struct Turn {
    held: Arc<Held>,
    tenant: String,
}

#[derive(Default)]
struct Held(Mutex<HashMap<String, u32>>);

impl Held {
    fn counts(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// At most so many for each tenant.
    pub(super) fn new(what: &'static str, most: u32) -> Self {
        Self { what, most, held: Arc::default() }
    }

    /// One more for a tenant; `limit-quota` where it has all that it may have.
    pub(super) fn enter(&self, tenant: &str) -> Result<Turn> {
        let mut counts = self.held.counts();
        let count = counts.get(tenant).copied().unwrap_or(0);
        if count >= self.most {
            let refused = format!("begin: the tenant has as many {} as it may, {}", self.what, self.most);
            return Err(Error::new(Code::LimitQuota, refused).hint("Wait until one of them has ended."));
        }
        counts.insert(tenant.to_owned(), count + 1);
        Ok(Turn { held: Arc::clone(&self.held), tenant: tenant.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.held.counts();
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_so_many_at_one_time_and_no_more() {
        let turns = Turns::new("looks at one time", 2);
        let first = turns.enter("a").unwrap();
        let _second = turns.enter("a").unwrap();
        let refused = turns.enter("a").err().unwrap();
        assert_eq!(refused.code(), Code::LimitQuota);
        assert!(refused.chain().ends_with("as many looks at one time as it may, 2"), "{}", refused.chain());
        assert!(turns.enter("b").is_ok(), "another tenant has its own");
        drop(first);
        assert!(turns.enter("a").is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_who_has_none() {
        let turns = Turns::new("looks", 2);
        let held: Vec<_> = (0..100).map(|number| turns.enter(&format!("t{number}")).unwrap()).collect();
        assert_eq!(turns.held.counts().len(), 100);
        drop(held);
        assert_eq!(turns.held.counts().len(), 0);
        assert!(turns.enter("t").is_ok() && turns.held.counts().is_empty());
    }
}
