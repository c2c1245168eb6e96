//! A ledger whose every hash and signature is right, and whose history is not.

use cog_base::entropy::SeededEntropy;
use cog_base::json::Map;
use cog_base::{Digest, Timestamp};
use cog_ledger::{Draft, Kind, Writer};
use cog_store::Store;
use cog_store_sqlite::{Mode, SqliteStore};

use crate::program::Folder;

#[test]
fn ledger_verify_finds_what_a_run_cannot_have_done() {
    let folder = Folder::example("histories", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["ledger", "verify"]).ends(0);
    // Whoever holds the keys signs that a timer was due which no step had armed.
    let note = "nobody";
    let data = Map::from([
        ("source".into(), "timer".into()),
        ("digest".into(), Digest::in_context("cognitionos/evidence/v1", note.as_bytes()).into()),
        ("note".into(), note.into()),
    ]);
    let (who, domain) = ("user:operator", "accounts-payable");
    let mut draft = Draft::new(Kind::Evidence, who, domain, "production", []);
    (draft.session, draft.data) = (Some(run.parse().unwrap()), data);
    let dice = || SeededEntropy::new(1);
    let store = SqliteStore::open(&folder.path("data"), Mode::ReadWrite, Box::new(dice())).unwrap();
    let tenant = store.tenants().unwrap()[0];
    let mut writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "forger");
    writer.append(vec![(tenant, draft)], Timestamp::MIN, &mut dice()).unwrap();
    drop((writer, store));
    folder.cog(&["ledger", "verify"]).ends(1).says(&["history.unarmed", "nobody"]);
}
