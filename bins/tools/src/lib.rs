//! What the programs share: their command lines as data, and the edge where each begins and ends.

pub mod cli;
mod copy_bar;
mod edge;
pub mod pipe;
mod value;

pub use copy_bar::CopyBar;
pub use edge::{Done, print, run, run_command, say};
pub use value::{read_value, spelled_after_dashes};
