//! One pass over JSON text, without recursion: is it valid, is it compact, where are its members.

use super::hex4;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::JSON_DEPTH_MAX;
use std::borrow::Cow;

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
    let mut scanner = Scanner { text, at: 0, compact: true };
    scanner.value()?;
    scanner.white();
    if scanner.at < text.len() {
        return Err(invalid(scanner.at, "text after the value"));
    }
    Ok(Shape { compact: scanner.compact })
}

/// The members of the object `text` holds: raw key (with quotes) and value as spans of `text`.
pub(crate) fn members(text: &str) -> Result<Vec<(&str, &str)>> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0, compact: true };
    scanner.white();
    if scanner.peek() != Some(b'{') {
        return Err(invalid(scanner.at, "expected an object"));
    }
    scanner.at += 1;
    let mut members = Vec::new();
    scanner.white();
    if scanner.peek() == Some(b'}') {
        scanner.at += 1;
    } else {
        loop {
            let key = scanner.key()?;
            let key = &text[key.0..key.1];
            scanner.white();
            let from = scanner.at;
            scanner.value()?;
            members.push((key, &text[from..scanner.at]));
            scanner.white();
            match scanner.peek() {
                Some(b',') => scanner.at += 1,
                Some(b'}') => {
                    scanner.at += 1;
                    break;
                }
                _ => return Err(invalid(scanner.at, "expected , or }")),
            }
        }
    }
    scanner.white();
    if scanner.at < text.len() {
        return Err(invalid(scanner.at, "text after the value"));
    }
    Ok(members)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    compact: bool,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
            self.compact = false;
        }
    }

    /// One value with everything in it. `objects` holds a bit per open level: object or array.
    fn value(&mut self) -> Result<()> {
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            self.white();
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == JSON_DEPTH_MAX {
                        return Err(invalid(self.at, "nested deeper than 128 levels"));
                    }
                    self.at += 1;
                    self.white();
                    let object = open == b'{';
                    if self.peek() == Some(if object { b'}' } else { b']' }) {
                        self.at += 1;
                    } else {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(_) => return Err(invalid(self.at, "expected a value")),
                None => return Err(invalid(self.at, "the text ends too early")),
            }
            // A value is complete: close what it completes, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.white();
                let object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.at += 1,
                    Some(b']') if !object => self.at += 1,
                    Some(_) if object => return Err(invalid(self.at, "expected , or }")),
                    Some(_) => return Err(invalid(self.at, "expected , or ]")),
                    None => return Err(invalid(self.at, "the text ends too early")),
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// A key and its colon; returns the span of the key with its quotes.
    fn key(&mut self) -> Result<(usize, usize)> {
        self.white();
        if self.peek() != Some(b'"') {
            return Err(invalid(self.at, "expected a key in double quotes"));
        }
        let from = self.at;
        self.string()?;
        let span = (from, self.at);
        self.white();
        if self.peek() != Some(b':') {
            return Err(invalid(self.at, "expected :"));
        }
        self.at += 1;
        Ok(span)
    }

    fn string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let Some(plain) = plain else {
                return Err(invalid(self.text.len(), "a string without its closing quote"));
            };
            self.at += plain;
            match self.text[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ => return Err(invalid(self.at, "a control character must be escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        let from = self.at;
        self.at += 2;
        match self.text.get(from + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.unit(from)? {
                0xDC00..=0xDFFF => Err(invalid(from, "a lone surrogate")),
                0xD800..=0xDBFF => {
                    if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(invalid(from, "a lone surrogate"));
                    }
                    self.at += 2;
                    match self.unit(from)? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(invalid(from, "a lone surrogate")),
                    }
                }
                _ => Ok(()),
            },
            _ => Err(invalid(from, "unknown escape")),
        }
    }

    fn unit(&mut self, from: usize) -> Result<u16> {
        let unit = hex4(self.text.get(self.at..).unwrap_or_default())
            .ok_or_else(|| invalid(from, "\\u needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn digits(&mut self) -> Result<()> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(invalid(from, "expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(invalid(self.at, "a number can't begin with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(invalid(self.at, "expected a value"))
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
