//! Evaluation: a compiled expression and what it reads give a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use cog_base::Value;
use cog_base::json::{Integer, Json};

use super::meter::{Meter, weight};
use super::{Expr, Macro, MacroCall, Part, Program, functions, operators};
use crate::limits::{MAX_RESULT_BYTES, MAX_VALUE_DEPTH};

/// What an expression can read.
pub trait Bindings {
    /// The inputs of the run.
    fn inputs(&self) -> &Value;
    /// The facts of the run: `workflow`, `domain`, `environment`, and what the starter gave.
    fn run(&self) -> &Value;
    /// The item of the innermost `foreach` around, with its index.
    fn item(&self) -> Option<(&Value, u32)>;
    /// The event that starts a run; there is one before the run alone.
    fn event(&self) -> Option<&Value> {
        None
    }
    /// A step that is in sight.
    fn step(&self, id: &str) -> Option<StepFacts<'_>>;
    /// The operations that the run has left.
    fn operations_left(&self) -> u64 {
        u64::MAX
    }
    /// So many operations were done.
    fn took(&self, _operations: u64) {}
}

/// What `steps.<id>` shows.
#[derive(Clone, Copy, Debug)]
pub struct StepFacts<'s> {
    /// The state as a word.
    pub status: &'static str,
    /// The output; null without one.
    pub output: &'s Value,
    /// The error or the denial; null without one.
    pub error: &'s Value,
}

