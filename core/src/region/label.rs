//! The label of a dataset: what is known about its file, in a hidden file beside it.
//!
//! `[JSON about it][u64 offset of the payload][u64 size of the payload][u64 generation][i64 time of
//! the last change of the data file, ns][u32 length of the JSON][u32 CRC-32 of everything before]
//! ["OTTODS02"]`, little-endian. It bears the device and inode number of the data file in its name,
//! so that it can be there before the data gets its name, and belongs to nothing else.

use super::dataset::DatasetInfo;
use super::place;
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use crate::json::Json;
use crate::key::TaskName;
use crate::limits::DATASET_ABOUT_BYTES_MAX;
use crate::lock::{self, Holder};
use crate::run::{RunId, still_there};
use rustix::fs::Stat;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"OTTODS02";
/// Bytes of a label after its JSON.
const FIXED: usize = 48;

/// A label that its publisher holds locked until the data has its name: whoever gets that lock
/// knows that the publisher is done, or dead.
pub(super) struct Label {
    file: Unshared,
    path: PathBuf,
    released: bool,
}

impl Label {
    /// Writes the label of a data file that has no name yet; it appears complete.
    pub(super) fn write(path: PathBuf, info: &DatasetInfo, modified: i64) -> Result<Label> {
        let unforked = Unforked::begin();
        let file = Unshared::new(place::nameless(&path)?, &unforked);
        drop(unforked);
        let failed = |error| Error::io("write", &path, error);
        file.write_all_at(&encode(info, modified), 0).map_err(failed)?;
        file.try_lock().map_err(|error| failed(error.into()))?;
        while !place::name(&file, &path)? {
            // That of a file that had our inode number before; its cleaner may be at work.
            let old = match place::open_to_lock(&path) {
                Ok(Some(old)) => old,
                Ok(None) => continue,
                Err(_) => {
                    fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
                    continue;
                }
            };
            let _held = lock::exclusive(&old, &path, || Holder { process: None, progress: 0 })?;
            if still_there(&old, &path) {
                fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        Ok(Label { file, path, released: false })
    }

    /// The data has its name: from here on this label is its.
    pub(super) fn release(mut self) {
        self.released = true;
        let _ = self.file.unlock();
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if !self.released {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where the label of the data file `found` belongs, in the folder of the data.
pub(super) fn path_of(folder: &Path, run: RunId, name: &TaskName, found: &Stat) -> PathBuf {
    folder.join(format!("{}{:x}-{:x}", prefix(run, name), found.st_dev, found.st_ino))
}

/// What names of labels begin with, and those of data files on their way into place.
pub(super) fn prefix(run: RunId, name: &TaskName) -> String {
    format!(".otto-{run}.ds-{name}.")
}

/// Device and inode in the name of a label, after its [`prefix`].
pub(super) fn parse_identity(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once('-')?;
    Some((u64::from_str_radix(device, 16).ok()?, u64::from_str_radix(inode, 16).ok()?))
}

/// Reads the label `path` of the data file `found`; `None` when there is none.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when it is damaged, or its data has changed since.
pub(super) fn read(path: &Path, data: &Path, found: &Stat) -> Result<Option<DatasetInfo>> {
    let Some((info, modified)) = load(path)? else { return Ok(None) };
    let size = info.offset.checked_add(info.size);
    if size == u64::try_from(found.st_size).ok() && modified == modified_at(found) {
        return Ok(Some(info));
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "{} has been changed since it was published: publish the dataset anew",
            data.display()
        ),
    ))
}

/// The generation that the label `path` tells, even if its data has changed; 0 where it tells none.
pub(super) fn generation(path: &Path) -> u64 {
    load(path).ok().flatten().map_or(0, |(info, _)| info.generation)
}

fn load(path: &Path) -> Result<Option<(DatasetInfo, i64)>> {
    let Some((file, found)) = place::open(path, false)? else { return Ok(None) };
    let length = usize::try_from(found.st_size).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    if (FIXED..=FIXED + DATASET_ABOUT_BYTES_MAX).contains(&length) {
        bytes.resize(length, 0);
        match file.read_exact_at(&mut bytes, 0) {
            // Cut short since it was looked at.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => bytes.clear(),
            read => read.map_err(|error| Error::io("read", path, error))?,
        }
    }
    decode(&bytes).map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!("the label {} is damaged: publish the dataset anew", path.display()),
        )
    })
}

/// When the contents of a file were last changed, in nanoseconds since 1970.
pub(super) fn modified_at(found: &Stat) -> i64 {
    #[allow(clippy::unnecessary_cast)] // The fields' types are not the same on all systems.
    let (seconds, nanoseconds) = (found.st_mtime as i64, found.st_mtime_nsec as i64);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

fn encode(info: &DatasetInfo, modified: i64) -> Vec<u8> {
    let about = info.about.as_str().as_bytes();
    let mut out = Vec::with_capacity(about.len() + FIXED);
    out.extend_from_slice(about);
    out.extend_from_slice(&info.offset.to_le_bytes());
    out.extend_from_slice(&info.size.to_le_bytes());
    out.extend_from_slice(&info.generation.to_le_bytes());
    out.extend_from_slice(&modified.to_le_bytes());
    out.extend_from_slice(&(about.len() as u32).to_le_bytes());
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&MAGIC);
    out
}

/// What a label says, and when the data was last changed; `None` when it is damaged.
fn decode(bytes: &[u8]) -> Option<(DatasetInfo, i64)> {
    let (about, fixed) = bytes.split_at_checked(bytes.len().checked_sub(FIXED)?)?;
    let u64_at = |at: usize| Some(u64::from_le_bytes(*fixed.get(at..)?.first_chunk()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(*fixed.get(at..)?.first_chunk()?));
    let whole = fixed.ends_with(&MAGIC)
        && u32_at(32)? as usize == about.len()
        && u32_at(36)? == crc32fast::hash(&bytes[..about.len() + 36]);
    if !whole {
        return None;
    }
    let about = Json::parse_bytes(about).ok()?;
    let (offset, size, generation) = (u64_at(0)?, u64_at(8)?, u64_at(16)?);
    let info = DatasetInfo { size, offset, generation, about, on_disk: false };
    Some((info, u64_at(24)? as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_and_damage_shows() {
        let about = Json::parse(r#"{"dtype":"<f8","shape":[2,3]}"#).unwrap();
        let info = DatasetInfo { size: 48, offset: 128, generation: 7, about, on_disk: false };
        let bytes = encode(&info, -5);
        assert_eq!(decode(&bytes), Some((info, -5)));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_label_s_name_tells_its_file() {
        assert_eq!(parse_identity("1a-ff"), Some((0x1a, 0xff)));
        assert_eq!(parse_identity("00112233445566aa"), None);
        assert_eq!(parse_identity("1-2-3"), None);
    }
}
