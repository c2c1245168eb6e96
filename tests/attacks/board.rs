//! What a worker in another process, or somebody who took its place, could say to the owner of a
//! log: of tasks it does not have, had once, never began, or has reported on before.

use std::sync::mpsc::{Receiver, channel};

use cog_base::id::ReceiptId;
use cog_base::{Micros, Value};
use cog_engine::{Inbox, Input};
use cog_gate::{AnyEffect, Cleared, End, Found};
use cog_worker::{
    Asked, Board, Came, Given, LEASE_MS, Now, OFFER_MS, Poll, Refused, Report, Standing, Task, What,
};

use crate::house::{House, get, noon, pay, read};

/// A board, and what comes of what is on it.
struct Place {
    board: Board,
    came: Receiver<Input>,
    inbox: Inbox,
}

fn at(ms: u64) -> Now {
    Now { ms, at: noon().plus_ms(ms) }
}

fn ok() -> Came {
    Came::Performed(End::Completed(Value::Null), Micros::ZERO)
}

impl Place {
    fn new() -> Self {
        let (send, came) = channel();
        let inbox = Inbox::new(move |input| send.send(input).unwrap());
        Self { board: Board::new(noon()), came, inbox }
    }

    /// A house whose payment is put up.
    fn with(cleared: Cleared<AnyEffect>, standing: Standing) -> Self {
        let mut place = Self::new();
        let asked = Asked::Perform(Box::new(cleared));
        place.board.put(asked, standing, place.inbox.clone(), at(0));
        place
    }

    fn paying() -> (House, Self) {
        let mut house = House::new();
        let cleared = house.clear(AnyEffect::from(pay("acme", 100)));
        (house, Self::with(cleared, Standing::default()))
    }

    fn take(&mut self, worker: &str, now: Now) -> Vec<Task> {
        let kinds = AnyEffect::ACTIONS.iter().map(|it| (*it).to_owned()).collect();
        let tenants = vec![House::new().origin.tenant];
        let poll = Poll { worker: worker.to_owned(), kinds, tenants, max: 8, wait_ms: 0 };
        self.board.offer(&poll, now).into_iter().map(|offer| offer.task).collect()
    }

    fn one(&mut self, worker: &str, now: Now) -> Task {
        let mut tasks = self.take(worker, now);
        assert_eq!(tasks.len(), 1);
        tasks.remove(0)
    }

    /// Offered and begun.
    fn begun(&mut self, worker: &str, now: Now) -> Task {
        let task = self.one(worker, now);
        self.board.begin(task.receipt, (worker, task.fence), now).unwrap();
        task
    }

    fn end(&mut self, receipt: ReceiptId, by: (&str, u64), came: Came) -> Result<(), Refused> {
        let report = Report { fence: by.1, worker: by.0.to_owned(), came };
        self.board.end(receipt, report)
    }

    fn give(&mut self, task: &Task, by: (&str, u64), of: (u64, &str)) -> Result<(), Refused> {
        let (worker, text) = (by.0.to_owned(), of.1.to_owned());
        let given = Given { worker, fence: by.1, name: "stdout", offset: of.0, text };
        self.board.give(task.receipt, given, at(2))
    }

    /// What was given, as the engine hears it.
    fn given(&self) -> String {
        let given = self.came.try_iter().map(|input| {
            let Input::Given(piece) = input else { panic!("something else was heard") };
            piece.text().to_owned()
        });
        given.collect()
    }

    /// How it ended, as the engine hears it.
    fn heard(&self) -> Option<String> {
        let input = self.came.try_recv().ok()?;
        let Input::Performed(performed) = input else { panic!("something else was heard") };
        Some(match &performed.report().end {
            End::Failed(failure) => failure.code.clone(),
            end @ (End::Completed(_) | End::Abandoned | End::Unknown) => end.word().to_owned(),
        })
    }
}

