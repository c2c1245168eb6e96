//! `schedules`: when workflows are started.

mod asked;
mod firing;
mod set;

use cog_base::{Clock as _, Timestamp, Value};
use cog_embed::{Error, starts};
use cog_engine::Timetable;
use cog_engine::timetable::{Change, Plan, Stands};
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_ledger::{Draft, Kind};
use cog_node::{Request, Wanted};
use cog_schedule::Rule;

use crate::cli::Common;
use crate::cli::nodes::Asking;
use crate::cli::schedules::{OneArgs, SchedulesCommand};
use crate::commands::owner::{Answered, Owner};
use crate::commands::refused;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told, unmade};
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn schedules(
    command: &SchedulesCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        SchedulesCommand::Set(args) => set::set(args, common, terminal),
        SchedulesCommand::List { at } => {
            list(&Home::at(at, || Home::read(&common.data))?, terminal)
        }
        SchedulesCommand::Next { id, count, at } => {
            let home = Home::at(at, || Home::read(&common.data))?;
            next(&home, id.as_deref(), *count, terminal)
        }
        SchedulesCommand::Remove(args) => change(args, Becomes::Removed, common, terminal),
        SchedulesCommand::Pause(args) => change(args, Becomes::Paused, common, terminal),
        SchedulesCommand::Unpause(args) => change(args, Becomes::Unpaused, common, terminal),
        SchedulesCommand::Trigger(args) => asked::trigger(args, common, terminal),
        SchedulesCommand::Backfill(args) => asked::backfill(args, common, terminal),
        SchedulesCommand::Run { once } => firing::run(*once, common, terminal),
    }
}

/// The schedules of a ledger.
pub(super) fn timetable(home: &Home) -> anyhow::Result<Timetable> {
    starts::timetable(&*home.scope()?).map_err(unmade)
}

/// How a run of a schedule stands.
fn stands(home: &Home, run: cog_base::id::RunId) -> anyhow::Result<Stands> {
    Stands::of(home.scope()?.as_ref(), run).map_err(told)
}

/// What a schedule runs.
pub(super) fn wanted(home: &Home, plan: &Plan) -> anyhow::Result<Wanted> {
    starts::wanted(&*home.scope()?, plan).map_err(not_kept)
}

/// Why that is not there, and what to do.
pub(super) fn not_kept(error: Error) -> anyhow::Error {
    if let Error::Inputs(why) = error {
        return Failure::told(Exit::BadInput, why);
    }
    let Error::NotKept(_) = error else { return unmade(error) };
    Failure::advise(Exit::Failed, error, "cognitionos schedules set WORKFLOW")
}

fn unknown(id: &str) -> anyhow::Error {
    let message = format!("there is no schedule `{}`", plain(id));
    Failure::advise(Exit::BadInput, message, "cognitionos schedules list")
}

/// What changes a schedule.
struct Asked<'a> {
    /// What stands, if it was set before: somebody may have to leave it as it is.
    stands: Option<&'a Plan>,
    /// As it is recorded in a folder.
    draft: Draft,
    /// As the owner of a log is asked for it, when so many entries were seen.
    request: Box<dyn FnOnce(u64) -> Request>,
}

/// Record what changes schedules, all at once: the numbers of the entries. Where one of them may not
/// be changed, none is.
fn record(home: &Home, changes: Vec<Asked<'_>>, who: &Actor) -> anyhow::Result<Vec<u64>> {
    changes.iter().try_for_each(|it| entitled(home, (&it.draft, it.stands), who))?;
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let entries = home.append(changes.into_iter().map(|change| change.draft).collect())?;
    Ok(entries.iter().map(|entry| entry.seq()).collect())
}

/// Have the owner of a log in the database record what changes a schedule: the number of the entry.
fn ask(home: &Home, asking: &Asking, change: Asked<'_>, who: &Actor) -> anyhow::Result<u64> {
    match Owner::of(home, asking.timeout)?.ask(&(change.request)(home.size()?))? {
        Answered::Done(seq) => Ok(seq),
        Answered::Refused(why) => {
            entitled(home, (&change.draft, change.stands), who)?;
            Err(Failure::advise(Exit::Conflict, why, "cognitionos schedules list"))
        }
    }
}

