//! What a condition compares a part of the context with: the values at which its answer may
//! turn. It is read from the policy's own text; whatever does not depend on the part is put
//! to the evaluator under the request as it is.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{
    BinaryOp, Expr, ExprKind, Literal, SlotEnv, UnaryOp, Value, ValueKind, Var,
};
use cedar_policy_core::evaluator::Evaluator;
use cog_base::json::Integer;

use crate::condition::parts;

/// The values at which conditions may turn as one part of the context changes.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// Numbers from which on a condition may say otherwise than just below.
    pub(super) numbers: BTreeSet<i64>,
    /// Whether there may be more numbers than these, because one reckons in another way than
    /// by sums and multiples.
    pub(super) bent: bool,
    /// Texts and numbers that stand in conditions or that they read.
    pub(super) mentioned: (BTreeSet<i64>, BTreeSet<String>),
}

/// A number as it depends on the part: `slope * part + start`.
type Line = (i128, i128);

/// Why a number is no line.
enum NoLine {
    /// It cannot be evaluated, whatever the part is.
    Dead,
    /// It depends on the part in another way.
    Bent,
}

/// Looks through conditions for one part of the context.
pub(super) struct Reader<'a> {
    evaluator: &'a Evaluator<'a>,
    path: Vec<&'a str>,
    slots: SlotEnv,
    pub(super) found: Edges,
}

impl<'a> Reader<'a> {
    pub(super) fn new(evaluator: &'a Evaluator<'a>, path: &'a str) -> Self {
        let path = path.split('.').collect();
        Self { evaluator, path, slots: SlotEnv::new(), found: Edges::default() }
    }

    /// Add what a condition compares the part, a number, with.
    pub(super) fn numbers(&mut self, condition: &Expr) {
        match condition.expr_kind() {
            ExprKind::And { .. } | ExprKind::Or { .. } | ExprKind::If { .. } => {
                parts(condition).into_iter().for_each(|part| self.numbers(part));
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.numbers(arg),
            ExprKind::BinaryApp {
                op: op @ (BinaryOp::Eq | BinaryOp::Less | BinaryOp::LessEq),
                arg1,
                arg2,
            } => self.comparison(*op, arg1, arg2),
            ExprKind::BinaryApp { op: BinaryOp::Contains, arg1, arg2 } if !self.mentions(arg1) => {
                self.one_of(arg1, arg2);
            }
            ExprKind::Lit(_)
            | ExprKind::Var(_)
            | ExprKind::Slot(_)
            | ExprKind::Unknown(_)
            | ExprKind::UnaryApp { .. }
            | ExprKind::BinaryApp { .. }
            | ExprKind::ExtensionFunctionApp { .. }
            | ExprKind::GetAttr { .. }
            | ExprKind::HasAttr { .. }
            | ExprKind::ExtHasAttr { .. }
            | ExprKind::Like { .. }
            | ExprKind::Is { .. }
            | ExprKind::Set(_)
            | ExprKind::Record(_) => self.found.bent |= self.mentions(condition),
        }
    }

    /// Add every number and text that a condition could compare the part with.
    pub(super) fn mentioned(&mut self, condition: &Expr) {
        if let ExprKind::Lit(literal) = condition.expr_kind() {
            collect_literal(literal, &mut self.found.mentioned);
        }
        let attribute = matches!(condition.expr_kind(), ExprKind::GetAttr { .. });
        if attribute
            && !self.mentions(condition)
            && let Ok(value) = self.evaluator.interpret(condition, &self.slots)
        {
            collect(&value, &mut self.found.mentioned);
        }
        parts(condition).into_iter().for_each(|part| self.mentioned(part));
    }

    fn comparison(&mut self, op: BinaryOp, left: &Expr, right: &Expr) {
        if !self.mentions(left) && !self.mentions(right) {
            return;
        }
        let difference = self.line(left).and_then(|left| minus(left, self.line(right)?));
        match difference {
            Ok(difference) if op == BinaryOp::Eq => self.zero(difference),
            Ok((slope, start)) if op == BinaryOp::Less => self.at_most_zero((slope, start + 1)),
            Ok(difference) => self.at_most_zero(difference),
            Err(NoLine::Dead) => {}
            Err(NoLine::Bent) => self.found.bent = true,
        }
    }

    fn one_of(&mut self, set: &Expr, item: &Expr) {
        if !self.mentions(item) {
            return;
        }
        let item = match self.line(item) {
            Ok(item) => item,
            Err(NoLine::Dead) => return,
            Err(NoLine::Bent) => {
                self.found.bent = true;
                return;
            }
        };
        let Ok(set) = self.evaluator.interpret(set, &self.slots) else { return };
        let mut values = (BTreeSet::new(), BTreeSet::new());
        collect(&set, &mut values);
        for value in values.0 {
            match minus(item, (0, value.into())) {
                Ok(difference) => self.zero(difference),
                Err(_) => self.found.bent = true,
            }
        }
    }

    /// `slope * part + start == 0` holds at one number or at none.
    fn zero(&mut self, (slope, start): Line) {
        if slope != 0 && start % slope == 0 {
            self.edge(-start / slope);
            self.edge(-start / slope + 1);
        }
    }

    /// `slope * part + start <= 0` turns once.
    fn at_most_zero(&mut self, (slope, start): Line) {
        let floor = |number: i128, by: i128| number.div_euclid(by);
        match slope.signum() {
            1 => self.edge(floor(-start, slope) + 1),
            -1 => self.edge(-floor(-start, -slope)),
            _ => {}
        }
    }

    fn edge(&mut self, number: i128) {
        let number = i64::try_from(number).ok().filter(|it| Integer::new(*it).is_some());
        self.found.numbers.extend(number);
    }

    fn line(&self, expr: &Expr) -> Result<Line, NoLine> {
        if place(expr).is_some_and(|place| place == self.path) {
            return Ok((1, 0));
        }
        if !self.mentions(expr) {
            let value = self.evaluator.interpret(expr, &self.slots).map_err(|_| NoLine::Dead)?;
            let ValueKind::Lit(Literal::Long(number)) = value.value_kind() else {
                return Err(NoLine::Dead);
            };
            return Ok((0, i128::from(*number)));
        }
        if let ExprKind::UnaryApp { op: UnaryOp::Neg, arg } = expr.expr_kind() {
            return minus((0, 0), self.line(arg)?);
        }
        let ExprKind::BinaryApp { op, arg1, arg2 } = expr.expr_kind() else {
            return Err(NoLine::Bent);
        };
        let lines = || Ok((self.line(arg1)?, self.line(arg2)?));
        match op {
            BinaryOp::Add => lines().and_then(|(one, other)| minus(one, minus((0, 0), other)?)),
            BinaryOp::Sub => lines().and_then(|(one, other)| minus(one, other)),
            BinaryOp::Mul => lines().and_then(|(one, other)| match (one, other) {
                ((0, by), line) | (line, (0, by)) => times(line, by),
                _ => Err(NoLine::Bent),
            }),
            BinaryOp::Eq
            | BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::In
            | BinaryOp::Contains
            | BinaryOp::ContainsAll
            | BinaryOp::ContainsAny
            | BinaryOp::GetTag
            | BinaryOp::HasTag => Err(NoLine::Bent),
        }
    }

    /// Whether the value of an expression can depend on the part.
    fn mentions(&self, expr: &Expr) -> bool {
        if let Some(place) = place(expr) {
            return self.path.starts_with(&place);
        }
        if let ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } = expr.expr_kind()
            && place(expr).is_some()
        {
            return false;
        }
        parts(expr).into_iter().any(|part| self.mentions(part))
    }
}

