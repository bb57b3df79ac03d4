//! Cutting requests of RESP2 out of what a client sends: `*2`, `$3`, `GET`, `$1`, `k`, each line
//! ended by CR LF. No I/O here.

use super::number;
use crate::limits::RESP_ARGUMENTS_MAX;
use memchr::memchr;

/// Longest line that announces a length, in bytes, as in Redis.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Longest argument that Redis takes, in bytes: beyond it the protocol is broken.
const BULK_BYTES_MAX: usize = 512 << 20;
const LINE_END_BYTES: usize = 2;

/// One piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// A whole request, which takes so many bytes; [`Parser::args`] has it.
    Whole(usize),
    /// So many bytes that hold nothing to answer.
    Nothing(usize),
    /// Not whole yet.
    Partial,
    /// After so many bytes a request has ended that was above the limit; as far as known, by its
    /// size. It was not kept, and the connection stays usable.
    TooLarge { taken: usize, bytes: usize },
    /// What no skipping mends: the line to say, before the connection is closed.
    Broken(Vec<u8>),
}

/// Where one argument begins and ends.
type Span = (u32, u32);

/// The request that is being read. What came before it has been taken away from the input, so all
/// places are counted from its first byte.
#[derive(Debug, Default)]
pub(in super::super) struct Parser {
    spans: Vec<Span>,
    /// How far it has been read.
    at: usize,
    /// Arguments that are still to come; none while the first line is.
    wanted: usize,
    /// Bytes of the argument that is being read, once known.
    bulk: Option<usize>,
    /// How far the line that is being read has been searched for its end.
    searched: usize,
    /// The size of a request that is only skipped.
    skipped: Option<usize>,
    whole: bool,
}

/// The arguments of one request, the command's name first.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Args<'a> {
    input: &'a [u8],
    spans: &'a [Span],
    /// The whole request, where all of it is UTF-8: looked at once instead of argument by argument.
    text: Option<&'a str>,
}

impl<'a> Args<'a> {
    pub(super) fn new(input: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { input, spans, text: None }
    }