/// Why an expression has no value, with its text and place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct EvalError {
    text: String,
    place: Option<crate::diagnostic::Position>,
    fault: Fault,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Fault::Said(message) = &self.fault {
            return f.write_str(message);
        }
        let short: String = self.text.trim().chars().take(120).collect();
        write!(f, "could not evaluate `{short}`")?;
        if let Some(place) = self.place {
            write!(f, " (line {}, column {})", place.line, place.column)?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// What went wrong inside an expression. The texts hold no values, only kinds and names:
/// they end up in ledgers and on screens. What a workflow says itself is its author's affair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("there is no `{0}`")]
    NoMember(String),
    #[error("{0} has no members; `{1}` was asked of it")]
    NotAnObject(&'static str, String),
    #[error("the list has no item {0}")]
    NoItem(i64),
    #[error("{0} cannot be indexed with {1}")]
    BadIndex(&'static str, &'static str),
    #[error("`{0}` does not work on {1}")]
    NoOverload(&'static str, String),
    #[error("{0} was needed here, this is {1}")]
    Needed(&'static str, &'static str),
    #[error("division by zero")]
    DivisionByZero,
    #[error("the number is beyond ±(2^53 - 1)")]
    Overflow,
    #[error("the key `{0}` is there twice")]
    DuplicateKey(String),
    #[error("the text is not a whole number")]
    NotANumber,
    #[error("the range is outside the text")]
    OutOfText,
    #[error("it takes too much work; compute it in several steps")]
    TooMuchWork,
    #[error("the expressions of the run take too much work together; do it in several runs")]
    TooMuchOfRun,
    #[error("the result is larger than 1 MiB")]
    TooLarge,
    #[error("the result is nested deeper than {MAX_VALUE_DEPTH} levels")]
    TooDeep,
    #[error("the step `{0}` is not in sight here")]
    NoStep(String),
    #[error("`item` and `index` are bound only inside a `foreach`")]
    NoItemBound,
    #[error("there is no event")]
    NoEvent,
    #[error("{0}")]
    Said(String),
}

pub(super) type Outcome<'e> = Result<Cow<'e, Value>, Fault>;

impl Program {
    /// The value of the expression.
    ///
    /// # Errors
    /// [`EvalError`] when something it reads is missing or of another kind, when a number
    /// leaves 53 bits, or when it exceeds the limits of [`crate::limits`].
    pub fn evaluate<'e>(&'e self, bindings: &'e dyn Bindings) -> Result<Cow<'e, Value>, EvalError> {
        let meter = Meter::of_run(bindings.operations_left());
        let scope = Scope::outermost(bindings, &meter);
        let fail =
            |fault| EvalError { text: self.0.source.clone(), place: self.0.origin.position, fault };
        let value = eval(&self.0.root, scope);
        bindings.took(meter.taken());
        let value = value.map_err(|fault| {
            let is_of_run = meter.is_short() && matches!(fault, Fault::TooMuchWork);
            fail(if is_of_run { Fault::TooMuchOfRun } else { fault })
        })?;
        if weight(&value) > MAX_RESULT_BYTES {
            return Err(fail(Fault::TooLarge));
        }
        if !value.is_within(MAX_VALUE_DEPTH) {
            return Err(fail(Fault::TooDeep));
        }
        Ok(value)
    }
}

/// What is in sight at one point of an expression.
#[derive(Clone, Copy)]
pub(super) struct Scope<'e, 'm> {
    bindings: &'e dyn Bindings,
    pub(super) meter: &'m Meter,
    local: Option<&'e Local<'e>>,
}

impl<'e, 'm> Scope<'e, 'm> {
    pub(super) const fn outermost(bindings: &'e dyn Bindings, meter: &'m Meter) -> Self {
        Self { bindings, meter, local: None }
    }
}

/// The variable of a macro and those of the macros around it.
struct Local<'e> {
    value: &'e Value,
    outer: Option<&'e Local<'e>>,
}

pub(super) fn eval<'e>(expr: &'e Expr, scope: Scope<'e, '_>) -> Outcome<'e> {
    scope.meter.operation()?;
    match expr {
        Expr::Literal(value) => Ok(Cow::Borrowed(value)),
        Expr::Inputs => Ok(Cow::Borrowed(scope.bindings.inputs())),
        Expr::Run => Ok(Cow::Borrowed(scope.bindings.run())),
        Expr::Event => scope.bindings.event().map(Cow::Borrowed).ok_or(Fault::NoEvent),
        Expr::Item => bound_item(scope).map(|(item, _)| Cow::Borrowed(item)),
        Expr::Index => bound_item(scope).map(|(_, index)| Cow::Owned(Value::from(index))),
        Expr::Step(id, part) => step(id, *part, scope),
        Expr::Local(position) => local(*position, scope),
        Expr::List(items) => list(items, scope),
        Expr::Map(entries) => map(entries, scope),
        Expr::Select(base, field) => select(eval(base, scope)?, field),
        Expr::Has(base, field) => has(&*eval(base, scope)?, field),
        Expr::At(base, key) => index(eval(base, scope)?, &*eval(key, scope)?),
        Expr::Not(one) => Ok(Cow::Owned(Json::Bool(!truth(eval(one, scope))?))),
        Expr::Negate(one) => operators::negate(&*eval(one, scope)?).map(Cow::Owned),
        Expr::And(left, right) => either(left, right, false, scope),
        Expr::Or(left, right) => either(left, right, true, scope),
        Expr::If(parts) => {
            let [condition, yes, no] = &**parts;
            eval(if truth(eval(condition, scope))? { yes } else { no }, scope)
        }
        Expr::Binary(operator, left, right) => {
            let left = eval(left, scope)?;
            operators::binary(*operator, &left, &*eval(right, scope)?, scope.meter).map(Cow::Owned)
        }
        Expr::Macro(call) => comprehension(call, scope).map(Cow::Owned),
        Expr::Call(function, args) => {
            let args = args.iter().map(|arg| eval(arg, scope)).collect::<Result<Vec<_>, _>>()?;
            functions::call(*function, &args, scope.meter).map(Cow::Owned)
        }
    }
}

fn bound_item<'e>(scope: Scope<'e, '_>) -> Result<(&'e Value, u32), Fault> {
    scope.bindings.item().ok_or(Fault::NoItemBound)
}

