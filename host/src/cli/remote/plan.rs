//! The file of `host apply`: what there is to be on a server, in YAML. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use model::error::{Code, Error, Result};
use server::types::{ConnectionSettings, TenantSettings};

/// The version of the format.
const VERSION: u32 = 1;
/// Bytes of a file.
const BYTES_MAX: usize = 16 << 20;

/// Everything in a file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    version: u32,
    /// Components to be there.
    #[serde(default)]
    pub(super) connectors: Vec<Upload>,
    /// Tenants, by name.
    #[serde(default, deserialize_with = "each_once")]
    pub(super) tenants: BTreeMap<String, TenantPlan>,
}

/// A component to be there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    /// Its file, relative to the plan's folder.
    pub(super) component: String,
    /// Whose it is; left out: there for everybody.
    #[serde(default)]
    pub(super) tenant: Option<String>,
}

/// A tenant to be there.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantPlan {
    /// What it may use; left out: a tenant that is there stays as it is, a new one has the defaults.
    #[serde(default)]
    pub(super) settings: Option<TenantSettings>,
    /// Its connections, by name.
    #[serde(default, deserialize_with = "each_once")]
    pub(super) connections: BTreeMap<String, ConnectionSettings>,
}

/// Reads what has names, and refuses a name that is there twice: only one of the two would be meant.
fn each_once<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Names<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Names<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("names, each once")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some(name) = entries.next_key::<String>()? {
                if all.contains_key(&name) {
                    return Err(A::Error::custom(format!("\"{name}\" is there twice")));
                }
                all.insert(name, entries.next_value()?);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_map(Names(PhantomData))
}

impl Plan {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refused = |what: &str| Error::new(Code::Usage, format!("understand the plan: {what}"));
        if text.len() > BYTES_MAX {
            return Err(refused(&format!("it has more than {BYTES_MAX} bytes")));
        }
        let plan: Self = yaml_serde::from_str(text).map_err(|error| {
            refused("it is not what a plan looks like").hint("docs/formats/plan.md describes it.").because(error)
        })?;
        if plan.version == VERSION {
            return Ok(plan);
        }
        Err(refused(&format!("it has version {}, this host knows {VERSION}", plan.version)))
    }

    /// Replaces references in configurations and destinations by what they stand for.
    pub(super) fn resolve(&mut self, look_up: &dyn Fn(&str) -> Result<Option<String>>) -> Result<()> {
        let connections = self.tenants.values_mut().flat_map(|tenant| tenant.connections.values_mut());
        for connection in connections {
            for text in connection.configuration.values_mut().chain([&mut connection.destination]) {
                if let Some(resolved) = look_up(text)? {
                    *text = resolved;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const PLAN: &str = include_str!("../../../../docs/formats/plan.example.yaml");

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let mut plan = Plan::parse(PLAN).unwrap();
        let orders = &plan.tenants["shop"].connections["orders"];
        assert_eq!(orders.schedule.as_ref().unwrap().every.as_deref(), Some("15min"));
        assert_eq!((plan.connectors.len(), plan.connectors[0].tenant.as_deref()), (1, None));
        plan.resolve(&|text| Ok(text.strip_prefix("env:").map(|name| format!("<{name}>")))).unwrap();
        assert_eq!(plan.tenants["shop"].connections["orders"].configuration["api_key"], "<SHOP_KEY>");
        let page = include_str!("../../../../docs/formats/plan.md");
        assert!(page.contains(PLAN), "docs/formats/plan.md should show docs/formats/plan.example.yaml");
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in
            ["", "version: 2", "version: 1\nnonsense: 1", "version: 1\ntenants: {a: {connections: {b: {}}}}", "a: ["]
        {
            assert_eq!(Plan::parse(text).unwrap_err().code(), Code::Usage, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let connection = "{connector: x, destination: 'null:'}";
        for (text, name) in [
            ("version: 1\ntenants:\n  a: {}\n  b: {}\n  a: {}\n".to_owned(), "\"a\""),
            (format!("version: 1\ntenants: {{a: {{connections: {{c: {connection}, c: {connection}}}}}}}"), "\"c\""),
        ] {
            let error = Plan::parse(&text).unwrap_err();
            assert!(
                error.code() == Code::Usage && error.chain().contains(&format!("{name} is there twice")),
                "{error:?}"
            );
        }
        assert!(Plan::parse("version: 1\ntenants: {a: {}, b: {}}").is_ok());
        assert!(Plan::parse("version: 1\ntenants:\n").is_ok());
    }

    #[test]
    fn aliases_cannot_blow_a_plan_up() {
        let mut text = "version: 1\nx0: &x0 [a,a,a,a,a,a,a,a,a,a]\n".to_owned();
        for level in 1..12 {
            let before = format!("*x{}", level - 1);
            let _infallible = writeln!(text, "x{level}: &x{level} [{}]", vec![before; 10].join(","));
        }
        assert_eq!(Plan::parse(&text).unwrap_err().code(), Code::Usage);
    }
}
