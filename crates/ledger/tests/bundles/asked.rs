//! Runs that somebody asks a schedule for.

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::Kind;

use crate::audit::audit;
use crate::house::House;

/// Somebody has a run started for a day.
fn asked(house: &mut House, day: u8) {
    let session = RunId::new(house.now, &mut house.entropy).unwrap();
    let at = format!("2026-11-{day}T00:00:00.000000Z");
    let by = ("by", Value::from("user:cfo"));
    house.schedule(Kind::ScheduleFired, [("at", at.into()), ("run", session.into()), by]);
    house.start_as(session);
    house.seal(session);
}

#[test]
fn somebody_may_ask_for_a_time_that_no_run_was_started_for_and_once() {
    let found = audit(|house, _| {
        house.schedule_set();
        house.fired(22, true);
        asked(house, 20);
        asked(house, 26);
        house.fired(23, true);
        house.schedule(Kind::SchedulePaused, []);
        asked(house, 24);
    });
    assert_eq!(found, Vec::<String>::new(), "what is asked for decides no time before it");
    let found = audit(|house, _| {
        asked(house, 20);
        house.schedule_set();
        house.fired(22, true);
        asked(house, 22);
        asked(house, 24);
        asked(house, 24);
        house.fired(24, true);
    });
    let twice = "schedule.fired_twice";
    assert_eq!(found, ["schedule.not_set", twice, twice, twice]);
}
