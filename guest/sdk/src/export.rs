//! What stands between the contract's exports and a [`Connector`].

use crate::bindings::elt::connector::types;
use crate::configuration::Configuration;
use crate::connector::Connector;
use crate::error::Result;
use crate::operations::Operations;
use crate::state::State;
use crate::table::Table;

/// Makes a component of a [`Connector`](crate::connector::Connector): `elt_sdk::export!(Tickets);`, once a crate.
///
/// The component's version is the package's, and so is its name unless the connector has one of its own.
#[macro_export]
macro_rules! export {
    ($connector:ty) => {
        const _: () = {
            impl $crate::export::Package for $connector {
                const PACKAGE_NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
                const PACKAGE_VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
            }
            ::core::assert!(
                $crate::export::is_name($crate::export::name::<$connector>()),
                "a connector's name must match [a-z][a-z0-9_-]*: rename the package or set Connector::NAME"
            );

            #[cfg(target_arch = "wasm32")]
            struct Component;

            #[cfg(target_arch = "wasm32")]
            impl $crate::bindings::Guest for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::export::describe::<$connector>()
                }

                fn check(
                    configuration: $crate::bindings::Configuration,
                ) -> ::core::result::Result<(), $crate::bindings::Error> {
                    $crate::export::component::check::<$connector>(configuration)
                }

                fn schema(
                    configuration: $crate::bindings::Configuration,
                ) -> ::core::result::Result<::std::vec::Vec<$crate::bindings::Table>, $crate::bindings::Error> {
                    $crate::export::component::schema::<$connector>(configuration)
                }

                fn update(
                    configuration: $crate::bindings::Configuration,
                    state: ::core::option::Option<::std::string::String>,
                    selection: $crate::bindings::Selection,
                ) -> ::core::result::Result<(), $crate::bindings::Error> {
                    $crate::export::component::update::<$connector>(configuration, state.as_deref(), selection)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_world!(Component with_types_in $crate::bindings);
        };
    };
}

/// The package a connector lives in; [`export!`](crate::export!) implements it.
pub trait Package: Connector {
    /// `CARGO_PKG_NAME`.
    const PACKAGE_NAME: &'static str;
    /// `CARGO_PKG_VERSION`.
    const PACKAGE_VERSION: &'static str;
}

/// The connector's name.
pub const fn name<C: Package>() -> &'static str {
    match C::NAME {
        Some(name) => name,
        None => C::PACKAGE_NAME,
    }
}

/// Whether a connector may be called so.
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let fits = match bytes[at] {
            b'a'..=b'z' => true,
            b'0'..=b'9' | b'_' | b'-' => at > 0,
            _ => false,
        };
        if !fits {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

/// What the connector says about itself.
pub fn describe<C: Package>() -> types::Description {
    types::Description {
        name: name::<C>().to_owned(),
        version: C::PACKAGE_VERSION.to_owned(),
        fields: C::FIELDS.iter().map(Into::into).collect(),
        hosts: C::HOSTS.iter().map(|&host| host.to_owned()).collect(),
        rate_limits: C::RATE_LIMITS.iter().map(Into::into).collect(),
    }
}

/// The connector's check, after the required fields.
pub fn check<C: Connector>(configuration: Configuration) -> Result<()> {
    C::check(&configuration.complete(C::FIELDS)?)
}

/// The connector's tables.
pub fn schema<C: Connector>(configuration: Configuration) -> Result<Vec<Table>> {
    C::schema(&configuration.complete(C::FIELDS)?)
}

/// One sync; what is still buffered goes out only where it succeeds.
pub fn update<C: Connector>(
    configuration: Configuration,
    state: Option<&str>,
    selection: types::Selection,
) -> Result<()> {
    let configuration = configuration.complete(C::FIELDS)?;
    let mut operations = Operations::new(selection);
    C::update(&configuration, State::from_json(state)?, &mut operations)?;
    operations.finish()
}

/// A dry run of `update`, see [`Connector::check`].
pub(crate) fn probe<C: Connector + ?Sized>(configuration: &Configuration) -> Result<()> {
    let mut operations = Operations::probe();
    let result = C::update(configuration, State::default(), &mut operations);
    if operations.probe_ended() { Ok(()) } else { result }
}

/// The exports as the component's glue calls them.
#[cfg(target_arch = "wasm32")]
pub mod component {
    use super::{Connector, types};
    use crate::severe;

    /// See [`super::check`].
    pub fn check<C: Connector>(configuration: types::Configuration) -> Result<(), types::Error> {
        report_panics();
        super::check::<C>(configuration.into_iter().collect()).map_err(types::Error::from)
    }

    /// See [`super::schema`].
    pub fn schema<C: Connector>(configuration: types::Configuration) -> Result<Vec<types::Table>, types::Error> {
        report_panics();
        let tables = super::schema::<C>(configuration.into_iter().collect())?;
        Ok(tables.into_iter().map(Into::into).collect())
    }

    /// See [`super::update`].
    pub fn update<C: Connector>(
        configuration: types::Configuration,
        state: Option<&str>,
        selection: types::Selection,
    ) -> Result<(), types::Error> {
        report_panics();
        let configuration = configuration.into_iter().collect();
        super::update::<C>(configuration, state, selection).map_err(types::Error::from)
    }

    /// A panic ends in a trap, which says nothing: its message and place go to the log before.
    fn report_panics() {
        std::panic::set_hook(Box::new(|panic| severe!("{}", panic.to_string().replace('\n', " "))));
    }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_lower_case_and_start_with_a_letter() {
        for name in ["a", "guest", "offset-window", "s3_export2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2s", "-a", "Guest", "a b", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
