//! JSON kept as the text it came as.
//!
//! Values are checked once and stored as compact text: numbers beyond 64 bits, `1.10`, escapes and
//! the order of keys survive; only white space between tokens is dropped. NaN and lone surrogates
//! are refused.

mod build;
mod plain;
mod scan;

pub use build::{JsonBuilder, JsonText, build};
use plain::plain_end;
use scan::compact;
pub(crate) use scan::{compacted, elements, members, scan};

use crate::error::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::fmt;

/// One JSON value as compact, checked text.
///
/// ```
/// use otto_core::Json;
/// let json = Json::parse(r#" {"b": 1.10, "a": 12345678901234567890123} "#).unwrap();
/// assert_eq!(json.as_str(), r#"{"b":1.10,"a":12345678901234567890123}"#);
/// assert_eq!(Json::parse(r#""\u00e9""#).unwrap().decode_string().unwrap(), "é");
/// assert!(Json::parse("NaN").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// # Errors
    /// [`ErrorKind::Usage`] with the byte where the text stops being JSON.
    pub fn parse(text: &str) -> Result<Json> {
        compacted(text).map(Json::from_checked)
    }

    /// As [`Json::parse`], for bytes that may not be UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] with the byte where the text stops being UTF-8 or JSON.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Json> {
        Json::parse(utf8(bytes)?)
    }

    /// Whether bytes are exactly one JSON value, without keeping anything of it.
    ///
    /// ```
    /// assert!(otto_core::Json::check(br#"{"a": [1, 2]}"#).is_ok());
    /// assert!(otto_core::Json::check(b"").is_err());
    /// ```
    ///
    /// # Errors
    /// As [`Json::parse_bytes`].
    pub fn check(bytes: &[u8]) -> Result<()> {
        scan(utf8(bytes)?.as_bytes()).map(drop)
    }

    /// As [`Json::parse`], keeping the buffer when the text is compact already.
    ///
    /// # Errors
    /// As [`Json::parse_bytes`].
    pub fn parse_owned(bytes: Vec<u8>) -> Result<Json> {
        let text =
            String::from_utf8(bytes).map_err(|error| not_utf8(error.utf8_error().valid_up_to()))?;
        let shape = scan(text.as_bytes())?;
        Ok(Json(if shape.compact { text.into_boxed_str() } else { compact(&text).into() }))
    }

    /// Wraps what [`compacted`] returned.
    pub(crate) fn from_checked(text: Cow<'_, str>) -> Json {
        Json(match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        })
    }

    /// The JSON string of `text`, with only the escapes JSON requires.
    #[must_use]
    pub fn string(text: &str) -> Json {
        let mut out = String::with_capacity(text.len() + 2);
        push_string(&mut out, text);
        Json(out.into_boxed_str())
    }

    /// Appends the JSON string of `text`, for callers that put together larger values.
    ///
    /// ```
    /// let mut out = String::from("[");
    /// otto_core::Json::push_string(&mut out, "a\"b");
    /// assert_eq!(out, r#"["a\"b""#);
    /// ```
    pub fn push_string(out: &mut String, text: &str) {
        push_string(out, text);
    }

    /// A JSON integer.
    #[must_use]
    pub fn number(number: i64) -> Json {
        Json(number.to_string().into_boxed_str())
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Json {
        Json("null".into())
    }

    /// The compact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// The text a JSON string stands for; `None` if this is not a string.
    #[must_use]
    pub fn decode_string(&self) -> Option<String> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescape(inner))
    }

    /// The whole text for a caller that owns it.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Json({})", &self.0)
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let (mut from, mut at) = (0, 0);
    loop {
        at = plain_end(text.as_bytes(), at);
        let Some(byte) = text.as_bytes().get(at) else { break };
        out.push_str(&text[from..at]);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => {
                use std::fmt::Write as _;
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        at += 1;
        from = at;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Undoes the escapes of a scanned string's inside.
pub(crate) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes()[at + 1];
        let mut used = at + 2;
        match code {
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let unit = hex4(&rest.as_bytes()[used..]).unwrap_or(0);
                used += 4;
                let mut scalar = u32::from(unit);
                if (0xD800..0xDC00).contains(&unit) {
                    // The scanner has seen the low half.
                    let low = hex4(&rest.as_bytes()[used + 2..]).unwrap_or(0xDC00);
                    used += 6;
                    scalar = 0x10000 + ((scalar - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                }
                out.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => out.push(char::from(other)),
        }
        rest = &rest[used..];
    }
    out.push_str(rest);
    out
}

fn hex4(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0u16, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| not_utf8(error.valid_up_to()))
}

fn not_utf8(at: usize) -> Error {
    Error::new(ErrorKind::Usage, format!("not UTF-8 at byte {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_text_survives() {
        for text in [
            "0",
            "-0",
            "1.10",
            "1e400",
            "-12.5E-3",
            "123456789012345678901234567890",
            "\"\"",
            "\"\\u0000\\ud83d\\ude00\\/\"",
            "\"é😀\"",
            "[]",
            "{}",
            "[1,[2,{\"a\":null}]]",
            "{\"b\":1,\"a\":2,\"b\":3}",
            "true",
            "false",
            "null",
        ] {
            assert_eq!(Json::parse(text).unwrap().as_str(), text);
        }
        let spaced = " { \"a b\" :\t[ 1 , \"x \\\" y\" ]\r\n} ";
        assert_eq!(Json::parse(spaced).unwrap().as_str(), r#"{"a b":[1,"x \" y"]}"#);
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for text in [
            "",
            " ",
            "nul",
            "NaN",
            "Infinity",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "[1,]",
            "[1",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "1 2",
            "[1}",
            "{\"a\":1]",
            "'a'",
        ] {
            let error = Json::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text:?}");
            assert!(error.to_string().starts_with("invalid JSON at byte"), "{error}");
        }
        assert!(Json::parse_bytes(b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(&nested(128)).is_ok());
        assert!(Json::parse(&nested(129)).is_err());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn strings_decode() {
        assert_eq!(
            Json::parse(r#""a\u00e9\ud83d\ude00\n\\\"""#).unwrap().decode_string().unwrap(),
            "aé😀\n\\\""
        );
        assert_eq!(Json::parse("1").unwrap().decode_string(), None);
        assert_eq!(Json::string("\u{1}\u{8}").as_str(), r#""\u0001\b""#);
    }

    proptest! {
        #[test]
        fn any_text_makes_a_string_and_back(text in any::<String>()) {
            let json = Json::string(&text);
            prop_assert_eq!(serde_json::from_str::<String>(json.as_str()).unwrap(), text.clone());
            prop_assert_eq!(Json::parse(json.as_str()).unwrap().decode_string().unwrap(), text);
        }

        #[test]
        fn agrees_with_serde(text in r#"[ \[\]{}",:\\u0-9a-fnrt.eE+-]{0,24}"#) {
            let ours = Json::parse(&text).is_ok();
            // Its raw value alone would let lone surrogates through; numbers beyond f64 are ours.
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match theirs {
                Ok(_) => prop_assert!(ours, "{}", text),
                Err(error) if error.to_string().contains("out of range") => {}
                Err(error) => prop_assert!(!ours, "{} {}", text, error),
            }
        }
    }
}
