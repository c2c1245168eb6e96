//! Versions of workflows: the owner of a log records the next one, of who may, and starts no other.

use cog_base::Value;
use cog_base::id::MailId;
use cog_engine::versions::activating;
use cog_ledger::{Draft, Kind};
use cog_node::{Decided, Request};

use crate::asking::refusal;
use crate::town::{Town, canon, tenant, wait, wanted};

const STEPS: &str = "  - { id: one, uses: compute, with: { n: 1 } }\n";
const OTHER: &str = "  - { id: one, uses: compute, with: { n: 2 } }\n";

/// What activates the workflow of these steps.
fn version(steps: &str, number: u64, who: &str) -> Draft {
    let source = wanted(steps, "/srv/out").source;
    let flow = cog_flow::parse(&source, "pages").map_err(|bad| bad.to_string()).unwrap();
    let tested = ["same", "differs", "earlier", "unknown"].map(|word| (word, 0_u64));
    activating(&flow, (&source, "/srv"), (number, Value::map(tested)), (who, None))
}

fn decided(draft: Draft) -> Request {
    let (drafts, unless) = (vec![draft], Vec::new());
    Request::Record(Box::new(Decided { drafts, seen: 0, unless, then: None }))
}

pub(super) fn what_is_not_the_next_version_or_not_what_it_says_is_refused(town: &Town) {
    let house = town.node("one");
    town.request(tenant(1), &canon());
    town.wait_for_empty_mail();
    let who = "user:operator";
    let unlike = Draft { body: version(OTHER, 1, who).body, ..version(STEPS, 1, who) };
    for (draft, why) in [
        (version(STEPS, 2, who), "the next version of `pages` is 1"),
        (unlike, "it does not say what is activated, and by whom"),
        (version(STEPS, 1, "user:nobody"), "The canon in force does not know user:nobody."),
    ] {
        let mail = town.request(tenant(1), &decided(draft));
        assert_eq!(refusal(town, mail), why);
    }
    let all = town.entries(tenant(1));
    assert!(all.iter().all(|entry| entry.kind() != Kind::WorkflowActivated));
    house.node.stop();
    town.assert_whole(tenant(1));
}

pub(super) fn no_run_begins_from_another_definition_behind_it(town: &Town) {
    let house = town.node("one");
    town.request(tenant(1), &canon());
    let start = |steps: &str| {
        let wanted = wanted(steps, "/srv/out");
        let id = MailId::from_uuid(wanted.run.uuid());
        town.post(tenant(1), id, &Request::Start(Box::new(wanted)));
        id
    };
    let before: Vec<_> = (0..20).map(|_| start(STEPS)).collect();
    let activates = town.request(tenant(1), &decided(version(OTHER, 1, "user:operator")));
    let behind: Vec<_> = (0..20).map(|_| start(STEPS)).collect();
    wait("it is active", || town.store.delivery(tenant(1), activates).unwrap().is_none());
    let late = start(STEPS);
    assert!(refusal(town, late).contains("is not version 1 of `pages`"));
    town.end(tenant(1), town.start_steps(tenant(1), OTHER));
    // Whoever has the tenant next knows it.
    house.node.stop();
    let house = town.node("two");
    let late = start(STEPS);
    assert!(refusal(town, late).contains("is not version 1 of `pages`"));
    house.node.stop();
    let entries = town.entries(tenant(1));
    let place = entries.iter().position(|entry| entry.kind() == Kind::WorkflowActivated).unwrap();
    let begun = |entry: &&cog_ledger::Entry| entry.kind() == Kind::SessionStarted;
    assert_eq!(entries[place..].iter().filter(begun).count(), 1, "the one of that version");
    assert!(entries[..place].iter().filter(begun).count() <= before.len() + behind.len());
    town.assert_whole(tenant(1));
}

on_each_store! {
    what_is_not_the_next_version_or_not_what_it_says_is_refused,
    no_run_begins_from_another_definition_behind_it,
}
