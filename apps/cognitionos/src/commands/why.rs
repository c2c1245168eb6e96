//! `why`: the story of one id, in words that a person outside engineering understands.

mod classes;
mod failed;
mod people;
mod plainly;
mod plan;
pub(super) mod queue;
mod run;
mod waits;

use cog_base::id::{Given as _, RunId, Uuid};
use cog_base::json::Map;
use cog_base::words::{lasting, minor};
use cog_base::{Micros, Value};
use cog_engine::Record;
use cog_ledger::Kind;

use super::ledger::named;
use crate::cli::{Common, WhyArgs};
use crate::failure::Exit;
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::told::{self, deed};

pub(crate) fn why(args: &WhyArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    if let Ok(run) = RunId::given(&args.id)
        && (Uuid::from_text(&args.id).is_none() || home.knows(run).is_ok())
    {
        run::tell(&home, run, terminal)?;
        return Ok(Exit::Done);
    }
    let mut records = Vec::new();
    for entry in named(&home, &args.id)? {
        records.push(home.record(entry)?);
    }
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for record in &records {
        let gone = home.gone(record)?;
        if gone.as_ref().is_some_and(|(_, is_damage)| *is_damage) {
            exit = Exit::Failed;
        }
        if terminal.json {
            documents.push(json(record, gone.map(|(why, _)| why)));
            continue;
        }
        let alone = records.len() == 1;
        let about = if alone { receipt_of(&home, record)? } else { None };
        let mut beside = people::answers(&home, record)?;
        beside.extend(plan::in_the_way(&home, record)?);
        let said = plain(&home.said(record)?);
        tell((record, &said), about.as_ref(), &beside, terminal);
        if let Some((why, _)) = gone {
            terminal.say(&format!("  its record: {why}"));
        }
    }
    // One document: the first entry, and those that came of it.
    let mut documents = documents.into_iter();
    if let Some(first) = documents.next() {
        let further = documents.map(Value::map);
        let document = first.into_iter().chain([("further", Value::list(further))]);
        terminal.emit(&Value::map(document));
    }
    Ok(exit)
}

fn json(record: &Record, gone: Option<String>) -> Vec<(&'static str, Value)> {
    let entry = &record.entry;
    vec![
        ("seq", Value::from(entry.seq())),
        ("at", entry.at().into()),
        ("kind", entry.kind().as_str().into()),
        ("actor", entry.actor().into()),
        ("canon", entry.canon().into()),
        ("data", Value::Map(entry.data().clone())),
        ("record", record.body.clone().into()),
        ("gone", gone.into()),
    ]
}

/// The receipt that an outcome belongs to.
fn receipt_of(home: &Home, outcome: &Record) -> anyhow::Result<Option<Record>> {
    if outcome.entry.kind() != Kind::Outcome {
        return Ok(None);
    }
    let entries = named(home, &text(outcome, "receipt"))?;
    let receipt = entries.into_iter().find(|entry| entry.kind() == Kind::Receipt);
    receipt.map(|entry| home.record(entry)).transpose()
}

/// Tell an entry; of an outcome that is told by itself, also what it is the outcome of. `beside`
/// is what other entries say of it.
fn tell(
    (record, said): (&Record, &str),
    about: Option<&Record>,
    beside: &[String],
    terminal: &Terminal,
) {
    let entry = &record.entry;
    let told = match entry.kind() {
        Kind::Receipt => decision(record, terminal, "was allowed"),
        Kind::Denial => decision(record, terminal, "was refused"),
        Kind::ApprovalRequested => decision(record, terminal, "takes people who agree"),
        Kind::ApprovalGranted => {
            vec![format!("{} approved it on {}.", people::voice(entry), entry.at())]
        }
        Kind::ApprovalDelegated => vec![people::handed(entry, said)],
        Kind::ApprovalEscalated => {
            let of = entry.data().get("of").and_then(Value::as_list).unwrap_or_default();
            let of: Vec<String> = of.iter().filter_map(Value::as_text).map(plain).collect();
            vec![format!("From {} on {} may answer as well.", entry.at(), of.join(" or "))]
        }
        Kind::ApprovalRejected => {
            vec![format!("{} said no on {}: {said}", people::voice(entry), entry.at())]
        }
        Kind::Outcome => outcome(record, about),
        Kind::PlanSelected => plan::tell(record),
        Kind::Signal => signal(record),
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::SessionStarted
        | Kind::Output
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::ChildEnded
        | Kind::SessionSealed
        | Kind::Checkpoint
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::WorkflowActivated
        | Kind::ScheduleFired
        | Kind::SessionQueued
        | Kind::SessionUnqueued
        | Kind::BodiesErased
        | Kind::SegmentPruned => {
            let what = plainly::sentence(record, said);
            let data = if plainly::says_all(entry.kind()) {
                Vec::new()
            } else {
                told::lines(entry.data())
            };
            let data = data.into_iter().map(|line| format!("  {line}"));
            std::iter::once(what).chain(data).collect()
        }
    };
    for line in told.iter().chain(beside) {
        terminal.say(line);
    }
    let at = format!(
        "  entry {} of the ledger; prove it: cognitionos ledger proof {}",
        entry.seq(),
        entry.seq()
    );
    terminal.say(&terminal.tint(Tone::Faint, &terminal.located(&at)));
}

