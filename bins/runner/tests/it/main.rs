//! otto-run as its users meet it: the program, real files, real processes.

#![allow(clippy::unwrap_used)]

mod bad_files;
mod ending;
mod files;
mod project;
mod shapes;
mod streams;
mod streams_failure;
mod streams_shard;
mod streams_socket;
mod streams_spill;
mod tasks;
mod terminal;
mod values;
