//! Socket paths of any length: the system's own limit is 107 bytes.

use crate::error::{Error, Result};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// Longest path that fits into a socket address.
const ADDRESS_BYTES_MAX: usize = 107;

/// An address that leads to `path`. The folder, where one is returned, must stay open until the
/// address has been used: a long path is reached through its descriptor.
pub(super) fn of(path: &Path) -> Result<(SocketAddr, Option<File>)> {
    let failed = |error| Error::io("use the socket path", path, error);
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok((SocketAddr::from_pathname(path).map_err(failed)?, None));
    }
    let name = path
        .file_name()
        .ok_or_else(|| Error::usage(format!("socket path {} has no file name", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = File::options()
        .read(true)
        .custom_flags((nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY).bits())
        .open(parent.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((SocketAddr::from_pathname(short).map_err(failed)?, Some(folder)))
}
