//! What starts runs by itself: schedules and events, as they are set in the log.

use cog_base::Value;
use cog_base::json::Map;
use cog_engine::timetable::{Plan, Stands};
use cog_engine::{Timetable, Trigger};
use cog_events::Types;
use cog_node::Wanted;
use cog_schedule::Rule;
use cog_store::{Select, TenantTx};

use crate::error::Error;
use crate::read::record;

/// The schedules of a ledger, and the events that are waited for.
///
/// # Errors
/// [`Error::Store`].
pub fn timetable(scope: &dyn TenantTx) -> Result<Timetable, Error> {
    let mut timetable = Timetable::default();
    let select = Select { kinds: Timetable::KINDS.into(), ..Select::default() };
    scope.each(select, &mut |entry| timetable.observe(entry))?;
    let ids: Vec<String> = timetable.plans().keys().cloned().collect();
    for id in ids {
        timetable.look_after(&id, |run| Stands::of(scope, run))?;
    }
    Ok(timetable)
}

/// What a schedule runs.
///
/// # Errors
/// [`Error::NotKept`] when that was erased.
pub fn wanted(scope: &dyn TenantTx, plan: &Plan) -> Result<Wanted, Error> {
    let body = scope.entry(plan.seq)?.map(|entry| record(scope, entry)).transpose()?;
    let body = body.and_then(|record| record.body);
    let wanted = body.as_ref().and_then(|body| body.get("wanted"));
    let wanted = wanted.map(|wanted| Wanted::read(Wanted::no_run(), wanted)).transpose();
    let wanted = wanted.map_err(|why| Error::Unreadable { seq: plan.seq, why: why.to_string() })?;
    wanted.ok_or_else(|| Error::NotKept(plan.schedule.id.clone()))
}

/// An event, as expressions see it.
#[derive(Debug, Clone)]
pub struct Event {
    /// All of it.
    pub whole: Value,
    /// Its type.
    pub kind: String,
    /// Its source.
    pub source: String,
    /// Its id: one event of its source.
    pub id: String,
    /// The entry that it is, of the own ledger.
    pub seq: Option<u64>,
}

impl Event {
    /// A CloudEvent from outside.
    ///
    /// # Errors
    /// [`Error::NoEvent`] names the attribute that is missing.
    pub fn of(whole: Value) -> Result<Self, Error> {
        let text = |name: &'static str| {
            let text = whole.get(name).and_then(Value::as_text).map(str::to_owned);
            text.ok_or(Error::NoEvent(name))
        };
        let (kind, source, id) = (text("type")?, text("source")?, text("id")?);
        Ok(Self { whole, kind, source, id, seq: None })
    }

    /// Whether what is set waits for such a one. What happened before it was set does not start it.
    #[must_use]
    pub fn is_for(&self, plan: &Plan) -> bool {
        if plan.is_paused || self.seq.is_some_and(|seq| seq < plan.seq) {
            return false;
        }
        let Rule::Event { kind, source } = &plan.schedule.rule else { return false };
        let types = Types::matching([kind.as_str()]);
        types.wants(&self.kind) && source.as_ref().is_none_or(|source| *source == self.source)
    }

    /// What a trigger starts because of this event, when `hops` runs started each other before; nothing
    /// where its condition passes it over.
    ///
    /// # Errors
    /// [`Error::Inputs`] when what the run is given cannot be told.
    pub fn starts(
        &self,
        scope: &dyn TenantTx,
        plan: &Plan,
        hops: u64,
    ) -> Result<Option<Wanted>, Error> {
        let trigger = Trigger::new(&plan.schedule.id, (&self.source, &self.id), hops);
        let wanted = wanted(scope, plan)?;
        let flow = wanted.flow().map_err(Error::Inputs)?;
        let given = flow.given_by(&trigger.id, &self.whole).map_err(Error::Inputs)?;
        let Some(given) = given else { return Ok(None) };
        let text = |value: &Value| value.as_text().map_or_else(|| value.to_string(), str::to_owned);
        let given: Map = given.into_iter().filter(|(_, value)| *value != Value::Null).collect();
        let given = given.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Ok(Some(Wanted { run: trigger.run(), given, trigger: Some(trigger), ..wanted }))
    }
}
