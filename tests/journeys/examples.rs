//! The examples: they print what their `expected.txt` says, and what they leave behind
//! replays and verifies.

use std::process::Command;

use crate::program::{Folder, program, workspace};

#[test]
fn each_example_prints_what_it_says_it_prints() {
    let script = workspace().join("examples/golden.sh");
    let run = Command::new("sh").arg(script).env("COGNITIONOS", program()).output().unwrap();
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().filter(|line| line.starts_with("same ")).count(), 7, "{out}");
}

/// Each example, the arguments of its run, and how that ends.
const RUNS: [(&str, &[&str], i32); 5] = [
    ("01-quickstart", &[], 8),
    ("02-refusal-and-why", &[], 0),
    ("03-choosing-a-plan", &["--input", "deadline_hours=24"], 4),
    ("04-survives-kill-9", &["--input", "pause_ms=1"], 0),
    ("06-change-the-canon", &["--canon", "canon-v1"], 0),
];

#[test]
fn what_an_example_leaves_behind_replays_and_verifies() {
    for (example, arguments, code) in RUNS {
        let folder = Folder::example(&format!("example-{}", &example[..2]), example);
        let run = [&["run", "workflow.yaml"], arguments].concat();
        folder.cog(&run).ends(code);
        folder.holds();
    }
}

#[test]
fn the_quickstart_pays_what_may_be_paid_and_nothing_else() {
    let folder = Folder::example("quickstart", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let paid = || folder.files("out/payments").len();
    assert_eq!(paid(), 8);
    let request = folder.cog(&["approvals", "list"]).ends(0).id("apr");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["paid: 9, together 21672.13"]);
    assert_eq!(paid(), 9);
    assert_eq!(folder.entries("denial").len(), 3);
    folder.holds();
}

/// A quickstart whose model gave other answers than the recorded ones.
fn quickstart_with_answers(name: &str, changes: &[(&str, &str)]) -> Folder {
    let folder = Folder::example(name, "01-quickstart");
    for (from, to) in changes {
        let quoted = |text: &str| text.replace('"', "\\\"");
        folder.change("recordings/reader.jsonl", &quoted(from), &quoted(to));
    }
    folder
}

#[test]
fn only_countries_that_are_known_are_paid_however_they_are_spelled() {
    for (case, country) in [("lower", "kp"), ("none", ""), ("word", "North Korea"), ("other", "RU")]
    {
        let to = format!("\"country\": \"{country}\"");
        let name = format!("country-{case}");
        let folder = quickstart_with_answers(&name, &[("\"country\": \"KP\"", &to)]);
        let run =
            folder.cog(&["run", "workflow.yaml"]).ends(8).says(&["none of those that are paid"]);
        assert!(!run.out.contains("Trading Corp. 4200.00 EUR: sepa"), "{run}");
        assert_eq!(folder.files("out/payments").len(), 8);
    }
}

#[test]
fn one_payment_never_takes_the_place_of_another() {
    // A second invoice that calls itself what the first is called: another amount, the same file.
    let morel = "\"supplier\": \"Papeterie Morel SARL\", \"country\": \"FR\", \"invoice_number\": \"2026-1003\"";
    let tschudi = "\"supplier\": \"Tschudi Kaffee AG\", \"country\": \"CH\", \"invoice_number\": \"2026-311\"";
    let folder = quickstart_with_answers("same-number", &[(tschudi, morel)]);
    folder.cog(&["run", "workflow.yaml"]).ends(8).says(&["something is there already"]);
    let paid = folder.files("out/payments");
    assert_eq!(paid.len(), 7, "{paid:?}");
    let morels: Vec<_> = paid.iter().filter(|(name, _)| name.contains("Morel")).collect();
    assert_eq!(morels.len(), 1);

    let again = folder.cog(&["run", "workflow.yaml"]).ends(8);
    assert!(again.out.contains("waiting"), "{again}");
    assert_eq!(folder.files("out/payments"), paid, "what was paid is not paid again");
}

#[test]
fn an_answer_that_is_spelled_otherwise_is_still_an_invoice_and_nonsense_is_named() {
    let kind =
        |kind: &str, supplier: &str| format!("\"kind\": \"{kind}\", \"supplier\": \"{supplier}\"");
    let folder = quickstart_with_answers(
        "kinds",
        &[
            (&kind("invoice", "Papeterie Morel SARL"), &kind("Invoice ", "Papeterie Morel SARL")),
            (&kind("invoice", "Tschudi Kaffee AG"), &kind("facture", "Tschudi Kaffee AG")),
            (&kind("invoice", "Vandenberg Machines NV"), &kind("other", "Vandenberg Machines NV")),
        ],
    );
    let unclear = "unclear: tschudi-kaffee-2026-311.txt";
    folder.cog(&["run", "workflow.yaml"]).ends(0).says(&["paid: 7", unclear, "not_read: 0 of 14"]);
}

#[test]
fn files_with_odd_names_are_told_and_do_not_stop_the_others() {
    use std::os::unix::ffi::OsStrExt as _;
    let large = "\"amount_cents\": 1248000";
    let folder = quickstart_with_answers("odd-names", &[(large, "\"amount_cents\": 48000")]);
    for name in [&b"a\\b.txt"[..], b"a\nb.txt", b"\x1b[2J.txt", b"caf\xe9.txt", b"blank.txt"] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(folder.path("invoices").join(name), "x").unwrap();
    }
    std::fs::create_dir(folder.path("invoices/older")).unwrap();
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0);
    let run = run.says(&["paid: 9", "not_read: 6 of 20: ", "blank.txt", "older"]);
    run.says(&[r"\u{1b}[2J.txt", r"a\nb.txt", r"a\\b.txt", r"caf\xe9.txt"]);
    folder.holds();
}

#[test]
fn a_folder_of_which_nothing_could_be_read_is_no_success() {
    let folder = Folder::example("nothing-read", "01-quickstart");
    std::fs::remove_file(folder.path("recordings/reader.jsonl")).unwrap();
    let run = folder.cog(&["run", "workflow.yaml"]).ends(1);
    run.says(&["failed", "none of the documents could be read"]);
    // An empty folder is one: there was nothing to read.
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.cog(&["run", "workflow.yaml", "--input", "folder=empty"]).ends(0).says(&["0 of 0"]);
}

#[test]
fn the_bundle_of_somebody_else_holds_and_its_forgeries_do_not() {
    let folder = Folder::example("somebody-else", "05-verify-someone-elses-ledger");
    let verify = |bundle| folder.cog(&["verify", bundle, "--key", "someone.vkey", "--json"]);
    verify("someone.cogbundle").ends(0).json();
    for forged in ["edited.cogbundle", "cut.cogbundle"] {
        let report = verify(forged).ends(1).json();
        assert!(!report.get("findings").unwrap().as_list().unwrap().is_empty());
    }
    assert!(!folder.has("data"), "verifying needs no data folder");
}
