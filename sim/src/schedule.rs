//! Every other run of a world is started by a schedule of its own, for a time that the log says
//! is next: a crash between the decision and the run would be found.

use cog_base::{Timestamp, Value};
use cog_engine::timetable::setting;
use cog_engine::{Firing, Start, Timetable};
use cog_gate::Actor;
use cog_ledger::Draft;
use cog_ledger::memory::KeptLog;
use cog_schedule::{Rule, Schedule};

/// How far ahead a time may be when a run is started for it.
const AHEAD_MS: u64 = 1_000;

fn id(start: &Start) -> String {
    start.run.to_string()
}

/// The entries that set the schedules of these runs.
pub(crate) fn settings(starts: &[Start], who: &Actor) -> Vec<Draft> {
    let every = Rule::every(1_000, 0).ok();
    let set = |start: &Start| {
        let mut schedule = Schedule::new(&id(start), every.clone()?);
        schedule.catch_up_ms = cog_schedule::CATCH_UP_MS_MAX;
        let (name, domain) = (start.flow.name.as_str(), start.flow.domain.as_str());
        Some(setting(&schedule, (name, Value::Null), (domain, "production"), (who, None)))
    };
    starts.iter().step_by(2).filter_map(set).collect()
}

/// The time that a run is started for, if a schedule starts it.
pub(crate) fn firing(log: &KeptLog, start: &Start, now: Timestamp) -> Option<Firing> {
    let mut table = Timetable::default();
    log.entries().for_each(|entry| table.observe(entry));
    let schedule = id(start);
    match table.decide(&schedule, now.plus_ms(AHEAD_MS))? {
        cog_schedule::Decided::Start(at) => Some(Firing { schedule, at, by: None }),
        cog_schedule::Decided::LeaveOut { .. } | cog_schedule::Decided::EndOpen => None,
    }
}
