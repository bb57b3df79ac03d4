//! The format of a recording, which docs/otto-pipe.md describes: a header, a frame for each piece
//! that passed, and a mark at the end. All numbers are little-endian.
//!
//! A frame counts when it is whole. So a recording that was cut short at any byte, as by SIGKILL,
//! holds everything up to its last whole frame; what can't come of that is damage.

use otto_core::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"OTTOREC1";
/// The magic, and when it began, in nanoseconds since 1970.
const HEADER_BYTES: usize = 16;
/// Length of the payload (u32), nanoseconds since the beginning (u64), CRC-32 of the payload (u32),
/// CRC-32 of these 16 bytes (u32).
const FRAME_HEADER_BYTES: usize = 20;
/// Longest payload of a frame.
pub(super) const PIECE_BYTES_MAX: usize = 1 << 20;

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn frame_header(payload: &[u8], at: Duration) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[4..12].copy_from_slice(&(at.as_nanos() as u64).to_le_bytes());
    header[12..16].copy_from_slice(&crc(payload).to_le_bytes());
    let check = crc(&header[..16]);
    header[16..].copy_from_slice(&check.to_le_bytes());
    header
}

/// A recording that is being made.
#[derive(Debug)]
pub(super) struct Recording {
    file: File,
    /// Where the next frame goes.
    end: u64,
    /// The time of the last frame; of an older recording that goes on, the time it had reached.
    last: Duration,
}

impl Recording {
    /// A new recording, which will replace what is in the file.
    pub(super) fn new(file: File) -> Recording {
        Recording { file, end: 0, last: Duration::ZERO }
    }

    /// One that will go on behind the last whole frame of an older one.
    pub(super) fn resume(file: File, path: &Path) -> Result<Recording> {
        let failed = |error| Error::io("read", path, error);
        let mut reader = Playback::open(&file, path)?;
        while let Some(length) = reader.header()? {
            let behind = reader.position + length as u64;
            if behind > file.metadata().map_err(failed)?.len() {
                break;
            }
            reader.skip(length)?;
        }
        let (end, last) = (reader.whole, reader.last);
        Ok(Recording { file, end, last })
    }

    /// Readies the file, of which nothing has been changed before.
    pub(super) fn begin(&mut self, began: Duration) -> io::Result<()> {
        if self.file.metadata()?.len() > self.end {
            self.file.set_len(self.end)?;
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        if self.end == 0 {
            let mut header = MAGIC.to_vec();
            header.extend_from_slice(&(began.as_nanos() as u64).to_le_bytes());
            self.file.write_all(&header)?;
            self.end = HEADER_BYTES as u64;
        }
        Ok(())
    }

    /// The time that has been reached.
    pub(super) fn last(&self) -> Duration {
        self.last
    }

    /// Keeps a piece. What a full disk left of it is taken back.
    pub(super) fn keep(&mut self, piece: &[u8], at: Duration) -> io::Result<()> {
        self.last = at.max(self.last);
        let header = frame_header(piece, self.last);
        let written = write_both(&mut self.file, &header, piece);
        match written {
            Ok(()) => self.end += (header.len() + piece.len()) as u64,
            Err(_) => {
                let _ = self.file.set_len(self.end);
            }
        }
        written
    }

    /// Marks the end: a frame of nothing.
    pub(super) fn finish(mut self, at: Duration) -> io::Result<()> {
        self.keep(&[], at)
    }
}

fn write_both(file: &mut File, header: &[u8], piece: &[u8]) -> io::Result<()> {
    let mut slices = [IoSlice::new(header), IoSlice::new(piece)];
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if rest.iter().all(|slice| slice.is_empty()) {
            break;
        }
    }
    Ok(())
}

/// How a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With its mark.
    Marked,
    /// Whoever made it was ended first; so many bytes of an unfinished frame are left out.
    CutShort(u64),
}

/// A recording that is read.
#[derive(Debug)]
pub(super) struct Playback<R> {
    from: R,
    path: PathBuf,
    /// Bytes read.
    position: u64,
    /// Just behind the last whole frame that has been read, the end mark left out.
    whole: u64,
    /// The time of the last frame, and the CRC-32 its payload must have.
    last: Duration,
    payload_crc: u32,
    end: Option<End>,
}

impl<R: Read> Playback<R> {
    pub(super) fn open(from: R, path: &Path) -> Result<Playback<R>> {
        let mut playback = Playback {
            from,
            path: path.to_owned(),
            position: 0,
            whole: HEADER_BYTES as u64,
            last: Duration::ZERO,
            payload_crc: 0,
            end: None,
        };
        let mut header = [0; HEADER_BYTES];
        let filled = playback.fill(&mut header)?;
        if filled < HEADER_BYTES || header[..8] != MAGIC {
            let message = format!("{} is no recording of otto-pipe", path.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(playback)
    }

    /// The next piece and its time; `None` at the end.
    pub(super) fn next(&mut self, piece: &mut Vec<u8>) -> Result<Option<Duration>> {
        let began = self.position;
        let Some(length) = self.header()? else { return Ok(None) };
        piece.resize(length, 0);
        let filled = self.fill(piece)?;
        if filled < length {
            self.end = Some(End::CutShort(self.position - began));
            return Ok(None);
        }
        if crc(piece) != self.payload_crc {
            return Err(self.damaged(began));
        }
        self.whole = self.position;
        Ok(Some(self.last))
    }

    /// How it ended, once [`Playback::next`] has said so.
    pub(super) fn end(&self) -> End {
        self.end.unwrap_or(End::CutShort(0))
    }

    /// Bytes read by now.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The length of the payload that follows; `None` at the end.
    fn header(&mut self) -> Result<Option<usize>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let began = self.position;
        let mut header = [0; FRAME_HEADER_BYTES];
        let filled = self.fill(&mut header)?;
        if filled < FRAME_HEADER_BYTES {
            self.end = Some(End::CutShort(filled as u64));
            return Ok(None);
        }
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        let nanoseconds = u64::from(number(4)) | u64::from(number(8)) << 32;
        let (length, at) = (number(0) as usize, Duration::from_nanos(nanoseconds));
        if number(16) != crc(&header[..16]) || length > PIECE_BYTES_MAX || at < self.last {
            return Err(self.damaged(began));
        }
        (self.last, self.payload_crc) = (at, number(12));
        if length == 0 {
            self.end = Some(End::Marked);
            let mut behind = [0];
            return match self.fill(&mut behind)? {
                0 => Ok(None),
                _ => Err(self.damaged(began)),
            };
        }
        Ok(Some(length))
    }

    fn damaged(&self, at: u64) -> Error {
        let message = format!("{} is damaged at byte {at}", self.path.display());
        Error::new(ErrorKind::Corrupt, message)
    }

    /// Fills the buffer, as far as there is something.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path, error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

impl Playback<&File> {
    /// Goes on behind a payload without reading it.
    fn skip(&mut self, length: usize) -> Result<()> {
        let sought = self.from.seek(SeekFrom::Current(length as i64));
        self.position = sought.map_err(|error| Error::io("read", &self.path, error))?;
        self.whole = self.position;
        Ok(())
    }
}
