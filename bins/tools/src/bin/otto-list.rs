//! Lists keys.

use otto_core::run::Environment;
use otto_core::{Json, Pattern};
use otto_tools::cli::{self, Arguments, Given, named_via};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::list::LIST, list)
}

fn list(arguments: &Arguments) -> Done {
    let pattern = Pattern::parse(arguments.text("PATTERN"))?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    let keys = values.list(&pattern)?;
    let mut out = String::new();
    if arguments.flag("json") {
        let keys: Vec<String> = keys.iter().map(|key| Json::string(key).into_string()).collect();
        out = format!("[{}]\n", keys.join(","));
    } else {
        for key in keys {
            out.push_str(&key);
            out.push('\n');
        }
    }
    print(out.as_bytes())?;
    Ok(0)
}
