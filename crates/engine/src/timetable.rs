//! The schedules of a tenant as its log tells them, and what is to be done about them at a time.
//!
//! Each time that a schedule names is decided once. `schedule.fired` and the first entry of the
//! run that is started for it are one append, so there is nothing between a decision and what
//! comes of it that a crash could lose: whoever reads the log goes on behind it.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{RunId, TenantId};
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_canon::Canon;
use cog_gate::act::{Act, Facts};
use cog_gate::{Actor, Origin};
use cog_ledger::audit::schedule_digest;
use cog_ledger::{BodyDraft, Draft, Entry, Kind};
use cog_schedule::{Decided, Fire, Overlap, Past, Rule, Schedule};
use cog_store::{Select, StoreError, TenantTx};

use crate::again::newest;
use crate::start;

/// The most schedules of one tenant.
pub const SCHEDULES_MAX: usize = 1_000;
/// The most runs of one schedule that are remembered as open.
const OPEN_MAX: usize = 100;
/// The longest reason that an entry has, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// The time of a schedule that a run is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The schedule.
    pub schedule: String,
    /// The time that it names; where somebody wants a run now, that.
    pub at: Timestamp,
    /// Who asked for it, if it does not come by itself.
    pub by: Option<Actor>,
}

/// Why a schedule does not start a run that somebody asks it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFired {
    /// It has no times.
    #[error("an event starts its runs, and no time")]
    Event,
    /// It does not name such a time.
    #[error("{0} is none of its times")]
    NotNamed(Timestamp),
    /// What comes of the time by itself is not decided yet.
    #[error("{0} is not decided yet")]
    Undecided(Timestamp),
    /// A run was started for the time.
    #[error("a run was started for that time")]
    Made,
    /// Another run of it is in the way.
    #[error("{0} is not over, and its runs do not overlap")]
    Open(RunId),
}

/// The schedules of a tenant.
#[derive(Debug, Default)]
pub struct Timetable {
    plans: BTreeMap<String, Plan>,
    /// The last time of each that was decided, also of those that were removed since.
    last: BTreeMap<String, Timestamp>,
}

/// Something that is started at times.
#[derive(Debug)]
pub struct Plan {
    /// When.
    pub schedule: Schedule,
    /// The workflow that is run.
    pub workflow: String,
    /// Who set it: its runs are begun in their name.
    pub by: Actor,
    /// The entry that set it; its body has what is run.
    pub seq: u64,
    /// What it is bound to: when, and what is run.
    pub digest: Digest,
    /// Somebody has it start nothing for now.
    pub is_paused: bool,
    domain: String,
    environment: String,
    cursor: Timestamp,
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// Its runs that may not be over.
    open: Vec<RunId>,
    /// Those of them that somebody asked for: their ends say nothing of the times that came meanwhile.
    asked: BTreeSet<RunId>,
    /// When there was nothing left to decide.
    looked: Option<Timestamp>,
}

/// How a run that was started for a time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// This one is open: the run itself, or the one that continues it by now.
    Open(RunId),
    /// It is over, since then.
    Over(Timestamp),
}

impl Stands {
    /// How a run stands by the log. One that is not there any more was pruned.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn of(scope: &dyn TenantTx, run: RunId) -> Result<Self, StoreError> {
        Ok(match newest(scope, run)? {
            None => Self::Over(Timestamp::MIN),
            Some((newest, None)) => Self::Open(newest),
            Some((_, Some(at))) => Self::Over(at),
        })
    }
}

/// The times of a schedule from one to another that runs were started for.
///
/// # Errors
/// [`StoreError`] when they cannot be read.
pub fn made(
    scope: &dyn TenantTx,
    id: &str,
    (from, until): (Timestamp, Timestamp),
) -> Result<BTreeSet<Timestamp>, StoreError> {
    let select = Select { kinds: [Kind::ScheduleFired].into(), ..Select::default() };
    let mut made = BTreeSet::new();
    scope.each(select, &mut |entry| {
        made.extend(made_by(entry, id).filter(|at| (from..=until).contains(at)));
    })?;
    Ok(made)
}

/// The time of a schedule that an entry starts a run for, if it does.
#[must_use]
pub fn made_by(entry: &Entry, id: &str) -> Option<Timestamp> {
    let is_of = entry.kind() == Kind::ScheduleFired && entry.text("schedule") == Some(id);
    let starts = is_of && entry.text("run").is_some();
    entry.text("at").filter(|_| starts)?.parse().ok()
}

