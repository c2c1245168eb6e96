//! Keeping a ledger for years: new keys, erasure, pruning; and what somebody with access to
//! the files cannot do unseen.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::entropy::{Entropy as _, SeededEntropy};

use crate::ledger::each_entry_is_proved;
use crate::program::{Folder, text};

#[test]
fn the_old_key_leads_to_the_new_one() {
    let folder = Folder::example("rotate", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let old = folder.cog(&["ledger", "key"]).ends(0).out.trim().to_owned();
    let rotated = folder.cog(&["ledger", "rotate"]).ends(0).out;
    let new = folder.cog(&["ledger", "key"]).ends(0).out.trim().to_owned();
    assert!(old != new && rotated.contains(&new));
    let verifies = |name: &str| {
        folder.cog(&["ledger", "verify"]).ends(0);
        folder.cog(&["ledger", "export", "-o", name]).ends(0);
        for key in [&old, &new] {
            folder.cog(&["verify", name, "--key", key]).ends(0);
        }
    };
    verifies("at-once.cogbundle");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    verifies("later.cogbundle");
    folder.cog(&["ledger", "rotate", "--as", "user:operator"]).ends(0);
    folder.cog(&["ledger", "rotate"]).ends(0);
    verifies("thrice.cogbundle");
    each_entry_is_proved(&folder);
    folder.holds();
}

#[test]
fn what_is_kept_of_somebody_can_be_erased() {
    let folder = Folder::example("erase", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    let name = "Northwind Cleaning Services";
    let is_kept = || {
        folder.cog(&["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"]).ends(0);
        let shown = (0..93).map(|seq| folder.cog(&["ledger", "show", &seq.to_string()]).out);
        shown.filter(|it| it.contains(name)).count()
    };
    assert!(is_kept() > 0);
    let erase = ["ledger", "erase", "northwind-cleaning-5521.txt"];
    let run = folder.entries("session.started")[0].at(&["session"]).unwrap().to_string();
    let run = run.trim_matches('"');
    folder.cog(&erase).ends(7).says(&[run, "is open", "--cancel"]);
    folder.cog(&["run", "--cancel", run, "--reason", "the example is over"]).ends(0);
    folder.cog(&["replay", run]).ends(0);
    folder.cog(&["run", "--cancel", run, "--reason", "again"]).ends(7).says(&["has ended"]);
    folder.cog(&erase).ends(0).says(&["bodies erased"]);
    let left = is_kept();
    assert!(left <= 1, "{left} entries still show it");
    folder.cog(&["ledger", "verify"]).ends(0).says(&["were erased or pruned"]);
    folder.cog(&["replay"]).ends(1).says(&["partly erased", "cannot all be followed"]);
    let replayed = folder.cog(&["replay", "--json"]).ends(1).json();
    assert_eq!(text(&replayed, &["trace"]), "gone");
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    each_entry_is_proved(&folder);
    folder.cog(&["ledger", "erase", "nobody-at-all"]).ends(0).says(&["0 bodies"]);
    let erased = folder.entries("bodies.erased");
    assert!(!erased[0].to_string().contains("northwind"), "the entry names who was erased");
}

/// An archive with five runs, more than one segment long.
fn archive(name: &str) -> Folder {
    let folder = Folder::example(name, "04-survives-kill-9");
    for number in 0..5 {
        let pages = format!("folder=pages-{number}");
        folder.cog(&["run", "workflow.yaml", "--input", "pause_ms=1", "--input", &pages]).ends(0);
    }
    folder
}

#[test]
fn old_entries_can_be_pruned_and_the_rest_still_proves_itself() {
    let folder = archive("prune");
    folder.write("head.txt", &folder.cog(&["ledger", "checkpoint"]).ends(0).out);
    let prune = |before| {
        folder.cog(&["ledger", "prune", "--before", before, "--reason", "after five years"])
    };
    prune("100").ends(2).says(&["whole segments of 256"]);
    prune("100000").ends(2);
    prune("256").ends(0).says(&["entries 0 to 256 pruned"]);
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.cog(&["ledger", "verify", "--against", "head.txt"]).ends(0);
    folder.cog(&["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    each_entry_is_proved(&folder);
    let pruned = folder.entries("segment.pruned");
    assert_eq!(text(&pruned[0], &["data", "reason"]), "after five years");
    prune("256").ends(2);

    // The canon that binds was put in force before, and still binds.
    folder.cog(&["canon", "list"]).ends(0).says(&["in force", "archive"]);
    let run = ["run", "workflow.yaml", "--input", "pause_ms=1", "--input", "folder=later"];
    let run = folder.cog(&run).ends(0);
    assert!(!run.err.contains("founds"), "{run}");
    folder.cog(&["replay", &run.id("run")]).ends(0);
    folder.cog(&["ledger", "rotate"]).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn whoever_edits_the_database_is_found_out() {
    let folder = Folder::example("tamper", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.write("head.txt", &folder.cog(&["ledger", "checkpoint"]).ends(0).out);
    let whole = std::fs::read(folder.path("data/ledger.db")).unwrap();
    let mut findings = BTreeMap::new();
    let mut found = 0;
    for needle in [
        "agent:travel-desk",
        "canon.forbidden",
        "\"kind\":\"denial\"",
        "\"kind\":\"receipt\"",
        "\"disposition\":\"completed\"",
        "session.sealed",
        "\"seq\":5",
        "train",
        "\"genesis\"",
    ] {
        for at in places(&whole, needle.as_bytes()) {
            let mut changed = whole.clone();
            changed[at + needle.len() / 2] ^= 1;
            std::fs::write(folder.path("data/ledger.db"), &changed).unwrap();
            let verified = folder.cog(&["ledger", "verify", "--json"]);
            assert!(matches!(verified.code, 1 | 2), "{needle} at {at}: {verified}");
            let finding = verified.json();
            let code = finding.get("findings").and_then(Value::as_list).and_then(<[_]>::first);
            let code = code.map_or("on reading", |it| text(it, &["code"])).to_owned();
            *findings.entry(code).or_insert(0) += 1;
            found += 1;
        }
    }
    std::fs::write(folder.path("data/ledger.db"), &whole).unwrap();
    println!("{found} edits found: {findings:?}");
    assert!(found >= 20, "the entries are not where they were looked for: {found}");
    folder.cog(&["ledger", "verify", "--against", "head.txt"]).ends(0);
    folder.holds();
}

#[test]
fn a_flipped_bit_is_found_or_changes_nothing() {
    let folder = Folder::example("flipped-bits", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let told = || {
        let all = [&["ledger", "list", "--json"][..], &["ledger", "checkpoint"]];
        all.map(|arguments| folder.cog(arguments).ends(0).out)
    };
    let (before, whole) = (told(), std::fs::read(folder.path("data/ledger.db")).unwrap());
    let mut chance = SeededEntropy::new(2026);
    let (mut found, mut harmless) = (0, 0);
    while found + harmless < 80 {
        let mut drawn = [0; 8];
        chance.fill(&mut drawn).unwrap();
        let drawn = usize::from_le_bytes(drawn);
        let at = drawn % whole.len();
        // Nothing stands in an empty stretch of a page.
        if whole[at] == 0 {
            continue;
        }
        let mut changed = whole.clone();
        changed[at] ^= 1 << (drawn >> 61);
        std::fs::write(folder.path("data/ledger.db"), &changed).unwrap();
        let verified = folder.cog(&["ledger", "verify"]);
        assert!((0..=2).contains(&verified.code), "byte {at}: {verified}");
        if verified.code == 0 {
            // The record itself; what only helps to find things in it is not told here.
            assert_eq!(told(), before, "byte {at} was changed unseen");
            harmless += 1;
        } else {
            found += 1;
        }
    }
    std::fs::write(folder.path("data/ledger.db"), &whole).unwrap();
    println!("{found} flips found, {harmless} changed nothing of the record");
    assert!(found > harmless, "most bytes are of the record");
    folder.holds();
}

/// Where a text stands, at most eight times.
fn places(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let starts = 0..bytes.len().saturating_sub(needle.len());
    starts.filter(|at| bytes[*at..].starts_with(needle)).take(8).collect()
}

#[test]
fn an_older_copy_put_back_is_found_with_a_head_that_was_kept() {
    let folder = Folder::example("put-back", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.copy("data", "older");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.write("head.txt", &folder.cog(&["ledger", "checkpoint"]).ends(0).out);
    std::fs::remove_dir_all(folder.path("data")).unwrap();
    folder.copy("older", "data");
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.cog(&["ledger", "verify", "--against", "head.txt"]).ends(1);
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.cog(&["ledger", "verify", "--against", "head.txt"]).ends(1);
}
