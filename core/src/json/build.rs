//! Something made of a JSON text in the pass that checks it.

use super::scan::Scanner;
use super::{unescape, utf8};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// Is told what [`build`] comes across, in the order of the text. What it made is to be thrown away
/// when the text turns out to be no JSON.
pub trait JsonBuilder {
    /// What may go wrong: also that the text is no JSON.
    type Error: From<Error>;

    /// An object or array begins; what follows is in it until [`close`](JsonBuilder::close).
    fn open(&mut self, object: bool) -> std::result::Result<(), Self::Error>;
    /// The object or array opened last ends.
    fn close(&mut self) -> std::result::Result<(), Self::Error>;
    /// The key of the value that comes next.
    fn key(&mut self, text: JsonText<'_>) -> std::result::Result<(), Self::Error>;
    /// A string.
    fn string(&mut self, text: JsonText<'_>) -> std::result::Result<(), Self::Error>;
    /// A number as it stands in the text: ASCII, well formed, of any length.
    fn number(&mut self, text: &[u8]) -> std::result::Result<(), Self::Error>;
    /// `true`, `false`, or `None` for `null`.
    fn word(&mut self, truth: Option<bool>) -> std::result::Result<(), Self::Error>;
}

/// What stands between the quotes of a string. Its escapes have been checked; that it is UTF-8 is
/// left to whoever decodes it, who must look at every byte anyway.
#[derive(Clone, Copy)]
pub struct JsonText<'a> {
    pub(super) inside: &'a [u8],
    pub(super) escaped: bool,
}

impl<'a> JsonText<'a> {
    /// The bytes as they stand in the text.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.inside
    }

    /// Whether [`raw`](JsonText::raw) has escapes, and so is not yet the string.
    #[must_use]
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// The string.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) when it is not UTF-8.
    pub fn decode(&self) -> Result<Cow<'a, str>> {
        let text = utf8(self.inside)?;
        Ok(if self.escaped { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) })
    }
}

/// Checks that `text` is exactly one JSON value and tells `builder` its parts, in one pass. The
/// strings of the text may not be UTF-8: see [`JsonText`].
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) with the byte where the text stops being JSON, and
/// whatever the builder returned.
pub fn build<B: JsonBuilder>(text: &[u8], builder: &mut B) -> std::result::Result<(), B::Error> {
    let mut scanner = Scanner::new(text);
    let end = scanner.value(0, builder)?;
    Ok(scanner.end(end)?)
}

/// For those who only want to know whether a text is JSON.
pub(super) struct Nothing;

impl JsonBuilder for Nothing {
    type Error = Error;

    #[inline(always)]
    fn open(&mut self, _object: bool) -> Result<()> {
        Ok(())
    }
    #[inline(always)]
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
    #[inline(always)]
    fn key(&mut self, _text: JsonText<'_>) -> Result<()> {
        Ok(())
    }
    #[inline(always)]
    fn string(&mut self, _text: JsonText<'_>) -> Result<()> {
        Ok(())
    }
    #[inline(always)]
    fn number(&mut self, _text: &[u8]) -> Result<()> {
        Ok(())
    }
    #[inline(always)]
    fn word(&mut self, _truth: Option<bool>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes down what it is told, which makes the compact text again.
    #[derive(Default)]
    struct Writer {
        out: String,
        open: Vec<bool>,
        after_key: bool,
    }

    impl Writer {
        fn value(&mut self, text: &str) {
            if !std::mem::take(&mut self.after_key) && !self.out.ends_with(['[', '{']) {
                self.out.push_str(if self.out.is_empty() { "" } else { "," });
            }
            self.out.push_str(text);
        }
    }

    impl JsonBuilder for Writer {
        type Error = Error;

        fn open(&mut self, object: bool) -> Result<()> {
            self.value(if object { "{" } else { "[" });
            self.open.push(object);
            Ok(())
        }
        fn close(&mut self) -> Result<()> {
            self.out.push(if self.open.pop().unwrap() { '}' } else { ']' });
            Ok(())
        }
        fn key(&mut self, text: JsonText<'_>) -> Result<()> {
            self.string(text)?;
            self.out.push(':');
            self.after_key = true;
            Ok(())
        }
        fn string(&mut self, text: JsonText<'_>) -> Result<()> {
            assert_eq!(text.is_escaped(), text.raw().contains(&b'\\'));
            let raw = format!("\"{}\"", utf8(text.raw())?);
            let decoded: String = serde_json::from_str(&raw).unwrap();
            assert_eq!(text.decode()?, decoded);
            self.value(&raw);
            Ok(())
        }
        fn number(&mut self, text: &[u8]) -> Result<()> {
            self.value(utf8(text)?);
            Ok(())
        }
        fn word(&mut self, truth: Option<bool>) -> Result<()> {
            self.value(match truth {
                Some(true) => "true",
                Some(false) => "false",
                None => "null",
            });
            Ok(())
        }
    }

    fn rebuilt(text: &str) -> Result<String> {
        let mut writer = Writer::default();
        build(text.as_bytes(), &mut writer).map(|()| writer.out)
    }

    #[test]
    fn a_builder_is_told_everything_in_order() {
        for text in [
            r#"{"a":[1,-2.5e3,"x\"\ud83d\ude00é",{}],"b":{"c":null},"d":[[],[true,false]],"":0}"#,
            "[]",
            "{}",
            "7",
            "null",
            r#""plain""#,
        ] {
            assert_eq!(rebuilt(text).unwrap(), text);
        }
        assert_eq!(rebuilt(" { \"a\" :\t[ 1 , 2 ] }\r\n").unwrap(), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn what_a_string_holds_is_the_builders_to_check() {
        let mut lazy = Nothing;
        assert!(build(b"\"\xff\"", &mut lazy).is_ok());
        assert!(build(b"\xff", &mut lazy).is_err());
        assert!(build(b"\"\xff\"", &mut Writer::default()).is_err());
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_scan(text in r#"[ \[\]{}",:\\u0-9a-fnrt.eE+-]{0,24}"#) {
            match (super::super::compacted(&text), rebuilt(&text)) {
                (Ok(compact), Ok(rebuilt)) => prop_assert_eq!(compact, rebuilt),
                (compact, rebuilt) => prop_assert!(compact.is_err() && rebuilt.is_err(), "{}", text),
            }
        }
    }
}
