//! Runs a command while holding a lock.

use otto_tools::{cli, lock};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::lock::LOCK, lock::run)
}
