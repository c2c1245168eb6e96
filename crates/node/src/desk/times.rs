//! The schedules of a tenant that is open: its times are decided in its log, each once. A time
//! and the start of its run are one append of the engine; what is left out the desk records by
//! itself. Whoever owns the log next goes on behind what stands there.

use std::collections::{HashMap, HashSet};

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Timestamp, Value};
use cog_canon::Canon;
use cog_engine::timetable::{Change, NotFired, Plan, SCHEDULES_MAX, Stands, made, setting};
use cog_engine::{Firing, Input, Start, Timetable, Versions};
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_ledger::{Draft, Entry, Kind};
use cog_schedule::{Decided, Rule, Schedule};
use cog_store::{Select, StoreError, TenantTx};

use super::Desk;
use super::opening::in_force;
use crate::came::{Came, came_of, denied_before};
use crate::request::{Fire, Request, Wanted, ask};
use crate::told::Told;

/// The most entries that are made of the times of one tenant before others have their turn.
const DEEDS_MAX: usize = 64;

/// What is known of the schedules of a tenant.
#[derive(Default)]
pub(super) struct Times {
    table: Timetable,
    /// Up to where the log was read.
    seen: u64,
    /// Schedules whose next run the engine is about to begin.
    starting: HashMap<String, RunId>,
    /// Runs that the engine was asked to end.
    ending: HashSet<RunId>,
}

impl Times {
    /// What the log says.
    pub(super) fn read(scope: &dyn TenantTx) -> Result<Self, StoreError> {
        let mut times = Self::default();
        times.catch_up(scope).map(|_| times)
    }

    /// Take note of what the log says by now. The entries about times that are new.
    fn catch_up(&mut self, scope: &dyn TenantTx) -> Result<Vec<Entry>, StoreError> {
        let to = scope.tail()?.map_or(0, |tail| tail.frontier.size());
        let kinds = Timetable::KINDS.into();
        let select = Select { kinds, from: self.seen, to, ..Select::default() };
        let mut new = Vec::new();
        scope.each(select, &mut |entry| new.push(entry.clone()))?;
        self.seen = to;
        for entry in &new {
            self.table.observe(entry);
            let run = entry.text("run").and_then(|run| run.parse::<RunId>().ok());
            self.starting.retain(|_, starting| Some(*starting) != run);
        }
        let ids: Vec<String> = self.table.plans().keys().cloned().collect();
        for id in ids {
            self.table.look_after(&id, |run| Stands::of(scope, run))?;
        }
        Ok(new)
    }

    /// Of these runs it is not waited for that they begin: their times are decided again.
    pub(super) fn not_begun(&mut self, is_one: impl Fn(RunId) -> bool) {
        self.starting.retain(|_, run| !is_one(*run));
    }

    /// The schedules that may have something to do at a time.
    fn due(&self, now: Timestamp) -> Vec<String> {
        let plans = self.table.plans().iter();
        let due = plans.filter(|(_, plan)| plan.next().is_some_and(|it| it.at <= now));
        due.map(|(id, _)| id.clone()).collect()
    }
}

impl Desk {
    /// Set or remove a schedule, if that is what is asked; else nothing.
    pub(super) fn about_times(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        request: &Request,
    ) -> Result<Option<Result<(), String>>, StoreError> {
        let Some(office) = self.offices.get(&tenant) else { return Ok(None) };
        let table = &office.times.table;
        let draft = if let Request::Schedule { when, wanted, .. } = request {
            set(table, when, wanted)
        } else if let Request::HoldSchedule { schedule, pauses, who, .. } = request {
            let plan = table.plans().get(schedule);
            let stands = plan.filter(|plan| plan.is_paused == *pauses).is_some();
            let word = if *pauses { "paused" } else { "not paused" };
            match plan.filter(|_| !stands) {
                Some(plan) => Ok(plan.pausing(who, *pauses)),
                None if stands => Err(format!("the schedule `{schedule}` is {word}")),
                None => Err(no_schedule(schedule)),
            }
        } else if let Request::Unschedule { schedule, who, .. } = request {
            let plan = table.plans().get(schedule);
            plan.map(|plan| plan.removing(who)).ok_or_else(|| no_schedule(schedule))
        } else {
            return Ok(None);
        };
        if let Some(Came::Done(_)) = came_of(scope, request)? {
            return Ok(Some(Ok(())));
        }
        let draft = match draft {
            Ok(draft) => draft,
            Err(why) => return Ok(Some(Err(why))),
        };
        if let Some(why) = self.refuse_change(tenant, scope, request, &draft)? {
            return Ok(Some(Err(why)));
        }
        let recorded = self.record(tenant, draft)?;
        Ok(Some(recorded))
    }

