//! A refusal in words, and the smallest changes that would turn it round.

mod period;
mod search;
mod turn;
mod ways;

pub use search::{Elsewhere, WaysOut, ways_out};

use cog_base::json::parse;
use cog_base::words::minor;
use cog_base::{Micros, Value};

use crate::decision::{Check, Decision};
use crate::gate::Refusal;
use crate::intent::Intent;
use crate::of_run::Wish;

/// The codes of what a policy permits but for a limit.
const LIMITED: [&str; 5] = [
    "canon.limit",
    "canon.window",
    "canon.no_amount",
    "canon.period_limit",
    "canon.period_unknown",
];

/// What the policy that permits it holds it to.
fn limited(check: &Check) -> String {
    let limit = check.read.text("limit").unwrap_or_default();
    if check.code == "canon.window" {
        return format!("The policy that permits it does so in its time alone: {limit}.");
    }
    format!("The limit of the policy that permits it is reached: {limit}.")
}

/// Why an intent was refused, in a sentence for the person who asked.
#[must_use]
pub fn reason(decision: &Decision, intent: &Intent) -> String {
    let Some(check) = telling(decision) else { return "It was not refused.".into() };
    // What a policy says of itself is why it permits, where what it permits is over its limit.
    let rule = check.rules.first().filter(|_| !LIMITED.contains(&check.code));
    if let Some(reason) = rule.and_then(|rule| rule.reason.clone()) {
        return reason;
    }
    let number = |name: &str| check.read.number(name).unwrap_or(0);
    let (kind, name) = intent.resource();
    match check.code {
        "identity.unknown" => format!("The canon does not know {}.", intent.actor()),
        "identity.another_person" => {
            let initiator = check.read.text("initiator").unwrap_or_default();
            format!("{initiator} began the run, and nobody acts in the name of {}.", intent.actor())
        }
        "tenant.suspended" => "The tenant is suspended.".into(),
        "tenant.unknown" => "The run is not open, or nobody knows the tenant.".into(),
        "entitlement.missing" => format!("The plan does not include {}.", intent.action()),
        "quota.exceeded" => format!("The run has used all its {} effects.", number("limit")),
        "budget.exceeded" => format!(
            "It may cost up to {}, and the run has {} left of {}.",
            Micros::new(number("cost_micros")),
            Micros::new(number("limit_micros").saturating_sub(number("used_micros"))),
            Micros::new(number("limit_micros")),
        ),
        "root.elsewhere" | "root.shared" | "root.not_in_canon" => misplaced(check),
        "canon.missing" => "No canon is in force, and without one everything is refused.".into(),
        "canon.no_permit" => {
            format!(
                "No policy permits {} to {} on {kind} `{name}`.",
                intent.actor(),
                intent.action()
            )
        }
        "canon.error" => "A policy could not be evaluated, and what cannot be told is no.".into(),
        "canon.forbidden" => "A policy forbids it.".into(),
        "canon.limit" | "canon.window" => limited(check),
        "canon.no_amount" => no_amount(check, intent),
        "approval.rejected" => "The people who were asked to approve it said no.".into(),
        "interference.conflict" => "Another open effect holds what it touches.".into(),
        "envelope.resources" => {
            format!("The run would touch more than {} resources.", number("resources_max"))
        }
        "envelope.amount" if check.read.number("amount").is_none() => {
            "Nobody can tell how much money it moves.".into()
        }
        "envelope.amount" => format!(
            "The run would move {} in all, more than the {} it may, in minor units (as cents).",
            minor(number("amount").into()),
            minor(number("amount_max").into()),
        ),
        "envelope.combination" => "One run may not combine these actions.".into(),
        "freshness.clock_behind" => "The clock stands behind the ledger's last entry.".into(),
        "freshness.canon_changed" => "The canon in force is another one.".into(),
        other => outside(check, intent)
            .or_else(|| period::reason(check, intent))
            .or_else(|| of_people(check, intent))
            .or_else(|| too_confidential(check, intent))
            .unwrap_or_else(|| format!("The check {} said {other}.", check.name.word())),
    }
}

/// Why a root may not stand where it does.
fn misplaced(check: &Check) -> String {
    let text = |name| check.read.text(name).unwrap_or_default();
    let (root, folder) = (text("root"), text("folder"));
    match check.code {
        "root.elsewhere" => {
            format!("The canon does not let the root `{root}` stand in {folder}.")
        }
        "root.shared" => format!(
            "In {folder} may stand the root `{}` of {} data as well, and `{root}` is of {} data.",
            text("other"),
            text("other_class"),
            text("class"),
        ),
        _ => format!("The canon does not say where the root `{root}` may stand."),
    }
}

/// Who would be handed what, and where that came from.
fn too_confidential(check: &Check, intent: &Intent) -> Option<String> {
    match check.code {
        "data.above_root" | "data.above_host" | "data.above_program" | "data.above_model" => {}
        "data.unclassed" => return Some("Nobody can tell what its arguments came from.".into()),
        _ => return None,
    }
    let text = |name| check.read.text(name).unwrap_or_default();
    let from = check.read.texts("from").first().and_then(|from| from.split_once(" by "));
    let from = from.map_or_else(String::new, |(source, step)| {
        let (kind, name) = source.split_once(':').unwrap_or((source, ""));
        match kind {
            "people" => format!(" (what people answered in the step `{step}`)"),
            "labelled" => format!(" (so labelled by `{step}`)"),
            "lowered" => format!(" (so lowered by the step `{step}`)"),
            "input" => format!(" (from the input `{name}`)"),
            _ => format!(" (from the {kind} `{name}`, by the step `{step}`)"),
        }
    });
    Some(format!(
        "The step `{}` would hand {} data{from} to the {} `{}`, which may have {} data at most.",
        intent.step(),
        text("class"),
        text("type").to_lowercase(),
        text("name"),
        text("class_max"),
    ))
}

