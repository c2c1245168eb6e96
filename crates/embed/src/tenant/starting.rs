//! Schedules, and events that start runs.

use std::collections::BTreeSet;

use cog_base::id::{MailId, RunId};
use cog_base::{Timestamp, Value};
use cog_engine::Timetable;
use cog_engine::timetable::made;
use cog_gate::Actor;
use cog_node::{Fire, Request, ask};
use cog_store::Delivery;

use super::Tenant;
use crate::begin::{Begin, under};
use crate::error::Error;
use crate::runs::is_there;
use crate::starts::{self, Event};

impl Tenant {
    /// Set what starts a workflow, as its `on` says, in place of what was set of it before: its
    /// schedules and its events. Their ids.
    ///
    /// # Errors
    /// [`Error::Refused`] when who sets it may not, or an id is of another workflow.
    pub fn set_starts(&self, begin: &Begin) -> Result<Vec<String>, Error> {
        let (flow, mut ids) = (begin.flow()?, BTreeSet::new());
        for scheduled in flow.starts() {
            let wanted = begin.scheduled(&flow, &scheduled)?;
            let (when, seen) = (scheduled.schedule.to_value(), self.size()?);
            let table = starts::timetable(&*self.scope()?)?;
            if !table.has(&scheduled.schedule, wanted.to_value(), begin.who()) {
                let wanted = Box::new(wanted);
                self.ask(&Request::Schedule { when, wanted, seen })?;
            }
            ids.insert(scheduled.schedule.id);
        }
        let table = starts::timetable(&*self.scope()?)?;
        let is_old = |(id, plan): &(&String, &cog_engine::timetable::Plan)| {
            plan.workflow == flow.name && !ids.contains(*id)
        };
        for (id, _) in table.plans().iter().filter(is_old) {
            self.remove_start(id, begin.who())?;
        }
        Ok(ids.into_iter().collect())
    }

    /// What is set: schedules with their next times, and events.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn starts(&self) -> Result<Timetable, Error> {
        starts::timetable(&*self.scope()?)
    }

    /// Start nothing any more by a schedule or an event of this id.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none, or `who` may not.
    pub fn remove_start(&self, id: &str, who: &Actor) -> Result<Option<u64>, Error> {
        let (schedule, who, seen) = (id.to_owned(), who.clone(), self.size()?);
        self.ask(&Request::Unschedule { schedule, who, seen })
    }

    /// Start nothing by a schedule or an event for now.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none, it is paused already, or `who` may not.
    pub fn pause_start(&self, id: &str, who: &Actor) -> Result<Option<u64>, Error> {
        self.hold_start(id, true, who)
    }

    /// Go on with a schedule or an event that was paused.
    ///
    /// # Errors
    /// As [`Tenant::pause_start`].
    pub fn unpause_start(&self, id: &str, who: &Actor) -> Result<Option<u64>, Error> {
        self.hold_start(id, false, who)
    }

    fn hold_start(&self, id: &str, pauses: bool, who: &Actor) -> Result<Option<u64>, Error> {
        let (schedule, who, seen) = (id.to_owned(), who.clone(), self.size()?);
        self.ask(&Request::HoldSchedule { schedule, pauses, who, seen })
    }

    /// Have a schedule start a run now, with what it runs and under its name.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such schedule, `who` may not, or a run of it is open beside
    /// which it starts none.
    pub fn trigger(&self, id: &str, who: &Actor) -> Result<RunId, Error> {
        self.fire(id, None, who)
    }

    /// Have a schedule start the run of a time that was left out: [`Tenant::left_out`].
    ///
    /// # Errors
    /// As [`Tenant::trigger`], and when a run was started for that time or it is none of its times.
    pub fn backfill(&self, id: &str, at: Timestamp, who: &Actor) -> Result<RunId, Error> {
        self.fire(id, Some(at), who)
    }

    fn fire(&self, id: &str, at: Option<Timestamp>, who: &Actor) -> Result<RunId, Error> {
        let run = self.new_id(RunId::new)?;
        let (schedule, who, beside) = (id.to_owned(), who.clone(), false);
        self.ask(&Request::Fire(Box::new(Fire { run, schedule, at, beside, who })))?;
        Ok(run)
    }

    /// The times of a schedule in a span, both ends among them, for which no run was started and to
    /// which it does not come by itself any more: no more than `most`, the first ones. None where there
    /// is no such schedule.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn left_out(
        &self,
        id: &str,
        (from, until): (Timestamp, Timestamp),
        most: usize,
    ) -> Result<Vec<Timestamp>, Error> {
        let scope = self.scope()?;
        let table = starts::timetable(&*scope)?;
        let Some(plan) = table.plans().get(id) else { return Ok(Vec::new()) };
        let until = until.min(plan.decided_until(self.clock.now()));
        let made = made(&*scope, id, (from, until))?;
        // Those that were made are looked at as well.
        let named = plan.schedule.within((from, until), most.saturating_add(made.len()));
        let times = named.into_iter().filter(|at| !made.contains(at));
        Ok(times.take(most).collect())
    }

    /// Bring a CloudEvent: the runs that it starts. Of the same event there is one run for each trigger,
    /// however often it is brought.
    ///
    /// # Errors
    /// [`Error::NoEvent`], or what is wrong with the inputs of a run.
    pub fn bring(&self, event: Value) -> Result<Vec<RunId>, Error> {
        let event = Event::of(event)?;
        let table = starts::timetable(&*self.scope()?)?;
        let mut runs = Vec::new();
        for plan in table.plans().values().filter(|plan| event.is_for(plan)) {
            let scope = self.scope()?;
            let Some(mut wanted) = event.starts(&*scope, plan, 0)? else { continue };
            let run = wanted.run;
            runs.push(run);
            if is_there(&*scope, run)? {
                continue;
            }
            let mail = MailId::from_uuid(run.uuid());
            if let Some(Delivery::Refused(why)) = self.store.delivery(self.id, mail)? {
                return Err(Error::Refused(why));
            }
            let flow = wanted.flow().map_err(Error::Inputs)?;
            let bound = flow.bind(&wanted.given);
            let bound = bound.map_err(|errors| Error::Inputs(errors.to_string()))?;
            let environment = wanted.environment.as_deref().unwrap_or(&flow.environment);
            let roots = flow.roots(&bound, environment);
            let roots = roots.map_err(|errors| Error::Inputs(errors.to_string()))?;
            let base = wanted.base.clone();
            let stands = |root: cog_flow::BoundRoot| (root.name, under(&base, &root.path));
            wanted.places = roots.into_iter().map(stands).collect();
            ask(&*self.store, self.id, mail, &Request::Start(Box::new(wanted)), None)?;
        }
        Ok(runs)
    }
}
