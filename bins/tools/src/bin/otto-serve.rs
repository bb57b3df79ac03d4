//! Gives a command, or a shell, a run of its own.

use anyhow::Context;
use clap::ArgMatches;
use otto_core::run::{Descendants, Installation, Run, clean_dead_runs, variable};
use otto_core::socket::{Options, Server};
use otto_core::{Error, ErrorKind};
use otto_tools::cli::{self, Given, number};
use otto_tools::{Done, Foreground, ProgressLines, ending_signals, is_sent_on, print};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    otto_tools::run_command(cli::serve::command(), serve)
}

fn serve(arguments: &ArgMatches) -> Done {
    let words: Vec<&OsString> = arguments.get_many("COMMAND").into_iter().flatten().collect();
    // Opened before anything of ours can take that number.
    let ready = match arguments.given("ready-fd") {
        Some(text) => Some(open_ready(number("--ready-fd", text)?)?),
        None => None,
    };
    // Caught from the start: whatever ends this program, what it made is removed.
    let mut signals = Signals::new(ending_signals())?;
    // Whoever can't clean up after others can still serve.
    let _ = clean_dead_runs();
    let run = Run::create(Descendants::Left)?;
    let socket = match arguments.given("socket") {
        Some(path) => {
            std::path::absolute(path).map_err(|error| Error::io("use", Path::new(path), error))?
        }
        None => run.socket_path(),
    };
    let mut display = ProgressLines::default();
    let options = Options {
        on_progress: Some(Box::new(move |record| display.show(&record))),
        progress_fifo: Some(run.progress_path()),
        ..Options::default()
    };
    let server = Server::bind(&socket, options)?.spawn();
    run.set_socket(&socket)?;
    run.link_socket();
    let installation = Installation::of_this_program();
    if words.is_empty() {
        print_exports(&run, &socket, &installation)?;
        announce(ready)?;
        signals.forever().next();
        server.stop()?;
        return Ok(0);
    }
    announce(ready)?;
    let status = run_command(&words, &run, &socket, &installation, signals)?;
    server.stop()?;
    Ok(status)
}

/// Prints what `eval` takes, then lets go of standard output, on which `$(...)` waits.
fn print_exports(run: &Run, socket: &Path, installation: &Installation) -> anyhow::Result<()> {
    let mut variables: Vec<(&str, PathBuf)> = vec![
        (variable::RUN_ID, run.id().to_string().into()),
        (variable::RUN_DIR, run.dir().into()),
        (variable::SOCKET, socket.into()),
    ];
    variables.extend(installation.otto_sh.clone().map(|path| (variable::OTTO_SH, path)));
    let mut out = String::new();
    for (name, value) in variables {
        let value = value.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("{} is not UTF-8: choose another path", value.display()),
            )
        })?;
        out.push_str(&format!("export {name}='{}'\n", value.replace('\'', "'\\''")));
    }
    print(out.as_bytes())?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(())
}

/// The descriptor that whoever started this program reads.
fn open_ready(descriptor: u32) -> otto_core::Result<File> {
    let path = PathBuf::from(format!("/proc/self/fd/{descriptor}"));
    let opened = File::options().append(true).open(&path);
    opened.map_err(|error| Error::io("tell readiness on", &path, error))
}

/// Tells whoever started this program that clients can connect.
fn announce(ready: Option<File>) -> anyhow::Result<()> {
    let Some(mut ready) = ready else { return Ok(()) };
    ready.write_all(b"\n").context("can't tell readiness on --ready-fd")
}

/// Runs the command in this program's place at the terminal, and passes on how it ended.
fn run_command(
    words: &[&OsString],
    run: &Run,
    socket: &Path,
    installation: &Installation,
    mut signals: Signals,
) -> Done {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    for name in [variable::TASK_NAME, variable::TASK, variable::TASK_DIR] {
        command.env_remove(name);
    }
    command.env(variable::RUN_ID, run.id().to_string());
    command.env(variable::RUN_DIR, run.dir()).env(variable::SOCKET, socket);
    command.env("PATH", installation.path(std::env::var_os("PATH").as_deref()));
    if let Some(functions) = &installation.otto_sh {
        command.env(variable::OTTO_SH, functions);
    }
    if let Some(path) = installation.python_path(std::env::var_os("PYTHONPATH").as_deref()) {
        command.env("PYTHONPATH", path);
    }
    let command = match Foreground::start("otto-serve", &mut command) {
        Ok(command) => command,
        Err(status) => return Ok(status),
    };
    let process = command.process();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Some(process) = process.as_ref().filter(|_| is_sent_on(signal)) {
                process.signal(signal);
            }
        }
    });
    command.wait()
}