    /// Refuse, on the record, what somebody may not do about a schedule: why.
    fn refuse_change(
        &self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        request: &Request,
        draft: &Draft,
    ) -> Result<Option<String>, StoreError> {
        let (id, who) = if let Request::Schedule { when, wanted, .. } = request {
            (when.get("id").and_then(Value::as_text).unwrap_or_default(), &wanted.initiator)
        } else if let Request::Unschedule { schedule, who, .. }
        | Request::HoldSchedule { schedule, who, .. } = request
        {
            (schedule.as_str(), who)
        } else {
            return Ok(None);
        };
        let Some(office) = self.offices.get(&tenant) else { return Ok(None) };
        for change in Change::of(draft, self.plan(tenant, id)) {
            let canon = in_force(&self.house, scope, &office.change, change.domain())?;
            let (act, facts) = change.by(tenant, who, canon.as_deref());
            if let Some(why) = self.refuse_act(scope, (&act, &facts), canon.as_deref())? {
                return Ok(Some(why));
            }
        }
        if draft.kind != Kind::ScheduleSet {
            return Ok(None);
        }
        if let Request::Schedule { wanted, .. } = request
            && let Ok(flow) = wanted.flow()
            && let Some(why) = Versions::read(scope)?.bars(&flow)
        {
            return Ok(Some(why));
        }
        // What it is to start could never begin there.
        let place = (draft.domain.as_str(), draft.environment.as_str());
        let workflow = draft.data.get("workflow").and_then(Value::as_text).unwrap_or_default();
        self.barred(tenant, scope, place, (workflow, who))
    }

    /// Refuse, on the record, what may not be done as things stand: why.
    pub(super) fn refuse_act(
        &self,
        scope: &dyn TenantTx,
        (act, facts): (&Act, &Facts),
        canon: Option<&Canon>,
    ) -> Result<Option<String>, StoreError> {
        let now = self.house.now();
        let Some(no) = act.judge(facts, now, canon) else { return Ok(None) };
        if denied_before(scope, None, &act.same(&no))?.is_none() {
            let drawn = act.refuse(&no, facts, now, (self.house.entropy)().as_mut());
            let (_, draft) = drawn.map_err(|error| StoreError::io("draw an id", error))?;
            if let Err(why) = self.append(act.tenant, vec![draft], "record a refusal")? {
                return Ok(Some(why));
            }
        }
        Ok(Some(no.reason))
    }

    /// Decide the times that have come, and say whether there are any to come.
    pub(super) fn keep_times(&mut self, tenant: TenantId) -> Result<bool, StoreError> {
        let Some(office) = self.offices.get(&tenant) else { return Ok(false) };
        let times = &office.times;
        if office.is_draining || times.table.plans().is_empty() {
            return Ok(!times.table.plans().is_empty());
        }
        let now = self.house.now();
        if times.due(now).is_empty() && times.starting.is_empty() {
            return Ok(true);
        }
        self.catch_up(tenant)?;
        let due = self.offices.get(&tenant).map(|it| it.times.due(now)).unwrap_or_default();
        for id in due {
            self.keep(tenant, &id, now)?;
        }
        Ok(true)
    }

    fn catch_up(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let scope = self.house.store.scope(tenant)?;
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
        for entry in office.times.catch_up(scope.as_ref())? {
            let Some(at) = entry.text("at").and_then(|at| at.parse().ok()) else { continue };
            let schedule = entry.text("schedule").unwrap_or_default().to_owned();
            let run = entry.text("run").and_then(|run| run.parse().ok());
            let why = || {
                let reason = entry.text("reason").or(entry.text("skipped"));
                reason.unwrap_or_default().to_owned()
            };
            self.house.tell(Told::Fired { tenant, schedule, at, run: run.ok_or_else(why) });
        }
        Ok(())
    }

