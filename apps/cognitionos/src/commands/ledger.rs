//! `ledger`: look at entries, prove, verify, export, and what an administrator may do.

mod admin;
mod advice;
mod bundle;
mod erase;
mod events;
mod export;
mod follow;
mod histories;
mod keeper;
mod kept;
mod needed;
mod proof;
mod prune;
mod restore;
mod retention;
pub(crate) mod verify;

pub(crate) use advice::advice;
pub(crate) use bundle::public_key;

use cog_base::Value;
use cog_base::id::{Given as _, RunId, Uuid, spellings};
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select, TenantTx};

use crate::cli::nodes::At;
use crate::cli::{Common, LedgerCommand};
use crate::failure::{Exit, Failure};
use crate::folders;
use crate::given;
use crate::home::{Home, is_said, told};
use crate::terminal::{Terminal, Tone, escaped, plain};

pub(crate) fn ledger(
    command: &LedgerCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let data = common.data.as_path();
    let read = |at: &At| Home::at(at, || Home::read(data));
    match command {
        LedgerCommand::List { run: Some(run), kind, from, limit, follow: true, at, .. } => {
            follow::follow(&read(at)?, run, (kind, from.unwrap_or(0), *limit), terminal)
        }
        LedgerCommand::List { run, kind, last, from, limit, at, .. } => {
            let home = read(at)?;
            let select = select(&home, run.as_deref(), kind)?;
            list(&home, &paged(select, *from, *limit, *last), terminal)
        }
        LedgerCommand::Events { from, limit, types, at } => {
            events::events(&read(at)?, (*from, *limit), types, terminal)
        }
        LedgerCommand::Show { id, at } => show(&read(at)?, id, terminal),
        LedgerCommand::Verify { against, at } => {
            let home = Home::at(at, || Home::look(data));
            verify::verify(home, against.as_deref(), terminal)
        }
        LedgerCommand::Export {
            output,
            format,
            no_bodies,
            no_canons,
            incomplete,
            kind,
            with_bodies,
            key,
            at,
        } => {
            for file in [Some(output), key.as_ref()].into_iter().flatten() {
                folders::keep_out(file, data)?;
            }
            let home = read(at)?;
            let without =
                bundle::Without { bodies: *no_bodies, canons: *no_canons, missing: *incomplete };
            let (kinds, with_bodies) = (kinds(kind)?, *with_bodies);
            let wanted = export::Wanted { output, format: *format, without, kinds, with_bodies };
            export::export(&home, &wanted, key.as_deref(), terminal)
        }
        LedgerCommand::Proof { id, at } => proof::proof(&read(at)?, id, terminal),
        LedgerCommand::Checkpoint { at } => {
            let home = read(at)?;
            let checkpoint = home.scope()?.checkpoint().map_err(told)?;
            let checkpoint = checkpoint.ok_or_else(empty)?;
            proof::print(&checkpoint.note().to_string(), "checkpoint", terminal)
        }
        LedgerCommand::Key { at } => {
            let key = public_key(&read(at)?)?;
            proof::print(&format!("{key}\n"), "key", terminal)
        }
        LedgerCommand::Rotate { by, asking } => {
            let home = Home::asking(asking, || Home::change(data))?;
            admin::rotate(&home, &by.actor, terminal)
        }
        LedgerCommand::Erase { subject, entry, reason, by, asking } => {
            let wanted = erase::Wanted::of(subject.as_deref(), entry);
            let home = Home::asking(asking, || Home::change(data))?;
            erase::erase(&home, &wanted, reason.as_deref(), &by.actor, terminal)
        }
        LedgerCommand::AcceptRestore { by } => restore::accept(data, &by.actor, terminal),
        LedgerCommand::Retention { at } => retention::report(&read(at)?, terminal),
        LedgerCommand::Prune { before, dry_run, reason, by, asking, .. } => {
            let wanted = prune::Wanted::of(before.as_deref(), *dry_run);
            let home = Home::asking(asking, || Home::change(data))?;
            prune::prune(&home, &wanted, reason.as_deref(), &by.actor, terminal)
        }
    }
}

/// There is nothing in the ledger yet.
fn empty() -> anyhow::Error {
    Failure::advise(
        Exit::BadInput,
        "the ledger is empty",
        "cognitionos run examples/01-quickstart/workflow.yaml",
    )
}

/// The kinds with these names.
fn kinds(names: &[String]) -> anyhow::Result<Vec<Kind>> {
    let kind = |name: &String| {
        name.trim().parse::<Kind>().map_err(|error| {
            let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            Failure::advise(Exit::BadInput, error, format!("one of {}", kinds.join(", ")))
        })
    };
    names.iter().map(kind).collect()
}

fn select(home: &Home, run: Option<&str>, names: &[String]) -> anyhow::Result<Select> {
    let kinds = kinds(names)?;
    let session = run.map(given::run).transpose()?;
    if let Some(run) = session {
        home.knows(run)?;
    }
    Ok(Select { kinds, session, ..Select::default() })
}