    /// The argument at `index`, where that is known to be UTF-8.
    #[inline]
    pub(super) fn text(&self, index: usize) -> Option<&'a str> {
        let &(from, to) = self.spans.get(index)?;
        self.text?.get(from as usize..to as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`, which the caller knows to be there: the arity is checked first.
    #[inline]
    pub(super) fn get(&self, index: usize) -> &'a [u8] {
        match self.spans.get(index) {
            Some(&(from, to)) => &self.input[from as usize..to as usize],
            None => &[],
        }
    }

    /// The arguments from `index` on.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let input = self.input;
        let spans = self.spans.get(index..).unwrap_or_default();
        spans.iter().map(move |&(from, to)| &input[from as usize..to as usize])
    }
}

enum Line {
    /// The number on it, and where the next one begins.
    Number(i64, usize),
    /// Something else.
    Bad,
    Partial,
    TooLong,
}

impl Parser {
    /// The arguments of the request that [`cut`](Parser::cut) has just found at the start of
    /// `input`, which begins with `text`.
    #[inline]
    pub(in super::super) fn args<'a>(&'a self, input: &'a [u8], text: &'a str) -> Args<'a> {
        let text = text.get(..self.at).or_else(|| self.text(input));
        Args { input, spans: &self.spans, text }
    }

    #[cold]
    fn text<'a>(&self, input: &'a [u8]) -> Option<&'a str> {
        input.get(..self.at).and_then(|request| std::str::from_utf8(request).ok())
    }

    /// Reads on in `input`, which begins where the last piece that was cut ended.
    pub(in super::super) fn cut(&mut self, input: &[u8], request_bytes_max: usize) -> Cut {
        if self.whole {
            self.begin();
        }
        if self.wanted == 0 {
            match input.first() {
                Some(b'*') => {}
                None => return Cut::Partial,
                Some(b'\r') if input.len() == 1 => return Cut::Partial,
                Some(b'\r') if input[1] == b'\n' => return Cut::Nothing(2),
                Some(b'\n') => return Cut::Nothing(1),
                Some(byte) => return expected('*', *byte),
            }
            match self.line(input) {
                Line::Number(count, next) if count <= 0 => {
                    self.whole = true;
                    return Cut::Nothing(next);
                }
                Line::Number(count, next) => match usize::try_from(count) {
                    Ok(count) if count <= RESP_ARGUMENTS_MAX => {
                        self.wanted = count;
                        self.at = next;
                    }
                    _ => return broken("invalid multibulk length"),
                },
                Line::Bad => return broken("invalid multibulk length"),
                Line::TooLong => return broken("too big mbulk count string"),
                Line::Partial => return Cut::Partial,
            }
        }
        self.arguments(input, request_bytes_max)
    }

    /// Forgets the last request, but not the room its spans took.
    #[inline]
    fn begin(&mut self) {
        self.spans.clear();
        (self.at, self.searched, self.whole) = (0, 0, false);
        (self.bulk, self.skipped) = (None, None);
    }

    fn arguments(&mut self, input: &[u8], request_bytes_max: usize) -> Cut {
        while self.wanted > 0 {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match input.get(self.at) {
                        Some(b'$') => {}
                        Some(byte) => return expected('$', *byte),
                        None => return self.pause(),
                    }
                    let length = match self.line(input) {
                        Line::Number(length, next) => {
                            self.at = next;
                            usize::try_from(length).ok().filter(|length| *length <= BULK_BYTES_MAX)
                        }
                        Line::Bad => None,
                        Line::TooLong => return broken("too big bulk count string"),
                        Line::Partial => return self.pause(),
                    };
                    let Some(length) = length else { return broken("invalid bulk length") };
                    if self.skipped.is_none() && self.at + length > request_bytes_max {
                        self.skipped = Some(0);
                        self.spans.clear();
                    }
                    if let Some(bytes) = &mut self.skipped {
                        *bytes = (*bytes).max(length);
                    }
                    *self.bulk.insert(length)
                }
            };
            let end = self.at + length + LINE_END_BYTES;
            if end > input.len() {
                self.pass_over(input.len(), length);
                return self.pause();
            }
            if self.skipped.is_none() {
                // Both are below the limit of a request, which is below that of a frame.
                self.spans.push((self.at as u32, (self.at + length) as u32));
            }
            self.at = end;
            self.bulk = None;
            self.wanted -= 1;
        }
        self.whole = true;
        match self.skipped {
            Some(bytes) => Cut::TooLarge { taken: self.at, bytes },
            None => Cut::Whole(self.at),
        }
    }

    /// Counts what has come of an argument that is only skipped as read.
    fn pass_over(&mut self, there: usize, length: usize) {
        if self.skipped.is_some() {
            let come = there.saturating_sub(self.at).min(length);
            self.at += come;
            self.bulk = Some(length - come);
        }
    }

    /// What there is to say while the request is not whole: what is only skipped is not kept.
    fn pause(&mut self) -> Cut {
        let Some(_) = self.skipped else { return Cut::Partial };
        let taken = std::mem::take(&mut self.at);
        self.searched = self.searched.saturating_sub(taken);
        if taken == 0 { Cut::Partial } else { Cut::Nothing(taken) }
    }

    /// The number on the line at `self.at`, behind its first byte.
    #[inline]
    fn line(&mut self, input: &[u8]) -> Line {
        // Nearly every length has one or two digits and is there as a whole.
        let from = self.at + 1;
        match input.get(from..).unwrap_or_default() {
            [digit @ b'0'..=b'9', b'\r', _, ..] => {
                return Line::Number(i64::from(digit - b'0'), from + 1 + LINE_END_BYTES);
            }
            [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', _, ..] => {
                let number = i64::from(ten - b'0') * 10 + i64::from(one - b'0');
                return Line::Number(number, from + 2 + LINE_END_BYTES);
            }
            _ => {}
        }
        self.rare_line(input)
    }

    #[cold]
    fn rare_line(&mut self, input: &[u8]) -> Line {
        let from = self.at + 1;
        let search = self.searched.max(from);
        let Some(found) = memchr(b'\r', input.get(search..).unwrap_or_default()) else {
            self.searched = input.len();
            return if input.len() - self.at > LINE_BYTES_MAX {
                Line::TooLong
            } else {
                Line::Partial
            };
        };
        let end = search + found;
        self.searched = end;
        // The byte behind it is taken for the line feed, as Redis does.
        if end + 1 >= input.len() {
            return Line::Partial;
        }
        match number::integer(&input[from..end]) {
            Some(number) => Line::Number(number, end + LINE_END_BYTES),
            None => Line::Bad,
        }
    }
}

fn broken(what: &str) -> Cut {
    Cut::Broken(format!("-ERR Protocol error: {what}\r\n").into_bytes())
}

fn expected(what: char, byte: u8) -> Cut {
    let mut line = format!("-ERR Protocol error: expected '{what}', got '").into_bytes();
    line.push(if matches!(byte, b'\r' | b'\n') { b' ' } else { byte });
    line.extend_from_slice(b"'\r\n");
    Cut::Broken(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1000;

    /// Feeds `stream` in pieces of these sizes and says what was cut, arguments joined by a bar.
    fn cuts(stream: &[u8], mut next_size: impl FnMut() -> usize) -> Vec<String> {
        let (mut parser, mut input, mut out) = (Parser::default(), Vec::new(), Vec::new());
        let mut rest = stream;
        loop {
            match parser.cut(&input, MAX) {
                Cut::Whole(taken) => {
                    let args = parser.args(&input, "");
                    let args: Vec<_> = args.from(0).map(String::from_utf8_lossy).collect();
                    out.push(args.join("|"));
                    input.drain(..taken);
                }
                Cut::Nothing(taken) => drop(input.drain(..taken)),
                Cut::TooLarge { taken, bytes } => {
                    out.push(format!("too large: {bytes}"));
                    input.drain(..taken);
                }
                Cut::Broken(line) => {
                    out.push(String::from_utf8_lossy(&line).into_owned());
                    return out;
                }
                Cut::Partial if rest.is_empty() => return out,
                Cut::Partial => {
                    let (piece, left) = rest.split_at(next_size().clamp(1, rest.len()));
                    input.extend_from_slice(piece);
                    rest = left;
                }
            }
            assert!(input.len() <= MAX + 64, "{} bytes are kept", input.len());
        }
    }

    fn request(args: &[&[u8]]) -> Vec<u8> {
        let mut out = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    #[test]
    fn what_breaks_the_protocol_is_said_as_redis_says_it() {
        for (input, says) in [
            (&b"*x\r\n"[..], "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*01\r\n", "invalid multibulk length"),
            (b"*+1\r\n", "invalid multibulk length"),
            (b"*65537\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
            (b"*1\r\n\r\n", "expected '$', got ' '"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"*1\r\n$\r\n", "invalid bulk length"),
        ] {
            let says = format!("-ERR Protocol error: {says}\r\n");
            assert_eq!(cuts(input, || 1), [says.as_str()]);
            assert_eq!(cuts(input, || usize::MAX), [says.as_str()]);
        }
        let long = [&b"*"[..], &[b'1'; LINE_BYTES_MAX + 1]].concat();
        let mut parser = Parser::default();
        let Cut::Broken(line) = parser.cut(&long, MAX) else { panic!() };
        assert_eq!(line, b"-ERR Protocol error: too big mbulk count string\r\n");
    }

    #[test]
    fn empty_requests_and_lines_are_passed_over() {
        let input = b"*0\r\n*-1\r\n\r\n\n*1\r\n$4\r\nPING\r\n*1\rx$1\rxAyy";
        for size in 1..input.len() {
            assert_eq!(cuts(input, || size), ["PING", "A"], "pieces of {size}");
        }
    }

    #[test]
    fn what_is_too_large_is_skipped_without_being_kept() {
        let large = vec![b'v'; 5000];
        let mut input = request(&[b"SET", b"k", &large, b"EX", b"10"]);
        input.extend(request(&[b"GET", b"k"]));
        for size in [1, 7, 1000, 100_000] {
            let mut input: &[u8] = &input;
            let mut parser = Parser::default();
            let mut said = Vec::new();
            let mut held = Vec::new();
            while !input.is_empty() || !held.is_empty() {
                match parser.cut(&held, MAX) {
                    Cut::Whole(taken) => {
                        said.push(parser.args(&held, "").len());
                        held.drain(..taken);
                    }
                    Cut::TooLarge { taken, bytes } => {
                        said.push(bytes);
                        held.drain(..taken);
                    }
                    Cut::Nothing(taken) => drop(held.drain(..taken)),
                    Cut::Partial => {
                        // Once it is known to be too large, no more is kept than a line.
                        assert!(held.len() <= MAX + 64, "{} bytes are kept", held.len());
                        let (piece, rest) = input.split_at(size.min(input.len()));
                        held.extend_from_slice(piece);
                        input = rest;
                    }
                    Cut::Broken(line) => panic!("{line:?}"),
                }
            }
            assert_eq!(said, [5000, 2], "pieces of {size}");
        }
    }

    /// An argument that is skipped may be far above what is kept: it is dropped as it comes.
    #[test]
    fn many_small_arguments_count_as_one_request() {
        let args = vec![&b"0123456789"[..]; 100];
        let out = cuts(&request(&args), || 64);
        assert_eq!(out, ["too large: 10"]);
    }

    proptest! {
        #[test]
        fn every_split_cuts_alike(
            requests in prop::collection::vec(prop::collection::vec("[\\r\\n$*a-c0-9]{0,12}", 1..5), 1..6),
            sizes in prop::collection::vec(1usize..9, 1..20),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for args in &requests {
                let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
                stream.extend(request(&args));
                let args: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
                expected.push(args.join("|"));
            }
            let mut at = 0;
            let pieces = cuts(&stream, || { at += 1; sizes[at % sizes.len()] });
            prop_assert_eq!(pieces, expected);
        }

        #[test]
        fn whatever_comes_is_read_alike_in_pieces(stream in prop::collection::vec(
            prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..b'4', Just(b'a')], 0..60,
        )) {
            prop_assert_eq!(cuts(&stream, || 1), cuts(&stream, || usize::MAX));
        }
    }
}
