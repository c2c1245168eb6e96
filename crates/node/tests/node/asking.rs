//! What is asked of the owner of a log, and what comes of it.

use std::sync::atomic::Ordering;

use cog_base::Value;
use cog_base::id::MailId;
use cog_canon::{Canon, Source};
use cog_engine::Fork;
use cog_ledger::{Draft, Kind};
use cog_node::{Decided, Destroy, Forked, Request, Told, Wanted, ask};
use cog_services::postgres::APPLICATION;
use cog_store::{Delivery, Posted};

use crate::town::{Town, canon, tenant, wait, wanted};

pub(crate) fn refusal(town: &Town, id: MailId) -> String {
    let mut refused = None;
    wait("it is refused", || {
        refused = town.store.delivery(tenant(1), id).unwrap();
        matches!(refused, Some(Delivery::Refused(_)))
    });
    match refused {
        Some(Delivery::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn runs_of_many_tenants_are_done_and_their_mail_is_gone(town: &Town) {
    let house = town.node("one");
    let mut runs = Vec::new();
    for number in 1..=12 {
        runs.extend((0..3).map(|_| (tenant(number), town.start(tenant(number), 3))));
    }
    for (tenant, run) in &runs {
        assert_eq!(town.end(*tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    house.node.stop();
    for number in 1..=12 {
        assert_eq!(town.assert_whole(tenant(number)), ["completed"; 9]);
        let kinds = town.entries(tenant(number));
        let canons = kinds.iter().filter(|entry| entry.kind() == Kind::CanonActivated);
        assert_eq!(canons.count(), 1, "it was asked to found its domain three times");
    }
    assert_eq!(town.world.counts(), [1; 108]);
    assert_eq!(town.store.claim_waiting(64, &[]).unwrap().len(), 12, "each was given back");
}

pub(super) fn a_run_is_started_once_however_often_it_is_asked_for(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let page = "  - { id: w, uses: file.write, as: \"agent:archivist\", \
                with: { root: archive, path: p, mode: create, text: x } }\n";
    let first = wanted(page, "/srv/archive");
    let run = first.run;
    let post = |wanted| {
        let request = Request::Start(Box::new(wanted));
        let Request::Start(it) = &request else { panic!() };
        ask(&*town.store, tenant, MailId::from_uuid(it.run.uuid()), &request, Some("order 7"))
    };
    assert_eq!(post(first.clone()).unwrap(), Posted::Waiting);
    assert_eq!(post(wanted(page, "/srv/archive")).unwrap(), Posted::Before(run));
    assert_eq!(post(wanted(page, "/srv/elsewhere")).unwrap(), Posted::Differs(run));
    assert_eq!(town.end(tenant, run), "completed");
    town.wait_for_empty_mail();
    // Delivered once more when it is long over, as after a crash before it was removed.
    assert_eq!(post(first).unwrap(), Posted::Waiting);
    town.wait_for_empty_mail();
    house.node.stop();
    let starts = town.entries(tenant);
    let starts = starts.iter().filter(|entry| entry.kind() == Kind::SessionStarted);
    assert_eq!(starts.count(), 1);
    assert_eq!(town.assert_whole(tenant), ["completed"]);
}

pub(super) fn people_answer_and_end_runs_by_mail(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    let sign = "  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, \
                message: \"Go on?\" } }\n";
    let yes = town.start_steps(tenant, sign);
    let gone = town.start_steps(tenant, sign);
    let approval = town.approval(tenant, yes);
    let answer = |who: &str| Request::Answer {
        run: yes,
        approval,
        who: who.parse().unwrap(),
        verdict: Ok(cog_base::json::Map::new()),
    };
    let own = town.request(tenant, &answer("user:operator"));
    assert!(refusal(town, own).contains("user:operator"), "{}", refusal(town, own));
    town.request(tenant, &answer("user:head-of-archive"));
    assert_eq!(town.end(tenant, yes), "completed");
    town.approval(tenant, gone);
    let (who, reason) = ("user:operator".parse().unwrap(), "not needed".to_owned());
    town.request(tenant, &Request::Cancel { run: gone, who, reason });
    assert_eq!(town.end(tenant, gone), "cancelled");
    town.wait_for_empty_mail();
    let late = town.request(tenant, &answer("user:auditor"));
    assert_eq!(refusal(town, late), format!("{yes} has ended: completed"));
    house.node.stop();
    town.assert_whole(tenant);
}

pub(super) fn what_cannot_be_started_is_refused_with_the_reason(town: &Town) {
    let house = town.node("one");
    let post = |wanted: cog_node::Wanted| {
        let id = MailId::from_uuid(wanted.run.uuid());
        ask(&*town.store, tenant(1), id, &Request::Start(Box::new(wanted)), None).unwrap();
        refusal(town, id)
    };
    let page = "  - { id: w, uses: file.read, with: { root: archive, path: p } }\n";
    assert_eq!(post(wanted(page, "/nowhere")), "there is no such folder");
    assert!(post(wanted("  - { id: w, uses: magic }\n", "/srv")).contains("magic"));
    let mut lost = wanted(page, "/srv");
    lost.places.clear();
    assert_eq!(post(lost), "where the root `archive` stands is not said");
    house.wait_for(|told| matches!(told, Told::Refused { .. }));
    house.node.stop();
    assert!(town.entries(tenant(1)).is_empty());
}

pub(super) fn no_run_begins_in_an_environment_that_the_canon_does_not_list(town: &Town) {
    let Request::Found { mut files, environment, who } = canon() else { panic!("it founds") };
    let listed = "\n[environments]\nallow = [\"development\", \"live\"]\nproduction = [\"live\"]\n";
    files.get_mut("canon.toml").unwrap().push_str(listed);
    town.request(tenant(1), &Request::Found { files, environment, who });
    let house = town.node("one");
    let steps = "  - { id: nap, sleep: { ms: 1 } }\n";
    let nowhere = || Wanted { environment: Some("nowhere".into()), ..wanted(steps, "/srv") };
    let when = [("id", Value::from("tick")), ("every_ms", 1_000_u64.into())];
    let (when, seen) = (Value::map(when), 0);
    for request in [
        Request::Start(Box::new(nowhere())),
        Request::Start(Box::new(nowhere())),
        Request::Schedule { when, wanted: Box::new(nowhere()), seen },
    ] {
        let refused = refusal(town, town.request(tenant(1), &request));
        assert!(refused.contains("does not govern the environment `nowhere`"), "{refused}");
    }
    let run = town.start_steps(tenant(1), steps);
    assert_eq!(town.end(tenant(1), run), "completed");
    house.node.stop();
    let entries = town.entries(tenant(1));
    let count = |kind: Kind| entries.iter().filter(|entry| entry.kind() == kind).count();
    assert_eq!((count(Kind::Denial), count(Kind::SessionStarted)), (1, 1));
    town.assert_whole(tenant(1));
}

pub(super) fn no_more_runs_are_open_than_may_be_and_the_rest_waits_its_turn(town: &Town) {
    town.world.takes_ms.store(20, Ordering::Relaxed);
    let house = town.node_with("one", |settings| settings.runs_max = 2);
    let tenant = tenant(1);
    let runs: Vec<_> = (0..8).map(|_| town.start(tenant, 2)).collect();
    for run in &runs {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    house.node.stop();
    let (mut open, mut most) = (0, 0);
    for entry in town.entries(tenant) {
        open += i32::from(entry.kind() == Kind::SessionStarted);
        open -= i32::from(entry.kind() == Kind::SessionSealed);
        most = most.max(open);
    }
    assert_eq!((open, most), (0, 2));
    let starts = town.entries(tenant);
    let order = starts.iter().filter(|entry| entry.kind() == Kind::SessionStarted);
    assert!(order.filter_map(|entry| entry.session()).eq(runs), "first come, first served");
}

#[test]
fn a_tenant_with_nothing_to_do_is_given_back_and_taken_again_when_there_is() {
    let town = Town::new();
    let house = town.node("one");
    let run = town.start(tenant(1), 1);
    assert_eq!(town.end(tenant(1), run), "completed");
    house.wait_for(|told| matches!(told, Told::Released { .. }));
    wait("nobody owns it", || {
        let idle = "SELECT count(*) FROM cognitionos.owner WHERE node IS NULL AND NOT wanted";
        town.database().statement(idle).unwrap() == ["1"]
    });
    let run = town.start(tenant(1), 1);
    assert_eq!(town.end(tenant(1), run), "completed");
    house.node.stop();
    assert_eq!(town.assert_whole(tenant(1)), ["completed"; 2]);
}

#[test]
fn mail_that_was_sorted_before_the_store_failed_is_delivered_all_the_same() {
    let town = Town::new();
    let run = town.start(tenant(1), 1);
    let nobody = wanted("", "/srv").run;
    let (who, reason) = ("user:operator".parse().unwrap(), "gone".to_owned());
    let late = town.request(tenant(1), &Request::Cancel { run: nobody, who, reason });
    // The start is sorted, and then nothing can be refused.
    let say = |words: &str| town.database().statement(&format!("{words} {APPLICATION}")).unwrap();
    say("REVOKE UPDATE ON cognitionos.mail FROM");
    let house = town.node("one");
    assert_eq!(town.end(tenant(1), run), "completed");
    say("GRANT UPDATE (refused) ON cognitionos.mail TO");
    assert_eq!(refusal(&town, late), format!("there is no run {nobody} in this ledger"));
    town.wait_for_empty_mail();
    house.node.stop();
    assert_eq!(town.assert_whole(tenant(1)), ["completed"]);
}

pub(super) fn who_may_not_end_a_run_is_told_so_once(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    let sign = "  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, \
                message: \"Go on?\" } }\n";
    let run = town.start_steps(tenant, sign);
    let approval = town.approval(tenant, run);
    let cancel = || {
        let (who, reason) = ("user:auditor".parse().unwrap(), "not needed".to_owned());
        town.request(tenant, &Request::Cancel { run, who, reason })
    };
    for mail in [cancel(), cancel()] {
        assert!(refusal(town, mail).contains("user:operator"), "{}", refusal(town, mail));
    }
    let denials = || {
        let entries = town.entries(tenant);
        entries.iter().filter(|entry| entry.kind() == Kind::Denial).count()
    };
    assert_eq!(denials(), 2);
    assert_eq!(town.mail(), 0);
    // Whoever has the run next is not asked again.
    house.node.stop();
    let house = town.node("two");
    let answer = |who: &str| {
        let (who, verdict) = (who.parse().unwrap(), Ok(cog_base::json::Map::new()));
        town.request(tenant, &Request::Answer { run, approval, who, verdict })
    };
    // An answer that does not count is a refusal too, and one is enough.
    for mail in [answer("user:auditor"), answer("user:auditor")] {
        assert!(refusal(town, mail).contains("user:head-of-archive"), "{}", refusal(town, mail));
    }
    assert_eq!(denials(), 3);
    answer("user:head-of-archive");
    assert_eq!(town.end(tenant, run), "completed");
    house.node.stop();
    assert_eq!(denials(), 3);
}

pub(super) fn what_is_asked_of_a_run_that_no_engine_has_is_refused_with_the_reason(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    let cancel = |run| {
        let (who, reason) = ("user:operator".parse().unwrap(), "not needed".to_owned());
        let mail = town.request(tenant, &Request::Cancel { run, who, reason });
        refusal(town, mail)
    };
    let over = town.start(tenant, 1);
    assert_eq!(town.end(tenant, over), "completed");
    assert_eq!(cancel(over), format!("{over} has ended: completed"));
    let sign = "  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, \
                message: \"Go on?\" } }\n";
    let left = town.start_steps(tenant, sign);
    let approval = town.approval(tenant, left);
    house.node.stop();
    town.world.is_bare.store(true, Ordering::Relaxed);
    let house = town.node("two");
    let not_here = format!("{left} cannot go on here: there are no folders");
    assert_eq!(cancel(left), not_here);
    let who = "user:head-of-archive".parse().unwrap();
    let answer =
        Request::Answer { run: left, approval, who, verdict: Ok(cog_base::json::Map::new()) };
    assert_eq!(refusal(town, town.request(tenant, &answer)), not_here);
    house.node.stop();
}

pub(super) fn what_is_asked_of_an_open_run_does_not_wait_behind_runs_that_have_no_room(
    town: &Town,
) {
    let house = town.node_with("one", |settings| settings.runs_max = 1);
    let tenant = tenant(1);
    let sign = "  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, \
                message: \"Go on?\" } }\n";
    let open = town.start_steps(tenant, sign);
    let approval = town.approval(tenant, open);
    let next = town.start(tenant, 1);
    let who = "user:head-of-archive".parse().unwrap();
    town.request(
        tenant,
        &Request::Answer { run: open, approval, who, verdict: Ok(cog_base::json::Map::new()) },
    );
    assert_eq!(town.end(tenant, open), "completed");
    assert_eq!(town.end(tenant, next), "completed");
    town.wait_for_empty_mail();
    house.node.stop();
}

pub(super) fn a_run_that_cannot_go_on_from_there_is_refused_and_harms_no_other(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    let parent = town.start(tenant, 2);
    assert_eq!(town.end(tenant, parent), "completed");
    let last = town.session(tenant, parent).unwrap().last;
    let places = || [("archive".to_owned(), "/srv/archive".to_owned())].into();
    let fork = |session, seq, places| {
        let run = wanted("", "/srv").run;
        let initiator = "user:operator".parse().unwrap();
        let fork = Fork { session, seq, step: None };
        let forked = Forked { run, fork, given: Default::default(), places, initiator };
        (run, town.request(tenant, &Request::Fork(Box::new(forked))))
    };
    let nap = "  - { id: nap, sleep: { ms: 1500 } }\n";
    let other = town.start_steps(tenant, nap);
    let (_, over) = fork(parent, last, places());
    assert!(refusal(town, over).contains("over there"));
    let (_, nowhere) = fork(other, last, places());
    assert!(refusal(town, nowhere).contains("no entry"), "{}", refusal(town, nowhere));
    let (_, homeless) = fork(parent, last - 1, Default::default());
    assert!(refusal(town, homeless).contains("where the root `archive` stands is not said"));
    let (first, _) = fork(parent, town.session(tenant, parent).unwrap().first, places());
    assert_eq!(town.end(tenant, first), "completed");
    assert_eq!(town.end(tenant, other), "completed");
    // Its engine went on all the while.
    assert!(house.told.try_iter().all(|told| !matches!(told, Told::Released { .. })));
    house.node.stop();
    assert_eq!(town.assert_whole(tenant), ["completed"; 4]);
}

pub(super) fn what_was_decided_is_recorded_once_and_what_it_destroys_is_destroyed_by_whoever_has_it_next(
    town: &Town,
) {
    let house = town.node("one");
    let tenant = tenant(1);
    let run = town.start(tenant, 1);
    assert_eq!(town.end(tenant, run), "completed");
    let session = town.session(tenant, run).unwrap();
    let scope = || town.store.scope(tenant).unwrap();
    let seen = town.entries(tenant).len() as u64;
    let decided = |seen, unless: &[Kind], then| {
        let data = [("basis", "entries".into()), ("bodies", 1_u64.into())];
        let named = ("entries", Value::list([session.last]));
        let data = data.into_iter().chain([named]).map(|(name, it)| (name.to_owned(), it));
        let draft = Draft {
            kind: Kind::BodiesErased,
            actor: "user:head-of-archive".into(),
            domain: "ledger".into(),
            environment: "any".into(),
            session: None,
            canon: None,
            data: data.collect(),
            body: None,
        };
        let (drafts, unless) = (vec![draft], unless.to_vec());
        Request::Record(Box::new(Decided { drafts, seen, unless, then }))
    };
    let late = town.request(tenant, &decided(0, &[Kind::SessionStarted], None));
    assert!(refusal(town, late).contains("the log has changed since"));
    // It is killed when the entry stands, and nothing is destroyed yet.
    town.request(tenant, &decided(seen, &[Kind::SessionStarted], None));
    town.wait_for_empty_mail();
    assert!(scope().body(session.last).unwrap().is_some());
    house.node.stop();
    let house = town.node("two");
    let then = Some(Destroy::Bodies(vec![session.last]));
    town.request(tenant, &decided(seen, &[Kind::BodiesErased], then));
    town.wait_for_empty_mail();
    assert!(scope().body(session.last).unwrap().is_none());
    house.node.stop();
    let erased = town.entries(tenant).into_iter().filter(|it| it.kind() == Kind::BodiesErased);
    assert_eq!(erased.count(), 1);
    town.assert_whole(tenant);
}

pub(super) fn a_canon_comes_in_force_by_change_control_whoever_asks(town: &Town) {
    let house = town.node("one");
    let tenant = tenant(1);
    town.request(tenant, &canon());
    town.wait_for_empty_mail();
    let founded = town.entries(tenant).into_iter().find(|it| it.kind() == Kind::CanonActivated);
    let founded = founded.unwrap();
    let digest = founded.digest("digest").unwrap();
    let mut files = town.store.scope(tenant).unwrap().canon(digest).unwrap().unwrap();
    files.get_mut("canon.toml").unwrap().push_str("# The second.\n");
    let parts = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
    let second = Canon::load(&Source::new(parts)).unwrap().digest();
    town.store.put_canon(tenant, second, &files).unwrap();
    let act = |kind, data: Vec<(&str, Value)>| {
        let data = data.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
        let draft = Draft {
            kind,
            actor: "user:head-of-archive".into(),
            domain: "archive".into(),
            environment: "any".into(),
            session: None,
            canon: None,
            data,
            body: None,
        };
        let (drafts, unless, then) = (vec![draft], Vec::new(), None);
        let decided = Decided { drafts, seen: 2, unless, then };
        town.request(tenant, &Request::Record(Box::new(decided)))
    };
    let proposal = "prp_01m7ynaym0f2nb3em082cedjs9";
    let activated = || {
        vec![
            ("digest", second.into()),
            ("previous", digest.into()),
            ("basis", "change".into()),
            ("proposal", proposal.into()),
        ]
    };
    let unknown = act(Kind::CanonActivated, activated());
    assert!(!refusal(town, unknown).is_empty());
    let founding =
        act(Kind::CanonActivated, vec![("digest", second.into()), ("basis", "genesis".into())]);
    assert!(!refusal(town, founding).is_empty());
    let base = ("base", digest.into());
    act(Kind::CanonProposed, vec![("proposal", proposal.into()), ("digest", second.into()), base]);
    town.wait_for_empty_mail();
    // Nobody has approved it.
    let early = act(Kind::CanonActivated, activated());
    assert!(refusal(town, early).contains("approv"));
    let other = vec![("proposal", proposal.into()), ("digest", digest.into())];
    assert!(!refusal(town, act(Kind::CanonApproved, other)).is_empty());
    house.node.stop();
    let activated = town.entries(tenant).into_iter().filter(|it| it.kind() == Kind::CanonActivated);
    assert_eq!(activated.count(), 1);
}

on_each_store! {
    runs_of_many_tenants_are_done_and_their_mail_is_gone,
    a_run_is_started_once_however_often_it_is_asked_for,
    people_answer_and_end_runs_by_mail,
    what_cannot_be_started_is_refused_with_the_reason,
    no_run_begins_in_an_environment_that_the_canon_does_not_list,
    no_more_runs_are_open_than_may_be_and_the_rest_waits_its_turn,
    who_may_not_end_a_run_is_told_so_once,
    what_is_asked_of_a_run_that_no_engine_has_is_refused_with_the_reason,
    what_is_asked_of_an_open_run_does_not_wait_behind_runs_that_have_no_room,
    a_run_that_cannot_go_on_from_there_is_refused_and_harms_no_other,
    what_was_decided_is_recorded_once_and_what_it_destroys_is_destroyed_by_whoever_has_it_next,
    a_canon_comes_in_force_by_change_control_whoever_asks,
}
