//! What a run leaves in the home folder: `~/.otto/<project>/<time>/tasks/<task>`.

use otto_core::NO_TASK;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of one run. Readable by its owner alone: logs and outputs may hold secrets.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    tasks: PathBuf,
}

impl Workspace {
    /// Makes the folder of a run that starts now, and points `latest` beside it there.
    pub(crate) fn create(home: &Path, project: &str) -> Result<Workspace, String> {
        let project = home.join(".otto").join(project);
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("can't create {path}: {error}")
        };
        builder().recursive(true).create(&project).map_err(failed(&project))?;
        let time = time_name(SystemTime::now());
        let root = new_folder(&project, &time).map_err(failed(&project.join(&time)))?;
        let tasks = root.join("tasks");
        builder().create(&tasks).map_err(failed(&tasks))?;
        let workspace = Workspace { root, tasks };
        let shared = workspace.of_task(NO_TASK);
        builder().create(&shared).map_err(failed(&shared))?;
        // A convenience: a run does not fail for it.
        let _ = workspace.link_latest(&project);
        Ok(workspace)
    }

    /// The folder of this run.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a task; that of `_` is where the tasks share, through files, the keys of no
    /// task.
    pub(crate) fn of_task(&self, task: &str) -> PathBuf {
        self.tasks.join(task)
    }

    /// Makes a task's folder with links to the outputs of what it needs.
    pub(crate) fn create_task<'a>(
        &self,
        task: &str,
        needs: impl Iterator<Item = &'a str>,
    ) -> io::Result<PathBuf> {
        let folder = self.of_task(task);
        builder().create(&folder)?;
        for need in needs {
            let target = format!("../{need}/output.{need}.json");
            symlink(target, folder.join(format!("input.{need}.json")))?;
        }
        Ok(folder)
    }

    fn link_latest(&self, project: &Path) -> io::Result<()> {
        let name = self.root.file_name().unwrap_or_default();
        let new = project.join(format!(".latest.{}", std::process::id()));
        let _ = fs::remove_file(&new);
        symlink(name, &new)?;
        fs::rename(&new, project.join("latest"))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Only where nobody has stored anything in it.
        let _ = fs::remove_dir(self.of_task(NO_TASK));
    }
}

/// A new file of the owner's alone.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// As [`new_file`], with its content.
pub(crate) fn write_new(path: &Path, content: &str) -> io::Result<()> {
    new_file(path)?.write_all(content.as_bytes())
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Several runs may start within one second.
fn new_folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let mut path = parent.join(name);
    let mut number = 1;
    loop {
        match builder().create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                path = parent.join(format!("{name}.{number}"));
            }
            result => return result.map(|()| path),
        }
    }
}

/// UTC, so that the order of names is the order of runs: `2026-11-23T07-18-54Z`.
fn time_name(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}Z")
}

/// Year, month and day of a number of days since 1970, counted in years that begin in March so
/// that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_of_times() {
        for (seconds, name) in [
            (0, "1970-01-01T00-00-00Z"),
            (951_782_400, "2000-02-29T00-00-00Z"),
            (1_795_418_334, "2026-11-23T07-18-54Z"),
            (4_107_542_399, "2100-02-28T23-59-59Z"),
        ] {
            assert_eq!(time_name(UNIX_EPOCH + Duration::from_secs(seconds)), name);
        }
    }

    #[test]
    fn runs_of_one_second_get_folders_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let a = Workspace::create(home.path(), "p").unwrap();
        let b = Workspace::create(home.path(), "p").unwrap();
        assert_ne!(a.root(), b.root());
        let folder = a.create_task("t", ["d"].into_iter()).unwrap();
        let link = fs::read_link(folder.join("input.d.json")).unwrap();
        assert_eq!(link, Path::new("../d/output.d.json"));
        assert_eq!(
            fs::read_link(home.path().join(".otto/p/latest")).unwrap(),
            b.root().file_name().unwrap()
        );
    }
}