/// What a schedule is bound to: its times as [`Schedule::to_value`] writes them, and what is run.
#[must_use]
pub fn digest(when: &Value, wanted: Value) -> Digest {
    schedule_digest(&content(when, wanted))
}

fn content(when: &Value, wanted: Value) -> Vec<u8> {
    Value::map([("when", when.clone()), ("wanted", wanted)]).canonical()
}

/// The entry that sets a schedule: `wanted` is what is run, in the `domain` and `environment`, and
/// `subject` whose data that holds, if the workflow says so of its runs.
#[must_use]
pub fn setting(
    schedule: &Schedule,
    (workflow, wanted): (&str, Value),
    (domain, environment): (&str, &str),
    (who, subject): (&Actor, Option<String>),
) -> Draft {
    let when = schedule.to_value();
    let bytes = content(&when, wanted);
    let digest = schedule_digest(&bytes);
    let data = [
        ("schedule", Value::from(schedule.id.as_str())),
        ("workflow", workflow.into()),
        ("when", when),
        ("digest", digest.into()),
    ];
    let mut draft = Draft::new(Kind::ScheduleSet, who.as_str(), domain, environment, data);
    draft.body = Some(BodyDraft { subject, bytes });
    draft
}

impl Timetable {
    /// The kinds of entries that tell of schedules.
    pub const KINDS: [Kind; 5] = [
        Kind::ScheduleSet,
        Kind::ScheduleRemoved,
        Kind::SchedulePaused,
        Kind::ScheduleUnpaused,
        Kind::ScheduleFired,
    ];

    /// Take note of an entry. All of [`Timetable::KINDS`] are fed, in order.
    pub fn observe(&mut self, entry: &Entry) {
        let Some(id) = entry.text("schedule") else { return };
        if entry.kind() == Kind::ScheduleSet {
            let before = self.plans.remove(id);
            let last = self.last.get(id).copied().unwrap_or(Timestamp::MIN);
            self.plans.extend(plan(entry, last, before).map(|plan| (id.to_owned(), plan)));
        } else if entry.kind() == Kind::ScheduleRemoved {
            self.plans.remove(id);
        } else if entry.kind() == Kind::SchedulePaused {
            self.plans.get_mut(id).into_iter().for_each(|plan| plan.is_paused = true);
        } else if entry.kind() == Kind::ScheduleUnpaused {
            self.plans.get_mut(id).into_iter().for_each(|plan| plan.goes_on(entry.at()));
        } else if entry.kind() == Kind::ScheduleFired {
            let Some(at) = entry.text("at").and_then(|at| at.parse().ok()) else { return };
            if entry.text("by").is_some() {
                self.plans.get_mut(id).into_iter().for_each(|plan| plan.was_asked(entry));
                return;
            }
            self.last.insert(id.to_owned(), at);
            if let Some(plan) = self.plans.get_mut(id) {
                plan.decided(at, entry);
            }
        }
    }

    /// The schedules by their ids.
    #[must_use]
    pub const fn plans(&self) -> &BTreeMap<String, Plan> {
        &self.plans
    }

    /// Whether a schedule of this id is set just so.
    #[must_use]
    pub fn has(&self, schedule: &Schedule, wanted: Value, who: &Actor) -> bool {
        let digest = digest(&schedule.to_value(), wanted);
        self.plans.get(&schedule.id).is_some_and(|it| it.digest == digest && it.by == *who)
    }

    /// When the next time of any schedule comes.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.plans.values().filter_map(Plan::next).map(|fire| fire.at).min()
    }

    /// Forget the runs of a schedule that are over, with all that continued them: `stands` says how
    /// each stands.
    ///
    /// # Errors
    /// What `stands` says.
    pub fn look_after<E>(
        &mut self,
        id: &str,
        mut stands: impl FnMut(RunId) -> Result<Stands, E>,
    ) -> Result<(), E> {
        let Some(plan) = self.plans.get_mut(id) else { return Ok(()) };
        let (mut open, mut asked) = (Vec::new(), BTreeSet::new());
        for run in &plan.open {
            let is_asked_for = plan.asked.contains(run);
            match stands(*run)? {
                Stands::Over(_) if is_asked_for => {}
                Stands::Over(at) => plan.ended = plan.ended.max(Some(at)),
                Stands::Open(newest) => {
                    open.push(newest);
                    asked.extend(is_asked_for.then_some(newest));
                }
            }
        }
        (plan.open, plan.asked) = (open, asked);
        Ok(())
    }

    /// What is to be done now about a schedule, before anything else of it. When it is recorded
    /// and observed, the question is put again, until there is nothing.
    #[must_use]
    pub fn decide(&mut self, id: &str, now: Timestamp) -> Option<Decided> {
        let plan = self.plans.get_mut(id).filter(|plan| !plan.is_paused)?;
        let past = Past {
            cursor: plan.cursor,
            is_open: !plan.open.is_empty(),
            began: plan.began,
            ended: plan.ended,
        };
        let decided = plan.schedule.decide(&past, plan.looked.unwrap_or(now), now);
        if decided.is_none() {
            plan.looked = Some(now);
        }
        decided
    }
}