#[test]
fn control_what_a_worker_began_it_may_report_on_and_say_so_again() {
    let (_house, mut place) = Place::paying();
    let task = place.begun("w", at(1));
    assert_eq!(place.board.beat(task.receipt, ("w", task.fence), at(2)), Ok(false));
    for _ in 0..3 {
        assert_eq!(place.end(task.receipt, ("w", task.fence), ok()), Ok(()));
    }
    assert_eq!(place.heard().as_deref(), Some("completed"));
    assert_eq!(place.heard(), None, "it counts once");
    assert!(place.board.is_empty());
}

#[test]
fn who_reported_once_does_not_say_otherwise_later() {
    let (_house, mut place) = Place::paying();
    let task = place.begun("w", at(1));
    place.end(task.receipt, ("w", task.fence), ok()).unwrap();
    let other = Came::Performed(End::Unknown, Micros::ZERO);
    assert_eq!(place.end(task.receipt, ("w", task.fence), other), Err(Refused::Settled));
    assert_eq!(place.end(task.receipt, ("x", task.fence), ok()), Err(Refused::NoTask));
}

#[test]
fn nobody_reports_on_what_is_another_workers() {
    let (_house, mut place) = Place::paying();
    let task = place.begun("w", at(1));
    for by in [("x", task.fence), ("w", task.fence - 1), ("w", task.fence + 1)] {
        assert_eq!(place.end(task.receipt, by, ok()), Err(Refused::Stale), "{by:?}");
        assert_eq!(place.board.beat(task.receipt, by, at(2)), Err(Refused::Stale), "{by:?}");
        assert_eq!(place.board.begin(task.receipt, by, at(2)), Err(Refused::Stale), "{by:?}");
    }
    assert_eq!(place.heard(), None);
}

#[test]
fn a_report_on_what_was_never_begun_does_not_count() {
    let (_house, mut place) = Place::paying();
    let task = place.one("w", at(1));
    assert_eq!(place.end(task.receipt, ("w", task.fence), ok()), Err(Refused::NotBegun));
    assert_eq!(place.heard(), None);
}

#[test]
fn what_was_offered_and_not_begun_is_offered_to_another_under_a_higher_fence() {
    let (_house, mut place) = Place::paying();
    let first = place.one("w", at(1));
    assert!(place.take("x", at(2)).is_empty(), "it is offered to one at a time");
    place.board.tick(at(1 + OFFER_MS));
    let second = place.begun("x", at(2 + OFFER_MS));
    assert!(second.fence > first.fence);
    let late = place.board.begin(first.receipt, ("w", first.fence), at(3 + OFFER_MS));
    assert_eq!(late, Err(Refused::Stale), "who woke up must not begin");
}

#[test]
fn s5_the_report_of_a_slow_worker_whose_lease_is_over_does_not_count() {
    // Doing it again changes nothing: it failed, and may be tried again.
    let mut house = House::new();
    let cleared = house.clear(AnyEffect::from(read("invoices", "acme.json")));
    let mut place = Place::with(cleared, Standing::default());
    let task = place.begun("w", at(1));
    place.board.beat(task.receipt, ("w", task.fence), at(LEASE_MS)).unwrap();
    place.board.tick(at(LEASE_MS + 2));
    assert_eq!(place.heard(), None, "it is still heard of");
    place.board.tick(at(2 * LEASE_MS));
    assert_eq!(place.heard().as_deref(), Some("effect.lost"));
    assert_eq!(place.end(task.receipt, ("w", task.fence), ok()), Err(Refused::NoTask));
    assert_eq!(place.heard(), None);
}