/// Refuse, on the record, to change a schedule that somebody else set, or to set one that the canon
/// leaves to others. In a database its owner has the refusal on record.
///
/// # Errors
/// A refusal that says who may.
fn entitled(
    home: &Home,
    (draft, stands): (&Draft, Option<&Plan>),
    who: &Actor,
) -> anyhow::Result<()> {
    for change in Change::of(draft, stands) {
        let in_force = home.change_control()?.in_force(change.domain());
        let canon = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
        let (act, facts) = change.by(home.tenant, who, canon.as_ref());
        let no = act.judge(&facts, SystemClock.now(), canon.as_ref());
        let Some(no) = no else { continue };
        let denial = if home.is_of_nodes() {
            refused::earlier(home, &act, &act.same(&no))
        } else {
            let append = |draft| home.append(vec![draft]).map(drop);
            refused::record(home, &act, &facts, canon.as_ref(), &append)
        };
        let id = draft.data.get("schedule").and_then(Value::as_text).unwrap_or_default();
        let verb = if change.is_new() { "set" } else { "change" };
        let message = format!("{who} may not {verb} the schedule `{}`. {}", plain(id), no.reason);
        let advice = "say who does it with --as user:NAME";
        return Err(refused::explained(Failure::advise(Exit::Refused, message, advice), denial));
    }
    if draft.kind == Kind::ScheduleSet { governed(home, draft, who) } else { Ok(()) }
}

/// Refuse, on the record, a schedule of runs that could not begin in their environment.
fn governed(home: &Home, draft: &Draft, who: &Actor) -> anyhow::Result<()> {
    let in_force = home.change_control()?.in_force(&draft.domain);
    let canon = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
    let workflow = draft.data.get("workflow").and_then(Value::as_text).unwrap_or_default();
    let place = (draft.domain.as_str(), draft.environment.as_str());
    let act = Act::begin(home.tenant, place, workflow, who, canon.as_ref());
    let Some(no) = act.judge(&Facts::Begin, SystemClock.now(), canon.as_ref()) else {
        return Ok(());
    };
    let denial = if home.is_of_nodes() {
        refused::earlier(home, &act, &act.same(&no))
    } else {
        let append = |draft| home.append(vec![draft]).map(drop);
        refused::record(home, &act, &Facts::Begin, canon.as_ref(), &append)
    };
    let advice = "name one of these with --environment NAME";
    let error = Failure::coded(Exit::Refused, no.code, plain(&no.reason), advice);
    Err(refused::explained(error, denial))
}

/// Take a schedule out.
fn taking_out<'a>(plan: &'a Plan, who: &Actor) -> Asked<'a> {
    let (schedule, by) = (plan.schedule.id.clone(), who.clone());
    let request = Box::new(|seen| Request::Unschedule { schedule, who: by, seen });
    Asked { stands: Some(plan), draft: plan.removing(who), request }
}

/// What a schedule becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Removed,
    Paused,
    Unpaused,
}

impl Becomes {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Paused => "paused",
            Self::Unpaused => "unpaused",
        }
    }

    /// What is to be recorded, or that it stands so already.
    fn of<'a>(self, plan: &'a Plan, who: &Actor) -> anyhow::Result<Asked<'a>> {
        let id = &plan.schedule.id;
        let stands = |how: &str, advice: &str| {
            let message = format!("the schedule `{}` {how}", plain(id));
            Failure::advise(Exit::Conflict, message, format!("cognitionos schedules {advice} {id}"))
        };
        match self {
            Self::Removed => Ok(taking_out(plan, who)),
            Self::Paused if plan.is_paused => Err(stands("is paused", "unpause")),
            Self::Unpaused if !plan.is_paused => Err(stands("is not paused", "pause")),
            Self::Paused | Self::Unpaused => {
                let (schedule, pauses, by) = (id.clone(), self == Self::Paused, who.clone());
                let request =
                    Box::new(move |seen| Request::HoldSchedule { schedule, pauses, who: by, seen });
                Ok(Asked { stands: Some(plan), draft: plan.pausing(who, pauses), request })
            }
        }
    }
}

fn change(
    OneArgs { id, by, asking }: &OneArgs,
    becomes: Becomes,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = &given::actor(&by.actor)?;
    let home = &Home::at(&asking.at, || Home::change(&common.data))?;
    let timetable = timetable(home)?;
    let plan = timetable.plans().get(id).ok_or_else(|| unknown(id))?;
    let change = becomes.of(plan, who)?;
    let seq = if home.is_of_nodes() {
        Some(ask(home, asking, change, who)?)
    } else {
        record(home, vec![change], who)?.pop()
    };
    let (seq, word) = (seq.unwrap_or_default(), becomes.as_str());
    if terminal.json {
        let members = [("schedule", Value::from(id.as_str())), ("stands", word.into())];
        terminal.emit(&Value::map(members.into_iter().chain([("entry", seq.into())])));
        return Ok(Exit::Done);
    }
    terminal.say(&format!("{word}  {id}, entry {seq}"));
    for run in plan.open() {
        terminal.note(&format!("{run}, which it began, is not over"));
    }
    Ok(Exit::Done)
}

