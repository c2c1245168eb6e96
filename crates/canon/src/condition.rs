//! The conditions of policies, made ready for Cedar's evaluator: each once, without its place
//! in the file, and with what it reads of the context.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy_core::ast::{Expr, ExprBuilder, ExprKind, Literal, SlotEnv, ValueKind, Var};
use cedar_policy_core::evaluator::{EvaluationError, Evaluator};
use cedar_policy_core::expr_builder::ExprBuilder as _;

use crate::index::Candidate;

/// A condition that is nested deeper stays as Cedar read it, and counts as reading all.
const PREPARED_DEPTH_MAX: usize = 200;

/// All conditions, each once: policies that were written after one pattern share theirs.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    all: Vec<(Expr, Needs)>,
    slots: SlotEnv,
}

/// What a condition depends on.
#[derive(Debug)]
pub(crate) struct Needs {
    /// What it reads of the context.
    pub(crate) context: Reads,
    /// Whether it says anything of the principal.
    pub(crate) principal: bool,
    /// Whether it says anything of the resource.
    pub(crate) resource: bool,
    /// Whether it is small enough to be looked through.
    shallow: bool,
}

impl Needs {
    fn of(condition: &Expr) -> Self {
        let shallow = is_shallow(condition, PREPARED_DEPTH_MAX);
        let says = |var: Var| {
            let mut all = condition.subexpressions();
            all.any(|part| matches!(part.expr_kind(), ExprKind::Var(it) if *it == var))
        };
        let mut context = Reads { whole: !shallow, members: BTreeMap::new() };
        if shallow {
            context.walk(condition);
        }
        Self { context, principal: says(Var::Principal), resource: says(Var::Resource), shallow }
    }
}

/// Puts conditions into [`Conditions`].
#[derive(Debug, Default)]
pub(crate) struct Collector {
    numbers: HashMap<Arc<Expr>, u32>,
    found: Conditions,
}

impl Collector {
    /// The number of a policy's condition; nothing when it holds wherever its scope does.
    pub(crate) fn number(&mut self, policy: &Policy) -> Option<u32> {
        let condition = policy.as_ref().non_scope_constraints()?;
        // INVARIANT: there are no more conditions than policies, and of them not so many.
        let next = u32::try_from(self.found.all.len()).unwrap_or(u32::MAX);
        if !is_shallow(condition, PREPARED_DEPTH_MAX) {
            self.found.all.push((condition.clone(), Needs::of(condition)));
            return Some(next);
        }
        let number = *self.numbers.entry(Arc::new(condition.clone())).or_insert(next);
        if number == next {
            self.found.all.push((without_places(condition), Needs::of(condition)));
        }
        Some(number)
    }

    pub(crate) fn finish(self) -> Conditions {
        self.found
    }
}

impl Conditions {
    /// Whether a condition holds.
    pub(crate) fn holds(
        &self,
        number: u32,
        evaluator: &Evaluator<'_>,
    ) -> Result<bool, Box<EvaluationError>> {
        // INVARIANT: the numbers are those that the collector gave.
        let Some((condition, _)) = self.all.get(number as usize) else { return Ok(false) };
        let value = evaluator.interpret(condition, &self.slots)?;
        // INVARIANT: the validator saw to it that conditions are true or false.
        Ok(matches!(value.value_kind(), ValueKind::Lit(Literal::Bool(true))))
    }

    /// What a policy's condition depends on, if it has one.
    pub(crate) fn needs(&self, candidate: &Candidate) -> Option<&Needs> {
        self.of(candidate).map(|(_, needs)| needs)
    }

    /// A policy's condition, if it has one that is small enough to be looked through.
    pub(crate) fn readable(&self, candidate: &Candidate) -> Option<&Expr> {
        self.of(candidate).filter(|(_, needs)| needs.shallow).map(|(condition, _)| condition)
    }

    fn of(&self, candidate: &Candidate) -> Option<&(Expr, Needs)> {
        self.all.get(candidate.condition? as usize)
    }
}

/// What policies read of a context: of a record some members, of anything else all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// All that is below is read as well.
    pub(crate) whole: bool,
    /// The members that are read.
    pub(crate) members: BTreeMap<String, Reads>,
}

impl Reads {
    /// Add what a policy reads.
    pub(crate) fn add(&mut self, policy: &Policy) {
        let Some(condition) = policy.as_ref().non_scope_constraints() else { return };
        if is_shallow(condition, PREPARED_DEPTH_MAX) {
            self.walk(condition);
        } else {
            self.whole = true;
        }
    }

    /// Whether a value at a path such as `args.path` is read.
    pub(crate) fn has(&self, path: &str) -> bool {
        let mut names = path.split('.');
        let found = names.try_fold(self, |reads, name| {
            if reads.whole { Err(true) } else { reads.members.get(name).ok_or(false) }
        });
        found.map_or_else(|whole| whole, |_| true)
    }

    fn walk(&mut self, expr: &Expr) {
        if let Some(place) = self.place(expr) {
            place.whole = true;
            return;
        }
        if self.presence(expr).is_none() {
            parts(expr).into_iter().for_each(|part| self.walk(part));
        }
    }

    /// What stands for `context`, `context.args` and so on.
    fn place(&mut self, expr: &Expr) -> Option<&mut Self> {
        if let ExprKind::GetAttr { expr, attr } = expr.expr_kind() {
            return self.place(expr).map(|it| it.member(attr));
        }
        matches!(expr.expr_kind(), ExprKind::Var(Var::Context)).then_some(self)
    }

