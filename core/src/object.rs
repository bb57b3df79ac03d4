//! The top level of a document or an output file: keys to values, each as its own text.

use crate::error::Result;
use crate::json::{Json, members, push_string, utf8};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// An ordered map from key to [`Json`]; what it is not asked to change keeps its text and place.
///
/// ```
/// use otto_core::{Json, Object};
/// let mut object = Object::parse(br#"{"z": 1.10, "a": 2}"#).unwrap();
/// object.set("a", Json::number(3));
/// object.set("new", Json::string("x"));
/// assert_eq!(object.to_bytes(), br#"{"z":1.10,"a":3,"new":"x"}"#);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(String, Json)>,
    index: HashMap<String, usize>,
}

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Object {
        Object::default()
    }

    /// Reads `{...}`; of a key that stands twice the last value counts. No bytes at all are the
    /// empty object.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) when the bytes are no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Object> {
        let mut object = Object::new();
        if bytes.is_empty() {
            return Ok(object);
        }
        let (members, shape) = members(utf8(bytes)?)?;
        object.members.reserve(members.len());
        object.index.reserve(members.len());
        for (raw, value) in members {
            // What has been checked with the whole is not checked again.
            let value = match shape.compact {
                true => Json::from_checked(value.into()),
                false => Json::parse(value)?,
            };
            object.insert(key(raw)?.into_owned(), value);
        }
        Ok(object)
    }

    /// The value of `name` in the text of an object, without reading the others' values into memory
    /// of their own. The text is checked as a whole.
    ///
    /// ```
    /// use otto_core::Object;
    /// let found = Object::find(br#"{"a": 1, "b": [2]}"#, "b").unwrap();
    /// assert_eq!(found.unwrap().as_str(), "[2]");
    /// ```
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn find(bytes: &[u8], name: &str) -> Result<Option<Json>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let is_name = |raw: &str| key(raw).is_ok_and(|key| key == name);
        // Of a key that stands twice the last value counts.
        let found = members(utf8(bytes)?)?.0.into_iter().rev().find(|(raw, _)| is_name(raw));
        found.map(|(_, value)| Json::parse(value)).transpose()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.index.get(key).map(|at| &self.members[*at].1)
    }

    /// Puts `value` under `key`: in its place when the key is there, else at the end.
    pub fn set(&mut self, key: &str, value: Json) {
        match self.index.get(key) {
            Some(at) => self.members[*at].1 = value,
            None => self.insert(key.to_owned(), value),
        }
    }

    fn insert(&mut self, key: String, value: Json) {
        match self.index.entry(key) {
            Entry::Occupied(at) => self.members[*at.get()].1 = value,
            Entry::Vacant(place) => {
                self.members.push((place.key().clone(), value));
                place.insert(self.members.len() - 1);
            }
        }
    }

    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(at) = self.index.remove(key) else { return false };
        self.members.remove(at);
        for (place, (key, _)) in self.members.iter().enumerate().skip(at) {
            if let Some(entry) = self.index.get_mut(key) {
                *entry = place;
            }
        }
        true
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The compact JSON text of the whole.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let size: usize = self.members.iter().map(|(k, v)| k.len() + v.as_str().len() + 4).sum();
        let mut out = String::with_capacity(size + 2);
        out.push('{');
        for (place, (key, value)) in self.members.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            push_string(&mut out, key);
            out.push(':');
            out.push_str(value.as_str());
        }
        out.push('}');
        out.into_bytes()
    }
}

/// The key that `raw`, checked and with its quotes, stands for.
fn key(raw: &str) -> Result<Cow<'_, str>> {
    let inside = &raw[1..raw.len() - 1];
    if !inside.contains('\\') {
        return Ok(Cow::Borrowed(inside));
    }
    Ok(Cow::Owned(Json::parse(raw)?.decode_string().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_texts_stay() {
        let text = br#"{"b":1.10,"a":[1e2,"\u0041"],"k\n\"":null}"#;
        let mut object = Object::parse(text).unwrap();
        assert_eq!(object.to_bytes(), text);
        assert!(object.get("k\n\"").unwrap().is_null());
        assert!(object.remove("b"));
        assert!(!object.remove("b"));
        object.set("a", Json::number(0));
        assert_eq!(object.to_bytes(), br#"{"a":0,"k\n\"":null}"#);
    }

    #[test]
    fn only_objects_parse() {
        for bad in ["[1]", "1", "{\"a\":1} x", "{\"a\" 1}", "{,}", "\u{1}"] {
            assert!(Object::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Object::parse(b" { } ").unwrap(), Object::new());
        assert_eq!(Object::parse(b"").unwrap(), Object::new());
        assert_eq!(Object::parse(br#"{"a":1,"a":2}"#).unwrap().to_bytes(), br#"{"a":2}"#);
        assert!(Object::parse(br#"{"\ud800":1}"#).is_err(), "a lone surrogate");
    }

    #[test]
    fn only_the_white_space_is_dropped() {
        let text = b" { \"a b\" : [ 1 , \" \" ] ,\n\"\\u0041\":\t2 , \"A\" : 3} ";
        let object = Object::parse(text).unwrap();
        assert_eq!(object.to_bytes(), br#"{"a b":[1," "],"A":3}"#);
        assert_eq!(Object::find(text, "A").unwrap().unwrap().as_str(), "3");
    }
}
