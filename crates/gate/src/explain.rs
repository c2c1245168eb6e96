//! A refusal in words, and the smallest changes that would turn it round.

use cog_base::json::parse;
use cog_base::place::Place;
use cog_base::{Micros, Value};
use cog_canon::{Canon, Change, Flip, Request};

use crate::decision::{
    Check, CheckName, Decision, Outcome, Verdict, decide, stays_inside, wants_network, ways_to,
};
use crate::gate::Refusal;
use crate::intent::Intent;
use crate::of_run::Wish;
use crate::snapshot::{Access, Snapshot};

/// How many rules an envelope has: resources, amount, combinations.
const ENVELOPE_RULES: usize = 3;

/// Why an intent was refused, in a sentence for the person who asked.
#[must_use]
pub fn reason(decision: &Decision, intent: &Intent) -> String {
    let Some(check) = decision.failed() else { return "It was not refused.".into() };
    let rule = check.rules.first().and_then(|rule| rule.reason.clone());
    if let Some(reason) = rule {
        return reason;
    }
    let number = |name: &str| check.read.number(name).unwrap_or(0);
    let (kind, name) = intent.resource();
    match check.code {
        "identity.unknown" => format!("The canon does not know {}.", intent.actor()),
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
        "root.elsewhere" => format!(
            "The canon does not let the root `{}` stand in {}.",
            check.read.text("root").unwrap_or_default(),
            check.read.text("folder").unwrap_or_default(),
        ),
        "root.not_in_canon" => format!(
            "The canon does not say where the root `{}` may stand.",
            check.read.text("root").unwrap_or_default(),
        ),
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
        "canon.limit" | "canon.window" => {
            let limit = check.read.text("limit").unwrap_or_default();
            format!("The limit of the policy that permits it is reached: {limit}.")
        }
        "approval.rejected" => "The people who were asked to approve it said no.".into(),
        "interference.conflict" => "Another open effect holds what it touches.".into(),
        "envelope.resources" => {
            format!("The run would touch more than {} resources.", number("resources_max"))
        }
        "envelope.amount" if check.read.number("amount").is_none() => {
            "Nobody can tell how much money it moves.".into()
        }
        "envelope.amount" => format!(
            "The run would move {} in all, more than the {} it may.",
            number("amount"),
            number("amount_max"),
        ),
        "envelope.combination" => "One run may not combine these actions.".into(),
        "freshness.clock_behind" => "The clock stands behind the ledger's last entry.".into(),
        "freshness.canon_changed" => "The canon in force is another one.".into(),
        other => outside(check, intent)
            .or_else(|| of_people(check, intent))
            .unwrap_or_else(|| format!("The check {} said {other}.", check.name.word())),
    }
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
        "model.unknown" => format!("The canon does not list the model `{name}`."),
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

/// What would turn a refusal round, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaysOut {
    /// The smallest changes, at most a few. When several checks fail, all that must change
    /// are named together.
    pub flips: Vec<String>,
    /// Whether the search through the policies was cut short: there may be others then.
    pub cut: bool,
}

/// The smallest changes that would turn a refusal round.
#[must_use]
pub fn ways_out(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
    decision: &Decision,
) -> WaysOut {
    let mut found = WaysOut::default();
    if !matches!(decision.verdict, Verdict::Refuse(_)) {
        return found;
    }
    let mended = failing(decision).map(|it| (it, mend(it, decision, intent, snapshot, canon)));
    let mut mended: Vec<_> = mended.collect();
    found.cut = mended.iter().any(|(_, ways)| ways.cut);
    // Were it somebody else who asked, this one need not be known.
    if mended.iter().any(|(_, ways)| ways.is_of_another) {
        mended.retain(|(check, _)| check.name != CheckName::Identity);
    }
    let mut mended = mended.into_iter().map(|(_, ways)| ways.flips);
    let only = mended.next().unwrap_or_default();
    let others: Vec<_> = mended.collect();
    found.flips = if others.is_empty() {
        only
    } else {
        let first = |flips: Vec<String>| flips.into_iter().next();
        let parts: Option<Vec<_>> = [only].into_iter().chain(others).map(first).collect();
        parts.map(|parts| vec![parts.join(", and ")]).unwrap_or_default()
    };
    found
}

/// What would mend one check.
struct Mended {
    flips: Vec<String>,
    cut: bool,
    /// Whether the first of them takes another actor.
    is_of_another: bool,
}

impl From<Vec<String>> for Mended {
    fn from(flips: Vec<String>) -> Self {
        Self { flips, cut: false, is_of_another: false }
    }
}