    /// What `context has a` and `context.args has b.c` ask for.
    fn presence(&mut self, expr: &Expr) -> Option<&mut Self> {
        if let ExprKind::HasAttr { expr, attr } = expr.expr_kind() {
            return self.place(expr).map(|it| it.member(attr));
        }
        let ExprKind::ExtHasAttr { expr, attrs } = expr.expr_kind() else { return None };
        let place = self.place(expr);
        place.map(|it| attrs.iter().fold(it, |it, attr| it.member(attr)))
    }

    fn member(&mut self, name: &str) -> &mut Self {
        self.members.entry(name.to_owned()).or_default()
    }
}

fn is_shallow(expr: &Expr, levels: usize) -> bool {
    levels > 0 && parts(expr).into_iter().all(|part| is_shallow(part, levels - 1))
}

/// The expressions that an expression is made of.
pub(crate) fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr.expr_kind() {
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {
            Vec::new()
        }
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::UnaryApp { arg: expr, .. }
        | ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::ExtensionFunctionApp { args: items, .. } | ExprKind::Set(items) => {
            items.iter().collect()
        }
        ExprKind::Record(members) => members.values().collect(),
    }
}

/// The same expression without its places in the file, which the evaluator would copy at
/// every step. What an error says does not name them.
fn without_places(expr: &Expr) -> Expr {
    let arc = |part: &Arc<Expr>| Arc::new(without_places(part));
    let kind = match expr.expr_kind().clone() {
        kind @ (ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_)) => {
            kind
        }
        ExprKind::If { test_expr, then_expr, else_expr } => ExprKind::If {
            test_expr: arc(&test_expr),
            then_expr: arc(&then_expr),
            else_expr: arc(&else_expr),
        },
        ExprKind::And { left, right } => ExprKind::And { left: arc(&left), right: arc(&right) },
        ExprKind::Or { left, right } => ExprKind::Or { left: arc(&left), right: arc(&right) },
        ExprKind::UnaryApp { op, arg } => ExprKind::UnaryApp { op, arg: arc(&arg) },
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            ExprKind::BinaryApp { op, arg1: arc(&arg1), arg2: arc(&arg2) }
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let args = args.iter().map(without_places).collect();
            ExprKind::ExtensionFunctionApp { fn_name, args: Arc::new(args) }
        }
        ExprKind::GetAttr { expr, attr } => ExprKind::GetAttr { expr: arc(&expr), attr },
        ExprKind::HasAttr { expr, attr } => ExprKind::HasAttr { expr: arc(&expr), attr },
        ExprKind::ExtHasAttr { expr, attrs } => ExprKind::ExtHasAttr { expr: arc(&expr), attrs },
        ExprKind::Like { expr, pattern } => ExprKind::Like { expr: arc(&expr), pattern },
        ExprKind::Is { expr, entity_type } => ExprKind::Is { expr: arc(&expr), entity_type },
        ExprKind::Set(items) => ExprKind::Set(Arc::new(items.iter().map(without_places).collect())),
        ExprKind::Record(members) => {
            let members = members.iter().map(|(name, it)| (name.clone(), without_places(it)));
            ExprKind::Record(Arc::new(members.collect()))
        }
    };
    ExprBuilder::with_data(()).with_expr_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(condition: &str) -> Policy {
        Policy::parse(None, format!("permit (principal, action, resource) when {{ {condition} }};"))
            .unwrap()
    }

    fn words(reads: &Reads) -> String {
        let members = reads.members.iter().map(|(name, below)| format!("{name}{}", words(below)));
        let members = members.collect::<Vec<_>>().join(" ");
        let whole = if reads.whole { "!" } else { "" };
        if members.is_empty() { whole.to_owned() } else { format!("{whole}({members})") }
    }

    fn check(condition: &str, expected: &str) {
        let mut reads = Reads::default();
        reads.add(&policy(condition));
        assert_eq!(words(&reads), expected, "{condition}");
    }

    #[test]
    fn what_is_read_of_the_context_is_known() {
        check("true", "");
        check("principal.level > 3 && resource.context == 1", "");
        check("context.a == 1 && context.args.path like \"x*\"", "(a! args(path!))");
        check("context has c && context.c.d < 3", "(c(d!))");
        check("context.args has document.amount && context.b", "(args(document(amount)) b!)");
        check("context == {a: 1}", "!");
        check("[context.tags].contains(context.args)", "(args! tags!)");
        check("(if context.x then context.y else context.z).deep == 1", "(x! y! z!)");
        check("{r: context.inner}.r.deep == context.inner.other", "(inner!(other!))");
        let deep = vec!["context.a"; 1_000].join(" && ");
        check(&deep, "!");
    }

    #[test]
    fn a_condition_that_stands_twice_is_kept_once_and_without_its_place() {
        let mut collector = Collector::default();
        let numbers = ["context.a == 1", "context.b", " context.a   == 1", "true && context.b"];
        let numbers: Vec<_> = numbers.map(|it| collector.number(&policy(it))).into();
        assert_eq!(numbers, [Some(0), Some(1), Some(0), Some(2)]);
        let bare = Policy::parse(None, "permit (principal, action, resource);").unwrap();
        assert_eq!(collector.number(&bare), None);
        let conditions = collector.finish();
        assert_eq!(conditions.all.len(), 3);
        let places = conditions.all.iter().flat_map(|(condition, _)| condition.subexpressions());
        assert!(places.map(Expr::source_loc).all(|place| place.is_none()));
        let everything = "if [1].contains(context.n) then !(\"a*b\" like \"a\\\\**\") else \
            {r: -context.n + 2}.r <= 3 || principal is User || context has a.b || context has c \
            || ip(\"1.2.3.4\").isIpv4()";
        let original = policy(everything);
        let original = original.as_ref().non_scope_constraints().unwrap();
        assert_eq!(without_places(original), *original);
    }
}
