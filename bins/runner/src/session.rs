//! Everything a run needs around its tasks, made before them and gone after them.

use crate::Plan;
use crate::cli::{JOBS_MAX, Options};
use crate::descriptors;
use crate::display::{Display, complain};
use crate::engine::{Engine, Parts};
use crate::environment::Common;
use crate::inbox::{Inbox, Notice};
use crate::signals::Signals;
use crate::workspace::Workspace;
use otto_core::run::{Descendants, DescriptorLimit, Run, clean_dead_runs};
use otto_core::socket;

/// Runs the plan and returns the status to exit with.
pub(crate) fn run(plan: &Plan, options: &Options) -> u8 {
    match try_run(plan, options) {
        Ok(status) => status,
        Err(message) => {
            complain(&message);
            1
        }
    }
}

fn try_run(plan: &Plan, options: &Options) -> Result<u8, String> {
    let said = |error: otto_core::Error| error.to_string();
    // From here on nothing ends this process between making something and removing it.
    let signals = Signals::listen().map_err(|error| format!("can't listen to signals: {error}"))?;
    // Orphans of our tasks become our children, so that none escapes the end of the run.
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|errno| format!("can't become a subreaper: {}", errno.desc()))?;
    clean_dead_runs().map_err(said)?;
    let descriptors = DescriptorLimit::current();
    descriptors::allow(&plan.graph, &plan.chosen, jobs(plan, options));
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or("HOME is not set: it is where logs and outputs are kept")?;
    let workspace = Workspace::create(&home, &plan.project())?;
    let run = Run::create(Descendants::Swept).map_err(said)?;
    let inbox = Inbox::new().map_err(|error| format!("can't make a pair of sockets: {error}"))?;
    let (sender, waits, cancels) = (inbox.sender(), inbox.sender(), inbox.sender());
    let settings = socket::Options {
        on_progress: Some(Box::new(move |record| sender.progress(record))),
        on_cancel: Some(Box::new(move |task| cancels.notice(Notice::Cancel { task }))),
        on_wait: Some(Box::new(move || waits.waiting())),
        progress_fifo: Some(run.progress_path()),
        raise_descriptors: true,
        ..socket::Options::default()
    };
    let server = socket::Server::bind(&run.socket_path(), settings).map_err(said)?;
    run.link_socket();
    let server = server.spawn();
    let names = plan.config.tasks.iter().map(|task| task.name.to_string()).collect();
    let ending = signals.ending_fd().map_err(|error| error.to_string())?;
    let engine = Engine::new(Parts {
        config: &plan.config,
        graph: &plan.graph,
        chosen: &plan.chosen,
        jobs: jobs(plan, options),
        run: &run,
        descriptors,
        server: server.handle().clone(),
        workspace: &workspace,
        common: Common::new(&run, server.path(), &plan.config.envs),
        display: Display::new(names, ending, options.plain),
        signals,
        inbox,
    });
    let status = engine.run();
    if let Err(error) = server.stop() {
        complain(&error.to_string());
        return Ok(if status == 0 { 1 } else { status });
    }
    Ok(status)
}

/// The command line, else the file, else the number of CPUs this process may use.
fn jobs(plan: &Plan, options: &Options) -> usize {
    let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
    options.jobs.or(plan.config.jobs).unwrap_or_else(cpus).min(JOBS_MAX)
}
