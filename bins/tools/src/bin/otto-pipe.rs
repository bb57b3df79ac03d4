//! Streams bytes and lines between running programs.

use otto_tools::{cli, pipe, run_command};
use std::process::ExitCode;

fn main() -> ExitCode {
    run_command(cli::pipe::command(), pipe::run)
}
