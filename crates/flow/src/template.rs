//! Values of the file that may hold expressions.
//!
//! Text that is exactly one `${{ … }}` has the value of the expression, with its kind.
//! Other text has its expressions put into it as text. `$${{` writes a plain `${{`.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::{Json, Map};

use crate::diagnostic::Reports;
use crate::effect::describe;
use crate::expr::{self, Bindings, EvalError, Origin, Program, weight};
use crate::limits::{MAX_RESULT_BYTES, MAX_VALUE_BYTES, MAX_VALUE_DEPTH};
use crate::tree::{Kind, Node};

/// What is said of a key that holds an expression, and what to do about it.
pub(crate) const KEY_WITH_EXPRESSION: &str = "a key cannot hold an expression";
pub(crate) const PLAIN_KEY: &str = "write the key itself; its value may be an expression";

/// A value with expressions in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// No expressions: the value as it is written.
    Plain(Value),
    /// One expression: its value.
    Expression(Program),
    /// Text with expressions in it.
    Text(Vec<Piece>),
    /// A list with expressions somewhere below.
    List(Vec<Template>),
    /// An object with expressions somewhere below.
    Object(BTreeMap<String, Template>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is written.
    Plain(String),
    /// An expression whose value is put in.
    Expression(Program),
}

/// Why a template has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An expression in it failed.
    #[error(transparent)]
    Expression(#[from] EvalError),
    /// A list or an object was to be put into text.
    #[error("`{expression}` is {kind} and cannot stand within text")]
    NotText {
        /// The expression.
        expression: String,
        /// The kind of its value.
        kind: &'static str,
    },
    /// A text is larger than [`MAX_RESULT_BYTES`] or the whole than [`MAX_VALUE_BYTES`].
    #[error("the value is larger than 4 MiB, or a text in it than 1 MiB")]
    TooLarge,
    /// The value is nested deeper than [`MAX_VALUE_DEPTH`].
    #[error("the value is nested deeper than {MAX_VALUE_DEPTH} levels")]
    TooDeep,
}

impl Template {
    /// The value, if there are no expressions in it.
    #[must_use]
    pub const fn plain(&self) -> Option<&Value> {
        if let Self::Plain(value) = self { Some(value) } else { None }
    }

    /// The value it has in every run, if the file alone says it.
    pub(crate) fn known(&self) -> Option<Value> {
        Some(match self {
            Self::Plain(value) => value.clone(),
            Self::Expression(program) => program.constant()?.clone(),
            // What can stand within text was checked when it was read.
            Self::Text(pieces) => {
                pieces.iter().map(Piece::known).collect::<Option<String>>()?.into()
            }
            Self::List(items) => Json::List(items.iter().map(Self::known).collect::<Option<_>>()?),
            Self::Object(members) => {
                let members = members.iter().map(|(key, one)| Some((key.clone(), one.known()?)));
                Json::Map(members.collect::<Option<_>>()?)
            }
        })
    }

    /// The value under these bindings.
    ///
    /// # Errors
    /// [`TemplateError`] when an expression fails or the value gets too large.
    pub fn evaluate(&self, bindings: &dyn Bindings) -> Result<Value, TemplateError> {
        checked(self.build(bindings, &Cell::new(MAX_VALUE_BYTES))?)
    }

    fn build(&self, bindings: &dyn Bindings, left: &Cell<u64>) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Expression(program) => {
                let value = program.evaluate(bindings)?;
                pay(left, weight(&value))?;
                value.into_owned()
            }
            Self::Text(pieces) => {
                let text = interpolate(pieces, bindings)?;
                pay(left, text.len() as u64)?;
                Json::Text(text)
            }
            Self::List(items) => {
                let items = items.iter().map(|item| item.build(bindings, left));
                Json::List(items.collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members =
                    members.iter().map(|(key, one)| Ok((key.clone(), one.build(bindings, left)?)));
                Json::Map(members.collect::<Result<_, TemplateError>>()?)
            }
        })
    }

    /// Calls `visit` for each expression.
    pub(crate) fn each_program(&self, visit: &mut dyn FnMut(&Program)) {
        match self {
            Self::Plain(_) => {}
            Self::Expression(program) => visit(program),
            Self::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Expression(program) = piece {
                        visit(program);
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.each_program(visit)),
            Self::Object(members) => members.values().for_each(|one| one.each_program(visit)),
        }
    }
}

