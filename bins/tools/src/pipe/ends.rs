//! What a subcommand reads and what it writes: a stream with a name, this task's own, standard
//! input or output, or what lies at a path.

use super::site::Site;
use super::usage;
use otto_core::fifo::{self, Unread};
use otto_core::run::variable;
use otto_core::{Error, ErrorKind};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is read.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) fd: OwnedFd,
    /// What it is called.
    pub(super) label: String,
    /// The path of this task's own input, when this is it.
    own: Option<PathBuf>,
}

impl Input {
    /// Opens what was given, else `otherwise`, and waits for its writer.
    pub(super) fn open(
        site: &Site,
        given: Option<&str>,
        otherwise: Otherwise,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Input> {
        Waiting::open(site, given, otherwise)?.wait(deadline)
    }

    /// What there is to read altogether, where that is known.
    pub(super) fn total(&self) -> Option<u64> {
        let found = File::from(self.fd.try_clone().ok()?).metadata().ok()?;
        found.is_file().then_some(found.len())
    }

    /// To be asked at the end of what was read: was that the end, or did its producer fail?
    pub(super) fn check_end(&self) -> anyhow::Result<()> {
        let Some(producer) = self.own.as_deref().and_then(fifo::failed_producer) else {
            return Ok(());
        };
        let message = format!("{producer} failed: what it wrote is here, its stream has no end");
        Err(Error::new(ErrorKind::ProducerEnded, message).into())
    }
}

/// What is meant where no stream is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// This task's own, which it must have.
    Own,
    /// Standard input: in a streaming task that is its own input.
    Standard,
    /// This task's own, else standard output.
    OwnOrStandard,
}

/// What will be read when something has been written.
#[derive(Debug)]
pub(super) struct Waiting {
    label: String,
    own: Option<PathBuf>,
    what: What,
}

#[derive(Debug)]
enum What {
    Ready(OwnedFd),
    Stream(Unread),
}

impl Waiting {
    /// Opens what was given, else `otherwise`.
    pub(super) fn open(
        site: &Site,
        given: Option<&str>,
        otherwise: Otherwise,
    ) -> anyhow::Result<Waiting> {
        let own = site.environment.input_pipe.as_deref();
        match (given, otherwise) {
            (None, Otherwise::Own) => match own {
                Some(own) => Waiting::at(own, "input".to_owned(), Some(own)),
                None => Err(no_own_stream(variable::INPUT_PIPE)),
            },
            (None | Some("-"), _) => {
                let fd = io::stdin().as_fd().try_clone_to_owned()?;
                let own = own.filter(|own| is_same(&fd, own));
                check_in(own)?;
                let own = own.map(Path::to_owned);
                Ok(Waiting { label: "input".to_owned(), own, what: What::Ready(fd) })
            }
            (Some(path), _) if path.contains('/') => {
                let label = path.rsplit('/').next().unwrap_or(path).to_owned();
                Waiting::at(Path::new(path), label, own.filter(|own| Path::new(path) == *own))
            }
            (Some(name), _) => Waiting::at(&site.path(name)?, name.to_owned(), None),
        }
    }

    fn at(path: &Path, label: String, own: Option<&Path>) -> anyhow::Result<Waiting> {
        check_in(own)?;
        let own = own.map(Path::to_owned);
        let is_file = fs::metadata(path).is_ok_and(|found| !found.file_type().is_fifo());
        let is_stream = path.extension().is_some_and(|extension| extension == "fifo");
        let what = if is_file && !is_stream {
            let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
            What::Ready(file.into())
        } else {
            What::Stream(Unread::open(path)?)
        };
        Ok(Waiting { label, own, what })
    }

    /// Waits until something has been written.
    pub(super) fn wait(self, deadline: Option<Instant>) -> anyhow::Result<Input> {
        let fd = match self.what {
            What::Ready(fd) => fd,
            What::Stream(unread) => unread.wait(deadline, &mut || Ok(()))?.into(),
        };
        Ok(Input { fd, label: self.label, own: self.own })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }
}