/// When a schedule starts something, in words.
fn rule(plan: &Plan) -> String {
    match &plan.schedule.rule {
        Rule::Cron(_) => {
            let when = plan.schedule.to_value();
            let text = |name: &str| when.get(name).and_then(Value::as_text).unwrap_or_default();
            format!("{} {}", plain(text("cron")), text("timezone"))
        }
        Rule::Every { ms, offset_ms: 0 } => format!("every {ms} ms"),
        Rule::Every { ms, offset_ms } => format!("every {ms} ms, {offset_ms} ms later"),
        Rule::At(at) => format!("once, at {at}"),
        Rule::Event { kind, source } => {
            let source = source.as_deref().map(|source| format!(" of {}", plain(source)));
            format!("event {}{}", plain(kind), source.unwrap_or_default())
        }
    }
}

fn document(plan: &Plan) -> Value {
    Value::map([
        ("schedule", Value::from(plan.schedule.id.as_str())),
        ("workflow", plan.workflow.as_str().into()),
        ("when", plan.schedule.to_value()),
        ("paused", plan.is_paused.into()),
        ("next", plan.next().map(|fire| fire.at).into()),
        ("open", Value::list(plan.open().iter().map(|run| Value::from(*run)))),
        ("by", plan.by.as_str().into()),
        ("entry", plan.seq.into()),
    ])
}

fn list(home: &Home, terminal: &Terminal) -> anyhow::Result<Exit> {
    let timetable = timetable(home)?;
    if terminal.json {
        terminal.emit(&Value::list(timetable.plans().values().map(document)));
        return Ok(Exit::Done);
    }
    if timetable.plans().is_empty() {
        terminal
            .note("there is no schedule; cognitionos schedules set WORKFLOW sets those of a file");
    }
    for (id, plan) in timetable.plans() {
        let never = match plan.schedule.rule {
            _ if plan.is_paused => "when it goes on (it is paused)",
            Rule::Event { .. } => "when it comes",
            Rule::Cron(_) | Rule::Every { .. } | Rule::At(_) => "never again",
        };
        let next = plan.next().map_or_else(|| never.to_owned(), |it| it.at.to_string());
        terminal.say(&format!("{id}  {}, next {next}", plain(&plan.workflow)));
        let overlap = plan.schedule.overlap.as_str();
        let by = plain(plan.by.as_str());
        let line = format!("  {}, overlap {overlap}, by {by}, entry {}", rule(plan), plan.seq);
        terminal.say(&terminal.tint(Tone::Faint, &line));
        for run in plan.open() {
            terminal.say(&format!("  {run} is not over"));
        }
    }
    Ok(Exit::Done)
}

fn next(home: &Home, id: Option<&str>, count: u64, terminal: &Terminal) -> anyhow::Result<Exit> {
    let timetable = timetable(home)?;
    if let Some(id) = id.filter(|id| !timetable.plans().contains_key(*id)) {
        return Err(unknown(id));
    }
    let now = SystemClock.now();
    let mut times = Vec::new();
    for (name, plan) in timetable.plans().iter().filter(|(name, _)| id.is_none_or(|id| id == *name))
    {
        let mut cursor = now;
        for _ in 0..count {
            let Some(fire) = plan.schedule.next_after(cursor) else { break };
            cursor = fire.nominal;
            times.push((fire.at, name));
        }
    }
    times.sort_unstable();
    times.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    if terminal.json {
        let one = |(at, id): &(Timestamp, &String)| {
            Value::map([("at", Value::from(*at)), ("schedule", id.as_str().into())])
        };
        terminal.emit(&Value::list(times.iter().map(one)));
    } else {
        times.iter().for_each(|(at, id)| terminal.say(&format!("{at}  {id}")));
        if times.is_empty() {
            terminal.note("no time is to come: cognitionos schedules list");
        }
    }
    Ok(Exit::Done)
}

/// How many times of schedules were decided by an entry, in words; nothing of other entries.
fn left_out(draft: &Draft) -> Option<String> {
    let data = |name: &str| draft.data.get(name);
    let why =
        data("skipped").and_then(Value::as_text).filter(|_| draft.kind == Kind::ScheduleFired)?;
    let at = data("at").and_then(Value::as_text).unwrap_or_default();
    let id = data("schedule").and_then(Value::as_text).unwrap_or_default();
    Some(match data("times").and_then(Value::as_u64) {
        Some(times @ 2..) => format!("{id} {why}: {times} times up to {at}"),
        _ => format!("{id} {why}: {at}"),
    })
}
