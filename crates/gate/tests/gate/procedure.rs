//! Procedure 1 is pinned: the same inputs come to the same checks under every later release.
//!
//! Each line of `procedure-1.txt` is a decision: its name, its verdict, the check that decided,
//! and digests of what was read and of the whole trace. A line that comes out otherwise means
//! that the procedure was changed: let the old one stand, write the change as a procedure of the
//! next number, add it to `decide_by`, raise `PROCEDURE`, and pin it in a file of its own.

use std::fmt::Write as _;

use cog_base::json::{Canonical, Object};
use cog_base::{Digest, Micros};
use cog_canon::Canon;
use cog_gate::decision::{CheckName, Decision, PROCEDURE, Verdict, decide_by, read_record};
use cog_gate::snapshot::{Access, Snapshot, TenantStatus};
use cog_gate::{Consent, Effect, Intent, OfRun, Wish};
use expect_test::expect_file;

use crate::house::{CLERK, actor, noon};
use crate::minimal::{NIGHT_MS, STRANGER, World, fine, house_origin};

type Case = (&'static str, fn(&mut World));

const CASES: [Case; 44] = [
    ("paid", |_| {}),
    ("needs consent", |it| it.cents = 6),
    ("somebody said no", |it| {
        it.cents = 6;
        it.rejected = Some(it.intent().digest());
    }),
    ("a stranger", |it| it.who = STRANGER.into()),
    ("a person who did not begin the run", |it| it.who = "user:bob".into()),
    ("suspended", |it| it.tenant = TenantStatus::Suspended),
    ("unknown tenant", |it| it.tenant = TenantStatus::Unknown),
    ("not entitled", |it| it.entitled = false),
    ("the last effect", |it| it.effects = (8, 9)),
    ("one effect too many", |it| it.effects = (9, 9)),
    ("the last of the money", |it| it.cost = 9),
    ("a micro too much", |it| it.cost = 10),
    ("another environment", |it| it.lists.is_for_staging = true),
    ("undeclared", |it| it.access.clear()),
    ("read only", |it| it.access.extend([("payments".to_owned(), Access::Read)])),
    ("out of the root", |it| it.path = "../acme.json".into()),
    ("an empty part", |it| it.path = "a//b".into()),
    ("a backslash", |it| it.path = "a\\b".into()),
    ("the root itself", |it| it.path = ".".into()),
    ("elsewhere", |it| drop(it.lists.within.insert("payments".into(), vec!["/else".into()]))),
    ("not in the canon", |it| drop(it.lists.within.remove("payments"))),
    ("too much for any policy", |it| it.cents = 9),
    ("less than nothing", |it| it.cents = -1),
    ("the third receipt", |it| it.receipts = 2),
    ("the fourth receipt", |it| it.receipts = 3),
    ("the sum is reached", |it| it.summed = 4),
    ("the sum is passed", |it| it.summed = 5),
    ("held by another", |it| it.held.push("payments".into())),
    ("as many resources as may be", |it| it.resources = 1),
    ("a resource too many", |it| it.resources = 2),
    ("as much money as may move", |it| it.moved = 6),
    ("too much money", |it| it.moved = 7),
    ("actions that do not go together", |it| it.is_deleted = true),
    ("the clock is a little behind", |it| it.behind_ms = 5_000),
    ("the clock is far behind", |it| it.behind_ms = 5_001),
    ("another canon in force", |it| it.is_current = false),
    ("a host that is not listed", |it| it.action = "http.request"),
    ("a host that is listed", |it| {
        it.action = "http.request";
        it.lists.hosts.push("\"a.example\"".into());
    }),
    ("another port", |it| {
        (it.action, it.url) = ("http.request", "https://a.example:8443/".into());
        it.lists.hosts.push("\"a.example\"".into());
    }),
    ("a user in the URL", |it| {
        (it.action, it.url) = ("http.request", "https://***@a.example/".into());
        it.lists.hosts.push("\"a.example\"".into());
    }),
    ("a program that is not listed", |it| it.action = "process.run"),
    ("a program with the network", |it| {
        (it.action, it.program.1) = ("process.run", true);
        it.lists.programs.push(("sort".into(), false));
    }),
    ("a program at night", |it| {
        (it.action, it.now) = ("process.run", noon().plus_ms(NIGHT_MS));
        it.lists.programs.push(("sort".into(), false));
    }),
    ("a model that is not listed", |it| (it.action, it.model) = ("model.chat", "oracle".into())),
];

/// Decide from the record, as a replay does, and say it in a line.
fn line(name: &str, intent: &Intent, snapshot: &Snapshot, canon: Option<&Canon>) -> String {
    let mut record = Vec::new();
    Object::new(&mut record).put("intent", intent).put("snapshot", snapshot).end();
    let text = String::from_utf8(record.clone()).unwrap();
    let (intent, snapshot) = read_record(&cog_base::json::parse(&text).unwrap()).unwrap();
    let decision = decide_by(PROCEDURE, &intent, &snapshot, canon).unwrap();
    let short = |bytes: &[u8]| Digest::of(&[bytes]).to_string();
    let why = decision.failed().map_or(String::new(), |check| format!(" {}", check.code));
    format!(
        "{name}: {}{why}\n  read {}\n  said {}\n",
        decision.verdict.word(),
        short(&record),
        short(&decision.canonical())
    )
}

fn intent(who: &str, effect: &impl Effect) -> Intent {
    Intent::new(&house_origin(), "sign", actor(who), effect, Micros::ZERO, "high")
}

#[test]
fn procedure_1_says_what_it_always_said() {
    assert_eq!(PROCEDURE, 1, "pin the new procedure in a file of its own, and keep this one");
    let mut said = String::new();
    for (name, change) in CASES {
        let mut world = fine();
        change(&mut world);
        let intent = world.intent();
        let canon = world.lists.canon();
        said.push_str(&line(name, &intent, &world.snapshot(&intent), Some(&canon)));
    }
    let world = fine();
    let snapshot = Snapshot { canon: None, ..world.snapshot(&world.intent()) };
    said.push_str(&line("without a canon", &world.intent(), &snapshot, None));
    let need =
        |count| cog_gate::decision::Need { count, of: vec!["role:finance".into()], escalate: None };
    for (name, count) in [("a question", 2), ("a question to more than there are", 3)] {
        let consent = Consent {
            step: "sign".into(),
            message: "?".into(),
            form: None,
            need: need(count),
            expires_ms: 60_000,
        };
        let intent = intent("user:ada", &consent);
        said.push_str(&line(name, &intent, &snapshot, Some(&world.lists.canon())));
    }
    for who in ["user:ada", "user:eve", CLERK] {
        let run = house_origin().session;
        let intent = intent(who, &OfRun { run, wish: Wish::Cancel, reason: "late".into() });
        let name = format!("the end of the run, wanted by {who}");
        said.push_str(&line(&name, &intent, &snapshot, Some(&world.lists.canon())));
    }
    expect_file!["procedure-1.txt"].assert_eq(&said);
}

/// What is pinned meets every check, and every way in which a decision can end.
#[test]
fn the_pinned_decisions_meet_every_check() {
    let decided: Vec<Decision> = CASES
        .iter()
        .map(|(_, change)| {
            let mut world = fine();
            change(&mut world);
            let intent = world.intent();
            let (snapshot, canon) = (world.snapshot(&intent), world.lists.canon());
            decide_by(1, &intent, &snapshot, Some(&canon)).unwrap()
        })
        .collect();
    let mut missing = String::new();
    for name in CheckName::ALL {
        let is_met = decided.iter().any(|it| it.verdict == Verdict::Refuse(name));
        if !is_met {
            writeln!(missing, "{}", name.word()).unwrap();
        }
    }
    assert_eq!(missing, "");
}