/// What is decided before `who` sets or removes a schedule: of which domain, and what of it.
#[derive(Debug, Clone)]
pub struct Change {
    domain: String,
    environment: String,
    schedule: String,
    /// Who set it; nothing where it is not there in that domain.
    by: Option<Actor>,
}

impl Change {
    /// That of a schedule which `draft`, made by [`setting`] or [`Plan::removing`], changes; of one
    /// that is led into another domain both.
    #[must_use]
    pub fn of(draft: &Draft, stands: Option<&Plan>) -> Vec<Self> {
        let schedule = draft.data.get("schedule").and_then(Value::as_text).unwrap_or_default();
        let change = |(domain, environment): (&str, &str), by| Self {
            domain: domain.to_owned(),
            environment: environment.to_owned(),
            schedule: schedule.to_owned(),
            by,
        };
        let is_new = stands.is_none_or(|plan| plan.domain != draft.domain);
        let new = is_new.then(|| change((&draft.domain, &draft.environment), None));
        stands.map(Plan::change).into_iter().chain(new).collect()
    }

    /// Whether it is not there in the domain yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.by.is_none()
    }

    /// Whose canon decides.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The act, and the facts to judge it by: who set it may, and who may end any run; and of one
    /// that is new whoever may set one. `canon` is the version in force in the domain.
    #[must_use]
    pub fn by(&self, tenant: TenantId, who: &Actor, canon: Option<&Canon>) -> (Act, Facts) {
        let act = self.act("schedule.change", tenant, who, canon);
        (act, Facts::Schedule { by: self.by.clone() })
    }

    fn act(
        &self,
        action: &'static str,
        tenant: TenantId,
        who: &Actor,
        canon: Option<&Canon>,
    ) -> Act {
        Act {
            tenant,
            domain: self.domain.clone(),
            environment: self.environment.clone(),
            session: None,
            canon: canon.map(Canon::digest),
            actor: who.clone(),
            action,
            resource: format!("Schedule::\"{}\"", self.schedule),
            args: Map::new(),
        }
    }
}

fn plan(entry: &Entry, last: Timestamp, before: Option<Plan>) -> Option<Plan> {
    let is_paused = before.as_ref().is_some_and(|it| it.is_paused);
    let known = before.map(|it| (it.began, it.ended, it.open, it.asked));
    let (began, ended, open, asked) = known.unwrap_or_default();
    Some(Plan {
        schedule: Schedule::from_value(entry.data().get("when")?, &[]).ok()?,
        workflow: entry.text("workflow")?.to_owned(),
        by: entry.actor().parse().ok()?,
        seq: entry.seq(),
        digest: entry.digest("digest")?,
        is_paused,
        domain: entry.domain().to_owned(),
        environment: entry.environment().to_owned(),
        cursor: entry.at().max(last),
        began,
        ended,
        open,
        asked,
        looked: None,
    })
}

impl Plan {
    /// The next time to be decided; nothing when there is none any more, or none for now.
    #[must_use]
    pub fn next(&self) -> Option<Fire> {
        self.schedule.next_after(self.cursor).filter(|_| !self.is_paused)
    }

    /// It starts something again, at the times that come from here on.
    fn goes_on(&mut self, at: Timestamp) {
        self.is_paused = false;
        self.cursor = self.cursor.max(at);
        self.looked = None;
    }

    /// Its runs that may not be over.
    #[must_use]
    pub fn open(&self) -> &[RunId] {
        &self.open
    }

    /// Times up to this one are decided.
    fn decided(&mut self, at: Timestamp, entry: &Entry) {
        self.cursor = self.cursor.max(at);
        let Some(run) = entry.text("run").and_then(|run| run.parse().ok()) else { return };
        self.began = Some(entry.at());
        // But where all may run together, nothing was open when it was started.
        if self.schedule.overlap != Overlap::AllowAll {
            self.open.clear();
        }
        self.opened(run);
    }

