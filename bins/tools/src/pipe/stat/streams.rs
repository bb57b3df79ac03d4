//! Streams with a name: FIFOs, of which the kernel tells.

use crate::copy_bar::amount;
use crate::pipe::site::Site;
use otto_core::fifo::{self, Direction, Holder};
use otto_core::{ErrorKind, Json, Result};
use std::path::{Path, PathBuf};

/// A FIFO, who has it open and what is in it.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    path: PathBuf,
    holders: Vec<Holder>,
    /// `None` where nobody of whom it could be learnt has it open.
    queued: Option<u64>,
}

/// All of a folder, or the one wanted, if it is there; a path is one by itself.
pub(super) fn find(site: &Site, wanted: Option<&str>) -> Result<Vec<Named>> {
    let found: Vec<(String, PathBuf)> = match wanted {
        Some(path) if path.contains('/') => vec![(path.to_owned(), PathBuf::from(path))],
        _ => {
            let folder = site.folder()?;
            let mut names = fifo::list(&folder)?;
            names.retain(|name| wanted.is_none_or(|wanted| wanted == name));
            let path = |name: &String| folder.join(format!("{name}.fifo"));
            names.into_iter().map(|name| (name.clone(), path(&name))).collect()
        }
    };
    let mut streams = Vec::new();
    for (name, path) in found {
        match look(name, path) {
            Ok(stream) => streams.push(stream),
            // Removed while we looked.
            Err(_) if wanted.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(streams)
}

fn look(name: String, path: PathBuf) -> Result<Named> {
    use std::os::unix::fs::FileTypeExt;
    let found = std::fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            otto_core::Error::new(ErrorKind::NotFound, format!("no such stream: {name}"))
        }
        _ => otto_core::Error::io("look at", &path, error),
    })?;
    if !found.file_type().is_fifo() {
        return Err(otto_core::Error::new(ErrorKind::Io, format!("{name} is no FIFO")));
    }
    let holders = fifo::holders(&path)?;
    let queued = fifo::queued(&path, &holders);
    Ok(Named { name, path, holders, queued })
}

impl Named {
    fn those_who(&self, direction: Direction) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(move |holder| holder.direction == direction)
    }

    fn names(&self, direction: Direction) -> String {
        let names =
            self.those_who(direction).map(|holder| format!("{} ({})", holder.name, holder.id));
        let names: Vec<String> = names.collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    }

    /// Who waits for whom: seen in the kernel, or clear from who is not there.
    fn words(&self) -> String {
        let (readers, writers) = (self.known(Direction::Read), self.known(Direction::Write));
        match (readers.is_empty(), writers.is_empty()) {
            (false, true) if self.queued == Some(0) => format!("{readers} waits for a writer"),
            (true, false) => "nobody reads it".to_owned(),
            _ => {
                let sides = [(Direction::Read, writers), (Direction::Write, readers)];
                let waiting = sides.into_iter().flat_map(|(who, whom)| {
                    let waits = self.those_who(who).filter(|holder| holder.waits);
                    waits.map(move |holder| format!("{} waits for {whom}", self.called(holder)))
                });
                waiting.collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// What those of one side are called.
    fn known(&self, direction: Direction) -> String {
        self.those_who(direction).map(|holder| self.called(holder)).collect::<Vec<_>>().join(", ")
    }

    /// By name; where that is not enough, with the number.
    fn called(&self, holder: &Holder) -> String {
        let namesakes = self.holders.iter().filter(|other| other.name == holder.name);
        if namesakes.into_iter().any(|other| other.id != holder.id) {
            return format!("{} ({})", holder.name, holder.id);
        }
        holder.name.clone()
    }

    pub(super) fn row(&self) -> [String; 5] {
        let queued = self.queued.map_or_else(|| "-".to_owned(), |bytes| amount(bytes as f64));
        let names = |direction| self.names(direction);
        [self.name.clone(), queued, names(Direction::Write), names(Direction::Read), self.words()]
    }

    pub(super) fn json(&self) -> String {
        let holders = |direction| {
            let objects = self.those_who(direction).map(|holder| {
                let Holder { id, name, waits, .. } = holder;
                format!("{{\"pid\":{id},\"name\":{},\"waits\":{waits}}}", Json::string(name))
            });
            objects.collect::<Vec<_>>().join(",")
        };
        format!(
            "{{\"name\":{},\"path\":{},\"queued\":{},\"writers\":[{}],\"readers\":[{}]}}",
            Json::string(&self.name),
            Json::string(&text(&self.path)),
            self.queued.map_or_else(|| "null".to_owned(), |queued| queued.to_string()),
            holders(Direction::Write),
            holders(Direction::Read)
        )
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
