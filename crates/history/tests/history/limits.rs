//! Runs that were asked for before they begin.

use crate::told::{breaks, told};

const NOTHING: &str = "steps:\n  - { id: a, uses: compute, with: { x: 1 } }\n";

const TEAM: &str = "labels: { team: red }\nsteps:\n  - { id: a, uses: compute, with: { x: 1 } }\n";

#[test]
fn a_run_is_found_by_what_its_file_says_and_by_what_was_asked_for() {
    let story = |begin: &str| format!("1 seal completed\n{begin}\n6 seal completed");
    let report = told(TEAM, &story("5 begin 2"));
    assert!(report.holds(), "{:#?}", report.findings.kept());
    breaks(TEAM, &story("5 begin 2 team=blue"), "history.labels");
    breaks(NOTHING, &story("2 queued 2\n5 begin 2 team=blue"), "history.admitted");
}

#[test]
fn a_run_is_the_one_of_the_key_that_it_was_asked_for_under() {
    let story = |begin: &str| format!("1 seal completed\n{begin}\n6 seal completed");
    breaks(NOTHING, &story("5 begin 2 key=order"), "history.keyed");
    breaks(NOTHING, &story("2 queued 2 key=order"), "history.keyed");
    breaks(NOTHING, &story("2 queued 2 key=order\n5 begin 2 key=other"), "history.admitted");
}

fn keeps(story: &str) {
    let report = told(NOTHING, story);
    assert!(report.holds(), "{story}\n{:#?}", report.findings.kept());
}

#[test]
fn a_run_begins_once_it_was_admitted_as_what_was_asked_for() {
    keeps("1 seal completed\n2 queued 2 at=5\n5 begin 2\n6 seal completed");
    keeps("1 seal completed\n2 queued 2\n3 unqueued 2");
    for story in [
        "1 seal completed\n2 queued 2 at=5\n4 begin 2\n6 seal completed",
        "1 seal completed\n2 queued 2\n4 begin 2 as=user:eve\n6 seal completed",
        "1 seal completed\n2 queued 2\n3 unqueued 2\n4 begin 2\n6 seal completed",
    ] {
        breaks(NOTHING, story, "history.admitted");
    }
}

#[test]
fn no_more_runs_of_a_key_are_open_than_may() {
    let two = "1 seal completed\n2 queued 2 limit=1\n2 queued 3 limit=1\n3 begin 2\n";
    keeps(&format!("{two}4 seal completed\n5 begin 3\n6 seal completed"));
    let both = format!("{two}4 begin 3\n5 seal completed in=2\n6 seal completed in=3");
    breaks(NOTHING, &both, "history.concurrency");
}

#[test]
fn no_more_runs_of_a_key_begin_in_a_time_than_may() {
    let two =
        "1 seal completed\n2 queued 2 count=1\n2 queued 3 count=1\n3 begin 2\n4 seal completed\n";
    keeps(&format!("{two}1003 begin 3\n1004 seal completed"));
    let soon = format!("{two}1002 begin 3\n1004 seal completed");
    breaks(NOTHING, &soon, "history.rate");
}

#[test]
fn a_run_is_of_the_version_that_was_active_when_it_was_asked_for() {
    let story = |what: &str| format!("1 seal completed\n{what}\n6 seal completed");
    keeps(&story("2 version 1\n5 begin 2"));
    keeps(&story("2 version 1 of=other gone=yes\n3 version 2\n5 begin 2"));
    keeps(&story("2 version 1\n3 queued 2\n4 version 2 of=other gone=yes\n5 begin 2"));
    for broken in [
        "2 version 1 of=other gone=yes\n5 begin 2",
        "2 version 1 of=other gone=yes\n3 queued 2\n4 version 2\n5 begin 2",
        "2 version 1 kept=other\n5 begin 2",
        "2 version 1 of=other\n3 version 2\n5 begin 2",
        "2 version 1 differs=1\n5 begin 2",
    ] {
        breaks(NOTHING, &story(broken), "history.version");
    }
}
