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
            prop_assert_eq!(bytes(&json), string);
        }

        #[test]
        fn every_text_is_a_json_string(text in "\\PC*") {
            let string = Json::string(&text);
            prop_assert_eq!(json(text.as_bytes()), string.as_str());
        }
    }
}
