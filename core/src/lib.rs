//! The transports of the Otto IPC toolkit.
//!
//! Four transports, one vocabulary: files, regions of shared memory, a Unix socket and FIFOs.
//! Everything here is synchronous; nothing here prints, parses command lines or knows Python.
//!
//! # Layout
//! - [`Key`], [`TaskName`], [`Pattern`], [`Json`], [`Object`], [`Values`]: the vocabulary;
//!   [`build_json`]: something else made of a JSON text in one pass.
//! - [`Via`], [`open()`]: which transport carries it here.
//! - [`fifo`]: streams between running processes: FIFOs, pipes, copying.
//! - [`files`]: values in task output files.
//! - [`region`]: documents and datasets in shared memory, anonymous memory.
//! - [`run`]: a run's number, folders, environment, ownership, and what dead runs leave.
//! - [`interrupt`]: how Ctrl-C reaches a call that blocks.
//! - [`socket`]: values, events and waiting behind one path; [`progress`]: what tasks report.

mod cores;
mod error;
pub mod fifo;
pub mod files;
mod fork;
pub mod interrupt;
mod json;
mod key;
pub mod limits;
mod lock;
mod object;
mod objects;
pub mod progress;
pub mod region;
pub mod run;
pub mod socket;
mod spin;
mod values;
mod via;
mod watch;

pub use error::{Error, ErrorKind, Result};
pub use json::{Json, JsonBuilder, JsonText, build as build_json};
pub use key::{Key, NO_TASK, Pattern, TaskName};
pub use object::Object;
pub use values::{Condition, TICK, Tick, Values, incremented};
pub use via::{Via, open};
