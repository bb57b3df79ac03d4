//! One pass over JSON text, without recursion: is it valid, is it compact, where are its members.

use super::build::{JsonBuilder, JsonText, Nothing};
use super::hex4;
use super::plain::plain_end;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::JSON_DEPTH_MAX;
use std::borrow::Cow;

#[cold]
fn invalid(at: usize, what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("invalid JSON at byte {at}: {what}"))
}

/// Checks `text` and drops the white space between its tokens; borrows when there is none.
pub(crate) fn compacted(text: &str) -> Result<Cow<'_, str>> {
    let shape = scan(text.as_bytes())?;
    Ok(if shape.compact { Cow::Borrowed(text) } else { Cow::Owned(compact(text)) })
}

/// What a scan learns on the way.
pub(crate) struct Shape {
    /// No white space stands outside strings.
    pub(crate) compact: bool,
}

/// Checks that `text` (UTF-8) is exactly one JSON value.
pub(crate) fn scan(text: &[u8]) -> Result<Shape> {
    let mut scanner = Scanner::new(text);
    let end = scanner.value(0, &mut Nothing)?;
    scanner.end(end)?;
    Ok(Shape { compact: scanner.compact })
}

/// The members of the object `text` holds: raw key (with quotes) and value as spans of `text`, all
/// of it checked.
pub(crate) fn members(text: &str) -> Result<(Vec<(&str, &str)>, Shape)> {
    let mut scanner = Scanner::new(text.as_bytes());
    let mut at = scanner.white(0);
    if scanner.peek(at) != Some(b'{') {
        return Err(invalid(at, "expected an object"));
    }
    let mut members = Vec::new();
    at = scanner.white(at + 1);
    if scanner.peek(at) == Some(b'}') {
        at += 1;
    } else {
        loop {
            let from = scanner.white(at);
            let key_end = scanner.string(scanner.quote(from)?)?.0;
            let value = scanner.colon(key_end)?;
            let value = scanner.white(value);
            let end = scanner.value(value, &mut Nothing)?;
            members.push((&text[from..key_end], &text[value..end]));
            at = scanner.white(end);
            match scanner.peek(at) {
                Some(b',') => at += 1,
                Some(b'}') => {
                    at += 1;
                    break;
                }
                _ => return Err(invalid(at, "expected , or }")),
            }
        }
    }
    scanner.end(at)?;
    Ok((members, Shape { compact: scanner.compact }))
}

/// The elements of the array that `text`, checked and compact JSON, holds; none for another value.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner::new(text.as_bytes());
    let mut at = if text.starts_with('[') { 1 } else { text.len() };
    std::iter::from_fn(move || {
        if matches!(scanner.peek(at), Some(b']') | None) {
            return None;
        }
        // Checked before, so this never fails.
        let end = scanner.value(at, &mut Nothing).ok()?;
        let element = &text[at..end];
        at = end + usize::from(scanner.peek(end) == Some(b','));
        Some(element)
    })
}

