//! A ledger whose every hash and signature is right, and whose history is not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cog_base::entropy::SeededEntropy;
use cog_base::json::Map;
use cog_base::{Digest, Timestamp};
use cog_ledger::{Draft, Kind, Writer};
use cog_store::Store;
use cog_store_sqlite::{Mode, SqliteStore};

use crate::program::Folder;

const WEEKS: Duration = Duration::from_hours(24 * 21);

#[test]
fn ledger_verify_finds_what_a_run_cannot_have_done() {
    let folder = Folder::example("histories", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.is_tampered_with();
    // Whoever holds the keys signs that a timer was due which no step had armed.
    let note = "nobody";
    let data = Map::from([
        ("source".into(), "timer".into()),
        ("digest".into(), Digest::in_context("cognitionos/evidence/v1", note.as_bytes()).into()),
        ("note".into(), note.into()),
    ]);
    append(&folder, &run, data, Timestamp::MIN);
    folder.cog(&["ledger", "verify"]).ends(1).says(&["history.unarmed", "nobody"]);
}

/// The log knows of a later time than the clock: what expired meanwhile stays expired.
#[test]
fn a_clock_that_is_set_back_revives_no_request() {
    let folder = Folder::example("revived", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    let note = Digest::in_context("cognitionos/evidence/v1", b"late").into();
    let data = [("source", "test".into()), ("digest", note), ("note", "late".into())];
    let data = data.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let late = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + WEEKS;
    let later = Timestamp::from_micros(i64::try_from(late.as_micros()).unwrap());
    append(&folder, &run, data, later);
    let before = folder.entries("approval.granted").len();
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(4).says(&["expire"]);
    folder.cog(&["approvals", "list"]).ends(0).says(&["expired"]);
    assert_eq!(folder.entries("approval.granted").len(), before);
}

/// Append to a run as whoever holds the keys can, at a time of their choosing.
fn append(folder: &Folder, run: &str, data: Map, at: Timestamp) {
    let (who, domain) = ("user:operator", "accounts-payable");
    let mut draft = Draft::new(Kind::Evidence, who, domain, "production", []);
    (draft.session, draft.data) = (Some(run.parse().unwrap()), data);
    let dice = || SeededEntropy::new(1);
    let store = SqliteStore::open(&folder.path("data"), Mode::ReadWrite, Box::new(dice())).unwrap();
    let tenant = store.tenants().unwrap()[0];
    let mut writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "forger");
    writer.append(vec![(tenant, draft)], at, &mut dice()).unwrap();
}
