//! Output files under abuse: killed writers, a full disk, folders that refuse.
#![allow(missing_docs, clippy::unwrap_used)]

mod faults;
#[path = "../region/roles.rs"]
#[allow(dead_code)]
mod roles;
mod store;
