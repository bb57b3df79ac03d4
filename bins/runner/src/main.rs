//! otto-run.
fn main() {}
