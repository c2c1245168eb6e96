//! Versions of workflows.

use cog_base::Value;
use cog_ledger::Kind;

use crate::audit::audit;
use crate::house::{House, data, digest};

impl House {
    /// A version of the workflow of all runs is activated.
    pub(crate) fn activated(&mut self, version: u64, definition: &str) {
        let tested = [("same", 1_u64), ("differs", 0), ("earlier", 0), ("unknown", 0)];
        let members = [
            ("workflow", "pay".into()),
            ("definition", digest(definition)),
            ("version", version.into()),
            ("tested", Value::map(tested)),
        ];
        self.record(self.act(Kind::WorkflowActivated, "user:cfo", None), data(members));
    }
}

#[test]
fn versions_are_counted_and_a_run_begins_from_the_active_one() {
    let found = audit(|house, _| {
        house.activated(1, "definition");
        house.start();
        house.activated(2, "other");
        house.activated(3, "definition");
        house.start();
    });
    assert_eq!(found, Vec::<String>::new());
    let found = audit(|house, _| {
        house.activated(2, "definition");
        house.activated(2, "definition");
        house.activated(3, "other");
        house.start();
    });
    assert_eq!(found, ["workflow.version", "workflow.version", "workflow.not_active"]);
}

#[test]
fn what_was_set_or_begun_before_stays_what_it_was() {
    let found = audit(|house, open| {
        house.schedule_set();
        house.activated(1, "other");
        house.fired(21, true);
        let next = house.goes_on(open, 1);
        house.seal(next);
    });
    assert_eq!(found, Vec::<String>::new());
}
