//! YAML as a tree whose every node knows its line.

use super::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// Nodes a file may have once its aliases are resolved: aliases of aliases grow without bound.
const NODES_MAX: usize = 1_000_000;
/// Deepest nesting of sequences and mappings.
const DEPTH_MAX: usize = 64;

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A scalar as it is written; `plain` when without quotes, where YAML would guess a type.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    /// In the order of the file; keys are unique.
    Mapping(Vec<(Scalar, Node)>),
}

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Node {
    /// What the node is, for messages about what it should have been.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { text, plain: true } if is_null(text) => "nothing",
            Value::Scalar { plain: true, text } if text.parse::<f64>().is_ok() => "a number",
            Value::Scalar { .. } => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Whether nothing stands here: `key:` alone, or `~`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if is_null(text))
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Reads the one document of `text`; `None` when there is none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Problem> {
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, line: 1 };
    let mut root = None;
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            _ if root.is_some() => {
                return Err(Problem::at(span.start.line(), "a second document: one is allowed"));
            }
            event => root = Some(builder.node(event, span, 0)?),
        }
    }
    Ok(root.filter(|root| !root.is_null()))
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    line: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Problem> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(Some((event, span)))
            }
            Some(Err(error)) => {
                let line = error.marker().line();
                Err(Problem::at(line, format!("not YAML: {}", error.info())))
            }
        }
    }

    fn child(&mut self, depth: usize) -> Result<Option<Node>, Problem> {
        match self.next()? {
            None | Some((Event::SequenceEnd | Event::MappingEnd, _)) => Ok(None),
            Some((event, span)) => self.node(event, span, depth).map(Some),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        let line = span.start.line();
        self.count(1, line)?;
        if depth > DEPTH_MAX {
            return Err(Problem::at(line, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (anchor, Value::Scalar { text: text.into_owned(), plain })
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                while let Some(item) = self.child(depth + 1)? {
                    items.push(item);
                }
                (anchor, Value::Sequence(items))
            }
            Event::MappingStart(anchor, _) => (anchor, Value::Mapping(self.mapping(depth)?)),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::at(line, "an alias to what it is part of"));
                };
                self.count(size(&node), line)?;
                return Ok(node);
            }
            _ => return Err(Problem::at(line, "not YAML: the file ends too early")),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Scalar, Node)>, Problem> {
        let mut entries: Vec<(Scalar, Node)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        while let Some(key) = self.child(depth + 1)? {
            let Value::Scalar { text, .. } = key.value else {
                return Err(Problem::at(key.line, "a key must be text"));
            };
            if let Some(first) = lines.insert(text.clone(), key.line) {
                let message = format!("{text:?} stands here a second time; first on line {first}");
                return Err(Problem::at(key.line, message));
            }
            let Some(value) = self.child(depth + 1)? else {
                return Err(Problem::at(key.line, format!("{text:?} has no value")));
            };
            entries.push((Scalar { line: key.line, text }, value));
        }
        Ok(entries)
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values, aliases resolved");
            return Err(Problem::at(line, message));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| size(value) + 1).sum(),
    }
}
