//! What a server stores, in a file: readable JSON, whole at any moment.

use crate::say;
use otto_core::socket::{Handle, Server};
use otto_core::{Error, ErrorKind, Json, Result, files};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What every file of ours begins with.
const BEGINNING: &str = "{\"otto-store\":";

/// A file in which the values of a server are kept.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    handle: Handle,
    /// One save at a time, so that the newest comes last.
    turn: Mutex<()>,
}

/// Has `server` begin with what the file `path` holds. `may_be_missing`: before the first save there is none.
///
/// # Errors
/// When it can't be read, or holds something else.
pub fn load(path: &Path, server: &mut Server, may_be_missing: bool) -> Result<()> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_missing => return Ok(()),
        Err(error) => return Err(Error::io("load", path, error)),
    };
    server.restore(&text).map_err(|error| {
        Error::new(error.kind(), format!("can't load {}: {error}", path.display()))
    })
}

impl Saved {
    /// Chooses the file `path`, which is saved to at once where that takes nothing away from it:
    /// what can't be written is better known at the start.
    ///
    /// # Errors
    /// When it holds something else, or can't be written.
    pub fn to(path: &Path, handle: &Handle, loaded: bool) -> Result<Saved> {
        let there = is_ours(path)?;
        let saved = Saved { path: path.into(), handle: handle.clone(), turn: Mutex::default() };
        if loaded || !there {
            saved.save()?;
        }
        Ok(saved)
    }

    /// Saves what is stored now.
    ///
    /// # Errors
    /// When that can't be done; the file stays as it was.
    pub fn save(&self) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        files::write(&self.path, self.handle.snapshot()?.as_bytes())
    }

    /// Saves, and says it where that fails; whether it did not.
    pub fn save_or_say(&self, program: &str) -> bool {
        self.save().inspect_err(|error| say(&format!("{program}: {error}"))).is_ok()
    }
}

/// Whether the file is there, and one that may be replaced: an earlier save, or empty.
fn is_ours(path: &Path) -> Result<bool> {
    // Looked at first: reading a FIFO might never end.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let message = format!("can't save to {}: it is no plain file", path.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("save to", path, error)),
    };
    if text.is_empty() {
        return Ok(false);
    }
    if text.starts_with(BEGINNING.as_bytes()) && Json::parse_owned(text).is_ok() {
        return Ok(true);
    }
    let message = format!(
        "won't save to {}: it holds something that is no save; remove it or name another file",
        path.display()
    );
    Err(Error::new(ErrorKind::Corrupt, message))
}
