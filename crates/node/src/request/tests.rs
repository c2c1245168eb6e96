//! Requests as mail: nothing is lost, and what no entry could hold is not read.

use cog_base::id::Uuid;

use cog_engine::Fork;
use cog_ledger::{Draft, Kind};

use super::*;

fn sent(from: &str) -> Sent {
    let payload = Value::map([("order", Value::from(7_u64))]);
    let (id, name, from) = ("evt_1".to_owned(), "payment".to_owned(), from.to_owned());
    Sent { signal: Signal { id, name, from, payload }, subject: Some("northwind".to_owned()) }
}

fn actor(name: &str) -> Actor {
    name.parse().unwrap()
}

#[test]
fn who_is_to_answer_for_another_reads_back() {
    let (run, approval) = (RunId::from_uuid(Uuid::from_u128(7)), Uuid::from_u128(8));
    for reason in [None, Some("on leave".to_owned())] {
        let (who, to) = (actor("user:cfo"), actor("user:deputy"));
        let approval = ApprovalId::from_uuid(approval);
        let request = Request::Delegate(Box::new(Delegated { run, approval, who, to, reason }));
        let mail = request.mail(MailId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(Request::read(&mail), Ok(request));
    }
}

#[test]
fn an_answer_reads_back_with_what_was_filled_in() {
    let (run, approval) = (RunId::from_uuid(Uuid::from_u128(7)), Uuid::from_u128(8));
    let approval = ApprovalId::from_uuid(approval);
    let form = Map::from([("cents".to_owned(), Value::from(7_u64))]);
    for verdict in [Ok(Map::new()), Ok(form), Err("not now".to_owned())] {
        let request = Request::Answer { run, approval, who: actor("user:cfo"), verdict };
        let mail = request.mail(MailId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(Request::read(&mail), Ok(request));
    }
}

#[test]
fn every_request_reads_back_from_its_mail() {
    let run = RunId::from_uuid(Uuid::from_u128(7));
    let wanted = Wanted {
        run,
        source: "name: x".into(),
        children: Some(Value::map([("a.yaml", Value::map([("source", "name: a")]))])),
        given: [("a".to_owned(), "1".to_owned())].into(),
        places: [("out".to_owned(), "/srv/out".to_owned())].into(),
        base: "/srv".into(),
        labels: [("customer".to_owned(), "acme".to_owned())].into(),
        trigger: Some(Trigger::new("paid", ("/shop", "1"), 2)),
        priority: None,
        not_before: None,
        initiator: actor("user:ada"),
        environment: Some("production".into()),
    };
    let who = actor("user:cfo");
    for request in [
        Request::Start(Box::new(wanted.clone())),
        Request::Fork(Box::new(Forked {
            run,
            fork: Fork { session: run, seq: 12, step: Some("pay".into()) },
            given: wanted.given.clone(),
            places: wanted.places.clone(),
            initiator: actor("user:ada"),
        })),
        Request::Found {
            files: [("canon.toml".to_owned(), "name = \"x\"".to_owned())].into(),
            environment: "development".into(),
            who: who.clone(),
        },
        Request::Cancel { run, who: who.clone(), reason: "gone".into() },
        Request::Signal { run, sent: Box::new(sent("user:clerk")) },
        Request::Hold { run, pauses: true, who: who.clone(), reason: "audit".into(), seen: 7 },
        Request::Hold { run, pauses: false, who: who.clone(), reason: "over".into(), seen: 0 },
        Request::Schedule {
            when: Value::map([("id", Value::from("nightly")), ("every_ms", 1_000_u64.into())]),
            wanted: Box::new(Wanted { run: Wanted::no_run(), ..wanted }),
            seen: 3,
        },
        Request::Record(Box::new(Decided {
            drafts: vec![decided(Kind::CanonApproved), decided(Kind::Denial).saying("note", "x")],
            seen: 5,
            unless: vec![Kind::CanonActivated],
            then: None,
        })),
        Request::Record(Box::new(erasing(Destroy::Subject("ada".into())))),
        Request::Record(Box::new(erasing(Destroy::Bodies(vec![3, 4])))),
        Request::Record(Box::new(erasing(Destroy::Entries(256)))),
        Request::Record(Box::new(erasing(Destroy::Key))),
        Request::HoldSchedule {
            schedule: "nightly".into(),
            pauses: true,
            who: who.clone(),
            seen: 4,
        },
        Request::HoldSchedule {
            schedule: "nightly".into(),
            pauses: false,
            who: who.clone(),
            seen: 4,
        },
        Request::Unschedule { schedule: "nightly".into(), who, seen: 4 },
    ] {
        let mail = request.mail(MailId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(Request::read(&mail), Ok(request));
    }
}

#[test]
fn what_a_schedule_is_asked_for_reads_back_from_its_mail() {
    let run = RunId::from_uuid(Uuid::from_u128(7));
    for (at, beside) in [(Some(Timestamp::MIN), false), (None, true)] {
        let (schedule, who) = ("nightly".to_owned(), actor("user:ada"));
        let request = Request::Fire(Box::new(Fire { run, schedule, at, beside, who }));
        assert_eq!(request.begins(), Some(run));
        let mail = request.mail(MailId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(Request::read(&mail), Ok(request));
    }
}

fn decided(kind: Kind) -> Draft {
    Draft {
        kind,
        actor: "user:cfo".into(),
        domain: "ledger".into(),
        environment: "any".into(),
        session: None,
        canon: None,
        data: Map::from([("id".into(), "x".into())]),
        body: None,
    }
}

fn erasing(then: Destroy) -> Decided {
    let drafts = vec![decided(Kind::BodiesErased)];
    Decided { drafts, seen: 9, unless: vec![Kind::SessionStarted], then: Some(then) }
}

#[test]
fn what_engines_decide_is_not_recorded_for_whoever_asks() {
    for kind in [Kind::Evidence, Kind::Receipt, Kind::Outcome, Kind::SessionSealed, Kind::Genesis] {
        let drafts = vec![decided(kind)];
        let decided = Decided { drafts, seen: 0, unless: Vec::new(), then: None };
        let mail = Request::Record(Box::new(decided)).mail(MailId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(Request::read(&mail), Err(BadRequest::Member("kind")));
    }
}

#[test]
fn what_no_entry_could_hold_is_not_read() {
    let (run, approval) =
        (RunId::from_uuid(Uuid::from_u128(7)), ApprovalId::from_uuid(Uuid::from_u128(8)));
    let who = || actor("user:ada");
    let start = |environment: Option<&str>, base: &str, place: &str| {
        Request::Start(Box::new(Wanted {
            run,
            source: "name: x".into(),
            children: None,
            given: BTreeMap::new(),
            places: [("out".to_owned(), place.to_owned())].into(),
            base: base.to_owned(),
            labels: BTreeMap::new(),
            trigger: None,
            priority: None,
            not_before: None,
            initiator: who(),
            environment: environment.map(str::to_owned),
        }))
    };
    let found = |environment: &str| Request::Found {
        files: Files::new(),
        environment: environment.to_owned(),
        who: who(),
    };
    let cancel = |reason: String| Request::Cancel { run, who: who(), reason };
    let no = |no: String| Request::Answer { run, approval, who: who(), verdict: Err(no) };
    let (name, long) = ("e".repeat(256), "r".repeat(4_096));
    let read =
        |request: &Request| Request::read(&request.mail(MailId::from_uuid(Uuid::from_u128(9))));
    for good in
        [start(Some(&name), &long, &long), found(&name), cancel(long.clone()), no(long.clone())]
    {
        assert_eq!(read(&good), Ok(good));
    }
    let (name, long) = (name + "e", long + "r");
    for (bad, member) in [
        (start(Some(""), "/", "/"), "environment"),
        (start(Some(&name), "/", "/"), "environment"),
        (start(None, &long, "/"), "base"),
        (start(None, "/", &long), "places"),
        (found(""), "environment"),
        (found(&name), "environment"),
        (cancel(long.clone()), "reason"),
        (no(long.clone()), "no"),
        (Request::Hold { run, pauses: true, who: who(), reason: long, seen: 0 }, "reason"),
    ] {
        let error = read(&bad).unwrap_err();
        assert!(matches!(error, BadRequest::Size { name, .. } if name == member), "{error}");
    }
}

#[test]
fn what_a_later_release_asks_is_not_misread() {
    let mail = |kind: &str, payload: &str| Mail {
        id: MailId::from_uuid(Uuid::from_u128(9)),
        kind: kind.to_owned(),
        run: None,
        payload: payload.as_bytes().to_vec(),
    };
    assert_eq!(Request::read(&mail("fork", "{}")), Err(BadRequest::Kind("fork".into())));
    assert_eq!(Request::read(&mail("start", "{}")), Err(BadRequest::Member("run")));
    assert_eq!(Request::read(&mail("found", "{}")), Err(BadRequest::Member("files")));
    assert_eq!(Request::read(&mail("found", "no")), Err(BadRequest::Member("it")));
}
