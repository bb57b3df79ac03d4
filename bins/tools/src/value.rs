//! A value on the command line: itself, `-` for standard input, `@FILE` for a file.

use anyhow::Context;
use otto_core::limits::VALUE_BYTES_MAX;
use otto_core::{Error, ErrorKind, Json};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a value: text becomes a JSON string exactly as it is, or is JSON already with `json`.
/// `literal` text is never `-` or `@FILE`.
///
/// ```
/// use otto_tools::read_value;
/// assert_eq!(read_value("1.10", false, false).unwrap().as_str(), "\"1.10\"");
/// assert_eq!(read_value("1.10", true, false).unwrap().as_str(), "1.10");
/// assert_eq!(read_value("@home", false, true).unwrap().as_str(), "\"@home\"");
/// ```
///
/// # Errors
/// When the text is not UTF-8 or not JSON, is above the limit, or can't be read.
pub fn read_value(text: &str, json: bool, literal: bool) -> anyhow::Result<Json> {
    let bytes = match text.strip_prefix('@') {
        _ if literal => text.as_bytes().to_vec(),
        _ if text == "-" => read_all(std::io::stdin().lock(), "standard input")?,
        Some("") => {
            let message = "@ needs the name of a file; -- @ stores it as it stands";
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
        Some(path) => {
            let file =
                File::open(path).map_err(|error| Error::io("open", Path::new(path), error))?;
            read_all(file, path)?
        }
        None => text.as_bytes().to_vec(),
    };
    if json {
        return Json::parse_owned(bytes).context("the value");
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("the value is not UTF-8 at byte {at}: store it as a dataset");
        Error::new(ErrorKind::Usage, message)
    })?;
    Ok(Json::string(&text))
}

/// Reads to the end, but never more than a value can hold.
fn read_all(from: impl Read, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = VALUE_BYTES_MAX as u64;
    from.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", Path::new(name), error))?;
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "{name} holds more than {limit} bytes: use a dataset (otto-mmap-write --dataset NAME)"
            ),
        )
        .into());
    }
    Ok(bytes)
}

/// Set by `otto.sh`, which hands over a long value: `-` is standard input behind `--`, too.
const ON_STDIN: &str = "OTTO_VALUE_ON_STDIN";

/// Whether the last argument stands behind `--`, which makes it literal.
#[must_use]
pub fn spelled_after_dashes(arguments: impl Iterator<Item = OsString>) -> bool {
    let behind = arguments.skip_while(|argument| argument != "--").skip(1);
    behind.last().is_some_and(|value| value != "-" || std::env::var_os(ON_STDIN).is_none())
}