#[test]
fn what_a_lost_worker_may_have_done_is_looked_into_and_not_repeated() {
    for (found, heard) in [
        (Found::Done(Value::Null), "completed"),
        (Found::NotDone, "abandoned"),
        (Found::CannotTell, "unknown"),
    ] {
        let (_house, mut place) = Place::paying();
        let task = place.begun("w", at(1));
        place.board.tick(at(1 + LEASE_MS));
        assert_eq!(place.heard(), None);
        let look = place.begun("x", at(2 + LEASE_MS));
        assert_eq!((look.what, look.receipt), (What::Probe, task.receipt));
        // The lost one comes back, and is told.
        assert_eq!(place.end(task.receipt, ("w", task.fence), ok()), Err(Refused::Stale));
        // A look is answered as a look.
        assert_eq!(place.end(task.receipt, ("x", look.fence), ok()), Err(Refused::OtherAnswer));
        place.end(task.receipt, ("x", look.fence), Came::Found(found)).unwrap();
        assert_eq!(place.heard().as_deref(), Some(heard));
    }
}

#[test]
fn what_nobody_can_look_into_is_unknown_when_its_worker_is_lost() {
    let mut house = House::new();
    let request = crate::house::effect(
        "http.request",
        r#"{"method":"POST","url":"https://api.example.com/pay"}"#,
    );
    let cleared = house.clear(request);
    let mut place = Place::with(cleared, Standing::default());
    place.begun("w", at(1));
    place.board.tick(at(1 + LEASE_MS));
    assert_eq!(place.heard().as_deref(), Some("unknown"));
}

#[test]
fn an_attempt_that_takes_too_long_ends_although_its_worker_lives() {
    let mut house = House::new();
    let cleared = house.clear(AnyEffect::from(get("https://api.example.com/rates")));
    let standing = Standing { timeout_ms: Some(3_000), ..Standing::default() };
    let mut place = Place::with(cleared, standing);
    let task = place.begun("w", at(1));
    for ms in [1_000, 2_000, 3_000] {
        place.board.beat(task.receipt, ("w", task.fence), at(ms)).unwrap();
        place.board.tick(at(ms));
    }
    assert_eq!(place.heard(), None);
    place.board.tick(at(3_001));
    assert_eq!(place.heard().as_deref(), Some("effect.timeout"));
}

#[test]
fn nothing_begins_after_its_receipt_expired_and_what_nobody_began_is_void() {
    let (_house, mut place) = Place::paying();
    let late = at(cog_gate::door::RECEIPT_LIFE_MS + 60_000);
    let task = place.one("w", late);
    let began = place.board.begin(task.receipt, ("w", task.fence), late);
    assert_eq!(began, Err(Refused::Expired));
    place.board.tick(Now { ms: late.ms + OFFER_MS, ..late });
    assert_eq!(place.heard().as_deref(), Some("abandoned"));
}

#[test]
fn what_waits_too_long_for_a_worker_fails_and_was_not_done() {
    let mut house = House::new();
    let cleared = house.clear(AnyEffect::from(pay("acme", 100)));
    let standing = Standing { start_within_ms: Some(500), ..Standing::default() };
    let mut place = Place::with(cleared, standing);
    place.board.tick(at(499));
    assert_eq!(place.heard(), None);
    place.board.tick(at(500));
    assert_eq!(place.heard().as_deref(), Some("effect.start_timeout"));
}

#[test]
fn what_is_said_to_cost_more_than_was_reserved_is_not_taken() {
    let (_house, mut place) = Place::paying();
    let task = place.begun("w", at(1));
    let dear = Came::Performed(End::Completed(Value::Null), Micros::new(1_000_000_000));
    assert_eq!(place.end(task.receipt, ("w", task.fence), dear), Err(Refused::Cost));
    assert_eq!(place.end(task.receipt, ("w", task.fence), ok()), Ok(()));
}

