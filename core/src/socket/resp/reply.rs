//! The bytes of replies.

use super::number::Digits;

/// Why a command was not carried out: the line of its reply, without the dash and the line's end.
#[derive(Debug)]
pub(super) enum Failure {
    Known(&'static str),
    Text(String),
}

pub(super) const WRONG_TYPE: Failure =
    Failure::Known("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const NOT_INTEGER: Failure =
    Failure::Known("ERR value is not an integer or out of range");
pub(super) const NOT_FLOAT: Failure = Failure::Known("ERR value is not a valid float");
pub(super) const SYNTAX: Failure = Failure::Known("ERR syntax error");
pub(super) const NO_SUCH_KEY: Failure = Failure::Known("ERR no such key");

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Failure {
        Failure::Text(format!("ERR {error}"))
    }
}

impl Failure {
    /// The whole line, without what begins and ends it.
    pub(super) fn text(&self) -> &str {
        match self {
            Failure::Known(text) => text,
            Failure::Text(text) => text,
        }
    }
}

/// Appends the error's line. What would break the line is a space, and the text ends at a zero
/// byte, as in Redis.
#[cold]
pub(super) fn error(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'-');
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    out.extend_from_slice(b"\r\n");
}

/// A line that is no error: `+OK`.
pub(super) fn simple(out: &mut Vec<u8>, text: &str) {
    out.push(b'+');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub(super) fn ok(out: &mut Vec<u8>) {
    out.extend_from_slice(b"+OK\r\n");
}

/// No string.
#[inline]
pub(super) fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"$-1\r\n");
}

/// No array.
pub(super) fn null_array(out: &mut Vec<u8>) {
    out.extend_from_slice(b"*-1\r\n");
}

#[inline]
pub(super) fn integer(out: &mut Vec<u8>, number: i64) {
    headed(out, b':', number);
}

/// As [`integer`], of digits that are there already.
#[inline]
pub(super) fn integer_of(out: &mut Vec<u8>, digits: &Digits) {
    out.push(b':');
    out.extend_from_slice(digits.bytes());
    out.extend_from_slice(b"\r\n");
}

pub(super) fn count(out: &mut Vec<u8>, number: usize) {
    integer(out, i64::try_from(number).unwrap_or(i64::MAX));
}

/// The line before so many replies.
#[inline]
pub(super) fn array(out: &mut Vec<u8>, length: usize) {
    headed(out, b'*', i64::try_from(length).unwrap_or(i64::MAX));
}

#[inline]
pub(super) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    headed(out, b'$', i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn headed(out: &mut Vec<u8>, kind: u8, number: i64) {
    if let 0..10 = number {
        out.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
        return;
    }
    out.push(kind);
    out.extend_from_slice(Digits::of(number).bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_their_bytes() {
        let mut out = Vec::new();
        ok(&mut out);
        null(&mut out);
        null_array(&mut out);
        integer(&mut out, -12);
        count(&mut out, 7);
        array(&mut out, 10);
        bulk(&mut out, b"a\r\nb");
        bulk(&mut out, b"");
        error(&mut out, b"ERR a\r\nb\0c");
        let expected =
            "+OK\r\n$-1\r\n*-1\r\n:-12\r\n:7\r\n*10\r\n$4\r\na\r\nb\r\n$0\r\n\r\n-ERR a  b\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
