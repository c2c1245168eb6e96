//! `choose`: a goal, constraints and candidate plans.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::json::Integer;

use super::Reader;
use super::block::{Inherited, RESERVED};
use super::scope::Scope;
use crate::definition::{Choose, Plan, Risk};
use crate::fields::{self, Fields, Shape};
use crate::limits::{MAX_PLANS, MAX_SLEEP_MS};
use crate::template::Template;
use crate::tree::{Kind, Node};
use cog_base::suggest;

const CHOOSE: Shape =
    Shape { what: "`choose`", required: &["goal", "plans"], optional: &["constraints"] };
const CONSTRAINTS: Shape =
    Shape { what: "`constraints`", required: &[], optional: &["cost_micros", "deadline_ms"] };
const PLAN: Shape =
    Shape { what: "a plan", required: &["id", "expect", "steps"], optional: &["description"] };
const EXPECT: Shape =
    Shape { what: "`expect`", required: &["cost_micros", "latency_ms", "risk"], optional: &[] };
const COST: (i64, i64) = (0, Integer::MAX);
const TIME: (i64, i64) = (0, MAX_SLEEP_MS);

impl Reader<'_, '_> {
    pub(super) fn choose(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Option<Choose> {
        let fields = Fields::open(node, &CHOOSE, self.reports)?;
        let goal = fields.get("goal").map(|node| self.text_template(node, "goal", scope));
        let (cost_micros, deadline_ms) =
            fields.get("constraints").map(|node| self.constraints(node, scope)).unwrap_or_default();
        let plans_node = fields.get("plans")?;
        let nodes = fields::list(plans_node, "plans", self.reports);
        if nodes.is_empty() && matches!(plans_node.kind, Kind::List(_)) {
            let hint = "write one at least: `- id: …` with `expect` and `steps`";
            self.reports.error(plans_node.at, "`choose` needs at least one plan", hint);
        }
        if nodes.len() > MAX_PLANS {
            let hint = "leave out those that others beat in everything";
            self.reports.error(plans_node.at, format!("more than {MAX_PLANS} plans"), hint);
        }
        let mut plans = Vec::new();
        let mut ids = BTreeSet::new();
        for node in nodes.iter().take(MAX_PLANS) {
            let Some(plan) = self.plan(node, scope, inherited) else { continue };
            if !ids.insert(plan.id.clone()) {
                let message = format!("the plan id `{}` is used twice", plan.id);
                self.reports.error(node.at, message, "give one of the two another id");
            }
            plans.push(Arc::new(plan));
        }
        Some(Choose { goal: goal?, cost_micros, deadline_ms, plans })
    }

    fn constraints(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
    ) -> (Option<Template>, Option<Template>) {
        let Some(fields) = Fields::open(node, &CONSTRAINTS, self.reports) else {
            return (None, None);
        };
        let mut number = |name: &str, bounds| {
            let node = fields.get(name)?;
            Some(self.integer_template(node, name, bounds, scope))
        };
        (number("cost_micros", COST), number("deadline_ms", TIME))
    }

    fn plan(&mut self, node: &Node, scope: &Scope<'_>, inherited: Inherited<'_>) -> Option<Plan> {
        let fields = Fields::open(node, &PLAN, self.reports)?;
        self.description(&fields);
        let id = fields.get("id").and_then(|node| fields::id(node, "id", self.reports));
        if id.is_some_and(|id| RESERVED.contains(&id)) {
            self.reports.error(node.at, "this id is taken by the handlers", "give it another id");
        }
        let expect = fields.get("expect").and_then(|node| self.expect(node, scope));
        let inherited = Inherited { in_plan: true, ..inherited };
        let (block, _) = self.block(fields.get("steps")?, scope, Some(inherited), "a plan");
        let (cost_micros, latency_ms, risk) = expect?;
        Some(Plan { id: id?.to_owned(), cost_micros, latency_ms, risk, block })
    }

    fn expect(&mut self, node: &Node, scope: &Scope<'_>) -> Option<(Template, Template, Risk)> {
        let fields = Fields::open(node, &EXPECT, self.reports)?;
        let cost = fields
            .get("cost_micros")
            .map(|node| self.integer_template(node, "cost_micros", COST, scope));
        let latency = fields
            .get("latency_ms")
            .map(|node| self.integer_template(node, "latency_ms", TIME, scope));
        let node = fields.get("risk")?;
        let word = fields::text(node, "risk", self.reports)?;
        let Some(risk) = Risk::from_word(word) else {
            let hint = suggest::hint(word, Risk::WORDS);
            self.reports.with_hint(node.at, format!("unknown risk `{word}`"), hint);
            return None;
        };
        Some((cost?, latency?, risk))
    }
}