#[test]
fn owasp_api1_a_worker_is_offered_nothing_of_tenants_and_kinds_that_it_does_not_name() {
    let (house, mut place) = Place::paying();
    let poll = |kinds: &[&str], tenants| Poll {
        worker: "w".into(),
        kinds: kinds.iter().map(|it| (*it).to_owned()).collect(),
        tenants,
        max: 8,
        wait_ms: 0,
    };
    let own = vec![house.origin.tenant];
    assert!(place.board.offer(&poll(&["file.write"], Vec::new()), at(1)).is_empty());
    assert!(place.board.offer(&poll(&["file.read"], own.clone()), at(1)).is_empty());
    assert_eq!(place.board.offer(&poll(&["file.write"], own), at(1)).len(), 1);
}

#[test]
fn a_board_that_closes_hands_out_nothing_and_voids_what_nobody_began() {
    let (_house, mut place) = Place::paying();
    place.board.close();
    assert!(place.take("w", at(1)).is_empty());
    place.board.tick(at(2));
    assert_eq!(place.heard().as_deref(), Some("abandoned"));
}

#[test]
fn what_is_wanted_no_more_does_not_begin_and_who_began_it_is_told() {
    let (house, mut place) = Place::paying();
    let tenant = house.origin.tenant;
    let task = place.begun("w", at(1));
    let other = cog_base::id::TenantId::from_uuid(cog_base::id::Uuid::from_u128(7));
    place.board.cancel(other, task.receipt);
    assert_eq!(place.board.beat(task.receipt, ("w", task.fence), at(2)), Ok(false));
    place.board.cancel(tenant, task.receipt);
    assert_eq!(place.board.beat(task.receipt, ("w", task.fence), at(2)), Ok(true));
    place.board.tick(at(3));
    assert_eq!(place.heard(), None, "what is under way is waited for");

    let (house, mut place) = Place::paying();
    let task = place.one("w", at(1));
    place.board.cancel(house.origin.tenant, task.receipt);
    assert!(place.board.begin(task.receipt, ("w", task.fence), at(2)).is_err());
    place.board.tick(at(2 + OFFER_MS));
    assert_eq!(place.heard().as_deref(), Some("abandoned"));
}

#[test]
fn a_worker_that_is_silent_for_longer_than_the_step_allows_is_lost() {
    let mut house = House::new();
    let cleared = house.clear(AnyEffect::from(read("invoices", "acme.json")));
    let standing = Standing { heartbeat_ms: Some(400), ..Standing::default() };
    let mut place = Place::with(cleared, standing);
    let task = place.begun("w", at(1));
    assert_eq!(task.lease_ms, 400);
    place.board.beat(task.receipt, ("w", task.fence), at(300)).unwrap();
    place.board.tick(at(699));
    assert_eq!(place.heard(), None);
    place.board.tick(at(700));
    assert_eq!(place.heard().as_deref(), Some("effect.lost"));
}

