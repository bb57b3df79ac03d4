//! Starting tasks.

use super::Engine;
use crate::config::Script;
use crate::display::Ending;
use crate::environment::Own;
use crate::process::{Live, command};
use crate::streams::Places;
use crate::workspace::write_new;
use otto_core::region::{Document, SIZE_DEFAULT};
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Engine<'_> {
    /// Starts what may start: as many tasks as jobs, a group of streams always as a whole.
    pub(super) fn start_ready(&mut self) {
        while !self.cancelled && self.live.len() < self.parts.jobs {
            let Some(group) = self.schedule.next() else { return };
            if let Err(message) = self.start_group(&group) {
                self.fail(1, message);
            }
        }
    }

    pub(super) fn start_group(&mut self, group: &[usize]) -> Result<(), String> {
        let mut folders = Vec::with_capacity(group.len());
        for &task in group {
            folders.push(self.prepare(task)?);
        }
        if group.iter().any(|task| self.parts.graph.is_streaming(*task)) {
            let config = self.parts.config;
            let workspace = self.parts.workspace;
            let names = |task: usize| config.tasks[task].name.as_str();
            let places = Places {
                run_dir: self.parts.run.dir(),
                spill: workspace.root(),
                names: &names,
                folder: &|task| workspace.of_task(names(task)),
            };
            let sender = self.parts.inbox.sender();
            self.streams.connect(self.parts.graph, group, &places, &sender)?;
        }
        for (&task, folder) in group.iter().zip(&folders) {
            let Some(script) = &self.parts.config.tasks[task].script else {
                self.end_well(task, &Ending::Done, Duration::ZERO);
                continue;
            };
            self.parts.display.started(task);
            let live = self
                .spawn(task, script, folder)
                .map_err(|why| format!("task {:?} can't be started: {why}", self.name(task)))?;
            self.live.push(live);
        }
        Ok(())
    }

    /// Makes a task's folder and its document.
    fn prepare(&mut self, task: usize) -> Result<PathBuf, String> {
        let name = &self.parts.config.tasks[task].name;
        let needs = self.parts.graph.needs[task].iter().map(|need| self.name(*need));
        let folder = self.parts.workspace.create_task(name.as_str(), needs).map_err(|error| {
            let folder = self.parts.workspace.of_task(name.as_str());
            format!("can't create {}: {error}", folder.display())
        })?;
        Document::create(self.parts.run.id(), name, SIZE_DEFAULT)
            .map_err(|error| error.to_string())?;
        Ok(folder)
    }

    fn spawn(&mut self, task: usize, script: &Script, folder: &Path) -> Result<Live, String> {
        let config = &self.parts.config.tasks[task];
        let path = folder.join("script");
        write_new(&path, &script.text)
            .map_err(|error| format!("can't create {}: {error}", path.display()))?;
        let search = self.parts.common.search(&config.envs);
        let invocation = self.programs.invocation(script, &path, search)?;
        let input = self.streams.input(task);
        let stdin = input
            .map(|(_, end)| end.try_clone())
            .transpose()
            .map_err(|error| format!("its input: {error}"))?;
        let mut command = command(&invocation, stdin);
        self.parts.common.apply(
            &mut command,
            &Own {
                name: config.name.as_str(),
                folder,
                envs: &config.envs,
                input: input.map(|(path, _)| path),
                output: self.streams.output(task),
            },
        );
        let _held = self.parts.descriptors.hold(&mut command);
        Live::start(task, &mut command, folder, config.timeout)
            .map_err(|error| format!("{}: {error}", invocation.program.display()))
    }
}
