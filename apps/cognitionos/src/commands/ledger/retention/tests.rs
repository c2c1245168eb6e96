//! A ledger with runs of ten years and of a hundred days ago.

#![expect(clippy::disallowed_methods, reason = "the tests have a data folder")]

use std::path::PathBuf;

use cog_base::entropy::SeededEntropy;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Digest, Timestamp};
use cog_canon::Source;
use cog_ledger::session::Tally;
use cog_ledger::{Draft, Kind, Writer};
use cog_store::Store as _;

use super::*;
use crate::commands::ledger::prune::{self, Wanted};
use crate::commands::ledger::verify::look;

const SCHEMA: &str = "entity User;\nentity Root;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n";
const POLICY: &str =
    "@id(\"all\")\n@reason(\"It is about this.\")\npermit (principal, action, resource);\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "boss"}, "attrs": {}, "parents": []}]"#;
/// The entries of a run.
const ENTRIES: u64 = 300;

struct Old(PathBuf);

impl Drop for Old {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Old {
    /// A ledger under a canon with these lines: genesis, the canon, and a run of each age in days.
    fn new(name: &str, lines: &str, ages: &[i64]) -> Self {
        let folder = format!("cognitionos-kept-{name}-{}", std::process::id());
        let data = Self(std::env::temp_dir().join(folder));
        let home = data.home();
        let settings = format!(
            "name = \"kept\"\ndomain = \"kept\"\n[change]\napprovals = 1\n\
             approvers = [\"user:boss\"]\n{lines}"
        );
        let files = [
            ("canon.toml", settings.as_str()),
            ("schema.cedarschema", SCHEMA),
            ("policies/all.cedar", POLICY),
            ("facts/people.json", FACTS),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let source = Source::new(files);
        let canon = Canon::load(&source).unwrap();
        home.keep_canon(&source, canon.digest()).unwrap();
        let boss = "user:boss".parse().unwrap();
        let founded = home.change_control().unwrap().found(&canon, "production", &boss).unwrap();
        let store = home.folder().unwrap();
        let (shelf, keys) = (store.shelf().unwrap(), store.signing_keys().unwrap());
        let mut writer = Writer::new(shelf, keys, "cognitionos/test");
        let mut dice = SeededEntropy::new(7);
        let at = |age: i64| {
            Timestamp::from_micros(SystemClock.now().micros() - age * 86_400 * 1_000_000)
        };
        writer.append(vec![(home.tenant, founded)], at(ages[0]), &mut dice).unwrap();
        for age in ages {
            let run = RunId::new(at(*age), &mut dice).unwrap();
            let mut tally = Tally::default();
            let mut drafts = vec![started(run)];
            drafts.extend((2..ENTRIES).map(|_| evidence(run)));
            let drafts = drafts.into_iter().map(|draft| (home.tenant, draft)).collect();
            let entries = writer.append(drafts, at(*age), &mut dice).unwrap();
            entries.iter().for_each(|entry| tally.add(entry));
            let sealed = of(run, Kind::SessionSealed, tally.seal("completed"));
            writer.append(vec![(home.tenant, sealed)], at(*age), &mut dice).unwrap();
        }
        drop(writer);
        drop(home);
        data
    }

    fn home(&self) -> Home {
        Home::write(&self.0).unwrap()
    }
}

fn of(run: RunId, kind: Kind, data: Map) -> Draft {
    let mut draft = Draft::new(kind, "user:boss", "kept", "production", []);
    (draft.session, draft.data) = (Some(run), data);
    draft
}

fn started(run: RunId) -> Draft {
    let digest = Value::from(Digest::of(&[]));
    let data = [
        ("workflow", "old".into()),
        ("definition", digest.clone()),
        ("inputs", digest),
        ("roots", Value::Map(Map::new())),
        ("initiator", "user:boss".into()),
    ];
    let data = data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    of(run, Kind::SessionStarted, data).saying("inputs", "none")
}

fn evidence(run: RunId) -> Draft {
    let data = [("source", Value::from("test")), ("digest", Digest::of(&[]).into())];
    let data = data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    of(run, Kind::Evidence, data).saying("reason", "somebody")
}

fn terminal() -> Terminal {
    use clap::Parser as _;
    Terminal::new(
        &crate::cli::Cli::try_parse_from(["cognitionos", "runs", "--quiet"]).unwrap().common,
    )
}

/// How many entries and how many bodies are here, after it was looked at whether all holds.
fn here(home: &Home) -> (u64, usize) {
    let findings = look(home, &[]).unwrap().findings;
    let absent: Vec<_> = findings.kept().iter().filter(|it| it.code.starts_with("body")).collect();
    assert!(absent.is_empty(), "{absent:?}");
    let pruned = home.scope().unwrap().pruned().unwrap().entries;
    let bodies = home.keep().bodies(home.tenant, 0..u64::MAX).unwrap();
    (pruned, bodies.iter().filter(|(seq, _)| *seq < 602).count())
}

fn prune(home: &Home, wanted: &Wanted<'_>) -> anyhow::Result<Exit> {
    prune::prune(home, wanted, Some("old"), "user:boss", &terminal())
}

const BOTH: &str = "[retention]\nbodies = \"400 days\"\nentries = \"7 years\"\n";

#[test]
fn what_is_younger_than_the_canon_says_is_not_pruned() {
    let old = Old::new("young", BOTH, &[3_650, 100]);
    let home = old.home();
    let before = home.size().unwrap();
    let error = prune(&home, &Wanted::Before("600")).unwrap_err();
    assert!(error.to_string().contains("the canon of `kept` keeps entries for 7 years"), "{error}");
    assert_eq!(here(&home), (0, 598));
    let denial = home.scope().unwrap().entry(before).unwrap().unwrap();
    assert_eq!(denial.kind(), Kind::Denial);
    assert_eq!((denial.domain(), denial.text("code")), ("kept", Some("ledger.kept")));
    let record = home.record(denial).unwrap();
    let canon = home.canon(record.entry.canon().unwrap()).unwrap().unwrap();
    let differs =
        cog_gate::act::differs(&record.entry, record.body.as_ref().unwrap(), Some(&canon));
    assert_eq!(differs.unwrap(), None, "it is judged again as it was");
    prune(&home, &Wanted::Before("300")).unwrap();
    assert_eq!(here(&home).0, 256);
}

#[test]
fn what_no_canon_keeps_goes_and_nothing_else() {
    let old = Old::new("expired", BOTH, &[3_650, 100]);
    let home = old.home();
    let before = home.size().unwrap();
    prune(&home, &Wanted::Expired { dry_run: true }).unwrap();
    assert_eq!((home.size().unwrap(), here(&home)), (before, (0, 598)));
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    // Of the older run no body is left, and no whole segment; of the younger one everything.
    assert_eq!(here(&home), (256, 299));
    let after = home.size().unwrap();
    let erased = home.scope().unwrap().entry(before).unwrap().unwrap();
    assert_eq!((erased.domain(), erased.text("basis")), ("kept", Some("retention")));
    assert_eq!(after, before + 2);
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    assert_eq!(home.size().unwrap(), after, "what is not due is no entry");
}

#[test]
fn bodies_go_before_the_entries_do() {
    let lines = "[retention]\nbodies = \"30 days\"\nentries = \"20 years\"\n";
    let old = Old::new("bodies", lines, &[3_650, 100]);
    let home = old.home();
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    assert_eq!(here(&home), (0, 0));
}

#[test]
fn where_no_canon_says_anything_what_is_seven_years_old_is_due() {
    let old = Old::new("unsaid", "", &[3_650, 2_000]);
    let home = old.home();
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    assert_eq!(here(&home).0, 256);
    // Nobody said that it is kept, and so whoever may prune may prune it.
    prune(&home, &Wanted::Before("512")).unwrap();
    assert_eq!(here(&home).0, 512);
}

#[test]
fn a_time_is_the_first_entry_that_is_not_before_it() {
    let old = Old::new("time", "", &[3_650, 2_000]);
    let home = old.home();
    let day = |age: i64| {
        let at = SystemClock.now().micros() - age * 86_400 * 1_000_000;
        Timestamp::from_micros(at).to_string().chars().take(10).collect::<String>()
    };
    let number = |before: &str| prune::number(&home, before);
    assert_eq!(number(&day(4_000)).unwrap(), 0);
    assert_eq!(number(&day(3_000)).unwrap(), 302);
    assert_eq!(number(&format!("{}T00:00:00Z", day(3_000))).unwrap(), 302);
    assert_eq!(number(&day(1_000)).unwrap(), home.size().unwrap());
    assert_eq!(number("7").unwrap(), 7);
    for wrong in ["yesterday", "2026-13-01", "99999"] {
        assert!(number(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_younger_than_the_ledger_shows() {
    // The last entry is of tomorrow, by the clock that was then.
    let old = Old::new("clock", BOTH, &[3_650, -1]);
    let home = old.home();
    let last = home.scope().unwrap().tail().unwrap().unwrap().last_at;
    assert_eq!(now(&home).unwrap(), last);
    assert!(last > SystemClock.now());
}

#[test]
fn bodies_that_are_due_go_from_a_domain_that_fell_quiet_in_a_period() {
    let lines = "[retention]\nbodies = \"30 days\"\nentries = \"20 years\"\n\
                 [envelope.per_month]\neffects_max = 1000\n";
    let old = Old::new("quiet", lines, &[40]);
    let home = old.home();
    let rules = Rules::of(&home).unwrap();
    let due = |home: &Home| {
        super::here(home, &rules, now(home).unwrap()).unwrap().remove("kept").unwrap().bodies_due
    };
    assert_eq!(due(&home), 299);
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    // What is left is the reason of the erasure itself.
    assert_eq!((here(&home), due(&home)), ((0, 1), 0));
}

#[test]
fn what_an_open_run_needs_of_the_runs_that_began_it_stays() {
    let old = Old::new("child", "[retention]\nbodies = \"400 days\"\n", &[3_650]);
    let home = old.home();
    let first = home.scope().unwrap().entry(2).unwrap().unwrap();
    let (parent, run) = (first.session().unwrap(), run_of(9));
    let mut child = started(run);
    let step = Value::map([("session", Value::from(parent)), ("step", "one".into())]);
    child.data.insert("parent".to_owned(), step);
    let store = home.folder().unwrap();
    let (shelf, keys) = (store.shelf().unwrap(), store.signing_keys().unwrap());
    let mut writer = Writer::new(shelf, keys, "cognitionos/test");
    let mut dice = SeededEntropy::new(8);
    writer.append(vec![(home.tenant, child)], SystemClock.now(), &mut dice).unwrap();
    drop(writer);
    let error = prune(&home, &Wanted::Before("256")).unwrap_err().to_string();
    assert!(error.contains(&format!("{run} is open and rests on {parent}")), "{error}");
    prune(&home, &Wanted::Expired { dry_run: false }).unwrap();
    assert_eq!(here(&home), (0, 300), "no body went");
}

fn run_of(seed: u64) -> RunId {
    RunId::new(SystemClock.now(), &mut SeededEntropy::new(seed)).unwrap()
}
