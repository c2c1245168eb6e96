//! What an expression comes to in every run: what can be said of it before there is one.

use std::cell::Cell;

use cog_base::Value;

use super::Expr;
use super::eval::{Bindings, Fault, Scope, StepFacts, eval};
use super::meter::Meter;

/// What is known of an expression from its text alone.
pub(super) enum Known {
    /// It depends on the run, or takes more work than is worth spending on it before.
    Nothing,
    /// Its value, whatever a run is like.
    Value(Value),
    /// It has no value, whatever a run is like.
    Never(Fault),
}

/// Judges an expression of so many bytes. The work that is spent on it grows with its text, so
/// that a file costs what its bytes cost.
pub(super) fn judge(root: &Expr, bytes: usize) -> Known {
    let meter = Meter::for_text(bytes);
    match alone(root, &meter) {
        Some(Ok(value)) => Known::Value(value),
        Some(Err(Fault::Said(_) | Fault::TooMuchWork)) => Known::Nothing,
        Some(Err(fault)) => Known::Never(fault),
        None => within(root, &meter).map_or(Known::Nothing, Known::Never),
    }
}

/// The value of an expression that looks at nothing of a run.
fn alone(expr: &Expr, meter: &Meter) -> Option<Result<Value, Fault>> {
    let outside = Unseen::default();
    let scope = Scope::outermost(&outside, meter);
    let value = eval(expr, scope).map(std::borrow::Cow::into_owned);
    (!outside.0.get()).then_some(value)
}

/// The first fault among the parts of an expression that it needs in every case.
fn within(expr: &Expr, meter: &Meter) -> Option<Fault> {
    let part = |part: &Expr| match alone(part, meter) {
        Some(Ok(_) | Err(Fault::Said(_) | Fault::TooMuchWork)) => None,
        Some(Err(fault)) => Some(fault),
        None => within(part, meter),
    };
    match expr {
        Expr::Literal(_)
        | Expr::Inputs
        | Expr::Run
        | Expr::Event
        | Expr::Item
        | Expr::Index
        | Expr::Step(..)
        | Expr::Local(_) => None,
        // One side settles these, also when the other fails.
        Expr::And(..) | Expr::Or(..) => None,
        Expr::List(items) | Expr::Call(_, items) => items.iter().find_map(part),
        Expr::Map(entries) => {
            entries.iter().find_map(|(key, value)| part(key).or_else(|| part(value)))
        }
        Expr::Select(one, _) | Expr::Has(one, _) | Expr::Not(one) | Expr::Negate(one) => part(one),
        Expr::At(left, right) | Expr::Binary(_, left, right) => part(left).or_else(|| part(right)),
        Expr::If(parts) => {
            let [condition, _, _] = &**parts;
            part(condition)
        }
        Expr::Macro(call) => part(&call.range),
    }
}

/// Bindings of no run; tells whether anybody looked.
#[derive(Default)]
struct Unseen(Cell<bool>);

impl Unseen {
    fn nothing(&self) -> &Value {
        self.0.set(true);
        &Value::Null
    }
}

impl Bindings for Unseen {
    fn inputs(&self) -> &Value {
        self.nothing()
    }

    fn run(&self) -> &Value {
        self.nothing()
    }

    fn item(&self) -> Option<(&Value, u32)> {
        self.0.set(true);
        None
    }

    fn event(&self) -> Option<&Value> {
        self.0.set(true);
        None
    }

    fn step(&self, _id: &str) -> Option<StepFacts<'_>> {
        self.0.set(true);
        None
    }
}
