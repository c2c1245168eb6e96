//! Looking at the ledger: lists, entries, proofs, heads, keys and tables.

use cog_base::Value;
use cog_base::json::parse;
use cog_ledger::proof::TlogProof;
use cog_ledger::{Checkpoint, VerifierKey};

use crate::program::{Folder, text};

/// The travel desk after one run.
fn desk(name: &str) -> Folder {
    let folder = Folder::example(name, "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder
}

#[test]
fn lists_are_filtered() {
    let folder = desk("list");
    let second = folder.cog(&["run", "workflow.yaml"]).ends(0).id("run");
    let list = |arguments: &[&str]| {
        folder.cog(&[&["ledger", "list", "--json"], arguments].concat()).ends(0).jsons()
    };
    let all = list(&[]);
    for (place, entry) in all.iter().enumerate() {
        assert_eq!(entry.get("seq"), Some(&(place as u64).into()));
    }
    let of_second = list(&["--run", &second]);
    assert!(of_second.iter().all(|entry| text(entry, &["session"]) == second));
    assert_eq!(text(&of_second[0], &["kind"]), "session.started");
    assert_eq!(text(of_second.last().unwrap(), &["kind"]), "session.sealed");
    assert_eq!(list(&["--kind", "denial"]).len(), 6);
    assert_eq!(list(&["--kind", "denial", "--run", &second]).len(), 3);
    assert_eq!(list(&["--from", "3", "--limit", "2"]), all[3..5]);
    assert_eq!(list(&["--last", "2"]), all[all.len() - 2..], "the newest last");
    folder.cog(&["ledger", "list", "--last", "2"]).ends(0).says(&["there are older ones"]);
    folder.cog(&["ledger", "list", "--limit", "2"]).ends(0).says(&["there are more"]);
    folder.cog(&["ledger", "list", "--limit", "2", "--last", "2"]).ends(2);
    assert_eq!(list(&["--limit", "0"]), []);
    assert_eq!(list(&["--from", "100000"]), []);
    folder.cog(&["ledger", "list", "--kind", "denials"]).ends(2).says(&["denials"]);
    folder.cog(&["ledger", "list", "--run", "somebody"]).ends(2);
    let lines = folder.cog(&["ledger", "list", "--limit", "1000"]).ends(0).out;
    assert_eq!(lines.lines().count(), all.len());
}

#[test]
fn entries_are_listed_as_the_events_that_they_are() {
    let folder = desk("events");
    let events = |arguments: &[&str]| {
        folder.cog(&[&["ledger", "events", "--json"], arguments].concat()).ends(0).jsons()
    };
    let all = events(&["--limit", "1000"]);
    let entries = folder.cog(&["ledger", "list", "--limit", "1000", "--json"]).ends(0).jsons();
    assert_eq!(all.len(), entries.len());
    for (event, entry) in all.iter().zip(&entries) {
        assert_eq!(text(event, &["specversion"]), "1.0");
        assert_eq!(text(event, &["time"]), text(entry, &["at"]));
        assert_eq!(event.at(&["data", "entry"]), entry.get("data"));
    }
    let ended = events(&["--type", "workflow.execution.completed"]);
    assert_eq!(ended.len(), 1);
    let seal = &folder.entries("session.sealed")[0];
    assert_eq!(text(&ended[0], &["data", "execution_id"]), text(seal, &["session"]));
    assert_eq!(ended[0].at(&["data", "cost_micros"]), seal.at(&["data", "spent_micros"]));
    for member in ["workflow_id", "duration_ms", "token_usage"] {
        assert!(ended[0].at(&["data", member]).is_some(), "{member}");
    }
    assert_eq!(events(&["--from", "3", "--limit", "2"]), all[3..5]);
    assert_eq!(events(&["--from", "100000"]), []);
    let words = folder.cog(&["ledger", "events", "--limit", "3"]).ends(0);
    let words = words.says(&["cognitionos.genesis", "there are more: --from 3"]);
    assert_eq!(words.out.lines().count(), 3);
}

#[test]
fn every_line_about_a_run_names_it() {
    let folder = desk("run-in-lines");
    let run = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    let list = folder.cog(&["ledger", "list"]).ends(0).out;
    let about: Vec<bool> = list.lines().map(|line| line.ends_with(&run)).collect();
    let of_run = folder.cog(&["ledger", "list", "--run", &run, "--json"]).ends(0).jsons();
    assert_eq!(about.iter().filter(|named| **named).count(), of_run.len(), "{list}");
    let started = folder.cog(&["ledger", "list", "--kind", "session.started"]).ends(0);
    assert_eq!(started.id("run"), run);
}

#[test]
fn what_is_left_out_is_told_beside_the_answer() {
    let folder = desk("left-out");
    let all = folder.cog(&["ledger", "list", "--json"]).ends(0).jsons().len().to_string();
    let said =
        |arguments: &[&str]| folder.cog(&[&["ledger", "list"], arguments].concat()).ends(0).err;
    for complete in [&[][..], &["--last", &all], &["--last", "100000"], &["--limit", &all]] {
        assert_eq!(said(complete), "", "{complete:?}");
    }
    assert!(said(&["--last", "2"]).contains("older"));
    assert!(said(&["--limit", "2"]).contains("there are more"));
    for json in [&["--last", "2", "--json"][..], &["--limit", "2", "--json"]] {
        assert_eq!(said(json), "", "{json:?}");
    }
}

#[test]
fn an_entry_is_shown_with_its_body_and_explained() {
    let folder = desk("show");
    let denial = text(&folder.entries("denial")[0], &["data", "id"]).to_owned();
    let shown = folder.cog(&["ledger", "show", &denial, "--json"]).ends(0).json();
    assert_eq!(text(&shown, &["entry", "data", "id"]), denial);
    assert!(shown.at(&["body", "trace", "checks"]).is_some());
    let words = folder.cog(&["ledger", "show", &denial]).ends(0).out;
    assert_eq!(parse(&words).unwrap(), shown, "words are the same document, laid out");
    folder.cog(&["ledger", "show", "dny_01m7yb4r49exp8jd6bcm9t1rvw"]).ends(2);
    folder.cog(&["ledger", "show", "99999"]).ends(2);
    let story = ["was refused", "Why:", "It would be permitted", "What was checked:", "NO"];
    folder.cog(&["why", &denial]).ends(0).says(&story);
    let receipt = text(&folder.entries("receipt")[0], &["data", "id"]).to_owned();
    folder.cog(&["why", &receipt]).ends(0).says(&["was allowed", "It was done."]);
}

/// The key and the head of a ledger, as they are printed.
fn key_and_head(folder: &Folder) -> (VerifierKey, Checkpoint) {
    let key = folder.cog(&["ledger", "key"]).ends(0).out;
    let head = folder.cog(&["ledger", "checkpoint"]).ends(0).out;
    (key.trim().parse().unwrap(), Checkpoint::parse(&head).unwrap())
}

/// Every entry's proof verifies under the printed key, and only for its own leaf.
pub(crate) fn each_entry_is_proved(folder: &Folder) {
    let (key, head) = key_and_head(folder);
    head.verify(head.origin(), std::slice::from_ref(&key)).unwrap();
    let entries = folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).jsons();
    let step = entries.len().div_ceil(12);
    for entry in entries.iter().step_by(step) {
        let seq = entry.get("seq").and_then(Value::as_u64).unwrap().to_string();
        let shown = folder.cog(&["ledger", "show", &seq, "--json"]).ends(0).json();
        let leaf = text(&shown, &["leaf"]).parse().unwrap();
        let proof = folder.cog(&["ledger", "proof", &seq]).ends(0).out;
        let proof: TlogProof = proof.parse().unwrap();
        let trusted = std::slice::from_ref(&key);
        proof.verify(leaf, head.origin(), trusted).unwrap();
        let other = cog_base::Digest::of(&[b"another leaf"]);
        assert!(proof.verify(other, head.origin(), trusted).is_err());
    }
}

