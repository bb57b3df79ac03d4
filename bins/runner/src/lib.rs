//! otto-run: a YAML file of bash and Python tasks, run as a graph.
//!
//! # Layout
//! - `cli`, `find`, `config`, `graph`, `select`: from the command line and the file to what is to
//!   run; nothing has started yet, and whatever is wrong is said with its line.
//! - `descriptors`: what a run needs of them and may have.
//! - `schedule`: what may start when; it decides and touches nothing.
//! - `workspace`, `script`, `environment`, `process`, `output`, `streams`, `results`: one task's
//!   folder, interpreter, variables, processes, logs, pipes and values.
//! - `engine`: the loop that ties them together; `signals` and `inbox` are what it listens to
//!   beside the tasks, `display` is what it shows.

mod circle;
mod cli;
mod config;
mod descriptors;
mod display;
mod engine;
mod environment;
mod find;
mod graph;
mod inbox;
mod lock_holder;
mod nearest;
mod output;
mod process;
mod results;
mod schedule;
mod script;
mod select;
mod session;
mod signals;
mod stat;
mod still;
mod streams;
mod system_call;
mod work;
mod workspace;

pub use cli::cli;

use cli::Options;
use config::{Config, Refused};
use display::complain;
use graph::Graph;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Usage, or a file that was refused.
const REFUSED: u8 = 2;

/// The whole program: `arguments` begin with its name; returns the exit status.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            // Help and version go to standard output, and a closed one is no error.
            let _ = error.print();
            return if error.use_stderr() { REFUSED } else { 0 };
        }
    };
    match prepare(&options) {
        Ok(Some(plan)) => session::run(&plan, &options),
        Ok(None) => 0,
        Err(Refused(lines)) => {
            lines.iter().for_each(|line| complain(line));
            REFUSED
        }
    }
}

/// All that is decided before anything starts.
struct Plan {
    path: PathBuf,
    config: Config,
    graph: Graph,
    chosen: Vec<bool>,
}

fn prepare(options: &Options) -> Result<Option<Plan>, Refused> {
    let refuse = |message: String| Refused(vec![message]);
    if options.tui {
        return Err(refuse("--tui is not built yet: leave it off, or take --plain".to_owned()));
    }
    let path = match &options.file {
        Some(path) => path.clone(),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| refuse(format!("the current folder can't be read: {error}")))?;
            find::upwards(&here).ok_or_else(|| {
                let names = find::NAMES.join(", ");
                refuse(format!("no {names} in {} or above: name one with -f", here.display()))
            })?
        }
    };
    let config = config::load(&path)?;
    let graph = Graph::new(&config).map_err(|problems| Refused::problems(&path, problems))?;
    if options.list {
        list(&config);
        return Ok(None);
    }
    let chosen = select::select(&config, &graph, &options.tasks)
        .map_err(|message| refuse(format!("{}: {message}", path.display())))?;
    descriptors::check(&config, &graph, &chosen)
        .map_err(|problem| Refused::problems(&path, vec![problem]))?;
    Ok(Some(Plan { path, config, graph, chosen }))
}

/// Names and helps, one task a line.
fn list(config: &Config) {
    let width = config.tasks.iter().map(|task| task.name.as_str().len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for task in &config.tasks {
        let help = task.help.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!("{:width$}  {help}", task.name.as_str());
        if writeln!(out, "{}", line.trim_end()).is_err() {
            return;
        }
    }
}

impl Plan {
    fn project(&self) -> String {
        config::project_name(&self.config, Path::new(&self.path))
    }
}