fn signal(record: &Record) -> Vec<String> {
    let entry = &record.entry;
    let (name, id) = (text(record, "name"), text(record, "signal"));
    let who = entry.actor();
    let mut lines = vec![format!("{who} sent the signal `{name}` ({id}) on {}.", entry.at())];
    match record.body.as_ref().and_then(|body| body.get("payload")) {
        Some(payload) => lines.push(format!("  It says {}", plain(&payload.to_string()))),
        None => lines.push("What it said is not here any more.".into()),
    }
    lines
}

fn text(record: &Record, name: &str) -> String {
    let value = record.entry.data().get(name).and_then(Value::as_text);
    plain(value.unwrap_or_default())
}

fn decision(record: &Record, terminal: &Terminal, verdict: &str) -> Vec<String> {
    let entry = &record.entry;
    let tone = if entry.kind() == Kind::Denial { Tone::Bad } else { Tone::Good };
    let what = deed(&text(record, "action"), &text(record, "resource"));
    let mut lines = vec![format!(
        "On {}, {} wanted to {what}{}. It {}.",
        entry.at(),
        entry.actor(),
        in_step(record),
        terminal.tint(tone, verdict)
    )];
    let Some(body) = &record.body else {
        lines.push("What exactly was asked, and what was checked, is not here any more.".into());
        return lines;
    };
    if let Some(reason) = body.at(&["trace", "reason"]).and_then(Value::as_text) {
        lines.push(format!("\nWhy: {}", plain(reason)));
    }
    let trace = body.at(&["trace", "checks"]).and_then(Value::as_list).unwrap_or_default();
    lines.extend(rules(trace, entry.kind()));
    lines.extend(to_do(trace, &text(record, "action")));
    let flips = body.at(&["trace", "flips"]).and_then(Value::as_list).unwrap_or_default();
    for flip in flips.iter().filter_map(Value::as_text) {
        lines.push(format!("It would be permitted {}.", plain(flip)));
    }
    if let Some(because) = body.at(&["trace", "in_vain"]).and_then(Value::as_text) {
        let because = plain(&told::timed(because));
        lines.push(format!("Permitted or not, its plan could not be taken: {because}."));
    }
    if let Some(choice) = entry.data().get("selection").and_then(Value::as_text) {
        lines.push(format!("It is of a choice among plans: cognitionos why {}", plain(choice)));
    }
    lines.push("\nWhat was asked:".into());
    let folder = told::standing(body);
    lines.extend(folder.map(|(root, folder)| format!("  {}", told::stands(&root, &folder))));
    let args = body.at(&["intent", "context", "args"]).and_then(Value::as_map);
    let args = args.map(told::lines).unwrap_or_default();
    lines.extend(args.into_iter().map(|line| format!("  {line}")));
    lines.extend(classes::of_record(body));
    if !trace.is_empty() {
        lines.push("\nWhat was checked:".into());
    }
    lines.extend(trace.iter().map(|check| check_line(check, entry.kind(), terminal)));
    lines.extend(basis(record));
    lines
}

/// Which step it is about; nothing when it is about the run as a whole.
fn in_step(record: &Record) -> String {
    match text(record, "step") {
        none if none.is_empty() => none,
        step => format!(" (step {step})"),
    }
}