    /// Do what is to be done about a schedule, one thing after the other.
    fn keep(&mut self, tenant: TenantId, id: &str, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..DEEDS_MAX {
            let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
            let times = &mut office.times;
            if times.starting.contains_key(id) {
                return Ok(());
            }
            let decided = times.table.decide(id, now);
            let Some(plan) = times.table.plans().get(id) else { return Ok(()) };
            let draft = match decided {
                None => return Ok(()),
                Some(Decided::LeaveOut { until, times, why }) => {
                    plan.leaving_out(until, times, why.as_str())
                }
                Some(Decided::EndOpen) => {
                    let open = plan.open().iter().copied();
                    let open = open.filter(|run| !times.ending.contains(run)).collect();
                    let who = plan.by.clone();
                    return self.end(tenant, id, open, &who);
                }
                Some(Decided::Start(at)) => {
                    if !office.has_room(self.house.settings.runs_max) {
                        return Ok(());
                    }
                    match self.begin(tenant, id, at)? {
                        Ok(()) => return Ok(()),
                        Err(draft) => *draft,
                    }
                }
            };
            if let Err(why) = self.record(tenant, draft)? {
                return Err(StoreError::io("decide the times of a schedule", why));
            }
        }
        Ok(())
    }

    /// Ask for the end of runs, by mail: some may have left memory.
    fn end(
        &mut self,
        tenant: TenantId,
        id: &str,
        runs: Vec<RunId>,
        who: &Actor,
    ) -> Result<(), StoreError> {
        let mut entropy = (self.house.entropy)();
        for run in runs {
            let mail = MailId::new(self.house.now(), entropy.as_mut());
            let mail = mail.map_err(|error| StoreError::io("draw the id of mail", error))?;
            let reason = format!("the next start of the schedule `{id}` is due");
            let request = Request::Cancel { run, who: who.clone(), reason };
            ask(self.house.store.as_ref(), tenant, mail, &request, None)?;
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.times.ending.insert(run);
            }
        }
        Ok(())
    }

    /// Have the engine start a run for a time; or the entry that says why none can be.
    fn begin(
        &mut self,
        tenant: TenantId,
        id: &str,
        at: Timestamp,
    ) -> Result<Result<(), Box<Draft>>, StoreError> {
        let mut entropy = (self.house.entropy)();
        let run = RunId::new(self.house.now(), entropy.as_mut());
        let run = run.map_err(|error| StoreError::io("draw the id of a run", error))?;
        let house = std::sync::Arc::clone(&self.house);
        let scope = house.store.scope(tenant)?;
        let firing = Firing { schedule: id.to_owned(), at, by: None };
        let start = match self.firing(tenant, scope.as_ref(), firing, run)? {
            Ok(start) => start,
            Err(why) => {
                let draft = self.plan(tenant, id).map(|plan| plan.not_started(at, &why));
                return Ok(draft.map_or(Ok(()), |draft| Err(Box::new(draft))));
            }
        };
        let mail = MailId::from_uuid(run.uuid());
        if let Some(office) = self.offices.get_mut(&tenant) {
            office.coming.insert(mail);
        }
        self.deliver(tenant, vec![(mail, Input::Start(Box::new(start)))]);
        Ok(Ok(()))
    }

    /// The run of a schedule that is about to begin; or why it cannot.
    fn firing(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        firing: Firing,
        run: RunId,
    ) -> Result<Result<Start, String>, StoreError> {
        let Some(seq) = self.plan(tenant, &firing.schedule).map(|plan| plan.seq) else {
            return Ok(Err(no_schedule(&firing.schedule)));
        };
        let wanted = match wanted(scope, seq, run)? {
            Ok(wanted) => wanted,
            Err(why) => return Ok(Err(why)),
        };
        let mut start = match self.start(tenant, scope, &wanted)? {
            Ok(start) => start,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(office) = self.offices.get_mut(&tenant) {
            office.times.starting.insert(firing.schedule.clone(), run);
        }
        start.firing = Some(firing);
        Ok(Ok(start))
    }

    /// A run that somebody has a schedule start; or why it does not.
    pub(super) fn fire(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        fire: &Fire,
    ) -> Result<Result<Start, String>, StoreError> {
        self.catch_up(tenant)?;
        let Some(office) = self.offices.get(&tenant) else { return Ok(Err(String::new())) };
        let Fire { run, schedule, at, beside, who } = fire;
        let Some(plan) = office.times.table.plans().get(schedule) else {
            return Ok(Err(no_schedule(schedule)));
        };
        let canon = in_force(&self.house, scope, &office.change, plan.domain())?;
        let (act, facts) = plan.firing_by(tenant, who, canon.as_deref());
        if let Some(why) = self.refuse_act(scope, (&act, &facts), canon.as_deref())? {
            return Ok(Err(why));
        }
        let now = self.house.now();
        let is_asked_for = |it: &Request| matches!(it, Request::Fire(it) if it.is_same_as(fire));
        let no = match at {
            Some(_) if office.in_hand.values().any(is_asked_for) => Some(NotFired::Made),
            Some(at) => plan.not_for(*at, now, &made(scope, schedule, (*at, *at))?),
            None => plan.not_now(),
        };
        let starting = office.times.starting.get(schedule).copied();
        let open = plan.open().first().copied().or(starting);
        let in_the_way = open.filter(|_| !beside && !plan.may_overlap()).map(NotFired::Open);
        if let Some(no) = no.or(in_the_way) {
            return Ok(Err(no.to_string()));
        }
        let (at, by) = (at.unwrap_or(now), Some(who.clone()));
        self.firing(tenant, scope, Firing { schedule: schedule.clone(), at, by }, *run)
    }

    fn plan(&self, tenant: TenantId, id: &str) -> Option<&Plan> {
        self.offices.get(&tenant)?.times.table.plans().get(id)
    }

    /// Record what is about a schedule, and take note of it; or why that could never be recorded.
    fn record(&mut self, tenant: TenantId, draft: Draft) -> Result<Result<(), String>, StoreError> {
        let recorded = self.append(tenant, vec![draft], "record what is about a schedule")?;
        if let Err(why) = recorded {
            return Ok(Err(why));
        }
        self.catch_up(tenant)?;
        Ok(Ok(()))
    }
}