fn mend(
    check: &Check,
    decision: &Decision,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Mended {
    let flips = match check.name {
        CheckName::Identity => vec![format!("if the canon knew {}", intent.actor())],
        CheckName::Tenant => vec!["if the tenant were active".into()],
        CheckName::Entitlement => vec![format!("if the plan included {}", intent.action())],
        CheckName::Quota => {
            let more = snapshot.effects.used.saturating_add(1);
            vec![format!("if the run might use {more} effects")]
        }
        CheckName::Budget => {
            let needed = snapshot.budget.used.saturating_add(intent.cost().get());
            vec![format!("if the run's budget were at least {}", Micros::new(needed))]
        }
        CheckName::Confinement => confinement(check, intent, snapshot, canon),
        CheckName::Canon if Wish::of(intent.action()).is_some() => {
            let others = check.read.texts("entitled").iter().map(String::as_str);
            let initiator = check.read.text("initiator").into_iter();
            let whom: Vec<_> = initiator.chain(others).collect();
            vec![format!("if it were wanted by {}", whom.join(" or "))]
        }
        CheckName::Canon => match canon {
            Some(canon) => return policies(check, intent, canon),
            None => vec!["if a canon that permits it were in force".into()],
        },
        CheckName::Envelope => envelope(decision, intent, snapshot, canon),
        CheckName::Interference => vec!["if it were asked again when the lease has ended".into()],
        CheckName::Freshness => vec!["if clock and canon were current".into()],
        CheckName::Approval if check.code == "approval.nobody" => {
            let (count, of) = (check.read.number("count"), check.read.texts("of").join(" or "));
            vec![format!("if there were {} others of {of}", count.unwrap_or(0))]
        }
        CheckName::Approval => vec!["if those who were asked approved it".into()],
    };
    flips.into()
}

fn confinement(
    check: &Check,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Vec<String> {
    if check.code == "environment.not_listed" {
        let listed = check.read.texts("listed").iter();
        return listed.map(|it| format!("if the run were one of the environment `{it}`")).collect();
    }
    let (kind, name) = intent.resource();
    let text = |path| intent.at(path).and_then(Value::as_text);
    if kind == "Host" {
        let place = text("args.url").and_then(Place::of).filter(|place| place.host == name);
        let hosts = canon.map(|canon| &canon.settings().hosts);
        return place.map(|place| ways_to(&place, hosts)).unwrap_or_default();
    }
    let path = format!("if the path stayed inside the root `{name}`");
    let leaves = text("args.path").is_some_and(|path| !stays_inside(path));
    let needs = if intent.action() == "file.read" { "read" } else { "write" };
    let declared = format!("if the workflow declared the root `{name}` with access: {needs}");
    let root = text("args.root").filter(|root| snapshot.roots.get(*root) != Some(&Access::Write));
    let writable =
        root.map(|root| format!("if the workflow declared the root `{root}` with access: write"));
    let network = if wants_network(intent) { " with network = true" } else { "" };
    let program = format!("if the canon listed the program `{name}`{network}");
    let parts = match check.code {
        "root.undeclared" | "root.read_only" if leaves => vec![declared, path],
        "root.undeclared" | "root.read_only" => vec![declared],
        "path.leaves_root" => vec![path],
        "root.elsewhere" | "root.not_in_canon" => vec![format!(
            "if the canon let the root `{}` stand in {}",
            check.read.text("root").unwrap_or_default(),
            check.read.text("folder").unwrap_or_default(),
        )],
        "program.not_allowed" | "program.network_not_allowed" => {
            [Some(program), writable].into_iter().flatten().collect()
        }
        "root.not_writable" => writable.into_iter().collect(),
        "model.unknown" => vec![format!("if the canon listed the model `{name}`")],
        _ => return Vec::new(),
    };
    vec![parts.join(", and ")]
}

fn policies(check: &Check, intent: &Intent, canon: &Canon) -> Mended {
    if matches!(check.code, "canon.limit" | "canon.window") {
        let limit = check.read.text("limit").unwrap_or_default();
        return vec![format!("if the limit ({limit}) left room")].into();
    }
    let request = Request {
        principal: intent.actor().as_str(),
        action: intent.action(),
        resource: intent.resource(),
        context: intent.context(),
    };
    let found = canon.ways_out(&request);
    let takes_another = |change: &Change| matches!(change, Change::Principal { .. });
    let is_of_another = found.flips.first().is_some_and(|it| it.changes.iter().any(takes_another));
    let flips = found.flips.iter().map(Flip::describe).collect();
    Mended { flips, cut: found.cut, is_of_another }
}

/// What would keep the run inside its envelope: each change is made, and all of them are
/// named together once the check passes and no other fails that passed before.
fn envelope(
    before: &Decision,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Vec<String> {
    let (mut intent, mut snapshot) = (intent.clone(), snapshot.clone());
    let mut parts = Vec::new();
    for _ in 0..ENVELOPE_RULES {
        let now = decide(&intent, &snapshot, canon);
        let Some(check) = failing(&now).find(|check| check.name == CheckName::Envelope) else {
            break;
        };
        let Some(words) = stay_inside(check, &mut intent, &mut snapshot, canon) else {
            return Vec::new();
        };
        parts.push(words);
    }
    let fails = |name| failing(before).any(|check| check.name == name);
    let after = decide(&intent, &snapshot, canon);
    let holds = failing(&after).all(|it| it.name != CheckName::Envelope && fails(it.name));
    if holds { vec![parts.join(", and ")] } else { Vec::new() }
}

/// Change what breaks one rule of the envelope, and say so.
fn stay_inside(
    check: &Check,
    intent: &mut Intent,
    snapshot: &mut Snapshot,
    canon: Option<&Canon>,
) -> Option<String> {
    let envelope = &canon?.settings().envelope;
    match check.code {
        "envelope.resources" => {
            snapshot.spread.adds = 0;
            Some("if it touched only what the run has touched already".into())
        }
        "envelope.amount" => {
            let left = envelope.amount_max?.saturating_sub(snapshot.spread.amount);
            let path = envelope.amount_paths.iter().find(|path| intent.at(path).is_some())?;
            *intent = intent.changed(path, left.into())?;
            Some(format!("if the amount were at most {left}"))
        }
        "envelope.combination" => {
            let done = &mut snapshot.spread.actions;
            let together = |set: &&Vec<String>| {
                let own = |action: &String| action == intent.action();
                set.iter().any(own) && set.iter().all(|it| own(it) || done.contains(it))
            };
            let mut others = envelope.forbidden.iter().find(together)?.clone();
            others.retain(|action| action != intent.action());
            done.retain(|action| !others.contains(action));
            let words = format!("if the run had not done {} before", others.join(" or "));
            (!others.is_empty()).then_some(words)
        }
        _ => None,
    }
}

fn failing(decision: &Decision) -> impl Iterator<Item = &Check> {
    decision.checks.iter().filter(|check| check.outcome == Outcome::Fail)
}