    /// Somebody had it start a run: of the times that come by themselves nothing is decided.
    fn was_asked(&mut self, entry: &Entry) {
        let Some(run) = entry.text("run").and_then(|run| run.parse().ok()) else { return };
        self.asked.insert(run);
        self.opened(run);
    }

    fn opened(&mut self, run: RunId) {
        self.open.push(run);
        if self.open.len() > OPEN_MAX {
            self.open.remove(0);
        }
    }

    /// Up to when its times are decided, or nothing is decided of them any more: for those somebody
    /// may ask, as far as no run was started for them.
    #[must_use]
    pub fn decided_until(&self, now: Timestamp) -> Timestamp {
        if self.is_paused { now } else { self.cursor.min(now) }
    }

    /// Whether its runs may be open together.
    #[must_use]
    pub fn may_overlap(&self) -> bool {
        self.schedule.overlap == Overlap::AllowAll
    }

    /// Why it starts nothing now because somebody asks, whatever is open.
    #[must_use]
    pub const fn not_now(&self) -> Option<NotFired> {
        if matches!(self.schedule.rule, Rule::Event { .. }) { Some(NotFired::Event) } else { None }
    }

    /// Why it starts nothing for a time because somebody asks, whatever is open; `made` are times
    /// that runs were started for.
    #[must_use]
    pub fn not_for(
        &self,
        at: Timestamp,
        now: Timestamp,
        made: &BTreeSet<Timestamp>,
    ) -> Option<NotFired> {
        if let Some(no) = self.not_now() {
            return Some(no);
        }
        if self.schedule.within((at, at), 1).is_empty() {
            return Some(NotFired::NotNamed(at));
        }
        if at > self.decided_until(now) {
            return Some(NotFired::Undecided(at));
        }
        made.contains(&at).then_some(NotFired::Made)
    }

    /// What is decided before `who` has it start runs now, in the name of who set it: whose canon
    /// decides, the act and the facts to judge it by.
    #[must_use]
    pub fn firing_by(&self, tenant: TenantId, who: &Actor, canon: Option<&Canon>) -> (Act, Facts) {
        let act = self.change().act("schedule.fire", tenant, who, canon);
        (act, Facts::Fire { by: self.by.clone() })
    }

    /// The domain of its runs.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    fn change(&self) -> Change {
        Change {
            domain: self.domain.clone(),
            environment: self.environment.clone(),
            schedule: self.schedule.id.clone(),
            by: Some(self.by.clone()),
        }
    }

    /// The entry by which `who` removes it.
    #[must_use]
    pub fn removing(&self, who: &Actor) -> Draft {
        self.draft(Kind::ScheduleRemoved, who, [])
    }

    /// The entry by which `who` has it start nothing for now, or go on.
    #[must_use]
    pub fn pausing(&self, who: &Actor, pauses: bool) -> Draft {
        let kind = if pauses { Kind::SchedulePaused } else { Kind::ScheduleUnpaused };
        self.draft(kind, who, [])
    }

    /// The entry that leaves out so many times up to this one.
    #[must_use]
    pub fn leaving_out(&self, until: Timestamp, times: u64, why: &str) -> Draft {
        let data = [("at", until.into()), ("skipped", why.into()), ("times", times.into())];
        self.draft(Kind::ScheduleFired, &self.by, data)
    }

    /// The entry that says why no run could be started for a time.
    #[must_use]
    pub fn not_started(&self, at: Timestamp, reason: &str) -> Draft {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let reason = reason.get(..end).unwrap_or_default();
        let skipped = ("skipped", "not_started".into());
        let data = [("at", at.into()), skipped, ("reason", reason.into())];
        self.draft(Kind::ScheduleFired, &self.by, data)
    }

    fn draft<const N: usize>(&self, kind: Kind, who: &Actor, data: [(&str, Value); N]) -> Draft {
        let id = [("schedule", Value::from(self.schedule.id.as_str()))];
        let data = id.into_iter().chain(data);
        Draft::new(kind, who.as_str(), &self.domain, &self.environment, data)
    }
}

impl Firing {
    /// The entry before the first one of the run that is started.
    pub(crate) fn started(&self, origin: &Origin) -> Draft {
        let data = [
            ("schedule".to_owned(), Value::from(self.schedule.as_str())),
            ("at".to_owned(), self.at.into()),
            ("run".to_owned(), origin.session.into()),
        ];
        let by = self.by.as_ref().map(|by| ("by".to_owned(), by.as_str().into()));
        let data = data.into_iter().chain(by).collect();
        let draft = start::draft(origin, Kind::ScheduleFired, None, data, None);
        Draft { session: None, ..draft }
    }
}