#[test]
fn every_entry_can_be_proved_against_the_key() {
    let folder = desk("proof");
    let (_, head) = key_and_head(&folder);
    let all = folder.cog(&["ledger", "list", "--json"]).ends(0).jsons();
    assert_eq!(head.size(), all.len() as u64);
    each_entry_is_proved(&folder);
    folder.cog(&["ledger", "proof", "99999"]).ends(2);
}

#[test]
fn an_earlier_head_shows_that_the_ledger_only_grew() {
    let folder = desk("against");
    folder.write("head.txt", &folder.cog(&["ledger", "checkpoint"]).ends(0).out);
    folder.cog(&["ledger", "export", "-o", "early.cogbundle", "--key", "k.vkey"]).ends(0);
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    for earlier in ["head.txt", "early.cogbundle"] {
        let verify = ["ledger", "verify", "--against", earlier];
        folder.cog(&verify).ends(0).says(&["only grew"]);
    }
    folder.cog(&["ledger", "export", "-o", "late.cogbundle"]).ends(0);
    let verify = ["verify", "late.cogbundle", "--key", "k.vkey", "--against", "head.txt"];
    folder.cog(&verify).ends(0).says(&["only grew between the two views"]);
    let other = desk("against-another");
    folder.write("other.txt", &other.cog(&["ledger", "checkpoint"]).ends(0).out);
    folder.cog(&["ledger", "verify", "--against", "other.txt"]).ends(1);
    let other_log = ["verify", "late.cogbundle", "--key", "k.vkey", "--against", "other.txt"];
    let answer = folder.cog(&other_log).ends(1);
    assert!(!answer.out.contains("only grew between"), "{answer}");
    let stranger = other.cog(&["ledger", "key"]).ends(0).out;
    folder.cog(&["verify", "late.cogbundle", "--key", stranger.trim()]).ends(1);
}

