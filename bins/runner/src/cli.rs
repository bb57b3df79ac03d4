//! The command line.

use clap::{Arg, ArgAction, Command, value_parser};
use std::path::PathBuf;

/// Most tasks that may run at a time.
pub(crate) const JOBS_MAX: usize = 4096;

const AFTER_HELP: &str = "\
Example (otto.yml):
  tasks:
    build:
      bash: |
        otto-set version 1.2.3
    report:
      before: [build]
      python3: |
        import otto
        print(otto.get(\"build.version\"))

  $ otto-run report

Without TASK the tasks of otto.tasks run, else all; each with what it needs.
Without -f the file is otto.yml, .otto.yml, otto.yaml or .otto.yaml, here or further up.
Logs, scripts and outputs stay in ~/.otto/<project>/<time>/tasks/<task>.
NO_COLOR turns colours off.

Exit status: 0 done; 1 failed; 2 usage, or a file that was refused before any task started;
4 a task ran into its timeout; else that of the first task that failed (128+signal when it was
killed); 128+signal when otto-run itself was told to end.";

/// The definition of `otto-run`, from which help, man page and completions are made.
///
/// ```
/// assert_eq!(otto_runner::cli().get_name(), "otto-run");
/// ```
#[must_use]
pub fn cli() -> Command {
    Command::new("otto-run")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run the tasks of an otto.yml as a graph")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("file")
                .short('f')
                .long("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The file of tasks"),
        )
        .arg(
            Arg::new("jobs")
                .short('j')
                .long("jobs")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..=JOBS_MAX as i64))
                .help("How many tasks run at a time [default: otto.jobs, else the number of CPUs]"),
        )
        .arg(flag("tui", "Show the graph in a full-screen display").conflicts_with("plain"))
        .arg(flag("plain", "Plain lines even on a terminal"))
        .arg(flag("list", "List the tasks with their help and run nothing"))
        .arg(Arg::new("tasks").value_name("TASK").num_args(0..).help("The tasks to run"))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) file: Option<PathBuf>,
    pub(crate) jobs: Option<usize>,
    pub(crate) tui: bool,
    pub(crate) plain: bool,
    pub(crate) list: bool,
    pub(crate) tasks: Vec<String>,
}

impl Options {
    /// Parses the arguments, the program's name first.
    pub(crate) fn parse(
        arguments: impl Iterator<Item = std::ffi::OsString>,
    ) -> Result<Options, clap::Error> {
        let found = cli().try_get_matches_from(arguments)?;
        Ok(Options {
            file: found.get_one("file").cloned(),
            jobs: found.get_one::<u16>("jobs").map(|jobs| usize::from(*jobs)),
            tui: found.get_flag("tui"),
            plain: found.get_flag("plain"),
            list: found.get_flag("list"),
            tasks: found.get_many("tasks").unwrap_or_default().cloned().collect(),
        })
    }
}
