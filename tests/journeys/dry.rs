//! `run --dry-run`: what would be decided first, and no trace of it.

use crate::program::{Folder, text};

/// Everything in the folder, but for what a reader of a database leaves beside it.
fn state(folder: &Folder) -> Vec<(std::path::PathBuf, String)> {
    let all = folder.snapshot(".").into_iter();
    all.filter(|(path, _)| !path.to_string_lossy().contains("ledger.db-")).collect()
}

#[test]
fn a_dry_run_decides_and_leaves_nothing() {
    let folder = Folder::example("dry", "02-refusal-and-why");
    folder.change("workflow.yaml", "    needs: [train]\n", "");
    let before = state(&folder);
    let answer = folder.cog(&["run", "workflow.yaml", "--dry-run"]).ends(0);
    answer.says(&["permit", "refuse", "would be performed", "nothing was recorded"]);
    assert_eq!(state(&folder), before);
    // The first decisions are those of the run.
    let dry = folder.cog(&["run", "workflow.yaml", "-n", "--json"]).ends(0).jsons();
    let real = folder.cog(&["run", "workflow.yaml", "--json"]).ends(0).jsons();
    let decided = |events: &[cog_base::Value]| -> Vec<(String, String)> {
        let decisions = events
            .iter()
            .filter(|event| ["permitted", "refused"].contains(&text(event, &["event"])));
        let of = |event: &cog_base::Value| {
            (text(event, &["event"]).to_owned(), text(event, &["step"]).to_owned())
        };
        decisions.map(of).collect()
    };
    let (dry, real) = (decided(&dry), decided(&real));
    assert!(!dry.is_empty() && dry.iter().all(|it| real.contains(it)), "{dry:?} {real:?}");
    // Over a ledger that is there, too.
    let before = state(&folder);
    folder.cog(&["run", "workflow.yaml", "--dry-run"]).ends(0);
    assert_eq!(state(&folder), before);
    folder.holds();
}

#[test]
fn a_dry_run_says_what_would_be_asked_and_how_it_would_end() {
    let folder = Folder::example("dry-asks", "02-refusal-and-why");
    let head = "name: go\ndomain: travel\nsteps:\n";
    let asks = "  - { id: go, approve: { by: [\"user:head-of-travel\"], message: go? } }\n";
    folder.write("ask.yaml", &format!("{head}{asks}"));
    let answer = folder.cog(&["run", "ask.yaml", "-n"]).ends(8);
    answer.says(&["ask", "nothing would be performed"]);
    folder.write("stranger.yaml", &format!("{head}{}", asks.replace("head-of-travel", "nobody")));
    folder.cog(&["run", "stranger.yaml", "-n"]).ends(2).says(&["nobody could ever approve it"]);
    folder.write("none.yaml", &format!("{head}  - {{ id: a, uses: compute, with: {{ x: 1 }} }}\n"));
    folder.cog(&["run", "none.yaml", "-n"]).ends(0).says(&["nothing would be performed"]);
    folder.cog(&["run", "none.yaml", "-n", "--resume", "run_x"]).ends(2);
    assert!(!folder.has("data"));
}

/// Columns for programs: a tab between them, the same number on each line.
#[test]
fn plain_words_have_columns() {
    let folder = Folder::example("plain", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let list = folder.cog(&["ledger", "list", "--plain"]).ends(0).out;
    assert!(list.lines().all(|line| line.split('\t').count() == 7), "{list}");
    let kinds = list.lines().map(|line| line.split('\t').nth(2).unwrap());
    assert!(kinds.into_iter().any(|kind| kind == "denial"));
    let settings = folder.cog(&["config", "explain", "--plain"]).ends(0).out;
    assert!(settings.lines().all(|line| line.split('\t').count() == 3), "{settings}");
    folder.cog(&["ledger", "--plain", "--json"]).ends(2);
}

/// What runs that a run begins would do is said as well, and what cannot be foreseen is not denied.
#[test]
fn a_dry_run_looks_into_the_runs_that_a_run_begins() {
    let folder = Folder::example("dry-children", "02-refusal-and-why");
    let head = "name: go\ndomain: travel\nsteps:\n";
    let twice = "  - { id: kids, foreach: [1, 2], run: { workflow: child.yaml } }\n";
    folder.write("go.yaml", &format!("{head}{twice}"));
    let child = folder.read("workflow.yaml").replacen("name: ", "name: child-of-", 1);
    folder.write("child.yaml", &child);
    let answer = folder.cog(&["run", "go.yaml", "-n"]).ends(0);
    let answer = answer.says(&["permit  kids[0] > ", "permit  kids[1] > ", "would be performed"]);
    assert!(!answer.to_string().contains("nothing would be performed"), "{answer}");
    assert!(!folder.has("data"));
    // A real run tells the sums of all of them.
    let real = folder.cog(&["run", "go.yaml"]).ends(0);
    real.says(&["with 2 runs that it began: ", "done    kids[1] > "]);
    // A nap before the first effect.
    let nap = "  - { id: nap, sleep: { ms: 3600000 } }\n";
    folder.write("nap.yaml", &format!("{head}{nap}"));
    folder.cog(&["run", "nap.yaml", "-n"]).ends(0).says(&["what comes then is not foreseen"]);
    let last = folder.cog(&["run", "nap.yaml", "-n", "--json"]).ends(0).jsons().pop().unwrap();
    assert_eq!(last.get("foreseen"), Some(&false.into()));
}