impl Piece {
    fn known(&self) -> Option<String> {
        match self {
            Self::Plain(plain) => Some(plain.clone()),
            Self::Expression(program) => as_piece(program.constant()?).map(Cow::into_owned),
        }
    }
}

/// How a value is put into text; nothing for what cannot stand there.
fn as_piece(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Json::Text(inner) => Some(Cow::Borrowed(inner)),
        Json::Int(number) => Some(Cow::Owned(number.get().to_string())),
        Json::Bool(truth) => Some(Cow::Owned(truth.to_string())),
        Json::Null | Json::Float(_) | Json::List(_) | Json::Map(_) => None,
    }
}

/// The values of an object's members.
pub(crate) fn evaluate_map(
    members: &BTreeMap<String, Template>,
    bindings: &dyn Bindings,
) -> Result<Map, TemplateError> {
    let left = Cell::new(MAX_VALUE_BYTES);
    let members = members.iter().map(|(key, one)| Ok((key.clone(), one.build(bindings, &left)?)));
    let members: Map = members.collect::<Result<_, TemplateError>>()?;
    if members.values().all(|value| value.is_within(MAX_VALUE_DEPTH - 1)) {
        return Ok(members);
    }
    Err(TemplateError::TooDeep)
}

fn checked(value: Value) -> Result<Value, TemplateError> {
    if value.is_within(MAX_VALUE_DEPTH) { Ok(value) } else { Err(TemplateError::TooDeep) }
}

/// Takes the size of a part from what the whole may still grow by.
fn pay(left: &Cell<u64>, bytes: u64) -> Result<(), TemplateError> {
    left.set(left.get().checked_sub(bytes).ok_or(TemplateError::TooLarge)?);
    Ok(())
}

fn interpolate(pieces: &[Piece], bindings: &dyn Bindings) -> Result<String, TemplateError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Plain(plain) => text.push_str(plain),
            Piece::Expression(program) => push_value(&mut text, program, bindings)?,
        }
        if text.len() as u64 > MAX_RESULT_BYTES {
            return Err(TemplateError::TooLarge);
        }
    }
    Ok(text)
}

fn push_value(
    text: &mut String,
    program: &Program,
    bindings: &dyn Bindings,
) -> Result<(), TemplateError> {
    let value = program.evaluate(bindings)?;
    let piece = as_piece(&value).ok_or_else(|| TemplateError::NotText {
        expression: program.source().trim().to_owned(),
        kind: value.kind(),
    })?;
    text.push_str(&piece);
    Ok(())
}