#[test]
fn tables_can_be_read_by_others() {
    let folder = desk("tables");
    let all = folder.cog(&["ledger", "list", "--json"]).ends(0).jsons();
    let json = folder.cog(&["ledger", "export", "--format", "json", "-o", "-"]).ends(0).out;
    let exported = parse(&json).unwrap();
    let exported = exported.as_list().unwrap();
    let bare = exported.iter().map(|item| {
        let mut members = item.as_map().unwrap().clone();
        members.remove("why");
        Value::Map(members)
    });
    assert_eq!(bare.collect::<Vec<_>>(), all);
    folder.cog(&["ledger", "export", "--format", "csv", "-o", "all.csv"]).ends(0);
    let rows = rows(&folder.read("all.csv"));
    assert_eq!(rows.len(), all.len() + 1);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "a row has other columns");
    let column = |name| rows[0].iter().position(|it| it == name).unwrap();
    for (row, entry) in rows[1..].iter().zip(&all) {
        assert_eq!(row[column("kind")], text(entry, &["kind"]));
        assert_eq!(row[column("actor")], text(entry, &["actor"]));
    }
    let bare = ["ledger", "export", "-o", "bare.cogbundle", "--no-bodies", "--key", "k.vkey"];
    folder.cog(&bare).ends(0);
    assert!(!folder.read("bare.cogbundle").contains("{\"body\""));
    folder.cog(&["verify", "bare.cogbundle", "--key", "k.vkey"]).ends(0);
    folder.cog(&["ledger", "export", "-o", "no/such/folder/x"]).ends(1).says(&["no/such/folder"]);
}

/// An auditor reads why something was refused without a tool for bundles.
#[test]
fn tables_say_why() {
    let folder = desk("tables-why");
    let denial = text(&folder.entries("denial")[0], &["data", "id"]).to_owned();
    let why = folder.cog(&["why", &denial, "--json"]).ends(0).json();
    let trace = why.get("record").unwrap().get("trace").unwrap();
    let (reason, flip) = (text(trace, &["reason"]), trace.get("flips").unwrap().as_list().unwrap());
    let export = |flags: &[&str]| folder.cog(&[&["ledger", "export", "-o", "-"], flags].concat());
    let rows = rows(&export(&["--format", "csv", "--kind", "receipt,denial"]).ends(0).out);
    let column = |name| rows[0].iter().position(|it| it == name).unwrap();
    let kinds = rows[1..].iter().map(|row| row[column("kind")].as_str());
    assert!(kinds.into_iter().all(|kind| ["receipt", "denial"].contains(&kind)));
    let refused = rows.iter().find(|row| row[column("kind")] == "denial").unwrap();
    assert_eq!(refused[column("reason")], reason);
    assert!(refused[column("flips")].starts_with(flip[0].as_text().unwrap()));
    let json = parse(&export(&["--format", "json", "--kind", "denial"]).ends(0).out).unwrap();
    let item = &json.as_list().unwrap()[0];
    assert_eq!((text(item, &["why", "reason"]), item.get("record")), (reason, None));
    let whole = ["--format", "json", "--kind", "denial", "--with-bodies"];
    let json = parse(&export(&whole).ends(0).out).unwrap();
    assert_eq!(json.as_list().unwrap()[0].get("record"), why.get("record"));
    let bare = export(&["--format", "csv", "--no-bodies"]).ends(0).out;
    assert!(!bare.contains(reason), "{bare}");
    for (flags, advice) in [
        (&["--kind", "denial"][..], "--kind with --format json or csv"),
        (&["--with-bodies"], "--format json"),
        (&["--format", "csv", "--with-bodies"], "--format json"),
        (&["--format", "json", "--with-bodies", "--no-bodies"], "one of the two"),
        (&["--format", "json", "--kind", "refusal"], "one of genesis"),
    ] {
        export(flags).ends(2).says(&[advice]);
    }
}

/// What somebody writes into the ledger is no formula for whoever opens the table.
#[test]
fn no_cell_of_a_table_is_run() {
    let folder = Folder::example("tables-formula", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let reasons = ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "a,\"b\"\n=2"];
    for reason in reasons {
        let because = format!("--reason={reason}");
        folder.cog(&["pause", &run, &because]).ends(0);
        folder.cog(&["unpause", &run, "--reason", "go on"]).ends(0);
    }
    let csv = folder.cog(&["ledger", "export", "--format", "csv", "-o", "-"]).ends(0).out;
    let rows = rows(&csv);
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
    }
    let at = rows[0].iter().position(|name| name == "reason").unwrap();
    for reason in reasons {
        let is_it = |cell: &str| cell == reason || cell.strip_prefix('\'') == Some(reason);
        assert!(rows.iter().any(|row| is_it(&row[at])), "{reason}");
    }
}

/// RFC 4180, read by the letter.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, is_quoted) {
            ('"', true) if letters.peek() == Some(&'"') => cell.extend(letters.next()),
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) => assert_eq!(letters.peek(), Some(&'\n')),
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (letter, _) => cell.push(letter),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !is_quoted, "the last row has no end");
    rows
}