/// What stands where a policy sums up amounts.
fn no_amount(check: &Check, intent: &Intent) -> String {
    let text = |name| check.read.text(name).unwrap_or_default();
    let (policy, path) = (text("policy"), text("path"));
    match intent.at(path) {
        Some(Value::Int(number)) => format!(
            "The policy `{policy}` limits the sum of {path}, and a negative number such as {} \
             would make room under the limit.",
            number.get()
        ),
        Some(_) => format!(
            "The policy `{policy}` limits the sum of {path}, and what stands there is no whole \
             number."
        ),
        None => {
            format!("The policy `{policy}` limits the sum of {path}, and nothing stands there.")
        }
    }
}

/// The check that says why. Without a canon nobody is known either: what is missing is the canon.
fn telling(decision: &Decision) -> Option<&Check> {
    let missing = decision.checks.iter().find(|check| check.code == "canon.missing");
    missing.or_else(|| decision.failed())
}

/// Who may end a run or could answer a step, in a sentence.
fn of_people(check: &Check, intent: &Intent) -> Option<String> {
    let number = |name: &str| check.read.number(name).unwrap_or(0);
    let said = match check.code {
        "cancel.not_entitled" | "cancel.no_canon" => {
            let initiator = check.read.text("initiator").unwrap_or_default();
            let others = check.read.texts("entitled");
            let or = if others.is_empty() { "" } else { " or " };
            let verb = match Wish::of(intent.action()) {
                Some(Wish::Pause) => "pause the run",
                Some(Wish::Unpause) => "let the run go on",
                Some(Wish::Cancel) | None => "end the run",
            };
            format!("Only {initiator}, who began it,{or}{} may {verb}.", others.join(" or "))
        }
        "approval.nobody" => format!(
            "It takes {} of {}, and there are {} such people besides those who asked or began \
             the run.",
            number("count"),
            check.read.texts("of").join(" or "),
            number("could"),
        ),
        _ => return None,
    };
    Some(said)
}

/// What an effect would leave, in a sentence.
fn outside(check: &Check, intent: &Intent) -> Option<String> {
    let (kind, name) = intent.resource();
    let said = match check.code {
        "root.undeclared" => format!("The run declares no root `{name}`."),
        "root.read_only" => format!("The root `{name}` may only be read."),
        "root.not_writable" => "The program's folder is not a root this run may write to.".into(),
        "path.leaves_root" => {
            let path = intent.at("args.path").and_then(Value::as_text).unwrap_or_default();
            format!("The path `{path}` leads out of the root `{name}`.")
        }
        "host.not_allowed" => format!("The canon does not list the host `{name}`."),
        "host.port_not_allowed" => {
            format!(
                "The canon lists the host `{name}`, but not its port {}.",
                check.read.number("port").unwrap_or(0)
            )
        }
        "host.plain_http" => format!("The canon lists the host `{name}` for https alone."),
        "host.private_address" => format!(
            "The address `{name}` is not public, and the canon does not list it as private."
        ),
        "host.user_in_url" => "The URL holds a user or a password.".into(),
        "program.not_allowed" => format!("The canon does not list the program `{name}`."),
        "program.network_not_allowed" => {
            format!("The canon lists the program `{name}` without the network.")
        }
        "program.env_not_allowed" => format!(
            "The canon does not let the program `{name}` be lent the variable {}.",
            check.read.texts("variables").join(", ")
        ),
        "program.env_never_allowed" => format!(
            "The loader of programs hears {}: it would run other code than `{name}`, and no canon \
             can allow it.",
            check.read.texts("variables").first().map_or("a variable", String::as_str)
        ),
        "model.unknown" => format!("The canon does not list the model `{name}`."),
        "model.recorded" => {
            format!("A recording answers for the model `{name}`, and the run is in production.")
        }
        "source.not_listed" => format!("The canon does not list the source `{name}`."),
        "source.key_not_listed" => {
            format!("The canon does not let this key prove what the source `{name}` says.")
        }
        "source.proof_fails" => {
            format!("The proof does not show that the ledger of its key has what `{name}` says.")
        }
        "environment.not_listed" => format!(
            "The canon does not govern the environment `{}`.",
            check.read.text("environment").unwrap_or_default()
        ),
        "resource.unknown" => format!("Nobody knows resources of type {kind}."),
        _ => return None,
    };
    Some(said)
}

impl Refusal {
    /// The refusal of a part of something that fails all the same, `because`: to change the part
    /// is no way out then, and none is named.
    #[must_use]
    pub fn in_vain(mut self, because: &str) -> Self {
        self.flips.clear();
        let Some(body) = &mut self.draft.body else { return self };
        let record = std::str::from_utf8(&body.bytes).ok().and_then(|text| parse(text).ok());
        if let Some(Value::Map(mut record)) = record
            && let Some(Value::Map(trace)) = record.get_mut("trace")
        {
            trace.insert("flips".into(), Value::list(Vec::<Value>::new()));
            trace.remove("flips_cut");
            trace.insert("in_vain".into(), because.into());
            body.bytes = Value::Map(record).canonical();
        }
        self
    }
}
