//! What the programs share: their command lines as data, and the edge where each begins and ends.

pub mod cli;
mod copy_bar;
mod edge;
mod foreground;
pub mod pipe;
mod progress_lines;
mod value;

pub use copy_bar::CopyBar;
pub use edge::{Done, print, run, run_command, say};
pub use foreground::{Foreground, ending_signals, is_sent_on, passed_on};
pub use progress_lines::ProgressLines;
pub use value::{read_value, spelled_after_dashes};
