//! Gives a command, or a shell, a run of its own.

use anyhow::Context;
use clap::ArgMatches;
use otto_core::run::{Descendants, DescriptorLimit, Installation, Run, clean_dead_runs, variable};
use otto_core::socket::{Options, Running, Server};
use otto_core::{Error, ErrorKind};
use otto_tools::cli::{self, Given, number};
use otto_tools::{Done, Foreground, ProgressLines, Saved, ending_signals, is_sent_on, load, print};
use signal_hook::consts::{SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

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
    for option in ["save", "load"] {
        if arguments.given(option) == Some("") {
            let message = format!("--{option}: an empty path is no file's: give another");
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
    }
    // Caught from the start: whatever ends this program, what it made is removed.
    let save = arguments.given("save").map(Path::new);
    let mut heeded = ending_signals();
    heeded.extend(save.map(|_| SIGUSR1));
    let mut signals = Signals::new(heeded)?;
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
        on_progress: Some(Box::new(move |record| display.show(record))),
        // As whoever sends the signal from elsewhere: the command is told, or serving ends.
        on_cancel: Some(Box::new(|task| {
            if task.is_none() {
                let _ = signal_hook::low_level::raise(SIGTERM);
            }
        })),
        progress_fifo: Some(run.progress_path()),
        raise_descriptors: true,
        ..Options::default()
    };
    let limit = DescriptorLimit::current();
    let mut server = Server::bind(&socket, options)?;
    run.set_socket(&socket)?;
    let loaded = arguments.given("load").map(Path::new);
    if let Some(path) = loaded {
        // Before anybody is served: clients may have found the socket already.
        load(path, &mut server, loaded == save)?;
    }
    let server = server.spawn();
    let saved = save.map(|path| Saved::to(path, server.handle(), loaded == save)).transpose()?;
    let saved = saved.map(Arc::new);
    run.link_socket();
    let installation = Installation::of_this_program();
    if words.is_empty() {
        print_exports(&run, &socket, &installation)?;
        announce(ready)?;
        wait_for_the_end(&mut signals, saved.as_deref());
        return end(server, saved.as_deref(), 0);
    }
    announce(ready)?;
    let command = command(&words, &run, &socket, &installation);
    let status = run_command(command, &limit, signals, saved.clone())?;
    end(server, saved.as_deref(), status)
}

/// Waits for a signal that ends this program.
fn wait_for_the_end(signals: &mut Signals, saved: Option<&Saved>) {
    for signal in signals.forever() {
        match saved.filter(|_| signal == SIGUSR1) {
            Some(saved) => {
                saved.save_or_say("otto-serve");
            }
            None => return,
        }
    }
}

/// Saves for the last time and stops serving. What could not be saved is a failure.
fn end(server: Running, saved: Option<&Saved>, status: u8) -> Done {
    let kept = saved.is_none_or(|saved| saved.save_or_say("otto-serve"));
    server.stop()?;
    Ok(if kept { status } else { status.max(1) })
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

/// The command with the environment of the run.
fn command(words: &[&OsString], run: &Run, socket: &Path, installation: &Installation) -> Command {
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
    command
}

/// Runs the command in this program's place at the terminal, and passes on how it ended.
fn run_command(
    mut command: Command,
    limit: &DescriptorLimit,
    mut signals: Signals,
    saved: Option<Arc<Saved>>,
) -> Done {
    let held = limit.hold(&mut command);
    let command = match Foreground::start("otto-serve", &mut command) {
        Ok(command) => command,
        Err(status) => return Ok(status),
    };
    drop(held);
    let process = command.process();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Some(saved) = saved.as_ref().filter(|_| signal == SIGUSR1) {
                saved.save_or_say("otto-serve");
            } else if let Some(process) = process.as_ref().filter(|_| is_sent_on(signal)) {
                process.signal(signal);
            }
        }
    });
    command.wait()
}
