//! The file as a tree whose nodes know their place.
//!
//! YAML 1.2 with the core schema, of which JSON is a part. What makes YAML dangerous or
//! ambiguous is refused: anchors, aliases, tags, several documents, repeated keys, floats
//! and numbers with leading zeros.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::json::{Integer, Json};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::diagnostic::Reports;
use crate::limits::MAX_YAML_DEPTH;

/// What the scanner says of brackets that are nested deeper than it counts, which it may see
/// before the values around them are built; and the first level that is too deep for it.
const SCANNER_GAVE_UP: &str = "recursion limit exceeded";
const SCANNER_DEPTH: usize = 256;
/// What the parser says of an alias without its anchor. Neither is allowed.
const UNKNOWN_ANCHOR: &str = "unknown anchor";

/// A value and the byte of the file at which it starts.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(Integer),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Something already reported; whoever meets it says nothing more.
    Broken,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) at: usize,
    pub(crate) name: String,
}

impl Node {
    /// The word for this kind of value in messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
            Kind::Broken => "a broken value",
        }
    }

    /// The value without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null | Kind::Broken => Json::Null,
            Kind::Bool(truth) => Json::Bool(*truth),
            Kind::Int(number) => Json::Int(*number),
            Kind::Text(text) => Json::Text(text.clone()),
            Kind::List(items) => Json::List(items.iter().map(Self::to_value).collect()),
            Kind::Map(members) => Json::Map(
                members.iter().map(|(key, node)| (key.name.clone(), node.to_value())).collect(),
            ),
        }
    }
}

/// Reads the one document of a file; reports and returns nothing when there is none.
pub(crate) fn read(text: &str, reports: &mut Reports<'_>) -> Option<Node> {
    let mut builder = Builder { parser: Parser::new_from_str(text), reports };
    builder.document()
}

struct Builder<'t, 'r, 's> {
    parser: Parser<'t, StrInput<'t>>,
    reports: &'r mut Reports<'s>,
}

/// An event that starts a value, with its byte.
type Start<'t> = (Event<'t>, usize);