fn step<'e>(id: &str, part: Option<Part>, scope: Scope<'e, '_>) -> Outcome<'e> {
    let facts = scope.bindings.step(id).ok_or_else(|| Fault::NoStep(id.to_owned()))?;
    let status = || Value::from(facts.status);
    match part {
        Some(Part::Status) => Ok(Cow::Owned(status())),
        Some(Part::Output) => Ok(Cow::Borrowed(facts.output)),
        Some(Part::Error) => Ok(Cow::Borrowed(facts.error)),
        None => {
            scope.meter.copy(facts.output)?;
            Ok(Cow::Owned(Value::map([
                ("status", status()),
                ("output", facts.output.clone()),
                ("error", facts.error.clone()),
            ])))
        }
    }
}

fn local<'e>(position: usize, scope: Scope<'e, '_>) -> Outcome<'e> {
    let mut local = scope.local;
    for _ in 0..position {
        local = local.and_then(|local| local.outer);
    }
    // INVARIANT: the compiler counted the macros around.
    local.map(|local| Cow::Borrowed(local.value)).ok_or(Fault::NoItemBound)
}

/// A value of its own, paid for when it has to be copied.
fn own(value: Cow<'_, Value>, meter: &Meter) -> Result<Value, Fault> {
    if let Cow::Borrowed(value) = value {
        meter.copy(value)?;
    }
    Ok(value.into_owned())
}

fn list<'e>(items: &'e [Expr], scope: Scope<'e, '_>) -> Outcome<'e> {
    let items = items
        .iter()
        .map(|item| own(eval(item, scope)?, scope.meter))
        .collect::<Result<Vec<_>, Fault>>()?;
    Ok(Cow::Owned(Json::List(items)))
}

fn map<'e>(entries: &'e [(Expr, Expr)], scope: Scope<'e, '_>) -> Outcome<'e> {
    let mut members = BTreeMap::new();
    for (key, value) in entries {
        let key = eval(key, scope)?;
        let Some(key) = key.as_text() else {
            return Err(Fault::Needed("a text as key", key.kind()));
        };
        let value = own(eval(value, scope)?, scope.meter)?;
        if members.insert(key.to_owned(), value).is_some() {
            return Err(Fault::DuplicateKey(key.to_owned()));
        }
    }
    Ok(Cow::Owned(Json::Map(members.into_iter().collect())))
}

fn select<'e>(base: Cow<'e, Value>, field: &str) -> Outcome<'e> {
    let kind = base.kind();
    let found = match base {
        Cow::Borrowed(Json::Map(members)) => members.get(field).map(Cow::Borrowed),
        Cow::Owned(Json::Map(mut members)) => members.remove(field).map(Cow::Owned),
        Cow::Borrowed(_) | Cow::Owned(_) => {
            return Err(Fault::NotAnObject(kind, field.to_owned()));
        }
    };
    found.ok_or_else(|| Fault::NoMember(field.to_owned()))
}

fn has<'e>(base: &Value, field: &str) -> Outcome<'e> {
    match base.as_map() {
        Some(members) => Ok(Cow::Owned(Json::Bool(members.contains_key(field)))),
        None => Err(Fault::NotAnObject(base.kind(), field.to_owned())),
    }
}

fn index<'e>(base: Cow<'e, Value>, key: &Value) -> Outcome<'e> {
    match (&*base, key) {
        (Json::Map(_), Json::Text(field)) => select(base, field),
        (Json::List(_), Json::Int(number)) => item(base, *number),
        (base, key) => Err(Fault::BadIndex(base.kind(), key.kind())),
    }
}