#[test]
fn what_is_said_is_read_strictly() {
    let (_house, mut place) = Place::paying();
    let task = place.one("w", at(1));
    assert_eq!(Task::from_value(&task.to_value()), Ok(task.clone()));
    for came in [ok(), Came::Performed(End::Unknown, Micros::ZERO), Came::Found(Found::NotDone)] {
        let report = Report { fence: 7, worker: "w".into(), came };
        assert_eq!(Report::from_value(&report.to_value()), Ok(report));
    }
    for (text, says) in [
        (r#"{"worker":"w","kinds":[],"tenants":[],"max":1,"wait_ms":0,"more":1}"#, "more"),
        (r#"{"worker":"w","kinds":"all","tenants":[],"max":1,"wait_ms":0}"#, "kinds"),
        (r#"{"worker":"w","kinds":[],"tenants":["t"],"max":1,"wait_ms":0}"#, "tenants"),
        (r#"{"worker":"w","kinds":[],"tenants":[],"max":-1,"wait_ms":0}"#, "max"),
        (r#"[]"#, "object"),
    ] {
        let value = cog_base::json::parse(text).unwrap();
        let error = Poll::from_value(&value).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    for text in [
        r#"{"fence":1,"worker":"w","disposition":"abandoned","cost_micros":0}"#,
        r#"{"fence":1,"worker":"w","disposition":"completed","cost_micros":0}"#,
        r#"{"fence":1,"worker":"w","found":"perhaps"}"#,
        r#"{"fence":1,"worker":"w"}"#,
        r#"{"fence":1,"worker":"w","found":"not_done","refused":{}}"#,
    ] {
        assert!(Report::from_value(&cog_base::json::parse(text).unwrap()).is_err(), "{text}");
    }
}

#[test]
fn what_an_effect_gives_is_heard_once_of_whoever_began_it_and_only_where_it_is_wanted() {
    let mut house = House::new();
    let cleared = house.clear(AnyEffect::from(pay("acme", 100)));
    let mut place = Place::with(cleared, Standing { stream: true, ..Standing::default() });
    let task = place.one("w", at(1));
    assert!(task.stream);
    let by = ("w", task.fence);
    assert_eq!(place.give(&task, by, (0, "early")), Err(Refused::NotBegun));
    place.board.begin(task.receipt, by, at(1)).unwrap();
    for other in [("x", task.fence), ("w", task.fence - 1), ("w", task.fence + 1)] {
        assert_eq!(place.give(&task, other, (0, "no")), Err(Refused::Stale), "{other:?}");
    }
    assert_eq!(place.give(&task, by, (1, "gap")), Err(Refused::OtherOffset));
    assert_eq!(place.give(&task, by, (0, "one")), Ok(()));
    assert_eq!(place.give(&task, by, (0, "one")), Ok(()), "said again, it is the same");
    assert_eq!(place.give(&task, by, (0, "other")), Err(Refused::OtherOffset));
    assert_eq!(place.give(&task, by, (u64::MAX, "far")), Err(Refused::OtherOffset));
    assert_eq!(place.give(&task, by, (3, " two")), Ok(()));
    assert_eq!(place.given(), "one two");
    // Whoever looks what a lost worker did performs nothing.
    place.board.tick(at(3 + LEASE_MS));
    let look = place.begun("x", at(4 + LEASE_MS));
    assert!(!look.stream);
    assert_eq!(place.give(&look, ("x", look.fence), (0, "no")), Err(Refused::OtherAnswer));
    assert_eq!(place.give(&task, by, (7, "no")), Err(Refused::Stale));
    let (_house, mut place) = Place::paying();
    let task = place.begun("w", at(1));
    assert!(!task.stream);
    assert_eq!(place.give(&task, ("w", task.fence), (0, "no")), Err(Refused::OtherAnswer));
    assert_eq!(place.given(), "");
}

#[test]
fn what_is_said_of_a_task_at_one_board_is_not_taken_for_the_same_task_at_another() {
    let (_house, mut left) = Place::paying();
    let (_house, mut came) = Place::paying();
    came.board = left.board.beside();
    let asked = Asked::Perform(Box::new(House::new().clear(AnyEffect::from(pay("acme", 100)))));
    came.board.put(asked, Standing::default(), came.inbox.clone(), at(0));
    let (there, here) = (left.begun("w", at(1)), came.begun("w", at(1)));
    assert_eq!(there.receipt, here.receipt, "it is the same task");
    assert!(
        left.board.gave(there.receipt, there.fence) && came.board.gave(here.receipt, here.fence)
    );
    assert!(!left.board.gave(here.receipt, here.fence));
    assert!(!came.board.gave(there.receipt, there.fence));
    assert_eq!(came.end(here.receipt, ("w", there.fence), ok()), Err(Refused::Stale));
    assert_eq!(came.end(here.receipt, ("w", here.fence), ok()), Ok(()));
    assert_eq!((came.heard().as_deref(), left.heard()), (Some("completed"), None));
    // What was said here is known here for as long as it may be said again.
    assert!(came.board.gave(here.receipt, here.fence) && !came.board.has(here.receipt));
    assert!(left.board.has(there.receipt));
}