/// The policies that decided, with their reasons and what they advise.
fn rules(trace: &[Value], kind: Kind) -> Vec<String> {
    let canon = trace.iter().find(|check| check.get("check") == Some(&"canon".into()));
    let permits = canon.and_then(|check| check.get("outcome")) == Some(&"pass".into());
    // What was refused for another reason was permitted as far as the policies go.
    let word = if permits && kind == Kind::Denial { "But permitted by the rule" } else { "Rule" };
    let rules = canon.and_then(|check| check.get("rules")).and_then(Value::as_list);
    let mut lines = Vec::new();
    for rule in rules.unwrap_or_default() {
        let text = |name| rule.get(name).and_then(Value::as_text).map(plain);
        lines.push(format!(
            "{word} `{}`: {}",
            text("id").unwrap_or_default(),
            text("reason").unwrap_or_else(|| "(it gives no reason)".into())
        ));
        lines.extend(text("advice").map(|advice| format!("  What to do: {advice}")));
        let controls = rule.get("controls").and_then(Value::as_list).unwrap_or_default();
        let controls: Vec<_> = controls.iter().filter_map(Value::as_text).collect();
        if !controls.is_empty() {
            lines.push(format!("  Serves: {}", controls.join(", ")));
        }
    }
    lines
}

/// What to do where no policy says it: because none permits, or one could not be evaluated.
fn to_do(trace: &[Value], action: &str) -> Option<String> {
    let check = trace.iter().find(|check| check.get("check") == Some(&"canon".into()))?;
    let first = match check.get("code").and_then(Value::as_text)? {
        "canon.no_permit" => format!(
            "if it should be permitted, write a policy that permits `{action}` into the folder of \
             the canon"
        ),
        "canon.error" => "mend the policy that the check below names, in the folder of the canon: \
                          ask with `has` for what may be missing, and keep sums within 64 bits"
            .to_owned(),
        _ => return None,
    };
    Some(format!(
        "  What to do: {first}. Then: cognitionos canon check FOLDER, and cognitionos canon propose \
         FOLDER"
    ))
}

fn check_line(check: &Value, kind: Kind, terminal: &Terminal) -> String {
    let text = |name| check.get(name).and_then(Value::as_text).unwrap_or_default();
    let is_idle = text("code") == "approval.not_needed";
    let (tone, mark) = match text("outcome") {
        _ if is_idle => (Tone::Faint, "-"),
        "pass" => (Tone::Good, "yes"),
        "fail" => (Tone::Bad, "NO"),
        "approval" => (Tone::Ask, "ask"),
        _ => (Tone::Ask, "wait"),
    };
    let question = match text("check") {
        "identity" => "Is it known who asks?",
        "tenant" => "May the organisation act?",
        "entitlement" => "May it act in this way at all?",
        "quota" => "Has the run steps left?",
        "budget" => "Has the run money left?",
        "confinement" => "Does it stay where it belongs?",
        "data" => "May it have such data?",
        "canon" => "Do the policies permit it?",
        "approval" => "Did the people agree who must?",
        "interference" => "Is nobody else at it?",
        "envelope" => "Does the run stay within bounds?",
        "freshness" => "Are clock and policies current?",
        other => other,
    };
    let mark = terminal.tint(tone, &format!("{mark:<4}"));
    let seen = match check.get("read").and_then(Value::as_map) {
        _ if is_idle && kind == Kind::Denial => Some("nobody was asked".to_owned()),
        _ if is_idle => Some("nobody had to".to_owned()),
        Some(read) if read.contains_key("per") => Some(of_period(text("code"), read)),
        read => read.map(|read| seen(text("check"), read)),
    };
    let code = if text("outcome") == "pass" { "" } else { text("code") };
    let parts = [seen.unwrap_or_default(), plain(code)];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    if parts.is_empty() {
        return format!("  {mark} {question}");
    }
    format!("  {mark} {question:<34} {}", terminal.tint(Tone::Faint, &parts.join("; ")))
}

/// What was used of a period, in words.
fn of_period(code: &str, read: &Map) -> String {
    let number = |name: &str| read.get(name).and_then(Value::as_u64).unwrap_or(0);
    let told = |name: &str| match code {
        "envelope.period_amount" => minor(number(name).into()),
        "envelope.period_cost" => Micros::new(number(name)).to_string(),
        _ => number(name).to_string(),
    };
    let per = read.get("per").and_then(Value::as_text).unwrap_or_default();
    format!("{} of {} used per {}", told("used"), told("limit"), plain(per))
}