fn item(base: Cow<'_, Value>, number: Integer) -> Outcome<'_> {
    let missing = || Fault::NoItem(number.get());
    let position = usize::try_from(number.get()).map_err(|_| missing())?;
    let found = match base {
        Cow::Borrowed(Json::List(items)) => items.get(position).map(Cow::Borrowed),
        Cow::Owned(Json::List(items)) => items.into_iter().nth(position).map(Cow::Owned),
        Cow::Borrowed(_) | Cow::Owned(_) => None,
    };
    found.ok_or_else(missing)
}

fn truth(value: Outcome<'_>) -> Result<bool, Fault> {
    let value = value?;
    value.as_bool().ok_or(Fault::Needed("true or false", value.kind()))
}

/// `&&` and `||`: the side that settles it settles it, also when the other fails.
fn either<'e>(left: &'e Expr, right: &'e Expr, settles: bool, scope: Scope<'e, '_>) -> Outcome<'e> {
    let left = truth(eval(left, scope));
    if left == Ok(settles) {
        return Ok(Cow::Owned(Json::Bool(settles)));
    }
    if left == Err(Fault::TooMuchWork) {
        return Err(Fault::TooMuchWork);
    }
    let right = truth(eval(right, scope))?;
    if right == settles {
        Ok(Cow::Owned(Json::Bool(settles)))
    } else {
        left.map(|_| Cow::Owned(Json::Bool(!settles)))
    }
}

fn comprehension(call: &MacroCall, scope: Scope<'_, '_>) -> Result<Value, Fault> {
    let range = eval(&call.range, scope)?;
    let keys: Vec<Value>;
    let items = if let Json::Map(members) = &*range {
        keys = members.keys().map(|key| Value::from(key.as_str())).collect();
        &keys
    } else {
        range.as_list().ok_or(Fault::Needed("a list or an object", range.kind()))?
    };
    match call.kind {
        Macro::All => settle(call, items, false, scope),
        Macro::Exists => settle(call, items, true, scope),
        Macro::ExistsOne => {
            let mut hits = 0_u32;
            for item in items {
                hits += u32::from(test(call, item, scope)?);
            }
            Ok(Json::Bool(hits == 1))
        }
        Macro::Filter | Macro::Map => collect(call, items, scope),
    }
}

/// Runs the predicate of a macro on one item; without one the item passes.
fn test(call: &MacroCall, item: &Value, scope: Scope<'_, '_>) -> Result<bool, Fault> {
    scope.meter.operation()?;
    match &call.predicate {
        Some(predicate) => within(predicate, item, scope, |value| truth(Ok(value))),
        None => Ok(true),
    }
}

/// Evaluates `expr` with `item` as the variable of the macro.
fn within<T>(
    expr: &Expr,
    item: &Value,
    scope: Scope<'_, '_>,
    then: impl FnOnce(Cow<'_, Value>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let local = Local { value: item, outer: scope.local };
    let inner = Scope { bindings: scope.bindings, meter: scope.meter, local: Some(&local) };
    then(eval(expr, inner)?)
}

/// `all` and `exists`: as `&&` and `||` over the items.
fn settle(
    call: &MacroCall,
    items: &[Value],
    settles: bool,
    scope: Scope<'_, '_>,
) -> Result<Value, Fault> {
    let mut fault = None;
    for item in items {
        match test(call, item, scope) {
            Ok(truth) if truth == settles => return Ok(Json::Bool(settles)),
            Ok(_) => {}
            Err(Fault::TooMuchWork) => return Err(Fault::TooMuchWork),
            Err(other) => fault = fault.or(Some(other)),
        }
    }
    fault.map_or(Ok(Json::Bool(!settles)), Err)
}

fn collect(call: &MacroCall, items: &[Value], scope: Scope<'_, '_>) -> Result<Value, Fault> {
    let mut out = Vec::new();
    for item in items {
        if !test(call, item, scope)? {
            continue;
        }
        out.push(match &call.transform {
            Some(transform) => within(transform, item, scope, |value| own(value, scope.meter))?,
            None => own(Cow::Borrowed(item), scope.meter)?,
        });
    }
    Ok(Json::List(out))
}
