//! What the programs share: their command lines as data, and the edge where each begins and ends.

mod batch;
pub mod cli;
mod copy_bar;
mod edge;
mod foreground;
pub mod lock;
pub mod pipe;
mod progress_lines;
mod run_for;
mod saved;
mod table;
mod value;
pub mod watch;
mod which_run;

pub use batch::{Batch, read_batch};
pub use copy_bar::CopyBar;
pub use edge::{Done, is_unread, print, run, run_command, say};
pub use foreground::{Foreground, ending_signals, is_sent_on, passed_on};
pub use progress_lines::ProgressLines;
pub use run_for::run_for;
pub use saved::{Saved, load};
pub use value::{read_value, spelled_after_dashes};
pub use which_run::socket_of_run;