/// The newest, unless it is said from where on or how many.
fn paged(select: Select, from: Option<u64>, limit: Option<usize>, last: usize) -> Select {
    let newest_first = from.is_none() && limit.is_none();
    let limit = if newest_first { last } else { limit.unwrap_or(100) };
    Select { newest_first, from: from.unwrap_or(0), limit, ..select }
}

fn list(home: &Home, select: &Select, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut newest = Vec::new();
    let mut left = select.limit;
    let mut page = Select { limit: left.min(PAGE_MAX), ..select.clone() };
    while left > 0 {
        let entries = home.scope()?.select(&page).map_err(told)?;
        let Some(last) = entries.last() else { break };
        left = left.saturating_sub(entries.len());
        page = Select { limit: left.min(PAGE_MAX), ..page.after(last) };
        if select.newest_first {
            newest.extend(entries);
        } else {
            entries.iter().try_for_each(|entry| listed(home, entry, terminal))?;
        }
    }
    let more = home.scope()?.select(&Select { limit: 1, ..page }).map_err(told)?;
    // Whoever reads JSON counts for themselves.
    let cut = left == 0 && !more.is_empty() && !terminal.json;
    if cut && select.newest_first {
        terminal.note("there are older ones: --last N shows more, --from 0 the oldest");
    }
    newest.iter().rev().try_for_each(|entry| listed(home, entry, terminal))?;
    if cut && !select.newest_first {
        terminal.note("there are more: --limit N shows them");
    }
    Ok(Exit::Done)
}

fn listed(home: &Home, entry: &Entry, terminal: &Terminal) -> anyhow::Result<()> {
    if terminal.json {
        terminal.emit(&value(entry)?);
    } else {
        // One that is damaged is listed all the same; `show` says what is wrong with it.
        let record = Some(entry).filter(|it| is_said(it.kind()) && it.commit().is_some());
        let record = record.and_then(|entry| home.record(entry.clone()).ok());
        let said = record.map(|record| home.said(&record)).transpose()?.unwrap_or_default();
        terminal.say(&line(entry, &said, terminal));
    }
    Ok(())
}

/// An entry as the value its bytes hold.
fn value(entry: &Entry) -> anyhow::Result<Value> {
    Ok(cog_base::json::parse(std::str::from_utf8(entry.bytes())?)?)
}

/// How what an entry says is coloured.
fn tone(entry: &Entry) -> Tone {
    match entry.kind() {
        Kind::Receipt => Tone::Good,
        Kind::Denial | Kind::ApprovalRejected | Kind::CanonRejected => Tone::Bad,
        Kind::ApprovalRequested
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::ApprovalGranted => Tone::Ask,
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::SessionStarted
        | Kind::PlanSelected
        | Kind::Output
        | Kind::Outcome
        | Kind::Signal
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
        | Kind::SegmentPruned => Tone::Faint,
    }
}

/// What an entry says on one line; `said` is what somebody typed about it.
fn line(entry: &Entry, said: &str, terminal: &Terminal) -> String {
    let text = |name: &str| entry.data().get(name).and_then(Value::as_text).unwrap_or_default();
    let about = match entry.kind() {
        Kind::Receipt | Kind::ApprovalRequested => {
            format!("{} {} on {}", text("step"), text("action"), text("resource"))
        }
        Kind::Denial => {
            format!("{} {} on {}: {}", text("step"), text("action"), text("resource"), text("code"))
        }
        Kind::ApprovalEscalated => {
            let of = entry.data().get("of").and_then(Value::as_list).unwrap_or_default();
            let of: Vec<&str> = of.iter().filter_map(Value::as_text).collect();
            format!("{} to {}", text("id"), of.join(" or "))
        }
        Kind::ApprovalDelegated => format!("{} to {} {said}", text("id"), text("to")),
        Kind::Outcome => format!("{} {}", text("disposition"), text("code")),
        Kind::Output => {
            let number = |name| entry.count(name).unwrap_or_default();
            format!("{} {} bytes from {}", text("name"), number("bytes"), number("offset"))
        }
        Kind::SessionStarted => text("workflow").to_owned(),
        Kind::Signal => format!("{} {}", text("name"), text("signal")),
        Kind::SessionSealed => text("status").to_owned(),
        Kind::ChildStarted => format!("{} {} {}", text("step"), text("workflow"), text("session")),
        Kind::ChildEnded => format!("{} {} {}", text("step"), text("status"), text("session")),
        Kind::Checkpoint => format!("{} of {}", text("name"), text("run")),
        Kind::Replay => format!("{}: {}", text("run"), text("result")),
        Kind::ScheduleSet => format!("{} of {}", text("schedule"), text("workflow")),
        Kind::ScheduleRemoved | Kind::SchedulePaused | Kind::ScheduleUnpaused => {
            text("schedule").to_owned()
        }
        Kind::WorkflowActivated => {
            format!("{} version {}", text("workflow"), entry.count("version").unwrap_or_default())
        }
        Kind::ScheduleFired => {
            let came = entry.text("run").or(entry.text("skipped")).unwrap_or_default();
            format!("{} {}: {came}", text("schedule"), text("at"))
        }
        Kind::SessionQueued => text("workflow").to_owned(),
        Kind::SessionUnqueued => format!("{} {said}", text("why")).trim_end().to_owned(),
        Kind::PlanSelected => format!("{} -> {}", text("step"), text("chosen")),
        Kind::CanonActivated => text("digest").to_owned(),
        Kind::CanonProposed => format!("{} {said}", text("digest")).trim_end().to_owned(),
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonApproved
        | Kind::Promotion
        | Kind::ApprovalGranted => String::new(),
        Kind::Evidence if said.is_empty() => text("note").to_owned(),
        Kind::Evidence
        | Kind::BodiesErased
        | Kind::CanonRejected
        | Kind::ApprovalRejected
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::SegmentPruned => said.to_owned(),
    };
    let run = entry.session().map(|run| run.to_string()).unwrap_or_default();
    let (seq, at, about) = (entry.seq().to_string(), entry.at().to_string(), plain(&about));
    let (kind, actor, id) = (entry.kind().as_str(), entry.actor(), entry.id().unwrap_or_default());
    terminal.columns(&[&seq, &at, kind, actor, &about, id, &run], || {
        let kind = terminal.tint(tone(entry), &format!("{kind:<18}"));
        let ids = [id, &run].into_iter().filter(|id| !id.is_empty());
        let ids: String = ids.map(|id| format!("  {}", terminal.tint(Tone::Faint, id))).collect();
        let line = format!("{seq:>6}  {at}  {kind} {actor:<16} {about}");
        format!("{}{ids}", line.trim_end())
    })
}

