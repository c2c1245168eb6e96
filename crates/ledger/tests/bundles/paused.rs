//! Schedules that are paused.

use cog_ledger::Kind;

use crate::audit::audit;

#[test]
fn a_paused_schedule_starts_nothing() {
    let found = audit(|house, _| {
        house.schedule(Kind::SchedulePaused, []);
        house.schedule_set();
        house.schedule(Kind::SchedulePaused, []);
        house.fired(21, true);
        house.schedule_set();
        house.fired(22, true);
        house.schedule(Kind::ScheduleUnpaused, []);
        house.fired(23, true);
    });
    assert_eq!(found, ["schedule.not_set", "schedule.paused", "schedule.paused"]);
}
