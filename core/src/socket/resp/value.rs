//! Redis strings as JSON values and back.
//!
//! A Redis string is a JSON string; one that is not UTF-8 is the object `{"$bytes":"<base64>"}`.
//! Every other JSON value reads as its text.

use super::base64;
use super::parse::Args;
use super::reply;
use crate::json::{push_string, unescape};
use memchr::memchr;
use std::borrow::Cow;

const BYTES_BEGIN: &str = "{\"$bytes\":\"";
const BYTES_END: &str = "\"}";

/// Appends the JSON text of the string `bytes`.
pub(super) fn push_json(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => push_string(out, text),
        Err(_) => {
            out.push_str(BYTES_BEGIN);
            base64::push(out, bytes);
            out.push_str(BYTES_END);
        }
    }
}

/// Appends the JSON text of the string that is the argument at `index`.
#[inline]
pub(super) fn push_argument(out: &mut String, args: &Args<'_>, index: usize) {
    match args.text(index) {
        Some(text) => push_string(out, text),
        None => push_json(out, args.get(index)),
    }
}

/// The JSON text of the string `bytes`.
pub(super) fn json(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    push_json(&mut out, bytes);
    out
}

/// The string that the JSON text of a value (no array) stands for.
#[inline]
pub(super) fn bytes(json: &str) -> Cow<'_, [u8]> {
    match json.as_bytes() {
        [b'"', inside @ .., b'"'] if memchr(b'\\', inside).is_none() => Cow::Borrowed(inside),
        _ => rare_bytes(json),
    }
}

fn rare_bytes(json: &str) -> Cow<'_, [u8]> {
    if let Some(inside) = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
        return Cow::Owned(unescape(inside).into_bytes());
    }
    let letters = json.strip_prefix(BYTES_BEGIN).and_then(|json| json.strip_suffix(BYTES_END));
    match letters.and_then(|letters| base64::decode(letters.as_bytes())) {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(json.as_bytes()),
    }
}

/// The length of the string that the JSON text of a value (no array) stands for, in bytes.
pub(super) fn length(json: &str) -> usize {
    let [b'"', inside @ .., b'"'] = json.as_bytes() else { return bytes(json).len() };
    let (mut length, mut rest) = (0, inside);
    while let Some(at) = memchr(b'\\', rest) {
        let (taken, stands_for) = match rest.get(at + 1) {
            Some(b'u') => escaped_length(&rest[at + 2..]),
            _ => (2, 1),
        };
        length += at + stands_for;
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    length + rest.len()
}

/// How many bytes an escape takes whose digits these are, and how many it stands for.
fn escaped_length(digits: &[u8]) -> (usize, usize) {
    let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
        Some(..0x80) => (6, 1),
        Some(..0x800) => (6, 2),
        // Half of a pair, and the other half is behind it.
        Some(0xD800..0xDC00) => (12, 4),
        _ => (6, 3),
    }
}

/// Appends `more` to a string that is JSON text; `false`, and nothing is done, where only the bytes of
/// both together tell what becomes of it.
pub(super) fn append(json: &mut String, more: &[u8]) -> bool {
    let Ok(more) = std::str::from_utf8(more) else { return false };
    if !json.starts_with('"') || json.pop() != Some('"') {
        return false;
    }
    let end = json.len();
    push_string(json, more);
    // The quote that begins what was added.
    json.remove(end);
    true
}

/// Appends the reply with the string that a value (no array) stands for.
#[inline]
pub(super) fn push_bulk(out: &mut Vec<u8>, json: &str) {
    reply::bulk(out, &bytes(json));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use proptest::prelude::*;

    #[test]
    fn values_of_other_dialects_read_as_their_text() {
        for (json, text) in [
            ("7", "7"),
            ("-1.50", "-1.50"),
            ("null", "null"),
            ("true", "true"),
            ("{\"a\":[1]}", "{\"a\":[1]}"),
            ("\"a\\u00e9\\n\\\"\"", "aé\n\""),
            ("\"\"", ""),
            ("{\"$bytes\":\"Zg\"}", "{\"$bytes\":\"Zg\"}"),
            ("{\"$bytes\":\"Zg==\",\"a\":1}", "{\"$bytes\":\"Zg==\",\"a\":1}"),
        ] {
            assert_eq!(bytes(json), text.as_bytes());
        }
        assert_eq!(bytes("{\"$bytes\":\"/w==\"}"), &b"\xff"[..]);
        assert_eq!(json(b"\xff"), "{\"$bytes\":\"/w==\"}");
        assert_eq!(json(b"a\"b\0"), "\"a\\\"b\\u0000\"");
    }

    proptest! {
        #[test]
        fn every_string_comes_back(string in prop::collection::vec(any::<u8>(), 0..40)) {
            let json = json(&string);
            prop_assert!(Json::parse(&json).unwrap().as_str() == json);
            prop_assert_eq!(length(&json), string.len());
            prop_assert_eq!(bytes(&json), string);
        }

        #[test]
        fn appending_to_the_text_appends_to_the_string(text in "\\PC*", more in "[a\\\\\"\\n\u{e9}\u{1f600}]{0,9}") {
            // As another client may have written it: with escapes where there need be none.
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            for mut json in [json(text.as_bytes()), format!("\"{escaped}\"")] {
                prop_assert_eq!(length(&json), text.len());
                prop_assert!(append(&mut json, more.as_bytes()));
                prop_assert_eq!(bytes(&json), format!("{text}{more}").into_bytes());
                prop_assert_eq!(length(&json), text.len() + more.len());
            }
        }

        #[test]
        fn every_text_is_a_json_string(text in "\\PC*") {
            let string = Json::string(&text);
            prop_assert_eq!(json(text.as_bytes()), string.as_str());
        }
    }
}