/// `["args", "path"]` for `context.args.path`.
fn place(expr: &Expr) -> Option<Vec<&str>> {
    if let ExprKind::GetAttr { expr, attr } = expr.expr_kind() {
        let mut place = place(expr)?;
        place.push(attr);
        return Some(place);
    }
    matches!(expr.expr_kind(), ExprKind::Var(Var::Context)).then(Vec::new)
}

fn minus((slope, start): Line, (less, from): Line) -> Result<Line, NoLine> {
    let line = slope.checked_sub(less).zip(start.checked_sub(from));
    line.ok_or(NoLine::Bent).and_then(|line| times(line, 1))
}

/// Within 100 bits, so that neither an edge nor the next step overflows.
fn times((slope, start): Line, by: i128) -> Result<Line, NoLine> {
    let line = slope.checked_mul(by).zip(start.checked_mul(by));
    let small = |number: i128| number.unsigned_abs() < 1 << 100;
    line.filter(|(slope, start)| small(*slope) && small(*start)).ok_or(NoLine::Bent)
}

fn collect_literal(literal: &Literal, found: &mut (BTreeSet<i64>, BTreeSet<String>)) {
    match literal {
        Literal::Long(number) => {
            found.0.insert(*number);
        }
        Literal::String(text) => {
            found.1.insert(text.to_string());
        }
        Literal::Bool(_) | Literal::EntityUID(_) => {}
    }
}

fn collect(value: &Value, found: &mut (BTreeSet<i64>, BTreeSet<String>)) {
    match value.value_kind() {
        ValueKind::Lit(literal) => collect_literal(literal, found),
        ValueKind::Set(set) => set.iter().for_each(|item| collect(item, found)),
        ValueKind::Record(members) => members.values().for_each(|item| collect(item, found)),
        ValueKind::ExtensionValue(_) => {}
    }
}
