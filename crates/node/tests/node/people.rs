//! Signals, and runs that somebody holds: by mail, and once however often it is delivered.

use cog_base::Value;
use cog_base::id::{MailId, RunId};
use cog_engine::Sent;
use cog_flow::Signal;
use cog_ledger::Kind;
use cog_node::{Request, Told, ask};

use crate::asking::refusal;
use crate::town::{Town, tenant, wait, wanted};

/// A page that is written when the signal has come.
const PAID: &str = "  - { id: paid, wait_for: { signal: payment } }\n  \
    - { id: w, needs: [paid], uses: file.write, as: \"agent:archivist\", \
    with: { root: archive, path: p, mode: create, text: x } }\n";

fn signal(run: RunId, name: &str, order: u64) -> Request {
    let payload = Value::map([("order", Value::from(order))]);
    let (id, from) = ("evt_1".to_owned(), "user:clerk".to_owned());
    let signal = Signal { id, name: name.to_owned(), from, payload };
    Request::Signal { run, sent: Box::new(Sent { signal, subject: None }) }
}

fn hold(run: RunId, pauses: bool, who: &str, seen: u64) -> Request {
    Request::Hold { run, pauses, who: who.parse().unwrap(), reason: "an audit".into(), seen }
}

/// How many entries of each of these kinds there are.
fn count(town: &Town, kinds: &[Kind]) -> Vec<usize> {
    let entries = town.entries(tenant(1));
    kinds.iter().map(|kind| entries.iter().filter(|it| it.kind() == *kind).count()).collect()
}

pub(super) fn signals_and_pauses_reach_runs_and_are_one_however_often_they_are_delivered(
    town: &Town,
) {
    let house = town.node("one");
    let tenant = tenant(1);
    let run = town.start_steps(tenant, PAID);
    wait("it has begun", || town.session(tenant, run).is_some());
    let told = [Kind::SessionPaused, Kind::Signal, Kind::SessionUnpaused, Kind::Denial];
    // As after a crash between the entry and the removal of the mail, each comes twice.
    let twice = |request: &Request| {
        for _ in 0..2 {
            town.request(tenant, request);
            town.wait_for_empty_mail();
        }
    };
    let seen = town.entries(tenant).len() as u64;
    for _ in 0..2 {
        let mail = town.request(tenant, &hold(run, true, "user:auditor", seen));
        assert!(refusal(town, mail).contains("user:operator"), "{}", refusal(town, mail));
    }
    assert_eq!(count(town, &told), [0, 0, 0, 1], "one refusal is on record");
    twice(&hold(run, true, "user:operator", seen));
    assert_eq!(count(town, &told), [1, 0, 0, 1]);
    twice(&signal(run, "payment", 7));
    assert_eq!(count(town, &told), [1, 1, 0, 1]);
    assert_eq!(town.world.counts(), [0; 0], "nothing begins while it is paused");
    let other = town.request(tenant, &signal(run, "payment", 8));
    assert_eq!(refusal(town, other), "another signal had the id `evt_1`");
    let odd = town.request(tenant, &signal(run, "payments", 7));
    assert_eq!(refusal(town, odd), "its steps wait for payment, and not for `payments`");
    let now = town.entries(tenant).len() as u64;
    let again = town.request(tenant, &hold(run, true, "user:operator", now));
    assert_eq!(refusal(town, again), "it is paused already");
    town.request(tenant, &hold(run, false, "user:operator", now));
    assert_eq!(town.end(tenant, run), "completed");
    town.wait_for_empty_mail();
    // Delivered once more when all is over: of what was done nobody is told that it was not.
    twice(&signal(run, "payment", 7));
    twice(&hold(run, true, "user:operator", seen));
    let late = town.request(tenant, &hold(run, true, "user:operator", now));
    assert_eq!(refusal(town, late), format!("{run} has ended: completed"));
    house.node.stop();
    assert_eq!(count(town, &told), [1, 1, 1, 1]);
    assert_eq!(town.world.counts(), [1]);
    assert_eq!(town.assert_whole(tenant), ["completed"]);
}

pub(super) fn what_is_asked_of_an_open_run_is_read_however_many_runs_wait(town: &Town) {
    let house = town.node_with("one", |settings| settings.runs_max = 1);
    let tenant = tenant(1);
    let run = town.start_steps(tenant, PAID);
    wait("it has begun", || town.session(tenant, run).is_some());
    // More than are read at once.
    for _ in 0..300 {
        let wanted = wanted("  - { id: nap, sleep: { ms: 1 } }\n", "/srv/archive");
        let id = MailId::from_uuid(wanted.run.uuid());
        ask(&*town.store, tenant, id, &Request::Start(Box::new(wanted)), None).unwrap();
    }
    town.request(tenant, &signal(run, "payment", 7));
    assert_eq!(town.end(tenant, run), "completed");
    house.node.stop();
}

#[test]
fn spoiled_mail_is_put_aside_and_told() {
    let town = Town::new();
    let tenant = tenant(1);
    let run = town.start(tenant, 1);
    let spoiled = town.request(tenant, &signal(run, "payment", 7));
    let spoil = "UPDATE cognitionos.mail SET sealed = 'x' WHERE kind = 'signal'";
    town.database().statement(spoil).unwrap();
    let house = town.node("one");
    house.wait_for(|told| matches!(told, Told::Refused { mail, .. } if *mail == spoiled));
    assert_eq!(town.end(tenant, run), "completed");
    assert!(refusal(&town, spoiled).contains("does not open"));
    house.node.stop();
}

on_each_store! {
    signals_and_pauses_reach_runs_and_are_one_however_often_they_are_delivered,
    what_is_asked_of_an_open_run_is_read_however_many_runs_wait,
}