/// Its methods take the place where something begins and return the one behind it: a place that
/// is kept in a register is what makes this fast.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    compact: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scanner<'a> {
        Scanner { text, compact: true }
    }

    #[inline(always)]
    fn peek(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    #[inline(always)]
    fn white(&mut self, at: usize) -> usize {
        match self.peek(at) {
            Some(0..=b' ') => self.spaces(at),
            _ => at,
        }
    }

    #[cold]
    fn spaces(&mut self, mut at: usize) -> usize {
        while matches!(self.peek(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
            self.compact = false;
        }
        at
    }

    pub(super) fn end(&mut self, at: usize) -> Result<()> {
        let at = self.white(at);
        if at < self.text.len() { Err(invalid(at, "text after the value")) } else { Ok(()) }
    }

    /// One value with everything in it. `objects` holds a bit per open level: object or array.
    pub(super) fn value<B: JsonBuilder>(
        &mut self,
        mut at: usize,
        builder: &mut B,
    ) -> std::result::Result<usize, B::Error> {
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            at = self.white(at);
            match self.peek(at) {
                Some(b'"') => {
                    let (end, text) = self.string(at + 1)?;
                    builder.string(text)?;
                    at = end;
                }
                Some(b'-' | b'0'..=b'9') => {
                    let end = self.number(at)?;
                    builder.number(&self.text[at..end])?;
                    at = end;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == JSON_DEPTH_MAX {
                        return Err(invalid(at, "nested deeper than 128 levels").into());
                    }
                    at = self.white(at + 1);
                    let object = open == b'{';
                    builder.open(object)?;
                    if self.peek(at) == Some(if object { b'}' } else { b']' }) {
                        builder.close()?;
                        at += 1;
                    } else {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            at = self.key(at, builder)?;
                        }
                        continue;
                    }
                }
                Some(b't') => {
                    at = self.word(at, b"true")?;
                    builder.word(Some(true))?;
                }
                Some(b'f') => {
                    at = self.word(at, b"false")?;
                    builder.word(Some(false))?;
                }
                Some(b'n') => {
                    at = self.word(at, b"null")?;
                    builder.word(None)?;
                }
                Some(_) => return Err(invalid(at, "expected a value").into()),
                None => return Err(invalid(at, "the text ends too early").into()),
            }
            // A value is complete: close what it completes, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(at);
                }
                at = self.white(at);
                let object = objects & 1 == 1;
                match self.peek(at) {
                    Some(b',') => {
                        at += 1;
                        if object {
                            at = self.key(at, builder)?;
                        }
                        break;
                    }
                    Some(b'}') if object => at += 1,
                    Some(b']') if !object => at += 1,
                    Some(_) if object => return Err(invalid(at, "expected , or }").into()),
                    Some(_) => return Err(invalid(at, "expected , or ]").into()),
                    None => return Err(invalid(at, "the text ends too early").into()),
                }
                builder.close()?;
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// A key and its colon.
    #[inline(always)]
    fn key<B: JsonBuilder>(
        &mut self,
        at: usize,
        builder: &mut B,
    ) -> std::result::Result<usize, B::Error> {
        let at = self.white(at);
        let inside = self.quote(at)?;
        let (end, text) = self.string(inside)?;
        let at = self.colon(end)?;
        builder.key(text)?;
        Ok(at)
    }

    #[inline(always)]
    fn quote(&self, at: usize) -> Result<usize> {
        match self.peek(at) {
            Some(b'"') => Ok(at + 1),
            _ => Err(invalid(at, "expected a key in double quotes")),
        }
    }

    #[inline(always)]
    fn colon(&mut self, at: usize) -> Result<usize> {
        let at = self.white(at);
        match self.peek(at) {
            Some(b':') => Ok(at + 1),
            _ => Err(invalid(at, "expected :")),
        }
    }

    /// The rest of a string behind its opening quote: where it ends, and what is in it.
    #[inline(always)]
    fn string(&self, from: usize) -> Result<(usize, JsonText<'a>)> {
        let (mut at, mut escaped) = (from, false);
        loop {
            at = plain_end(self.text, at);
            match self.peek(at) {
                Some(b'"') => {
                    return Ok((at + 1, JsonText { inside: &self.text[from..at], escaped }));
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(_) => return Err(invalid(at, "a control character must be escaped")),
                None => return Err(invalid(at, "a string without its closing quote")),
            }
        }
    }

    #[inline(always)]
    fn escape(&self, at: usize) -> Result<usize> {
        let end = at + 2;
        match self.peek(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(end),
            Some(b'u') => match self.unit(at, end)? {
                0xDC00..=0xDFFF => Err(invalid(at, "a lone surrogate")),
                0xD800..=0xDBFF => {
                    if self.text.get(end + 4..end + 6) != Some(b"\\u") {
                        return Err(invalid(at, "a lone surrogate"));
                    }
                    match self.unit(at, end + 6)? {
                        0xDC00..=0xDFFF => Ok(end + 10),
                        _ => Err(invalid(at, "a lone surrogate")),
                    }
                }
                _ => Ok(end + 4),
            },
            _ => Err(invalid(at, "unknown escape")),
        }
    }

    /// The four digits at `at` of the escape that begins at `from`.
    fn unit(&self, from: usize, at: usize) -> Result<u16> {
        hex4(self.text.get(at..).unwrap_or_default())
            .ok_or_else(|| invalid(from, "\\u needs four hexadecimal digits"))
    }

    #[inline(always)]
    fn digits(&self, from: usize) -> Result<usize> {
        let mut at = from;
        while matches!(self.peek(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        if at == from { Err(invalid(from, "expected a digit")) } else { Ok(at) }
    }

    #[inline(always)]
    fn number(&self, mut at: usize) -> Result<usize> {
        if self.peek(at) == Some(b'-') {
            at += 1;
        }
        if self.peek(at) == Some(b'0') {
            at += 1;
            if matches!(self.peek(at), Some(b'0'..=b'9')) {
                return Err(invalid(at, "a number can't begin with 0"));
            }
        } else {
            at = self.digits(at)?;
        }
        if self.peek(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if matches!(self.peek(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(self.peek(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        Ok(at)
    }

    fn word(&self, at: usize, word: &[u8]) -> Result<usize> {
        if self.text[at..].starts_with(word) {
            Ok(at + word.len())
        } else {
            Err(invalid(at, "expected a value"))
        }
    }
}

/// Scanned text without the white space between its tokens.
pub(super) fn compact(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        out.push(byte);
    }
    // Only ASCII bytes were left out of valid UTF-8.
    String::from_utf8(out).unwrap_or_default()
}
