//! A connector that does, on demand, what a connector must not do: the tests run it to see the sandbox hold.
//!
//! The configuration's field `mode` names what to do, `EXPORT.MODE` of the list in `modes.rs`. Where there is no
//! configuration, at the start of the component and in `describe`, the mode is written into the component's file.

#[cfg(target_arch = "wasm32")]
mod check;
#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
mod describe;
#[cfg(target_arch = "wasm32")]
mod modes;
#[cfg(target_arch = "wasm32")]
mod ruin;
#[cfg(target_arch = "wasm32")]
mod schema;
#[cfg(target_arch = "wasm32")]
mod start;
#[cfg(target_arch = "wasm32")]
mod update;