/// What a check looked at, in words.
fn seen(check: &str, read: &Map) -> String {
    let number = |name: &str| read.get(name).and_then(Value::as_u64).unwrap_or(0);
    let money = |name: &str| Micros::new(number(name));
    let is_open = |name: &str| read.get(name).and_then(Value::as_u64).is_none();
    match check {
        "quota" if is_open("limit") => "no limit is set".to_owned(),
        "quota" => format!("{} of {} used", number("used"), number("limit")),
        "budget" if is_open("limit_micros") => {
            format!("up to {} more; no limit is set", money("cost_micros"))
        }
        "budget" => format!(
            "up to {} more, {} of {} used",
            money("cost_micros"),
            money("used_micros"),
            money("limit_micros")
        ),
        "envelope" => {
            let amount = |name: &str| minor(number(name).into());
            let (touched, most) = (number("resources"), number("resources_max"));
            let touched = (most > 0).then(|| format!("{touched} of {most} things touched"));
            let moved = (number("amount_max") > 0).then(|| {
                format!("{} of {} in cents or the like", amount("amount"), amount("amount_max"))
            });
            [touched, moved].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        "approval" if read.contains_key("approvals") => {
            let ids = read.get("approvals").and_then(Value::as_list).unwrap_or_default();
            ids.iter().filter_map(Value::as_text).map(plain).collect::<Vec<_>>().join(", ")
        }
        "data" => {
            let text = |name: &str| read.get(name).and_then(Value::as_text).map(plain);
            let class = text("class").unwrap_or_default();
            let to = text("type").zip(text("name"));
            let to = to.map(|(kind, name)| format!(" for the {} {name}", kind.to_lowercase()));
            format!("{class} data{}", to.unwrap_or_default())
        }
        "freshness" => match number("clock_behind_ms") {
            0 => String::new(),
            behind => format!("the clock was {} behind", lasting(behind)),
        },
        _ => told::lines(read).join(", "),
    }
}

/// Which canon, and how long it was good for.
fn basis(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(canon) = record.entry.canon() {
        lines.push(format!("\nDecided under canon {canon}."));
    }
    if record.entry.kind() == Kind::Receipt {
        lines
            .push(format!("The authorisation was for one use, until {}.", text(record, "expires")));
    }
    lines
}

fn outcome(record: &Record, about: Option<&Record>) -> Vec<String> {
    let entry = &record.entry;
    let ended = match text(record, "disposition").as_str() {
        "completed" => "It was done.".to_owned(),
        "failed" => {
            let message = record.body.as_ref().and_then(|body| body.at(&["error", "message"]));
            let message = message.and_then(Value::as_text).unwrap_or_default();
            format!("It failed: {} ({}).", plain(message), text(record, "code"))
        }
        "abandoned" => "It never began; the authorisation was given up.".to_owned(),
        _ => "Nobody can tell whether it was done. Look at the world before doing it again."
            .to_owned(),
    };
    let what = about.map_or_else(
        || "it ended".to_owned(),
        |receipt| {
            let deed = deed(&text(receipt, "action"), &text(receipt, "resource"));
            let (who, step) = (plain(receipt.entry.actor()), text(receipt, "step"));
            format!("the permission of {who} to {deed} (step {step}) came to its end")
        },
    );
    let cost = entry.data().get("cost_micros").and_then(Value::as_u64).unwrap_or(0);
    let mut told =
        vec![format!("\nOn {} {what}. {ended} It cost {}.", entry.at(), Micros::new(cost))];
    let output = record.body.as_ref().and_then(|body| body.get("output"));
    if let Some(claimed) = output.and_then(|output| output.at(&["overclaimed", "claimed_micros"])) {
        let claimed = claimed
            .as_u64()
            .map_or("more than can be counted".into(), |micros| Micros::new(micros).to_string());
        told.push(format!(
            "By the count of the model's server it cost {claimed}: more than the worst case of \
             the question, which was reserved and is all that is booked."
        ));
    }
    let output = output.and_then(Value::as_map);
    if let Some(output) = output.filter(|output| !output.is_empty()) {
        told.push("What came of it:".into());
        told.extend(told::lines(output).into_iter().map(|line| format!("  {line}")));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_could_not_be_evaluated_is_to_be_mended() {
        let said = |code: &str| {
            let check = Value::map([("check", "canon"), ("outcome", "fail"), ("code", code)]);
            to_do(&[check], "file.write").unwrap_or_default()
        };
        assert!(said("canon.error").starts_with("  What to do: mend the policy"));
        assert!(said("canon.no_permit").contains("permits `file.write`"));
        assert_eq!(said("canon.forbidden"), "");
    }
}
