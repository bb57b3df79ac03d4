//! Socket paths of any length: a socket address holds 107 bytes, a descriptor leads to the rest.

use crate::error::{Error, Result};
use nix::fcntl::OFlag;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Longest path that fits into a socket address.
const ADDRESS_BYTES_MAX: usize = 107;

/// An address that leads to the socket at `path`. The file, where one is returned, must stay open
/// until the address has been used.
pub(super) fn of(path: &Path) -> Result<(SocketAddr, Option<File>)> {
    leading_to(path, path, OFlag::O_PATH, |place| place)
}

/// An address to bind a new socket `name` at in `folder`; as [`of`].
pub(super) fn in_folder(folder: &Path, name: &str) -> Result<(SocketAddr, Option<File>)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    leading_to(&folder.join(name), folder, flags, |place| place.join(name))
}

fn leading_to(
    path: &Path,
    opened: &Path,
    flags: OFlag,
    within: impl FnOnce(PathBuf) -> PathBuf,
) -> Result<(SocketAddr, Option<File>)> {
    let failed = |error| Error::io("use the socket path", path, error);
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok((SocketAddr::from_pathname(path).map_err(failed)?, None));
    }
    let file =
        File::options().read(true).custom_flags(flags.bits()).open(opened).map_err(failed)?;
    let short = within(Path::new("/proc/self/fd").join(file.as_raw_fd().to_string()));
    Ok((SocketAddr::from_pathname(short).map_err(failed)?, Some(file)))
}
