//! A damaged ledger: found by whoever looks, told whole, and never gone over.

use cog_base::Value;
use rusqlite::Connection;

use crate::program::{Folder, text};

/// The travel desk after two runs, with all that it keeps in the database file itself.
fn desk(name: &str) -> Folder {
    let folder = Folder::example(name, "02-refusal-and-why");
    for _ in 0..2 {
        folder.cog(&["run", "workflow.yaml"]).ends(0);
    }
    whole(&folder);
    folder
}

/// Bring what stands in the write-ahead log into the database, and keep a copy of all.
fn whole(folder: &Folder) {
    database(folder).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    for file in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(folder.path("data").join(file));
    }
    folder.copy("data", "whole");
}

fn database(folder: &Folder) -> Connection {
    Connection::open(folder.path("data/ledger.db")).unwrap()
}

#[track_caller]
fn damage(folder: &Folder, sql: &str) {
    folder.is_tampered_with();
    database(folder).execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn mend(folder: &Folder) {
    std::fs::remove_dir_all(folder.path("data")).unwrap();
    folder.copy("whole", "data");
}

fn place(seq: u64) -> String {
    format!("(SELECT min(place) + {seq} FROM entry)")
}

/// How many entries there are, in the table and by the row of the log.
fn entries(folder: &Folder) -> (u64, u64) {
    let sql = "SELECT (SELECT count(*) FROM entry), (SELECT size FROM log)";
    database(folder).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// What the database says of itself helps nobody, and no advice leads back to its command.
#[track_caller]
fn is_plain(said: &str) {
    for raw in ["malformed", "Error code", "SQL", "sqlite", "no such table"] {
        assert!(!said.contains(raw), "`{raw}` in {said}");
    }
}

/// The damages of a ledger of 20 entries, and a finding that has to name each.
fn damages() -> Vec<(String, &'static str)> {
    vec![
        (format!("DELETE FROM body WHERE place = {}", place(2)), "body.absent"),
        (
            format!("UPDATE body SET sealed = zeroblob(99) WHERE place = {}", place(2)),
            "body.changed",
        ),
        (format!("UPDATE entry SET bytes = x'7b7d' WHERE place = {}", place(5)), "store.entry"),
        (format!("DELETE FROM entry WHERE place = {}", place(5)), "store.entry"),
        (
            format!(
                "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'travel', 'gravel')
                 AS BLOB) WHERE place = {}",
                place(5)
            ),
            "store.entry",
        ),
        (format!("DELETE FROM entry WHERE place = {}", place(19)), "store.entry"),
        ("DELETE FROM signing_key".into(), "store.key.missing"),
        ("UPDATE log SET state = zeroblob(40)".into(), "store.unreadable"),
        ("DROP TABLE body".into(), "store.schema"),
    ]
}

#[test]
fn whoever_looks_finds_it_and_nothing_goes_on_over_it() {
    let folder = desk("damage");
    folder.cog(&["doctor"]).ends(0).says(&["20 entries and all that stands beside them hold"]);
    for (sql, code) in damages() {
        damage(&folder, &sql);
        let before = entries(&folder);
        for command in [&["doctor"][..], &["doctor", "--deep"], &["ledger", "verify"]] {
            let found = folder.cog(command).ends(1).says(&[code, "What to do: "]);
            is_plain(&found.to_string());
        }
        let report = folder.cog(&["ledger", "verify", "--json"]).ends(1).json();
        let findings = report.get("findings").and_then(Value::as_list).unwrap();
        assert!(findings.iter().any(|it| text(it, &["code"]) == code), "{sql}: {report}");
        for finding in findings {
            assert!(text(finding, &["message"]).len() > 5, "{finding}");
            let advice = text(finding, &["advice"]);
            assert!(!advice.contains("run `ledger verify`") && advice.len() > 40, "{finding}");
        }
        let doctor = folder.cog(&["doctor", "--json"]).ends(1).json();
        let doctor = doctor.as_list().unwrap();
        let told = doctor.iter().find(|it| it.get("code") == Some(&code.into()));
        assert!(text(told.unwrap(), &["advice"]).len() > 40);
        let refused = folder.cog(&["run", "workflow.yaml"]).ends(1).says(&["ledger verify"]);
        is_plain(&refused.to_string());
        assert_eq!(entries(&folder), before, "{sql}: it was gone over");
        mend(&folder);
    }
    folder.holds();
}

#[test]
fn all_that_is_damaged_is_told_and_what_holds_all_the_same() {
    let folder = desk("damage-all");
    let (six, nine, body) = (place(6), place(9), place(16));
    damage(&folder, &format!("UPDATE entry SET bytes = x'7b7d' WHERE place IN ({six}, {nine})"));
    damage(&folder, &format!("DELETE FROM body WHERE place = {body}"));
    let words =
        ["entry 6: ", "entry 9: ", "entry 16: its body is not here", "What holds: entries 0 to "];
    folder.cog(&["ledger", "verify"]).ends(1).says(&words);
    let report = folder.cog(&["ledger", "verify", "--json"]).ends(1).json();
    let intact = report.at(&["intact", "entries"]).and_then(Value::as_u64).unwrap();
    assert!((1..=6).contains(&intact), "{report}");
    assert!(text(&report, &["intact", "head"]).contains("cognitionos.local/"));
    assert_eq!(report.get("size"), Some(&20_u64.into()));
    mend(&folder);
    let report = folder.cog(&["ledger", "verify", "--json"]).ends(0).json();
    assert_eq!(report.at(&["intact", "entries"]), Some(&20_u64.into()));
}

#[test]
fn what_is_old_is_looked_at_when_it_is_asked_for_and_never_handed_on() {
    let folder = Folder::example("damage-old", "04-survives-kill-9");
    let run = |number: usize| {
        let pages = format!("folder=pages-{number}");
        folder.cog(&["run", "workflow.yaml", "--input", "pause_ms=1", "--input", &pages]).ends(0)
    };
    let mut number = 0;
    while number == 0 || entries(&folder).1 <= 1_000 {
        run(number);
        number += 1;
    }
    folder.cog(&["doctor"]).ends(0).says(&["newest 1000 entries hold; --deep looks at all"]);
    folder.cog(&["doctor", "--deep"]).ends(0).says(&["all that stands beside them hold"]);
    damage(&folder, &format!("DELETE FROM body WHERE place = {}", place(3)));
    folder.cog(&["doctor", "--deep"]).ends(1).says(&["entry 3: ", "body.absent"]);
    folder.cog(&["ledger", "export"]).ends(1).says(&["entry 3", "body.absent"]);
    // It is of another run, long ended.
    run(number);
    folder.cog(&["doctor"]).ends(0);
    let newer = "SELECT place FROM body ORDER BY place DESC LIMIT 1 OFFSET 100";
    damage(&folder, &format!("DELETE FROM body WHERE place = ({newer})"));
    folder.cog(&["doctor"]).ends(1).says(&["body.absent"]);
}

#[test]
fn no_more_is_told_in_words_than_can_be_read() {
    let folder = Folder::example("damage-many", "04-survives-kill-9");
    folder.cog(&["run", "workflow.yaml", "--input", "pause_ms=1"]).ends(0);
    damage(&folder, "DELETE FROM entry_id; DELETE FROM entry_kind; DELETE FROM body");
    let told = folder.cog(&["ledger", "verify"]).ends(1).says(&["findings", "more; --json lists"]);
    let listed = told.out.lines().filter(|line| line.starts_with("  entry ")).count();
    assert_eq!(listed, 100, "{told}");
}

#[test]
fn a_run_does_not_go_on_without_a_body_that_nobody_erased() {
    let folder = Folder::example("damage-resume", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    whole(&folder);
    // A request is followed without its body; nobody may be shown a run that is not whole.
    let of = |kind: &str| folder.entries(kind)[0].get("seq").and_then(Value::as_u64).unwrap();
    let request_seq = of("approval.requested");
    for seq in [request_seq, of("plan.selected"), of("outcome"), of("session.started")] {
        damage(&folder, &format!("DELETE FROM body WHERE place = {}", place(seq)));
        let refused = folder.cog(&["run", "--resume", &run]).ends(1);
        refused.says(&["body.absent", &format!("entry {seq}"), "ledger verify"]);
        for command in [&["ledger", "show"][..], &["why"]] {
            let shown = folder.cog(&[command, &[&seq.to_string()]].concat()).ends(1);
            shown.says(&["body.absent: missing, and no entry says that it was erased"]);
        }
        let replayed = folder.cog(&["replay", &run, "--json"]).ends(1).json();
        assert_eq!(text(&replayed, &["result"]), "damaged", "{replayed}");
        folder.cog(&["replay", &run]).ends(1).says(&["damaged", "body.absent"]);
        mend(&folder);
    }

    // Nobody approves what nobody can see.
    damage(&folder, &format!("DELETE FROM body WHERE place = {}", place(request_seq)));
    let listed = folder.cog(&["approvals", "list", "--json"]).ends(0).json();
    let args: Vec<_> = listed.as_list().unwrap().iter().map(|it| it.get("args").cloned()).collect();
    assert_eq!(args, [Some(Value::Null)]);
    let before = folder.entries("approval.granted").len();
    let approve = ["approvals", "approve", &request, "--as", "user:cfo", "--json"];
    let refused = folder.cog(&approve).json();
    assert_eq!(text(&refused, &["code"]), "body.absent", "{refused}");
    assert_eq!(folder.entries("approval.granted").len(), before);
    mend(&folder);
    folder.cog(&approve).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
}

#[test]
fn a_bundle_says_what_it_lacks_or_is_not_made() {
    let folder = desk("damage-export");
    let export = |flags: &[&str]| {
        let export = ["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"];
        folder.cog(&[&export[..], flags].concat())
    };
    let verify = ["verify", "b.cogbundle", "--key", "b.vkey"];
    damage(&folder, &format!("DELETE FROM body WHERE place = {}; DELETE FROM canon", place(2)));
    let refused = export(&["--json"]).ends(1).json();
    assert_eq!(text(&refused, &["code"]), "canon.absent");
    export(&["--no-canons"]).ends(1).says(&["body.absent", "entry 2", "--no-bodies"]);
    export(&["--no-bodies"]).ends(1).says(&["canon.absent", "--no-canons"]);
    assert!(!folder.has("b.cogbundle"));
    export(&["--no-canons", "--no-bodies"]).ends(0);
    folder.cog(&verify).ends(0).says(&["left out by whoever made the bundle"]);
    let manifest = folder.read("b.cogbundle");
    assert!(manifest.lines().next().unwrap().contains(r#""left_out":["bodies","canons"]"#));
    export(&["--incomplete"]).ends(0);
    folder.cog(&verify).ends(1).says(&["body.absent", "canon.absent", "entry 2"]);
    mend(&folder);
    export(&["--no-canons"]).ends(0);
    folder.cog(&verify).ends(0).says(&["everything checked holds", "1 canon version is left out"]);
    damage(&folder, &format!("UPDATE entry SET bytes = x'7b7d' WHERE place = {}", place(5)));
    for format in ["bundle", "json", "csv"] {
        export(&["--incomplete", "--format", format]).ends(1).says(&["store.damaged", "entry 5"]);
    }
}

#[test]
fn the_key_file_is_told_from_damage_and_how_to_put_it_back() {
    let folder = desk("damage-key");
    let path = folder.path("data/keys/master.key");
    let key = std::fs::read(&path).unwrap();
    for (bytes, code) in [
        (Some(vec![7; 32]), "key.other"),
        (Some(vec![7; 31]), "key.missing"),
        (None, "key.missing"),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        for command in
            [&["run", "workflow.yaml"][..], &["ledger", "list"], &["ledger", "verify"], &["doctor"]]
        {
            let told = folder.cog(command).ends(1);
            told.says(&[code, "cp COPY/keys/master.key '", "chmod 600"]);
        }
        let report = folder.cog(&["ledger", "verify", "--json"]).ends(1).json();
        assert_eq!(text(&report.get("findings").unwrap().as_list().unwrap()[0], &["code"]), code);
        std::fs::write(&path, &key).unwrap();
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder.holds();
}

#[test]
fn the_canon_in_force_is_missed_by_name_and_put_back_by_its_digest() {
    let folder = desk("damage-canon");
    let before = folder.entries("canon.activated");
    damage(&folder, "DELETE FROM canon");
    folder.cog(&["doctor"]).ends(1).says(&["canon.absent"]);
    folder.copy("canon", "aside");
    // Another version beside the workflow is not what decides, and none is nothing.
    folder.change("canon/canon.toml", "name = ", "# another one\nname = ");
    for _ in 0..2 {
        let refused = folder.cog(&["run", "workflow.yaml"]).ends(1);
        refused.says(&["canon.missing", "--canon DIR", "its digest is compared"]);
        let _ = std::fs::remove_dir_all(folder.path("canon"));
    }
    let size = folder.cog(&["ledger", "checkpoint"]).ends(0).out;
    let lines = folder.cog(&["run", "workflow.yaml", "--canon", "aside"]).ends(0);
    lines.says(&["were gone; they are kept again", "canon.forbidden"]);
    let verify = ["ledger", "verify", "--against", "head.txt"];
    folder.write("head.txt", &size);
    folder.cog(&verify).ends(0);
    assert_eq!(folder.entries("canon.activated"), before, "nothing is recorded of it");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.holds();
}

#[test]
fn an_approval_needs_the_canon_that_says_who_may() {
    let folder = Folder::example("damage-approve", "01-quickstart");
    let request = folder.cog(&["run", "workflow.yaml"]).ends(8).id("apr");
    damage(&folder, "DELETE FROM canon");
    let approve = ["approvals", "approve", &request, "--as", "user:cfo"];
    folder.cog(&approve).ends(1).says(&["canon.missing"]);
    folder.cog(&["ledger", "rotate", "--as", "user:cfo"]).ends(1).says(&["canon.missing"]);
}

#[test]
fn an_older_copy_is_accepted_only_if_it_is_whole() {
    let folder = desk("damage-restore");
    folder.copy("whole", "older");
    let high_water =
        || std::fs::copy(folder.path("high-water"), folder.path("data/keys/high-water"));
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    std::fs::copy(folder.path("data/keys/high-water"), folder.path("high-water")).unwrap();
    let put_back = |sql: &str| {
        std::fs::remove_dir_all(folder.path("data")).unwrap();
        folder.copy("older", "data");
        high_water().unwrap();
        damage(&folder, sql);
    };
    let accept = ["ledger", "accept-restore", "--as", "user:operator"];
    let as_json = [&accept[..], &["--json"]].concat();
    put_back("SELECT 1");
    folder.cog(&["run", "workflow.yaml"]).ends(1).says(&["store.rolled_back", "accept-restore"]);
    folder.cog(&["ledger", "verify"]).ends(1).says(&["store.rolled_back", "accept-restore"]);
    for (sql, code) in [
        (format!("UPDATE entry SET bytes = x'7b7d' WHERE place = {}", place(5)), "store.entry"),
        (format!("DELETE FROM body WHERE place = {}", place(2)), "body.absent"),
        ("DELETE FROM log; DELETE FROM entry".into(), "restore.empty"),
    ] {
        put_back(&sql);
        let refused = folder.cog(&as_json).ends(1).json();
        assert_eq!(text(&refused, &["code"]), code, "{sql}: {refused}");
        assert!(text(&refused, &["try"]).len() > 40, "{refused}");
        folder.cog(&["run", "workflow.yaml"]).ends(1).says(&["store.rolled_back"]);
    }
    put_back("SELECT 1");
    let accepted = folder.cog(&as_json).ends(0).json();
    let log = &accepted.get("restored").and_then(Value::as_list).unwrap()[0];
    let numbers =
        ["was", "now", "lost", "entry"].map(|name| log.get(name).unwrap().as_u64().unwrap());
    assert_eq!(numbers, [29, 20, 9, 20]);
    let nothing = folder.cog(&as_json).ends(0).json();
    assert_eq!(nothing.get("restored").and_then(Value::as_list), Some(&[][..]));
    folder.cog(&accept).ends(0).says(&["nothing was restored"]);
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.holds();
    put_back("SELECT 1");
    folder.cog(&accept).ends(0).says(&[
        "a copy of 20 entries",
        "every entry of it holds",
        "9 entries",
    ]);
    // Without the mark nobody can tell how old a copy is.
    for gone in [true, false] {
        put_back("SELECT 1");
        std::fs::remove_file(folder.path("data/keys/high-water")).unwrap();
        if !gone {
            folder.write("data/keys/high-water", "");
        }
        for command in [&["run", "workflow.yaml"][..], &["ledger", "verify"], &["doctor"]] {
            folder.cog(command).ends(1).says(&["accept-restore"]);
        }
        folder.cog(&["run", "workflow.yaml"]).ends(1).says(&["store.no_mark"]);
        folder.cog(&accept).ends(0).says(&["a copy of 20 entries", "nobody knows"]);
        folder.cog(&["run", "workflow.yaml"]).ends(0);
        folder.holds();
    }
}

#[test]
fn what_keeps_entries_from_being_pruned_is_named() {
    let folder = Folder::example("damage-prune", "04-survives-kill-9");
    let workflow = folder.read("workflow.yaml");
    let ask = "approve: { by: [\"user:head-of-archive\"], count: 1, message: Begin? }";
    let steps = format!("\nsteps:\n  - id: first\n    {ask}\n");
    folder.write("ask.yaml", &workflow.replace("\nsteps:\n", &steps));
    let parked = folder.cog(&["run", "ask.yaml", "--input", "pause_ms=1"]).ends(8);
    let run = parked.id("run");
    for number in 0..5 {
        let pages = format!("folder=pages-{number}");
        folder.cog(&["run", "workflow.yaml", "--input", "pause_ms=1", "--input", &pages]).ends(0);
    }
    let prune =
        ["ledger", "prune", "--before", "256", "--reason", "old", "--as", "user:head-of-archive"];
    let refused = folder.cog(&prune).ends(7);
    refused.says(&[&run, "is open", "run --resume", "run --cancel"]);
    assert!(folder.entries("segment.pruned").is_empty());
    folder.cog(&["run", "--cancel", &run, "--reason", "nobody answers"]);
    folder.cog(&prune).ends(0).says(&["entries 0 to 256 pruned"]);
}

/// A run that reaches a bound of its flow failed rightly, and its history says so.
#[test]
fn a_run_that_reached_a_bound_is_no_damage() {
    let folder = Folder::example("bounds-hold", "01-quickstart");
    let each = "name: bound\ndomain: accounts-payable\ninputs:\n  l: { type: list }\nsteps:\n  - id: all\n    \
                foreach: ${{ inputs.l }}\n    uses: compute\n    with: { x: \"${{ item }}\" }\n";
    folder.write("bound.yaml", each);
    for (length, code) in [(10_001, 5), (10, 0)] {
        let list = format!("l=[{}]", vec!["0"; length].join(","));
        folder.cog(&["run", "bound.yaml", "--input", &list]).ends(code);
    }
    folder.holds();
}
