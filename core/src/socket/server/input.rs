//! Cutting what one client sends into requests, in bounded memory.

use super::super::binary::LENGTH_BYTES;
use crate::limits::FRAME_BYTES_MAX;
use memchr::memchr;

/// Which of the dialects a connection speaks, latched by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    Binary,
    Resp,
}

/// One piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<'a> {
    /// A whole line (without its line feed) or frame body; the number is what it takes up.
    Request(&'a [u8], usize),
    /// A request above the limit, of this many bytes as far as known: skip it and say so.
    TooLarge(usize),
    /// Not whole yet.
    Partial,
    /// What no skipping mends: close.
    Broken(String),
}

/// What of a request that was too large is still to be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// So many bytes of a frame.
    Bytes(usize),
    /// Up to the line feed, which must come within so many bytes.
    Line(usize),
}

/// Tells the dialect from the first byte.
pub(super) fn latch(first: u8) -> Dialect {
    match first {
        0x00..=0x08 => Dialect::Binary,
        b'*' => Dialect::Resp,
        _ => Dialect::Text,
    }
}

/// The first request of `input` in the text or the binary dialect. `searched` bytes hold no line feed, which is kept up to date.
pub(super) fn cut<'a>(
    dialect: Dialect,
    input: &'a [u8],
    searched: &mut usize,
    request_bytes_max: usize,
) -> Cut<'a> {
    match dialect {
        Dialect::Text => match memchr(b'\n', &input[*searched..]) {
            Some(at) => {
                let end = *searched + at;
                *searched = 0;
                // However much of it came at once.
                if end > request_bytes_max {
                    return Cut::TooLarge(end);
                }
                Cut::Request(&input[..end], end + 1)
            }
            None if input.len() > request_bytes_max => Cut::TooLarge(input.len()),
            None => {
                *searched = input.len();
                Cut::Partial
            }
        },
        // Its requests are cut by a parser of their own.
        Dialect::Resp => Cut::Partial,
        Dialect::Binary => {
            let Some((length, rest)) = input.split_first_chunk::<LENGTH_BYTES>() else {
                return Cut::Partial;
            };
            let length = u32::from_be_bytes(*length) as usize;
            if length > FRAME_BYTES_MAX {
                return Cut::Broken(format!("frame of {length} bytes: at most {FRAME_BYTES_MAX}"));
            }
            if length > request_bytes_max {
                return Cut::TooLarge(length);
            }
            match rest.get(..length) {
                Some(body) => Cut::Request(body, LENGTH_BYTES + length),
                None => Cut::Partial,
            }
        }
    }
}

/// How many bytes of `input` belong to what is skipped, and what is left to skip after them. The
/// error, for a line that is longer than any may be, is what no skipping mends.
pub(super) fn skipped(skip: Skip, input: &[u8]) -> Result<(usize, Option<Skip>), String> {
    match skip {
        Skip::Bytes(bytes) if bytes <= input.len() => Ok((bytes, None)),
        Skip::Bytes(bytes) => Ok((input.len(), Some(Skip::Bytes(bytes - input.len())))),
        Skip::Line(max) => match memchr(b'\n', input) {
            Some(at) => Ok((at + 1, None)),
            None if input.len() < max => Ok((input.len(), Some(Skip::Line(max - input.len())))),
            None => Err(format!("line without end: at most {FRAME_BYTES_MAX} bytes are taken")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_line_gives_the_same_request() {
        let text = b"SET a 1\nGET a\n";
        let mut searched = 0;
        for end in 0..8 {
            let cut = cut(Dialect::Text, &text[..end], &mut searched, 100);
            assert_eq!(cut, Cut::Partial, "{end}");
        }
        assert_eq!(cut(Dialect::Text, text, &mut searched, 100), Cut::Request(b"SET a 1", 8));
        assert_eq!(cut(Dialect::Text, text, &mut 0, 7), Cut::Request(b"SET a 1", 8));
        assert_eq!(cut(Dialect::Text, text, &mut 0, 6), Cut::TooLarge(7));
        assert_eq!(cut(Dialect::Text, &text[..7], &mut 0, 6), Cut::TooLarge(7));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_kept() {
        let mut searched = 0;
        let mut cut = |input: &'static [u8]| cut(Dialect::Binary, input, &mut searched, 10);
        assert_eq!(cut(b"\x00"), Cut::Partial);
        assert_eq!(cut(b"\x00\x00\x00\x02a"), Cut::Partial);
        assert_eq!(cut(b"\x00\x00\x00\x02abc"), Cut::Request(b"ab", 6));
        assert_eq!(cut(b"\x00\x00\x00\x0b"), Cut::TooLarge(11));
        assert!(matches!(cut(b"\xff\xff\xff\xff"), Cut::Broken(_)));
    }

    #[test]
    fn skipping_ends_where_the_request_does() {
        assert_eq!(skipped(Skip::Bytes(5), b"abc"), Ok((3, Some(Skip::Bytes(2)))));
        assert_eq!(skipped(Skip::Bytes(2), b"abc"), Ok((2, None)));
        assert_eq!(skipped(Skip::Line(9), b"abc"), Ok((3, Some(Skip::Line(6)))));
        assert_eq!(skipped(Skip::Line(9), b"a\nbc"), Ok((2, None)));
        assert!(skipped(Skip::Line(2), b"abc").is_err());
    }
}
