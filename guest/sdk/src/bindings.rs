//! The contract of `wit/connector.wit` as generated Rust; everything else in this crate is written on top of it.
#![allow(missing_docs, clippy::pedantic, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "connector",
    pub_export_macro: true,
    export_macro_name: "export_world",
    default_bindings_module: "elt_sdk::bindings",
});