fn no_schedule(id: &str) -> String {
    format!("there is no schedule `{id}`")
}

/// What a schedule runs, as a run of this id.
fn wanted(
    scope: &dyn TenantTx,
    seq: u64,
    run: RunId,
) -> Result<Result<Wanted, String>, StoreError> {
    let body = scope.body(seq)?.and_then(|body| String::from_utf8(body.bytes).ok());
    let body = body.and_then(|text| parse(&text).ok());
    let Some(wanted) = body.as_ref().and_then(|body| body.get("wanted")) else {
        return Ok(Err("what it runs is not kept any more".to_owned()));
    };
    Ok(Wanted::read(run, wanted).map_err(|error| error.to_string()))
}

/// The entry that sets a schedule, or what is wrong with it.
fn set(table: &Timetable, when: &Value, wanted: &Wanted) -> Result<Draft, String> {
    let schedule = Schedule::from_value(when, &[]).map_err(|bad| bad.to_string())?;
    let flow = wanted.flow()?;
    let is_event = matches!(schedule.rule, Rule::Event { .. });
    // What a run is given of an event, and whose data that is, is known when it has come.
    let subject = if is_event {
        None
    } else {
        let inputs = flow.bind(&wanted.given).map_err(|bad| bad.to_string())?;
        flow.subject_of(&inputs)?
    };
    let known = table.plans().get(&schedule.id);
    if known.is_none() && table.plans().len() >= SCHEDULES_MAX {
        return Err(format!("a ledger has at most {SCHEDULES_MAX} schedules"));
    }
    if let Some(plan) = known.filter(|plan| plan.workflow != flow.name) {
        return Err(format!(
            "the schedule `{}` is of the workflow `{}`",
            schedule.id, plan.workflow
        ));
    }
    let environment = wanted.environment.as_ref().unwrap_or(&flow.environment);
    let place = (flow.domain.as_str(), environment.as_str());
    let by = (&wanted.initiator, subject);
    Ok(setting(&schedule, (&flow.name, wanted.to_value()), place, by))
}
