//! Many of something, at a size that a test has time for. `cog-sim large` has the full sizes.

use cog_sim::large;

/// A run of many steps dies when it is nearly over.
#[test]
fn s15_run_of_many_events_resumes() {
    let told = large::events(1_000).unwrap();
    assert!(told.events >= 1_000, "{told:?}");
}

/// Nodes die with many runs in flight.
#[test]
fn s16_restart_with_many_runs_in_flight() {
    let told = large::flights(80).unwrap();
    assert_eq!(told.runs, 80, "{told:?}");
}

/// Many schedules of several tenants are due in the same moment.
#[test]
fn s18_many_schedules_fire_in_the_same_second() {
    let told = large::schedules(240).unwrap();
    assert_eq!(told.runs, 240, "{told:?}");
    assert!(told.took_ms < 15_000, "{told:?}");
}
