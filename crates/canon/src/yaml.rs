//! A small strict reader for the YAML of test files: no anchors, aliases or tags, integers
//! only, keys once, and every node knows its line.

use cog_base::json::{Integer, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::error::CanonError;

/// Most bytes of a file.
pub const YAML_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting.
pub const YAML_DEPTH_MAX: usize = 32;

/// A node and where it starts, both from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Null, a truth value, a whole number or text.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in its order; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The same as JSON.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Content::Map(members) => {
                Value::map(members.iter().map(|(key, node)| (key.as_str(), node.to_value())))
            }
        }
    }

    /// The member `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Content::Map(members) = &self.content else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text, if this is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        let Content::Scalar(value) = &self.content else { return None };
        value.as_text()
    }

    /// Something wrong with this node.
    pub(crate) fn wrong(&self, file: &str, what: impl Into<String>) -> CanonError {
        CanonError::in_file(file, what).at(self.line, self.column)
    }
}

/// Read one document.
pub(crate) fn parse(file: &str, text: &str) -> Result<Node, CanonError> {
    if text.len() > YAML_BYTES_MAX {
        let what = format!("the file has {} bytes, most {YAML_BYTES_MAX}", text.len());
        return Err(CanonError::in_file(file, what));
    }
    let mut reader = Reader { file, parser: Parser::new_from_str(text) };
    reader.skip_until_content()?;
    let (event, span) = reader.next()?;
    let node = reader.node(event, span, 0)?;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(node),
            Event::DocumentStart(_) => {
                return Err(reader.wrong(span, "a second document starts; write one only"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => {}
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn wrong(&self, span: Span, what: impl Into<String>) -> CanonError {
        CanonError::in_file(self.file, what).at(span.start.line(), span.start.col() + 1)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), CanonError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let mark = error.marker();
                let at = CanonError::in_file(self.file, error.info());
                Err(at.at(mark.line(), mark.col() + 1))
            }
            None => Err(CanonError::in_file(self.file, "the file ends too early")),
        }
    }

    fn skip_until_content(&mut self) -> Result<(), CanonError> {
        let (_, _) = self.next()?;
        let (event, _) = self.next()?;
        if matches!(event, Event::DocumentStart(_)) {
            return Ok(());
        }
        Err(CanonError::in_file(self.file, "the file is empty"))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, CanonError> {
        if depth > YAML_DEPTH_MAX {
            return Err(self.wrong(span, format!("nested deeper than {YAML_DEPTH_MAX} levels")));
        }
        let content = match event {
            Event::Alias(_) => return Err(self.wrong(span, "aliases are not allowed")),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(span, anchor, tag.is_some())?;
                Content::Scalar(self.scalar(&text, style, span)?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(span, anchor, tag.is_some())?;
                Content::List(self.items(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(span, anchor, tag.is_some())?;
                Content::Map(self.members(depth)?)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(self.wrong(span, "a value is missing")),
        };
        Ok(Node { line: span.start.line(), column: span.start.col() + 1, content })
    }

    fn plain(&self, span: Span, anchor: usize, tagged: bool) -> Result<(), CanonError> {
        if anchor != 0 {
            return Err(self.wrong(span, "anchors are not allowed"));
        }
        if tagged {
            return Err(self.wrong(span, "tags are not allowed"));
        }
        Ok(())
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, CanonError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(String, Node)>, CanonError> {
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(members),
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                Event::Alias(_) => return Err(self.wrong(span, "aliases are not allowed")),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => {
                    return Err(self.wrong(span, "a key must be plain text"));
                }
            };
            if !seen.insert(key.clone()) {
                return Err(self.wrong(span, format!("the key `{key}` stands twice")));
            }
            let (event, span) = self.next()?;
            members.push((key, self.node(event, span, depth + 1)?));
        }
    }

    /// YAML 1.2 core schema, without floats.
    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Result<Value, CanonError> {
        if style != ScalarStyle::Plain {
            return Ok(text.into());
        }
        match text {
            "" | "~" | "null" => return Ok(Value::Null),
            "true" => return Ok(true.into()),
            "false" => return Ok(false.into()),
            _ => {}
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok().and_then(Integer::new);
            let what = || format!("`{text}` is beyond 2^53; write it as text");
            return number.map(Value::Int).ok_or_else(|| self.wrong(span, what()));
        }
        let number = digits.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
        if number && text.parse::<f64>().is_ok() {
            let what =
                format!("`{text}` is not a whole number; write it as text or in minor units");
            return Err(self.wrong(span, what));
        }
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let words = match parse("t.yaml", text) {
            Ok(node) => node.to_value().to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(words, expected, "{text}");
    }

    #[test]
    fn plain_yaml_is_read() {
        check("a: 1\nb: [x, 'y', \"3\", -4, true, ~]", r#"{"a":1,"b":["x","y","3",-4,true,null]}"#);
        check("- a: {b: c}\n- d", r#"[{"a":{"b":"c"}},"d"]"#);
        check("v: 1.2.3\nw: 2026-01-01", r#"{"v":"1.2.3","w":"2026-01-01"}"#);
    }

    #[test]
    fn what_surprises_people_is_refused_with_its_place() {
        check("a: &x 1\nb: *x", "t.yaml:1:4: anchors are not allowed");
        check("a: !!str 1", "t.yaml:1:4: tags are not allowed");
        check("a: 1\na: 2", "t.yaml:2:1: the key `a` stands twice");
        check(
            "a: 1.5",
            "t.yaml:1:4: `1.5` is not a whole number; write it as text or in minor units",
        );
        check(
            "a: 99999999999999999999",
            "t.yaml:1:4: `99999999999999999999` is beyond 2^53; write it as text",
        );
        check("a: 1\n---\nb: 2", "t.yaml:2:1: a second document starts; write one only");
        check("", "t.yaml: the file is empty");
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        check(&deep, "t.yaml:1:34: nested deeper than 32 levels");
    }

    #[test]
    fn nodes_know_their_lines() {
        let node = parse("t.yaml", "- name: x\n  context:\n    a: 1\n- name: y\n").unwrap();
        let Content::List(items) = &node.content else { panic!("a list") };
        assert_eq!((items[0].line, items[1].line), (1, 4));
    }
}
