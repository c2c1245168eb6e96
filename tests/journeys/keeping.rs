//! Keeping a ledger for years: new keys, erasure, pruning; and what somebody with access to
//! the files cannot do unseen.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::entropy::{Entropy as _, SeededEntropy};

use crate::ledger::each_entry_is_proved;
use crate::program::{Answer, Folder, text};

#[test]
fn the_old_key_leads_to_the_new_one() {
    let folder = Folder::example("rotate", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let old = folder.cog(&["ledger", "key"]).ends(0).out.trim().to_owned();
    // A refusal of no run is a decision, too, whoever makes it again.
    folder.cog(&["ledger", "rotate", "--as", "user:operator"]).ends(4);
    let rotate = ["ledger", "rotate", "--as", "user:head-of-travel"];
    let rotated = folder.cog(&rotate).ends(0).out;
    let new = folder.cog(&["ledger", "key"]).ends(0).out.trim().to_owned();
    assert!(old != new && rotated.contains(&new));
    let verifies = |name: &str| {
        folder.cog(&["ledger", "verify"]).ends(0);
        folder.cog(&["ledger", "export", "-o", name]).ends(0);
        let decided = |answer: Answer| answer.ends(0).json().get("decisions").cloned();
        let here = decided(folder.cog(&["ledger", "verify", "--json"]));
        for key in [&old, &new] {
            assert_eq!(decided(folder.cog(&["verify", name, "--key", key, "--json"])), here);
        }
    };
    verifies("at-once.cogbundle");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    verifies("later.cogbundle");
    folder.cog(&rotate).ends(0);
    folder.cog(&rotate).ends(0);
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
    let erase = ["ledger", "erase", "northwind-cleaning-5521.txt", "--as", "user:cfo"];
    let run = folder.entries("session.started")[0].at(&["session"]).unwrap().to_string();
    let run = run.trim_matches('"');
    folder.cog(&erase).ends(7).says(&[run, "is open", "--cancel"]);
    folder.cog(&["run", "--cancel", run, "--reason", "the example is over"]).ends(0);
    folder.cog(&["replay", run]).ends(0);
    folder.cog(&["run", "--cancel", run, "--reason", "again"]).ends(7).says(&["has ended"]);
    folder.cog(&erase).ends(0).says(&["bodies erased"]);
    let left = is_kept();
    assert!(left <= 1, "{left} entries still show it");
    folder.cog(&["ledger", "verify"]).ends(0).says(&["erased, as entries say"]);
    let erasure = folder.entries("bodies.erased")[0].get("seq").unwrap().to_string();
    let by = format!("its record was erased, as entry {erasure} says");
    folder.cog(&["replay"]).ends(0).says(&["partly erased", "recomputed the same", &by]);
    let replayed = folder.cog(&["replay", "--json"]).ends(0).json();
    assert_eq!(text(&replayed, &["result"]), "erased");
    assert_eq!(text(&replayed, &["trace"]), "gone");
    let number = |name: &str| replayed.get(name).and_then(Value::as_u64).unwrap();
    let absent = replayed.get("absent").and_then(Value::as_list).unwrap();
    assert!(number("same") > 0 && number("same") < number("decisions"), "{replayed}");
    assert!(absent.iter().all(|it| it.get("erased_by").unwrap().to_string() == erasure));
    let gone = absent[0].get("entry").unwrap().to_string();
    folder.cog(&["ledger", "show", &gone]).ends(0).says(&["erased, as entry", &erasure]);
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    each_entry_is_proved(&folder);
    let nothing = ["ledger", "erase", "nobody-at-all", "--as", "user:cfo"];
    folder.cog(&nothing).ends(2).says(&["nothing is kept about"]);
    folder.cog(&erase).ends(0).says(&[&format!("erased before, as entry {erasure} says")]);
    let erased = folder.entries("bodies.erased");
    assert_eq!(erased.len(), 1, "what erased nothing is no entry");
    assert!(!erased[0].to_string().contains("northwind"), "the entry names who was erased");
}

#[test]
fn only_those_whom_the_canon_entitles_keep_the_ledger() {
    let folder = Folder::example("keepers", "01-quickstart");
    let invoice = "northwind-cleaning-5521.txt";
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    for who in ["user:operator", "user:nobody", "agent:clerk"] {
        let before = folder.cog(&["ledger", "key"]).ends(0).out;
        for deed in [
            &["ledger", "rotate"][..],
            &["ledger", "erase", invoice],
            &["ledger", "prune", "--before", "10", "--reason", "old"],
        ] {
            let refused = folder.cog(&[deed, &["--as", who]].concat()).ends(4);
            refused.says(&["user:cfo or user:controller"]);
        }
        assert_eq!(folder.cog(&["ledger", "key"]).ends(0).out, before);
    }
    // However often somebody tries the same: one refusal is enough.
    folder
        .cog(&["ledger", "rotate", "--as", "user:nobody"])
        .ends(4)
        .says(&["cognitionos why dny_"]);
    let refused = folder.entries("denial");
    let refused = refused.iter().filter(|it| text(it, &["data", "code"]) == "ledger.not_entitled");
    let told: Vec<_> = refused.clone().map(ToString::to_string).collect();
    assert_eq!(told.len(), 9);
    assert!(told.iter().all(|it| !it.contains(invoice)), "an entry names whose data it was");
    let why = |it| folder.cog(&["why", text(it, &["data", "id"])]).ends(0).out;
    let told: Vec<String> = refused.map(why).collect();
    assert!(told.iter().all(|it| it.contains("user:cfo or user:controller")), "{told:?}");
    assert!(told.iter().any(|it| it.contains("rotate the key of")), "{told:?}");
    assert!(folder.entries("bodies.erased").is_empty());
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn a_canon_that_was_altered_where_it_is_kept_is_none() {
    let folder = Folder::example("altered", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let database = folder.path("data/ledger.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let rule = b"costs at most 500.00";
    let places: Vec<_> =
        (0..bytes.len() - rule.len()).filter(|at| bytes[*at..].starts_with(rule)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + rule.len() - 6] = b'9';
    }
    std::fs::write(&database, bytes).unwrap();
    folder.cog(&["replay"]).ends(1).says(&["damaged", "a canon of"]);
    folder.cog(&["ledger", "verify"]).ends(1).says(&["store.canon"]);
    folder.cog(&["doctor"]).ends(1).says(&["store.canon"]);
    // Where there is nothing to put in its place, nothing is decided under it.
    folder.copy("canon", "aside");
    std::fs::remove_dir_all(folder.path("canon")).unwrap();
    folder.cog(&["run", "workflow.yaml"]).ends(1).says(&["damaged", "a canon of"]);
    folder.cog(&["run", "workflow.yaml", "--canon", "aside"]).ends(0).says(&["kept again"]);
    folder.holds();
}

#[test]
fn a_proof_is_checked_with_the_key_alone() {
    let folder = Folder::example("proof", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let proof = folder.cog(&["ledger", "proof", "3"]).ends(0).out;
    folder.write("proof.txt", &proof);
    folder.write("log.vkey", &folder.cog(&["ledger", "key"]).ends(0).out);
    let verify = ["verify", "proof.txt", "--key", "log.vkey"];
    folder.cog(&verify).ends(0).says(&["the proof holds", "3 of"]);
    let report = folder.cog(&[&verify[..], &["--json"]].concat()).ends(0).json();
    assert_eq!(report.get("seq").and_then(Value::as_u64), Some(3));
    folder.write("proof.txt", &proof.replace("index 3", "index 2"));
    folder.cog(&verify).ends(1).says(&["does not hold"]);
    let other = Folder::example("proof-other", "02-refusal-and-why");
    other.cog(&["run", "workflow.yaml"]).ends(0);
    folder.write("proof.txt", &proof);
    folder.write("log.vkey", &other.cog(&["ledger", "key"]).ends(0).out);
    folder.cog(&verify).ends(1).says(&["does not hold"]);
}

#[test]
fn an_export_that_fails_leaves_the_earlier_one() {
    let folder = Folder::example("export-fails", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let export = ["ledger", "export", "-o", "kept/b.cogbundle"];
    folder.cog(&export).ends(1);
    folder.write("kept/b.cogbundle", "an earlier one");
    let database = folder.path("data/ledger.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let whole = bytes.clone();
    let needle = b"agent:travel-desk";
    let places: Vec<_> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    for at in places {
        bytes[at] = b'A';
    }
    std::fs::write(&database, &bytes).unwrap();
    assert_ne!(folder.cog(&export).code, 0);
    assert_eq!(folder.read("kept/b.cogbundle"), "an earlier one");
    assert_eq!(std::fs::read_dir(folder.path("kept")).unwrap().count(), 1, "a part is left");
    std::fs::write(&database, whole).unwrap();
    folder.cog(&export).ends(0);
    assert_ne!(folder.read("kept/b.cogbundle"), "an earlier one");
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
        let prune = ["ledger", "prune", "--before", before, "--reason", "after five years"];
        folder.cog(&[&prune[..], &["--as", "user:head-of-archive"]].concat())
    };
    prune("100").ends(2).says(&["whole segments of 256"]);
    prune("100000").ends(2);
    let started = &folder.entries("session.started")[0];
    let oldest = started.get("session").unwrap().to_string();
    let first = started.get("seq").unwrap().to_string();
    let receipt = text(&folder.entries("receipt")[0], &["data", "id"]).to_owned();
    prune("256").ends(0).says(&["entries 0 to 256 pruned"]);
    // Of a run the beginning may be gone and its end not.
    let domains = folder.cog(&["domains", "--json"]).ends(0).json();
    let done = &domains.as_list().unwrap()[0].get("environments").unwrap().as_list().unwrap()[0];
    let count = |path: &[&str]| done.at(path).and_then(cog_base::Value::as_u64);
    let (seals, starts) = (folder.entries("session.sealed"), folder.entries("session.started"));
    assert!(seals.len() > starts.len(), "one run is only partly here");
    assert_eq!(count(&["runs"]), Some(seals.len() as u64));
    assert_eq!((count(&["ended", "completed"]), count(&["open"])), (count(&["runs"]), Some(0)));
    let left = folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).jsons();
    let across = left.iter().filter(|it| it.get("seq").unwrap().as_u64().unwrap() >= 256);
    let across = across.map(|it| it.get("session").unwrap().to_string()).next().unwrap();
    let replayed = folder.cog(&["replay", across.trim_matches('"')]).ends(0);
    assert!(replayed.out.contains("pruned") && !replayed.out.contains("differs"), "{replayed}");
    // What was pruned is not denied: who did it, why, and which entry says so.
    let by = folder.entries("segment.pruned")[0].get("seq").unwrap().to_string();
    let story = format!("by user:head-of-archive (entry {by}: after five years)");
    for look in [&["ledger", "show"][..], &["ledger", "proof"], &["why"]] {
        let gone = folder.cog(&[look, &[&first]].concat()).ends(2);
        gone.says(&[&format!("entry {first} was pruned on"), &story, "bundles and proofs that"]);
        folder.cog(&[look, &[&receipt]].concat()).ends(2).says(&["before entry 256", &story]);
        let never = folder.cog(&[look, &["99999"]].concat()).ends(2);
        assert!(!never.err.contains("pruned"), "{never}");
    }
    for look in ["replay", "why"] {
        let gone = folder.cog(&[look, oldest.trim_matches('"')]).ends(2);
        gone.says(&["there is no run", "before entry 256", &story]);
    }
    folder.cog(&["replay", "--all"]).ends(0).says(&["are pruned and not recomputed"]);
    folder.cog(&["ledger", "verify"]).ends(0).says(&["(256 entries pruned before)"]);
    folder.cog(&["ledger", "verify", "--against", "head.txt"]).ends(0);
    folder.cog(&["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    each_entry_is_proved(&folder);
    let pruned = folder.entries("segment.pruned");
    assert_eq!(pruned.len(), 1);
    folder.cog(&["ledger", "list", "--kind", "segment.pruned"]).says(&["after five years"]);
    prune("256").ends(2);

    // The canon that binds was put in force before, and still binds.
    folder.cog(&["canon", "list"]).ends(0).says(&["in force", "archive"]);
    let run = ["run", "workflow.yaml", "--input", "pause_ms=1", "--input", "folder=later"];
    let run = folder.cog(&run).ends(0);
    assert!(!run.err.contains("founds"), "{run}");
    folder.cog(&["replay", &run.id("run")]).ends(0);
    folder.cog(&["ledger", "rotate", "--as", "user:head-of-archive"]).ends(0);
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