/// Reads a value of the file, compiling the expressions in it.
pub(crate) fn read(node: &Node, reports: &mut Reports<'_>) -> Template {
    match &node.kind {
        Kind::Text(text) => read_text(node.at, text, reports),
        Kind::List(items) => {
            let items: Vec<Template> = items.iter().map(|item| read(item, reports)).collect();
            match items.iter().map(|item| item.plain().cloned()).collect::<Option<Vec<_>>>() {
                Some(values) => Template::Plain(Json::List(values)),
                None => Template::List(items),
            }
        }
        Kind::Map(members) => {
            let mut object = BTreeMap::new();
            for (key, value) in members {
                if key.name.contains("${{") {
                    reports.error(key.at, KEY_WITH_EXPRESSION, PLAIN_KEY);
                }
                object.insert(key.name.clone(), read(value, reports));
            }
            fold_object(object)
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Broken => {
            Template::Plain(node.to_value())
        }
    }
}

fn fold_object(object: BTreeMap<String, Template>) -> Template {
    let plain = object.iter().map(|(key, one)| Some((key.clone(), one.plain()?.clone())));
    match plain.collect::<Option<Map>>() {
        Some(members) => Template::Plain(Json::Map(members)),
        None => Template::Object(object),
    }
}

/// Reads text as one expression, with or without `${{ }}` around it; for `if`.
pub(crate) fn read_condition(node: &Node, text: &str, reports: &mut Reports<'_>) -> Template {
    if text.contains("${{") {
        return read_text(node.at, text, reports);
    }
    let raw = reports.source().rest(node.at);
    let start = raw.find(text).filter(|start| *start <= 2);
    let at = node.at + start.unwrap_or(0);
    match program(text, at, reports) {
        Some(program) => Template::Expression(program),
        None => Template::Plain(Json::Null),
    }
}

fn read_text(at: usize, text: &str, reports: &mut Reports<'_>) -> Template {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    let mut cursor = at;
    while let Some(start) = rest.find("${{") {
        cursor = find_from(reports, cursor, "${{");
        let before = rest.get(..start).unwrap_or("");
        let inside = rest.get(start + 3..).unwrap_or("");
        if let Some(escaped) = before.strip_suffix('$') {
            plain.push_str(escaped);
            plain.push_str("${{");
            rest = inside;
            cursor += 3;
            continue;
        }
        plain.push_str(before);
        let Some(length) = end_of_expression(inside) else {
            let hint = "close it with `}}`, or write `$${{` for a plain `${{`".to_owned();
            reports.with_hint(cursor, "the expression is not closed", hint);
            return Template::Plain(Json::Null);
        };
        let source = inside.get(..length).unwrap_or("");
        let Some(program) = program(source, cursor + 3, reports) else {
            return Template::Plain(Json::Null);
        };
        if !plain.is_empty() {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Expression(program));
        cursor += 3;
        rest = inside.get(length + 2..).unwrap_or("");
    }
    plain.push_str(rest);
    let text = finish_text(pieces, plain);
    if let Template::Text(pieces) = &text {
        check_pieces(pieces, reports);
    }
    text
}

fn finish_text(mut pieces: Vec<Piece>, plain: String) -> Template {
    match (pieces.as_slice(), plain.is_empty()) {
        ([], _) => return Template::Plain(Json::Text(plain)),
        ([Piece::Expression(program)], true) => return Template::Expression(program.clone()),
        _ => {}
    }
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    Template::Text(pieces)
}

/// Reports what never can stand within text.
fn check_pieces(pieces: &[Piece], reports: &mut Reports<'_>) {
    for piece in pieces {
        let Piece::Expression(program) = piece else { continue };
        let Some(value) = program.constant().filter(|value| as_piece(value).is_none()) else {
            continue;
        };
        let message = format!("{} cannot stand within text", describe(value));
        let blank = program.source().len() - program.source().trim_start().len();
        let hint = "only text and numbers can; take a member of it, or let the value be the expression alone";
        reports.error(program.origin().byte(blank), message, hint);
    }
}

/// The byte of the file at which `what` comes next.
fn find_from(reports: &Reports<'_>, from: usize, what: &str) -> usize {
    from + reports.source().rest(from).find(what).unwrap_or(0)
}

fn program(source: &str, at: usize, reports: &mut Reports<'_>) -> Option<Program> {
    let exact = reports.source().rest(at).starts_with(source);
    // A person looks for the first letter of it, not for the blank before.
    let blank = if exact { source.len() - source.trim_start().len() } else { 0 };
    let position = Some(reports.source().locate(at + blank).0);
    let origin = Origin { at, exact, position };
    if source.trim().is_empty() {
        reports.error(at, "the expression is empty", "such as `${{ inputs.name }}`");
        return None;
    }
    match expr::compile(source, origin) {
        Ok(program) => Some(program),
        Err(error) => {
            reports.with_hint(origin.byte(error.at), error.message, error.hint);
            None
        }
    }
}

/// The bytes up to the `}}` that closes an expression: not within quotes or braces.
fn end_of_expression(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if let Some(mark) = quote {
            if !escaped && letter == mark {
                quote = None;
            }
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '\'' | '"' => quote = Some(letter),
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => return text.get(at..).is_some_and(|rest| rest.starts_with("}}")).then_some(at),
            _ => {}
        }
    }
    None
}