fn show(home: &Home, id: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for entry in named(home, id)? {
        let record = home.record(entry)?;
        let mut shown =
            vec![("entry", value(&record.entry)?), ("leaf", record.entry.leaf().into())];
        if let Some((why, is_damage)) = home.gone(&record)? {
            shown.push(("body", why.into()));
            exit = if is_damage { Exit::Failed } else { exit };
        } else if let Some(body) = record.body {
            shown.push(("body", body));
        }
        let shown = Value::map(shown);
        if terminal.json {
            terminal.emit(&shown);
        } else {
            terminal.say(&pretty(&shown, 0));
        }
    }
    Ok(exit)
}

/// The entries that a number or an id names.
pub(crate) fn named(home: &Home, id: &str) -> anyhow::Result<Vec<Entry>> {
    let scope = home.scope()?;
    let entries = match id.parse::<u64>() {
        Ok(seq) => scope.entry(seq).map_err(told)?.into_iter().collect(),
        Err(_) => found(scope.as_ref(), id)?,
    };
    if !entries.is_empty() {
        return Ok(entries);
    }
    if let Ok(run) = RunId::given(id)
        && (Uuid::from_text(id).is_none() || home.knows(run).is_ok())
    {
        home.knows(run)?;
        return Err(Failure::advise(
            Exit::BadInput,
            format!("{run} is a run, which has many entries"),
            format!("cognitionos ledger list --run {run}"),
        ));
    }
    if let Ok(seq) = id.parse()
        && let Some((message, by)) = home.pruned_entry(seq)?
    {
        let advice = format!("cognitionos ledger show {by}");
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    let why = match id.parse::<u64>() {
        Ok(_) => String::new(),
        Err(_) if given::is_cut(id) => "; ids are given whole".to_owned(),
        Err(_) => home.pruned_perhaps()?,
    };
    Err(Failure::advise(
        Exit::BadInput,
        format!("there is no entry `{id}` in this ledger{why}"),
        "cognitionos ledger list",
    ))
}

/// The entries with an id; a UUID is that of any kind.
fn found(scope: &dyn TenantTx, id: &str) -> anyhow::Result<Vec<Entry>> {
    let Some(uuid) = Uuid::from_text(id) else { return scope.find(id).map_err(told) };
    let mut found = Vec::new();
    for spelling in spellings(uuid) {
        found.extend(scope.find(&spelling).map_err(told)?);
    }
    Ok(found)
}

/// JSON with a member on each line.
pub(crate) fn pretty(value: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth + 1);
    let close = "  ".repeat(depth);
    match value {
        Value::Map(members) if !members.is_empty() => {
            let lines = members.iter().map(|(name, value)| {
                let name = escaped(&Value::from(name.as_str()).to_string());
                format!("{pad}{name}: {}", pretty(value, depth + 1))
            });
            format!("{{\n{}\n{close}}}", lines.collect::<Vec<_>>().join(",\n"))
        }
        Value::List(items) if !items.is_empty() => {
            let lines = items.iter().map(|item| format!("{pad}{}", pretty(item, depth + 1)));
            format!("[\n{}\n{close}]", lines.collect::<Vec<_>>().join(",\n"))
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_) => escaped(&value.to_string()),
    }
}
