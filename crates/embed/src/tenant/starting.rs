//! Schedules, and events that start runs.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::id::{MailId, RunId};
use cog_engine::Timetable;
use cog_gate::Actor;
use cog_node::{Request, ask};
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
