//! Expressions: CEL inside `${{ }}`.
//!
//! The `cel` crate parses; the evaluator is ours, because a decision that is hashed and
//! replayed needs what an interpreter over hash maps and doubles does not give: maps in
//! key order, no floats, values borrowed instead of converted, and a budget of work
//! instead of trust. `tests/flow/cel.rs` holds it to the interpreter of the `cel` crate.
//!
//! There are no regular expressions (`matches`), timestamps, doubles, bytes or unsigned
//! numbers. Added to CEL's own functions are `lowerAscii`, `upperAscii`, `trim`,
//! `replace`, `split`, `join`, `substring` and `indexOf` of its strings extension and
//! `sum` over a list of integers.

mod compile;
mod constant;
mod eval;
mod functions;
mod meter;
mod operators;

pub use eval::{Bindings, EvalError, StepFacts};
pub use meter::weight;

use std::fmt;
use std::sync::Arc;

use cog_base::Value;

use crate::diagnostic::Position;
use constant::Known;
use eval::Fault;
use functions::Function;

/// A compiled expression: cheap to clone, evaluated as often as wanted.
#[derive(Clone)]
pub struct Program(Arc<Compiled>);

struct Compiled {
    source: String,
    root: Expr,
    references: Vec<Reference>,
    /// What it comes to in every run, where that is known.
    constant: Option<Value>,
    origin: Origin,
}

/// Where an expression stands in its file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// Byte of the file at which the expression starts.
    pub(crate) at: usize,
    /// Whether the bytes of the expression are those of the file from there on.
    pub(crate) exact: bool,
    /// The same as a line and column, for messages of a run.
    pub(crate) position: Option<Position>,
}

impl Origin {
    /// The byte of the file for a byte of the expression.
    pub(crate) fn byte(self, offset: usize) -> usize {
        if self.exact { self.at + offset } else { self.at }
    }
}

impl Program {
    /// The text between `${{` and `}}`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// What the expression comes to whatever a run is like, where its text says that.
    pub(crate) fn constant(&self) -> Option<&Value> {
        self.0.constant.as_ref()
    }

    /// What the expression reads from outside, in the order of the text.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.0.references
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.origin
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({})", self.0.source)
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Program {}

/// Something outside the expression that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Byte within the expression.
    pub(crate) at: usize,
    pub(crate) target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Step(String),
    Input(String),
    /// All of them.
    Inputs,
    Run(String),
    /// The event that starts a run.
    Event,
    Item,
    Index,
}

/// Why a text is not an expression, and where in it.
#[derive(Debug)]
pub(crate) struct CompileError {
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Compiles the text between `${{` and `}}`.
pub(crate) fn compile(source: &str, origin: Origin) -> Result<Program, CompileError> {
    let (root, references) = compile::compile(source)?;
    let constant = match constant::judge(&root, source.len()) {
        Known::Nothing => None,
        Known::Value(value) => Some(value),
        Known::Never(fault) => return Err(never(source, &fault)),
    };
    let source = source.to_owned();
    Ok(Program(Arc::new(Compiled { source, root, references, constant, origin })))
}

fn never(source: &str, fault: &Fault) -> CompileError {
    let hint = match fault {
        Fault::NoOverload("+", kinds) if kinds.contains("string") => {
            Some("`string(…)` makes text of a number".to_owned())
        }
        Fault::NoOverload(..)
        | Fault::NoMember(_)
        | Fault::NotAnObject(..)
        | Fault::NoItem(_)
        | Fault::BadIndex(..)
        | Fault::Needed(..)
        | Fault::DivisionByZero
        | Fault::Overflow
        | Fault::DuplicateKey(_)
        | Fault::NotANumber
        | Fault::OutOfText
        | Fault::TooMuchWork
        | Fault::TooMuchOfRun
        | Fault::TooLarge
        | Fault::TooDeep
        | Fault::NoStep(_)
        | Fault::NoItemBound
        | Fault::NoEvent
        | Fault::Said(_) => None,
    };
    let at = source.len() - source.trim_start().len();
    CompileError { at, message: format!("this has no value in any run: {fault}"), hint }
}

/// A part of an expression.
#[derive(Debug)]
enum Expr {
    Literal(Value),
    Inputs,
    Run,
    Event,
    Item,
    Index,
    /// A step, whole or one part of it.
    Step(String, Option<Part>),
    /// The variable of a macro, counted from the innermost outwards.
    Local(usize),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Select(Box<Expr>, String),
    Has(Box<Expr>, String),
    At(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    If(Box<[Expr; 3]>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Macro(Box<MacroCall>),
    Call(Function, Vec<Expr>),
}

#[derive(Debug)]
struct MacroCall {
    kind: Macro,
    range: Expr,
    /// The predicate of `filter`, `all` and so on, and of `map` with three arguments.
    predicate: Option<Expr>,
    /// What `map` makes of an item.
    transform: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// What `steps.<id>` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Status,
    Output,
    Error,
}

impl Part {
    const WORDS: [&'static str; 3] = ["status", "output", "error"];

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "status" => Some(Self::Status),
            "output" => Some(Self::Output),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
}
