//! A JSON array in parts, so that adding to it and taking from it cost the same whatever its length.

use crate::json::elements;
use std::collections::VecDeque;

/// Which end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::socket) enum End {
    First,
    Last,
}

/// The elements of an array, each as compact, checked JSON.
#[derive(Debug, Default)]
pub(in crate::socket) struct List {
    elements: VecDeque<Box<str>>,
    /// Bytes of all elements.
    bytes: usize,
}

impl List {
    /// The elements of an array's text; `None` where `text` is another JSON value.
    pub(super) fn parse(text: &str) -> Option<List> {
        if !text.starts_with('[') {
            return None;
        }
        let elements: VecDeque<Box<str>> = elements(text).map(Box::from).collect();
        Some(List { bytes: elements.iter().map(|element| element.len()).sum(), elements })
    }

    pub(in crate::socket) fn len(&self) -> usize {
        self.elements.len()
    }

    /// The JSON texts of all elements, in order.
    pub(in crate::socket) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.elements.iter().map(|element| &**element)
    }

    pub(super) fn push(&mut self, end: End, element: &str) {
        self.bytes += element.len();
        match end {
            End::First => self.elements.push_front(element.into()),
            End::Last => self.elements.push_back(element.into()),
        }
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Box<str>> {
        let element = match end {
            End::First => self.elements.pop_front(),
            End::Last => self.elements.pop_back(),
        }?;
        self.bytes -= element.len();
        Some(element)
    }

    /// Bytes of the elements' texts together.
    pub(super) fn element_bytes(&self) -> usize {
        self.bytes
    }

    /// Length of the array's text, in bytes.
    pub(super) fn json_bytes(&self) -> usize {
        self.bytes + self.elements.len().max(1) + 1
    }

    /// The array's text.
    pub(in crate::socket) fn json(&self) -> String {
        let mut out = String::with_capacity(self.json_bytes());
        out.push('[');
        for (at, element) in self.elements.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(element);
        }
        out.push(']');
        out
    }
}

/// A list to be read.
#[derive(Debug, Clone, Copy)]
pub(in crate::socket) enum Elements<'a> {
    Parts(&'a List),
    /// An array's text, whose elements are looked for one by one. A long one stays as it is until it
    /// is changed: in parts it may take twenty times the memory.
    Text(&'a str),
}

impl<'a> Elements<'a> {
    pub(in crate::socket) fn len(self) -> usize {
        match self {
            Elements::Parts(list) => list.len(),
            Elements::Text(text) => elements(text).count(),
        }
    }

    pub(in crate::socket) fn is_empty(self) -> bool {
        match self {
            Elements::Parts(list) => list.len() == 0,
            Elements::Text(text) => text == "[]",
        }
    }

    /// The JSON texts of the elements from `from` on.
    pub(in crate::socket) fn from(self, from: usize) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        match self {
            Elements::Parts(list) => {
                Box::new(list.elements.range(from.min(list.len())..).map(|e| &**e))
            }
            Elements::Text(text) => Box::new(elements(text).skip(from)),
        }
    }

    /// Bytes that are looked through to find an element.
    pub(in crate::socket) fn looked_through(self) -> usize {
        match self {
            Elements::Parts(_) => 0,
            Elements::Text(text) => text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_its_text() {
        for text in ["[]", "[1]", r#"["a,b",[1,[2]],{"x":[3]},null]"#] {
            let list = List::parse(text).unwrap();
            assert_eq!(list.json(), text);
            assert_eq!(list.json_bytes(), text.len());
        }
        assert!(List::parse("{}").is_none());
        let mut list = List::parse("[2]").unwrap();
        list.push(End::First, "1");
        list.push(End::Last, "3");
        assert_eq!(
            (list.json().as_str(), list.len(), list.iter().nth(2)),
            ("[1,2,3]", 3, Some("3"))
        );
        assert_eq!(list.pop(End::Last).as_deref(), Some("3"));
        assert_eq!(list.pop(End::First).as_deref(), Some("1"));
        assert_eq!(list.pop(End::First).as_deref(), Some("2"));
        assert_eq!((list.pop(End::First), list.json_bytes()), (None, 2));
    }
}
