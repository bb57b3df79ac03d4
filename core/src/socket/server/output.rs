//! What waits to be sent to one client.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::rc::Rc;

/// Most pieces handed to one system call.
const PIECES_MAX: usize = 64;
/// Replies gather in a piece up to this size, in bytes: a piece is given back only as a whole.
const PIECE_BYTES: usize = 64 << 10;

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    /// One event, shared by all its subscribers.
    Shared(Rc<[u8]>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

/// A queue of replies and events in order.
#[derive(Debug, Default)]
pub(super) struct Output {
    pieces: VecDeque<Piece>,
    /// How much of the first piece has been sent.
    sent: usize,
    bytes: usize,
}

impl Output {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a copy of `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Own(last)) if last.len() < PIECE_BYTES => last.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push_back(Piece::Own(bytes.to_vec())),
        }
    }

    /// Adds an event that others get too.
    pub(super) fn push_shared(&mut self, bytes: &Rc<[u8]>) {
        self.bytes += bytes.len();
        self.pieces.push_back(Piece::Shared(Rc::clone(bytes)));
    }

    /// Drops every piece that has not been begun, so that what follows still stands on its own.
    pub(super) fn drop_unbegun(&mut self) {
        self.pieces.truncate(usize::from(self.sent > 0));
        self.bytes = self.pieces.front().map_or(0, |first| first.bytes().len() - self.sent);
    }

    /// Sends as much as `to` takes; whether anything was sent.
    ///
    /// # Errors
    /// All but `WouldBlock`, which is a normal end.
    pub(super) fn send(&mut self, mut to: impl Write) -> io::Result<bool> {
        let mut any = false;
        while self.bytes > 0 {
            let written = match self.pieces.front() {
                // Nearly always: one reply, or several side by side.
                Some(only) if self.pieces.len() == 1 => to.write(&only.bytes()[self.sent..]),
                _ => self.write_several(&mut to),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    any = true;
                    self.advance(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    fn write_several(&self, to: &mut impl Write) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let from = if count == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(&piece.bytes()[from..]);
            count += 1;
        }
        to.write_vectored(&slices[..count])
    }

    fn advance(&mut self, sent: usize) {
        self.bytes -= sent;
        self.sent += sent;
        while let Some(first) = self.pieces.front() {
            let length = first.bytes().len();
            if self.sent < length {
                break;
            }
            self.sent -= length;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes, then blocks once.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(self.1);
            self.1 -= taken;
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn order_holds_over_every_cut() {
        for cut in 1..12 {
            let mut output = Output::default();
            output.push(b"abc");
            output.push(b"def");
            output.push_shared(&Rc::from(&b"ghi"[..]));
            output.push(b"jkl");
            let mut to = Narrow(Vec::new(), 0);
            while !output.is_empty() {
                to.1 = cut;
                assert!(output.send(&mut to).unwrap());
            }
            assert_eq!(to.0, b"abcdefghijkl");
        }
    }

    /// A client that always leaves a little unread must not keep all it ever got in memory.
    #[test]
    fn what_was_sent_is_given_back() {
        let mut output = Output::default();
        let mut to = Narrow(Vec::new(), 0);
        output.push(&[0; 100]);
        for _ in 0..10_000 {
            output.push(&[0; 1000]);
            to.1 = 1000;
            output.send(&mut to).unwrap();
            to.0.clear();
        }
        let held: usize = output.pieces.iter().map(|piece| piece.bytes().len()).sum();
        assert_eq!(output.len(), 100);
        assert!(held < 2 * PIECE_BYTES, "{held} bytes are held for 100 that wait");
    }

    #[test]
    fn what_has_begun_is_finished() {
        let mut output = Output::default();
        output.push_shared(&Rc::from(&b"abc"[..]));
        output.push_shared(&Rc::from(&b"def"[..]));
        let mut to = Narrow(Vec::new(), 1);
        output.send(&mut to).unwrap();
        output.drop_unbegun();
        assert_eq!(output.len(), 2);
        output.push(b"!");
        to.1 = 10;
        output.send(&mut to).unwrap();
        assert_eq!(to.0, b"abc!");
    }
}
