//! A host of one's own: runs a connector natively, under `cargo test`, and collects what it does.
//!
//! ```
//! use elt_sdk::prelude::*;
//! use elt_sdk::testing::{Answer, Test};
//!
//! struct People;
//!
//! impl Connector for People {
//!     fn schema(_: &Configuration) -> Result<Vec<Table>> {
//!         Ok(vec![Table::new("people", ["id"])])
//!     }
//!
//!     fn update(_: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
//!         let http = Client::new("https://api.example.com");
//!         for page in http.get("people").pages("items", PageNumber::new("page")) {
//!             operations.upsert_page("people", &page?)?;
//!         }
//!         operations.checkpoint(&state)
//!     }
//! }
//!
//! let sync = Test::<People>::new()
//!     .serve(|asked| match asked.query("page").as_deref() {
//!         Some("1") => Answer::json(r#"{"items": [{"id": 1.0}]}"#),
//!         _ => Answer::json(r#"{"items": []}"#),
//!     })
//!     .update();
//!
//! assert_eq!(sync.result, Ok(()));
//! assert_eq!(sync.operations(), [r#"upsert people {"id": 1.0}"#, "checkpoint {}"]);
//! ```

mod answer;
mod asked;
pub(crate) mod double;
mod run;
mod secrets;

pub use answer::Answer;
pub use asked::Asked;
pub use double::Operation;
pub use run::{Sync, Test};

/// Answers the requests that this thread makes from now on, outside of a [`Test`].
pub fn serve(handler: impl FnMut(&Asked) -> Answer + 'static) {
    double::with(|double| double.handler = Some(Box::new(handler)));
}