impl<'t> Builder<'t, '_, '_> {
    fn document(&mut self) -> Option<Node> {
        let node = loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd => {
                    self.reports.error(
                        at,
                        "the file is empty",
                        "it needs `name`, `domain` and `steps`",
                    );
                    return None;
                }
                event @ (Event::DocumentEnd
                | Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd) => break self.node((event, at), 1)?,
            }
        };
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::StreamEnd) {
                return Some(node);
            }
            if matches!(event, Event::DocumentStart(_)) {
                let message = "a second document; a workflow file has one";
                self.reports.error(at, message, "put it into a file of its own");
                return None;
            }
        }
    }

    fn next(&mut self) -> Option<Start<'t>> {
        match self.parser.next_event()? {
            Ok((event, span)) => {
                let at = self.byte(span);
                Some((event, at))
            }
            Err(error) => {
                let at = self.reports.source().byte_of_character(error.marker().index());
                if error.info() == SCANNER_GAVE_UP {
                    self.too_deep(at, SCANNER_DEPTH);
                    return None;
                }
                if error.info().contains(UNKNOWN_ANCHOR) {
                    return self.refuse_extras(at, 1, false).map(|()| (Event::Nothing, at));
                }
                let (message, hint) = if self.is_tab(at) {
                    (
                        "a tab stands here, where YAML wants blanks".to_owned(),
                        "put a blank in its place",
                    )
                } else {
                    let line = self.reports.source().locate(at).1;
                    let hint = if line.contains(": ${{") || line.contains("[${{") {
                        "put an expression in quotes: \"${{ … }}\""
                    } else {
                        "check the indentation, the quotes and the brackets around here"
                    };
                    (format!("this is not valid YAML: {}", error.info()), hint)
                };
                self.reports.with_hint(at, message, hint.to_owned());
                None
            }
        }
    }

    /// Whether a tab stands there, or just before.
    fn is_tab(&self, at: usize) -> bool {
        [at.checked_sub(1), Some(at)]
            .into_iter()
            .flatten()
            .any(|at| self.reports.source().rest(at).starts_with('\t'))
    }

    fn byte(&self, span: Span) -> usize {
        self.reports.source().byte_of_character(span.start.index())
    }

    fn node(&mut self, (event, at): Start<'t>, depth: usize) -> Option<Node> {
        if depth > MAX_YAML_DEPTH {
            self.too_deep(at, depth);
            return None;
        }
        let kind = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some())?;
                self.scalar(at, &text, style)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) => {
                self.refuse_extras(at, 1, false)?;
                Kind::Broken
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Kind::Broken,
        };
        Some(Node { at, kind })
    }

    fn too_deep(&mut self, at: usize, depth: usize) {
        let message = format!("nested {depth} levels deep; a file has at most {MAX_YAML_DEPTH}");
        let hint = "each list and each object around this is a level".to_owned();
        self.reports.with_hint(at, message, hint);
    }

    /// Anchors and aliases make bombs, tags make types: none of them, and no reading on.
    fn refuse_extras(&mut self, at: usize, anchor: usize, tag: bool) -> Option<()> {
        if anchor != 0 {
            let hint = "write the value out where it is needed".to_owned();
            self.reports.with_hint(at, "anchors and aliases (`&`, `*`) are not allowed", hint);
            return None;
        }
        if tag {
            let hint = "leave the tag out; quote the value if it must be text".to_owned();
            self.reports.with_hint(at, "tags (`!`) are not allowed", hint);
            return None;
        }
        Some(())
    }

    fn list(&mut self, depth: usize) -> Option<Kind> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(Kind::List(items)),
                start => items.push(self.node(start, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Kind> {
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, at) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Some(Kind::Map(members)),
                Event::Scalar(text, _, anchor, tag) => {
                    self.refuse_extras(at, anchor, tag.is_some())?;
                    text.into_owned()
                }
                Event::Alias(_) => return self.refuse_extras(at, 1, false).map(|()| Kind::Broken),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => {
                    let hint = "put an expression in quotes: \"${{ … }}\"";
                    self.reports.error(at, "a key must be plain text", hint);
                    return None;
                }
            };
            let start = self.next()?;
            let value = self.node(start, depth + 1)?;
            if seen.insert(name.clone()) {
                members.push((Key { at, name }, value));
            } else {
                let message = format!("the key `{name}` is here twice");
                self.reports.error(at, message, "keep one of the two");
            }
        }
    }

    fn scalar(&mut self, at: usize, text: &str, style: ScalarStyle) -> Kind {
        if style != ScalarStyle::Plain {
            return Kind::Text(text.to_owned());
        }
        match plain(text) {
            Plain::Kind(kind) => kind,
            Plain::Float if text.ends_with(|last: char| last.is_ascii_alphabetic()) => {
                let hint = format!("quote it to make it text: \"{text}\"");
                self.reports.with_hint(at, format!("`{text}` is no whole number"), hint);
                Kind::Broken
            }
            Plain::Float => {
                let hint = format!(
                    "use a whole number in a smaller unit (cents, milliseconds), or quote it: \"{text}\""
                );
                self.reports.with_hint(at, format!("`{text}` has a fraction or an exponent"), hint);
                Kind::Broken
            }
            Plain::LeadingZero => {
                let hint = format!("quote it to keep the zeros: \"{text}\"");
                self.reports.with_hint(at, format!("the number `{text}` starts with 0"), hint);
                Kind::Broken
            }
            Plain::TooBig => {
                let hint = format!("quote it to make it text: \"{text}\"");
                let message = format!("`{text}` is beyond ±(2^53 - 1)");
                self.reports.with_hint(at, message, hint);
                Kind::Broken
            }
        }
    }
}

enum Plain {
    Kind(Kind),
    Float,
    LeadingZero,
    TooBig,
}

/// What an unquoted scalar is, by the core schema (YAML 1.2.2, section 10.3.2).
fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Kind(Kind::Null),
        "true" | "True" | "TRUE" => return Plain::Kind(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Kind(Kind::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        return integer(text, digits);
    }
    if is_float(digits) {
        return Plain::Float;
    }
    let based = |prefix: &str, radix: u32| {
        digits.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok())
    };
    let based = based("0x", 16).or_else(|| based("0o", 8)).and_then(Integer::new);
    match based {
        Some(number) if digits.len() == text.len() => Plain::Kind(Kind::Int(number)),
        Some(_) | None => Plain::Kind(Kind::Text(text.to_owned())),
    }
}

fn integer(text: &str, digits: &str) -> Plain {
    if digits.len() > 1 && digits.starts_with('0') {
        return Plain::LeadingZero;
    }
    match text.parse().ok().and_then(Integer::new) {
        Some(number) => Plain::Kind(Kind::Int(number)),
        None => Plain::TooBig,
    }
}

/// `[0-9]*.[0-9]+`, with an exponent or not, `.inf` and `.nan`.
fn is_float(digits: &str) -> bool {
    let lower = digits.to_ascii_lowercase();
    if lower == ".inf" || lower == ".nan" {
        return true;
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let number = mantissa.replacen('.', "", 1);
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(&number) && all_digits(exponent)
}
