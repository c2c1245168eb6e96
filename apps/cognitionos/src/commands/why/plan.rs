//! A selection among plans: which fell out and why, and what would let one be taken.

use cog_base::json::Map;
use cog_base::words::lasting;
use cog_base::{Micros, Value};
use cog_engine::Record;
use cog_ledger::Kind;
use cog_store::Select;

use super::text;
use crate::home::{Home, told as failed};
use crate::terminal::plain;
use crate::view::candidate_line;
use crate::view::told;

/// The refusal that stood in the way of a selection that took no plan; it says what would turn
/// it round.
pub(super) fn in_the_way(home: &Home, record: &Record) -> anyhow::Result<Option<String>> {
    let (entry, id) = (&record.entry, text(record, "id"));
    let Some(run) = entry.session().filter(|_| entry.kind() == Kind::PlanSelected) else {
        return Ok(None);
    };
    // It is the next entry of its kind.
    let kinds = vec![Kind::Denial];
    let select = Select { kinds, from: entry.seq(), limit: 1, ..Select::session(run) };
    let denials = home.scope()?.select(&select).map_err(failed)?;
    let is_of = |denial: &&cog_ledger::Entry| denial.text("selection") == Some(id.as_str());
    let denial = denials.iter().find(is_of).and_then(|denial| denial.id());
    Ok(denial.map(|denial| format!("What stood in the way: cognitionos why {}", plain(denial))))
}

/// The goal, and what came of each plan.
pub(super) fn tell(record: &Record) -> Vec<String> {
    let chosen = text(record, "chosen");
    // Goal and candidates stand in the body; in the entry they did at first.
    let member = |name| {
        let body = record.body.as_ref().and_then(|body| body.get(name));
        body.or_else(|| record.entry.data().get(name))
    };
    let goal =
        member("goal").and_then(Value::as_text).map_or("what is not here any more".into(), plain);
    let mut lines = vec![if chosen.is_empty() {
        format!("No plan was admissible for `{goal}`:")
    } else {
        format!(
            "For `{goal}` the plan `{chosen}` was selected: the lowest score among those admissible."
        )
    }];
    let candidates = member("candidates").and_then(Value::as_list);
    for candidate in candidates.unwrap_or_default() {
        lines.push(candidate_line(candidate));
        if let Some(score) = candidate.get("score").and_then(Value::as_map) {
            lines.push(format!("            {}", scored(score)));
        }
    }
    let flips = member("flips").and_then(Value::as_list).unwrap_or_default();
    for flip in flips.iter().filter_map(Value::as_text) {
        lines.push(format!("A plan could be taken {}.", plain(&told::timed(flip))));
    }
    lines
}

/// What a score is made of, in words.
fn scored(score: &Map) -> String {
    let number = |name: &str| score.get(name).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "costs {}, takes {}, may lose {}",
        Micros::new(number("cost_micros")),
        lasting(number("latency_ms")),
        Micros::new(number("risk_loss_micros"))
    )
}
