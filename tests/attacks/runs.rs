//! Ending runs that are somebody else's.

use cog_gate::{OfRun, Question, Wish};
use cog_ledger::Kind;

use crate::house::{House, actor, ample, canon_with};

/// What the gate says to `who`, who wants to end the run of Ada. A refusal is on record.
fn ends(house: &mut House, who: &str) -> String {
    let (run, reason) = (house.origin.session, "not any more".to_owned());
    let effect = OfRun { run, wish: Wish::Cancel, reason };
    let (origin, step, actor) = (&house.origin, "", actor(who));
    let question =
        Question { origin, step, actor, effect, subject: None, sources: Default::default() };
    let ledger_at = house.now;
    let world = cog_gate::World {
        now: house.now,
        ledger_at,
        tenant: house.status,
        canon: house.canon.as_ref(),
        in_force: house.in_force,
    };
    match house.gate.refuse_of_run(&question, &world, &mut house.entropy).unwrap() {
        None => "ended".to_owned(),
        Some(refusal) => {
            let said = format!("refused {}: {}", refusal.code, refusal.flips.join("; "));
            house.record(refusal.draft);
            said
        }
    }
}

/// A house whose canon lets the board and Eve end runs. The clerk, an agent, is of the board.
fn governed() -> House {
    let changed = |path: &str, text: &str| match path {
        "canon.toml" => format!("{text}\n[runs]\ncancel = [\"role:board\", \"user:eve\"]\n"),
        "facts/people.json" => text.replace(
            "\"clerk\" }, \"attrs\": {}, \"parents\": []",
            "\"clerk\" }, \"attrs\": {}, \"parents\": [{ \"type\": \"Role\", \"id\": \"board\" }]",
        ),
        _ => text.to_owned(),
    };
    let house = House::with(canon_with(changed), ample());
    assert!(house.canon.as_ref().unwrap().is_member("agent:clerk", "role:board"));
    house
}

const NOT: &str = "refused cancel.not_entitled: \
                   if it were wanted by user:ada or role:board or user:eve";

#[test]
fn control_those_end_a_run_who_may() {
    for who in ["user:ada", "user:chair", "user:cfo", "user:eve"] {
        assert_eq!(ends(&mut governed(), who), "ended", "{who}");
    }
}

#[test]
fn owasp_api5_a_stranger_ends_no_run() {
    let mut house = governed();
    for who in ["user:bob", "user:nobody", "user:chairman", "service:engine"] {
        assert_eq!(ends(&mut house, who), NOT, "{who}");
    }
    assert_eq!(house.count(Kind::Denial), 4);
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn owasp_asi03_an_agent_in_the_role_that_may_ends_no_run() {
    let mut house = governed();
    for who in ["agent:clerk", "agent:ada", "agent:eve"] {
        assert_eq!(ends(&mut house, who), NOT, "{who}");
    }
}

#[test]
fn where_the_canon_names_nobody_only_who_began_a_run_ends_it() {
    let mut house = House::new();
    let refused = "refused cancel.not_entitled: if it were wanted by user:ada";
    for who in ["user:chair", "user:eve", "agent:clerk"] {
        assert_eq!(ends(&mut house, who), refused, "{who}");
    }
    assert_eq!(ends(&mut house, "user:ada"), "ended");
}

#[test]
fn without_a_canon_nobody_is_entitled() {
    let mut house = governed();
    house.canon = None;
    let refused = "refused cancel.no_canon: if it were wanted by user:ada";
    assert_eq!(ends(&mut house, "user:chair"), refused);
    assert_eq!(ends(&mut house, "user:ada"), "ended");
    house.in_force = None;
    assert_eq!(ends(&mut house, "user:chair"), refused);
}