/// Says that this reader will ask how its stream ended.
fn check_in(own: Option<&Path>) -> anyhow::Result<()> {
    match own.map(fifo::check_in) {
        Some(Err(error)) if error.kind() == ErrorKind::Full => Err(error.into()),
        // Where nothing can be noted beside it, it is no run's: nobody will note a failure either.
        _ => Ok(()),
    }
}

/// Is it the same pipe?
fn is_same(fd: &OwnedFd, path: &Path) -> bool {
    let held = fd.try_clone().and_then(|fd| File::from(fd).metadata());
    match (held, fs::metadata(path)) {
        (Ok(held), Ok(found)) => (held.dev(), held.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

/// What is written.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) fd: OwnedFd,
    pub(super) label: String,
    /// Where a reader that leaves early is no error.
    pub(super) standard: bool,
}

impl Output {
    /// Opens what was given, else `otherwise`, and waits for its reader.
    pub(super) fn open(
        site: &Site,
        given: Option<&str>,
        otherwise: Otherwise,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Output> {
        let own = site.environment.output_pipe.as_deref();
        let given = match (given, own, otherwise) {
            (None, None, Otherwise::Own) => return Err(no_own_stream(variable::OUTPUT_PIPE)),
            (None, None, _) => "-",
            (None, Some(own), _) => {
                let file = fifo::open_write(own, deadline, &mut || Ok(()))?;
                return Ok(Output { fd: file.into(), label: "output".to_owned(), standard: false });
            }
            (Some(given), _, _) => given,
        };
        let mut all = Output::open_all(site, &[given], deadline)?;
        Ok(all.remove(0))
    }

    /// Opens all that were given, and waits for their readers, in whatever order those come.
    pub(super) fn open_all(
        site: &Site,
        given: &[&str],
        deadline: Option<Instant>,
    ) -> anyhow::Result<Vec<Output>> {
        let mut all: Vec<Option<Output>> = Vec::new();
        let mut streams: Vec<(PathBuf, String)> = Vec::new();
        for given in given {
            let path = match *given {
                "-" => None,
                path if path.contains('/') => Some(PathBuf::from(path)),
                name => Some(site.path(name)?),
            };
            let label = given.rsplit('/').next().unwrap_or(given).to_owned();
            all.push(match path {
                None => {
                    let fd = io::stdout().as_fd().try_clone_to_owned()?;
                    Some(Output { fd, label: "output".to_owned(), standard: true })
                }
                Some(path) if given.contains('/') && !is_fifo(&path) => {
                    let made = File::create(&path);
                    let file = made.map_err(|error| Error::io("write", &path, error))?;
                    Some(Output { fd: file.into(), label, standard: false })
                }
                Some(path) => {
                    streams.push((path, label));
                    None
                }
            });
        }
        let paths: Vec<&Path> = streams.iter().map(|(path, _)| path.as_path()).collect();
        let opened = fifo::open_writes(&paths, deadline, &mut || Ok(()))?;
        let mut opened = opened.into_iter().zip(&streams).map(|(file, (_, label))| Output {
            fd: file.into(),
            label: label.clone(),
            standard: false,
        });
        Ok(all.into_iter().filter_map(|known| known.or_else(|| opened.next())).collect())
    }

    /// What comes of a reader that has gone before the end, after so many bytes.
    pub(super) fn reader_gone(&self, bytes: u64) -> anyhow::Result<()> {
        self.gone().after(bytes)
    }

    /// What would come of it, for when this has been closed.
    pub(super) fn gone(&self) -> ReaderGone {
        ReaderGone((!self.standard).then(|| self.label.clone()))
    }
}

/// That the reader of what has this name leaves early; standard output's may.
pub(super) struct ReaderGone(Option<String>);

impl ReaderGone {
    pub(super) fn after(self, bytes: u64) -> anyhow::Result<()> {
        let Some(label) = self.0 else { return Ok(()) };
        let message =
            format!("the reader of {label} has gone after {bytes} bytes; the rest is lost");
        Err(Error::new(ErrorKind::Io, message).into())
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

fn no_own_stream(variable: &str) -> anyhow::Error {
    usage(format!("give a stream's name: this is no streaming task, {variable} is not set"))
}
