//! Runs that were asked for under a key.

use cog_base::id::{RunId, Uuid};
use cog_base::{Digest, Value};

use crate::audit::audit;
use crate::house::digest;

#[test]
fn of_a_key_there_is_one_run_as_what_was_asked_for() {
    let keyed = |key: &str, request: &str| {
        ("keyed", Value::map([("key", digest(key)), ("request", digest(request))]))
    };
    let run_of = |key: &str| {
        let key = digest(key).as_text().unwrap().parse::<Digest>().unwrap();
        RunId::from_uuid(Uuid::of(&key))
    };
    let found = audit(|house, _| {
        house.start_with(run_of("order"), [keyed("order", "what")]);
        house.asked_as(run_of("other"), "definition", [keyed("other", "what")]);
        house.start_with(run_of("other"), [keyed("other", "what")]);
    });
    assert_eq!(found, [""; 0]);
    let found = audit(|house, _| {
        house.start_with(run_of("order"), [keyed("order", "what")]);
        let other = RunId::new(house.now, &mut house.entropy).unwrap();
        house.start_with(other, [keyed("order", "what")]);
    });
    assert_eq!(found, ["keyed.other_run", "keyed.twice"]);
    let found = audit(|house, _| {
        house.asked_as(run_of("order"), "definition", [keyed("order", "what")]);
        house.start_with(run_of("order"), [keyed("order", "something else")]);
        house.start_with(run_of("order"), [keyed("order", "what")]);
    });
    assert_eq!(found, ["queue.differs", "session.started_twice"]);
}
