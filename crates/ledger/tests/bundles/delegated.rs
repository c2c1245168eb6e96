//! Answers in the place of another, as the audit sees them.

use cog_base::Value;
use cog_ledger::Kind;

use crate::audit::audit;
use crate::house::{data, digest};

/// Who answers in the place of another was let by that one, and has no part in it otherwise.
#[test]
fn who_answers_for_another_is_let_by_that_one_alone() {
    type Step = (&'static str, &'static str, Option<&'static str>);
    let found = |steps: &[Step]| {
        let steps = steps.to_vec();
        audit(move |house, session| {
            let id = house.ask(session, "pay", &["user:cfo", "user:ceo"], 1);
            for (what, who, more) in steps {
                let kind = match what {
                    "hands" => Kind::ApprovalDelegated,
                    "no" => Kind::ApprovalRejected,
                    _ => Kind::ApprovalGranted,
                };
                let member = if what == "hands" { "to" } else { "for" };
                let more = more.map(|name| (member, name.into()));
                let act = house.act(kind, who, Some(session));
                let named = [("id", id.into()), ("intent", digest("pay"))];
                let mut members = data(named);
                members.extend(more.map(|(name, value): (&str, Value)| (name.to_owned(), value)));
                house.record(act, members);
            }
            house.receipt(session, "pay", &[id]);
        })
    };
    let (cfo, ceo, eve) = ("user:cfo", "user:ceo", "user:eve");
    let hands = ("hands", cfo, Some(eve));
    assert_eq!(found(&[hands, ("yes", eve, Some(cfo))]), [""; 0]);
    let wrong = ["approval.delegated"];
    for steps in [
        &[("yes", eve, Some(cfo))][..],
        &[hands, ("yes", cfo, None)],
        &[hands, ("hands", cfo, Some("user:bob")), ("yes", "user:bob", Some(cfo))],
        &[hands, ("hands", ceo, Some(eve)), ("yes", eve, Some(ceo))],
        &[
            hands,
            ("hands", eve, Some("user:bob")),
            ("yes", "user:bob", Some(eve)),
            ("yes", ceo, None),
        ],
        &[("hands", cfo, Some("user:clerk")), ("yes", ceo, None)],
        &[("hands", cfo, Some("agent:clerk")), ("yes", ceo, None)],
        &[("hands", eve, Some("user:bob")), ("yes", ceo, None)],
        &[("hands", cfo, Some(cfo)), ("yes", ceo, None)],
    ] {
        let found = found(steps);
        assert!(found.contains(&wrong[0]), "{steps:?}: {found:?}");
    }
    assert!(found(&[hands, ("no", ceo, Some(cfo))]).contains(&wrong[0]));
}
