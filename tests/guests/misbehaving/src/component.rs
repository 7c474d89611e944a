//! The exports of the contract, without the SDK in between: it would not let most of this happen.

use elt_sdk::bindings::elt::connector::{checkpoint, operations};
use elt_sdk::bindings::{Configuration, Description, Error, Guest, Selection, Table};

use crate::modes::modes;
use crate::{check, describe, schema, start, update};

struct Misbehaving;

/// What a mode of `update` may need.
pub(crate) struct Sync {
    /// A URL that the host lets through.
    pub(crate) base_url: String,
    /// What the host gave for the secret field.
    pub(crate) api_key: String,
    /// What it gave for the field that the connector asks to see.
    pub(crate) signing_key: String,
}

/// Functions that call the mode of a name.
macro_rules! calls {
    (start { $($start:ident)* } describe { $($describe:ident)* } check { $($check:ident)* }
     schema { $($schema:ident)* } update { $($update:ident)* }) => {
        fn call_start(mode: &str) {
            match mode { $(concat!("start.", stringify!($start)) => start::$start(),)* _ => {} }
        }

        fn call_describe(mode: &str) -> Description {
            match mode {
                $(concat!("describe.", stringify!($describe)) => describe::$describe(),)*
                _ => describe::well_behaved(),
            }
        }

        fn call_check(mode: &str) {
            match mode { $(concat!("check.", stringify!($check)) => check::$check(),)* _ => {} }
        }

        fn call_schema(mode: &str) -> Vec<Table> {
            match mode {
                $(concat!("schema.", stringify!($schema)) => schema::$schema(),)*
                _ => schema::well_behaved(),
            }
        }

        fn call_update(mode: &str, sync: &Sync) -> Result<(), Error> {
            match mode {
                $(concat!("update.", stringify!($update)) => update::$update(sync),)*
                "schema.names_that_fit" => {
                    schema::fill_names();
                    Ok(())
                }
                // `check` and `schema` were on their own.
                _ if mode.starts_with("check.") || mode.starts_with("schema.") => Ok(()),
                _ => Err(Error::Internal(format!("there is no mode {mode:?}"))),
            }
        }
    };
}
modes!(calls);

/// A mode, padded with spaces: the tests replace the spaces in the component's file.
#[used]
static MODE: [u8; 64] = *b"misbehaving mode:                                               ";
const LABEL_LENGTH: usize = 17;

fn mode_in_file() -> String {
    // SAFETY: a static that nobody writes to; volatile, so that the compiler does not believe that it knows the bytes.
    let mode = unsafe { std::ptr::read_volatile(&raw const MODE) };
    String::from_utf8_lossy(&mode[LABEL_LENGTH..]).trim().to_owned()
}

/// Runs while the component is instantiated, before any export is called.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = on_start;

extern "C" fn on_start() {
    call_start(&mode_in_file());
}

fn get(configuration: &Configuration, key: &str) -> String {
    configuration.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()).unwrap_or_default()
}

impl Guest for Misbehaving {
    fn describe() -> Description {
        call_describe(&mode_in_file())
    }

    fn check(configuration: Configuration) -> Result<(), Error> {
        call_check(&get(&configuration, "mode"));
        Ok(())
    }

    fn schema(configuration: Configuration) -> Result<Vec<Table>, Error> {
        Ok(call_schema(&get(&configuration, "mode")))
    }

    /// Writes rows 1 to 3 and a checkpoint, row 4 without one, and only then does what it is told.
    fn update(configuration: Configuration, _: Option<String>, selection: Selection) -> Result<(), Error> {
        drop(selection);
        update::upsert("things", "{\"id\": 1}\n{\"id\": 2}\n{\"id\": 3}\n");
        checkpoint::save("{\"at\": 3}");
        update::upsert("things", "{\"id\": 4}\n");
        let field = |name| get(&configuration, name);
        let sync = Sync { base_url: field("base_url"), api_key: field("api_key"), signing_key: field("signing_key") };
        call_update(&get(&configuration, "mode"), &sync)
    }
}

/// One batch in one call.
pub(crate) fn write(table: &str, kind: operations::Kind, rows: impl Into<Vec<u8>>) {
    operations::write(&[operations::Batch { table: table.to_owned(), kind, rows: rows.into() }]);
}

elt_sdk::bindings::export_world!(Misbehaving with_types_in elt_sdk::bindings);
