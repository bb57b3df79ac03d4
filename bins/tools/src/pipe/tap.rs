//! `tap`: records on their way, looked at without disturbing them.

use super::relay_socket;
use super::site::Site;
use super::usage;
use crate::cli::{Given, number};
use crate::{Done, print};
use clap::ArgMatches;
use otto_core::{Error, ErrorKind, fifo};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Longest line that otto-run answers before the records.
const ANSWER_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone, Copy)]
enum Sampling {
    Every(u64),
    Last(u64),
}

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let asked = |name: &str| {
        arguments.given(name).map(|text| number::<u64>(&format!("--{name}"), text)).transpose()
    };
    let sampling = match (asked("every")?, asked("last")?) {
        (Some(0), _) | (_, Some(0)) => return Err(usage("--every and --last count from 1")),
        (_, Some(last)) => Sampling::Last(last),
        (every, None) => Sampling::Every(every.unwrap_or(1)),
    };
    let (site, name) = (Site::named(arguments), arguments.text("NAME"));
    if name.contains('/') {
        return look(name, Path::new(name), sampling);
    }
    let path = site.path(name)?;
    match site.socket()? {
        Some(socket) if !path.exists() => follow(&socket, name, sampling),
        _ => look(name, &path, sampling),
    }
}

/// Records of a task of otto-run, as they come.
fn follow(socket: &Path, task: &str, sampling: Sampling) -> Done {
    let question = match sampling {
        Sampling::Every(every) => format!("tap {task} every {every}"),
        Sampling::Last(last) => format!("tap {task} last {last}"),
    };
    let mut stream = relay_socket::ask(socket, &question)?;
    match answer(&mut stream, socket)?.as_str() {
        "OK" => fifo::copy(stream, std::io::stdout()).map(drop)?,
        refused => {
            let what = refused.strip_prefix("ERROR: ").unwrap_or(refused);
            let missing = what.starts_with("no such") || what.starts_with("no task");
            let kind = if missing { ErrorKind::NotFound } else { ErrorKind::Io };
            return Err(Error::new(kind, what).into());
        }
    }
    Ok(0)
}

/// The first line of an answer; not a byte behind it is read.
fn answer(stream: &mut UnixStream, socket: &Path) -> otto_core::Result<String> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let read = stream.read(&mut byte).map_err(|error| Error::io("read from", socket, error))?;
        match byte[0] {
            _ if read == 0 => break,
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            _ if line.len() == ANSWER_BYTES_MAX => break,
            byte => line.push(byte),
        }
    }
    Err(Error::new(ErrorKind::Unreachable, "otto-run ended before it answered"))
}

/// What is in a FIFO now. Its first line may have been read in part.
fn look(name: &str, path: &Path, sampling: Sampling) -> Done {
    if !path.exists() {
        let message = format!("no such stream, and no streaming task: {name}");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    }
    let bytes = fifo::look(path)?.ok_or_else(|| {
        let message = format!("nobody reads {name}: nothing is on its way");
        Error::new(ErrorKind::NotFound, message)
    })?;
    print(&sampled(&bytes, sampling))?;
    Ok(0)
}

fn sampled(bytes: &[u8], sampling: Sampling) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    match sampling {
        Sampling::Every(1) => bytes.to_vec(),
        Sampling::Every(every) => {
            let every = usize::try_from(every).unwrap_or(usize::MAX);
            lines.iter().skip(every - 1).step_by(every).copied().collect::<Vec<_>>().concat()
        }
        Sampling::Last(last) => {
            let whole: Vec<&[u8]> =
                lines.into_iter().filter(|line| line.ends_with(b"\n")).collect();
            let last = usize::try_from(last).unwrap_or(usize::MAX).min(whole.len());
            whole[whole.len() - last..].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_and_last() {
        let text = |sampling| String::from_utf8(sampled(b"1\n2\n3\n4\n5", sampling)).expect("text");
        assert_eq!(text(Sampling::Every(1)), "1\n2\n3\n4\n5");
        assert_eq!(text(Sampling::Every(2)), "2\n4\n");
        assert_eq!(text(Sampling::Every(u64::MAX)), "");
        assert_eq!(text(Sampling::Last(2)), "3\n4\n");
        assert_eq!(text(Sampling::Last(u64::MAX)), "1\n2\n3\n4\n");
    }
}
