//! `schedules set`: what a workflow file says of its schedules is what stands from then on.

use std::collections::BTreeSet;

use cog_base::{Clock as _, Value};
use cog_engine::Timetable;
use cog_engine::timetable::{SCHEDULES_MAX, setting};
use cog_flow::Scheduled;
use cog_gate::Actor;
use cog_node::Request;
use cog_schedule::Rule;

use super::{Asked, ask, record, taking_out, timetable};
use crate::cli::Common;
use crate::cli::nodes::Asking;
use crate::cli::schedules::SetArgs;
use crate::commands::run::active;
use crate::commands::run::scheduled::{File, read};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::system::SystemClock;
use crate::terminal::{Terminal, plain};

pub(super) fn set(args: &SetArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let who = given::actor(&args.by.actor)?;
    let file = read(&args.file)?;
    let name = args.file.display();
    let home = Home::at(&args.asking.at, || Home::write(&common.data))?;
    active::check(&home, &file.flow, &args.file)?;
    let timetable = timetable(&home)?;
    let starts = file.flow.starts();
    let ids: BTreeSet<&str> = starts.iter().map(|it| it.schedule.id.as_str()).collect();
    let is_old = |workflow: &str, id: &str| workflow == file.flow.name && !ids.contains(id);
    let plans = timetable.plans();
    let old: Vec<_> = plans.iter().filter(|(id, it)| is_old(&it.workflow, id)).collect();
    if ids.is_empty() && old.is_empty() {
        return Err(Failure::advise(
            Exit::BadInput,
            format!("{name} has no schedules, and no events start it"),
            "on: { schedule: [{ id: nightly, cron: '0 3 * * *' }] } in the file; \
             docs/guide/workflow.md says what else can stand there",
        ));
    }
    admit(&timetable, (&file, &starts), old.len())?;
    let mut planned = Vec::new();
    for scheduled in &starts {
        planned.push(plan_one(&timetable, (&file, scheduled), &who, (args, common))?);
    }
    planned.extend(old.into_iter().map(|(id, plan)| Planned {
        id: id.clone(),
        stands: "removed",
        change: Some(taking_out(plan, &who)),
    }));
    let told = carry_out(&home, planned, &who, &args.asking)?;
    show(&home, &told, terminal)
}

/// What is to become of a schedule.
struct Planned<'a> {
    id: String,
    stands: &'static str,
    /// Nothing where it stands already.
    change: Option<Asked<'a>>,
}

/// Change what is planned: in a folder everything at once or, where something of it may not be,
/// nothing.
fn carry_out(
    home: &Home,
    mut planned: Vec<Planned<'_>>,
    who: &Actor,
    asking: &Asking,
) -> anyhow::Result<Vec<Told>> {
    let mut entries = Vec::with_capacity(planned.len());
    let changes: Vec<_> = planned.iter_mut().filter_map(|it| it.change.take()).collect();
    if home.is_of_nodes() {
        for change in changes {
            entries.push(ask(home, asking, change, who)?);
        }
    } else {
        entries.extend(record(home, changes, who)?);
    }
    let mut entries = entries.into_iter();
    let told = planned.into_iter().map(|Planned { id, stands, .. }| {
        let entry = if stands == UNCHANGED { None } else { entries.next() };
        Told { id, stands, entry }
    });
    Ok(told.collect())
}

/// Of a schedule that stands as it is wanted.
const UNCHANGED: &str = "unchanged";

/// What became of a schedule.
struct Told {
    id: String,
    stands: &'static str,
    entry: Option<u64>,
}

/// Refuse ids that other workflows have, and more schedules than there may be.
fn admit(
    timetable: &Timetable,
    (file, starts): (&File, &[Scheduled]),
    fewer: usize,
) -> anyhow::Result<()> {
    let plans = timetable.plans();
    let mut ids = starts.iter().map(|it| it.schedule.id.as_str());
    let of_others = |id: &&str| plans.get(*id).is_some_and(|it| it.workflow != file.flow.name);
    if let Some((id, plan)) = ids.find(of_others).and_then(|id| plans.get_key_value(id)) {
        let message = format!(
            "the schedule `{id}` is of the workflow `{}`, and would be of `{}`",
            plain(&plan.workflow),
            file.flow.name
        );
        let advice = format!("give it another id, or: cognitionos schedules remove {id}");
        return Err(Failure::advise(Exit::Conflict, message, advice));
    }
    let new = starts.iter().filter(|it| !plans.contains_key(&it.schedule.id));
    if plans.len() + new.count() > SCHEDULES_MAX + fewer {
        let message = format!("a ledger has at most {SCHEDULES_MAX} schedules");
        return Err(Failure::advise(Exit::Limit, message, "cognitionos schedules remove ID"));
    }
    Ok(())
}

fn plan_one<'a>(
    timetable: &'a Timetable,
    (file, scheduled): (&File, &Scheduled),
    who: &Actor,
    (args, common): (&SetArgs, &Common),
) -> anyhow::Result<Planned<'a>> {
    let schedule = &scheduled.schedule;
    let id = schedule.id.clone();
    let labels = given::labels(&args.label)?;
    let more = (args.environment.as_deref(), &labels);
    let wanted = file.wanted(scheduled, more, common, who)?;
    if timetable.has(schedule, wanted.to_value(), who) {
        return Ok(Planned { id, stands: UNCHANGED, change: None });
    }
    let is_event = matches!(schedule.rule, Rule::Event { .. });
    if !is_event && schedule.next_after(SystemClock.now()).is_none() {
        let message = format!("the schedule `{id}` of {} never comes", args.file.display());
        let advice = "give it a time that is to come, or take it out of the file";
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    let environment = wanted.environment.as_ref().unwrap_or(&file.flow.environment);
    let place = (file.flow.domain.as_str(), environment.as_str());
    let subject = file.subject(scheduled)?;
    let draft = setting(schedule, (&file.flow.name, wanted.to_value()), place, (who, subject));
    let when = schedule.to_value();
    let request = Box::new(|seen| Request::Schedule { when, wanted: Box::new(wanted), seen });
    let stands = timetable.plans().get(&id);
    Ok(Planned { id, stands: "set", change: Some(Asked { stands, draft, request }) })
}

fn show(home: &Home, told: &[Told], terminal: &Terminal) -> anyhow::Result<Exit> {
    let timetable = timetable(home)?;
    let next = |id: &str| timetable.plans().get(id).and_then(|plan| plan.next()).map(|it| it.at);
    if terminal.json {
        terminal.emit(&Value::list(told.iter().map(|Told { id, stands, entry }| {
            Value::map([
                ("schedule", Value::from(id.as_str())),
                ("stands", (*stands).into()),
                ("next", next(id).into()),
                ("entry", (*entry).into()),
            ])
        })));
        return Ok(Exit::Done);
    }
    for Told { id, stands, .. } in told {
        let next = next(id).map(|at| format!(", next {at}")).unwrap_or_default();
        terminal.say(&format!("{stands:<9}  {id}{next}"));
    }
    if !home.is_of_nodes() {
        let of_events = |id: &str| {
            let plan = timetable.plans().get(id);
            plan.is_some_and(|plan| matches!(plan.schedule.rule, Rule::Event { .. }))
        };
        let (events, times): (Vec<&str>, Vec<&str>) =
            told.iter().map(|it| it.id.as_str()).partition(|id| of_events(id));
        if !times.is_empty() {
            terminal.note("what keeps to them: cognitionos schedules run");
        }
        if !events.is_empty() {
            terminal
                .note("what brings events: cognitionos events send EVENT, cognitionos events run");
        }
    }
    Ok(Exit::Done)
}
