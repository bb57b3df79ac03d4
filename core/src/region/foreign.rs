//! What a program that knows nothing of the journal wrote straight into the public file, as three
//! lines of Python do: it is read as it stands, and the next write of ours takes it over.

use super::layout::Image;
use super::public::{Public, read_image};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Equal reads in a row after which a foreign write counts as finished.
const STABLE_READS: u32 = 3;
/// Looks at a foreign write that makes no sense yet, a millisecond apart.
const LOOKS_MAX: u32 = 20;

/// The image in the public file once it holds still and is JSON; `undisturbed` says whether no writer of ours has come between.
pub(super) fn read_foreign(
    public: &Public,
    path: &Path,
    buffer: &mut Vec<u8>,
    undisturbed: impl Fn() -> bool,
) -> Result<Option<Range<usize>>> {
    let mut previous = Vec::new();
    let mut equal = 0;
    for look in 0..LOOKS_MAX * STABLE_READS {
        let image =
            read_image(&public.file, 0, buffer).map_err(|error| Error::io("read", path, error))?;
        if !undisturbed() {
            return Ok(None);
        }
        match image {
            Image::Whole(json) => return Ok(Some(json)),
            Image::Unchecked(json) if json::utf8(&buffer[json.clone()]).is_ok_and(is_json) => {
                equal = if buffer[..json.end] == previous[..] { equal + 1 } else { 1 };
                if equal == STABLE_READS {
                    return Ok(Some(json));
                }
                previous.clear();
                previous.extend_from_slice(&buffer[..json.end]);
                thread::yield_now();
            }
            // Half written perhaps.
            _ if look % STABLE_READS == STABLE_READS - 1 => thread::sleep(Duration::from_millis(1)),
            _ => equal = 0,
        }
    }
    Err(damaged(path))
}

fn is_json(text: &str) -> bool {
    json::scan(text.as_bytes()).is_ok()
}

pub(super) fn damaged(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{} holds neither a document nor JSON: write it anew or remove it", path.display()),
    )
}
