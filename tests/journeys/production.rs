//! Production: what a canon that says which environments have real effects keeps out of them.

use crate::program::{Folder, text};

const LIVE: &str = "\n[environments]\nallow = [\"live\", \"trial\"]\nproduction = [\"live\"]\n";

fn house(name: &str, environments: &str) -> Folder {
    let folder = Folder::example(name, "01-quickstart");
    let canon = folder.read("canon/canon.toml");
    folder.write("canon/canon.toml", &format!("{canon}{environments}"));
    folder
}

#[test]
fn a_run_does_not_begin_in_an_environment_that_there_is_not() {
    let folder = house("production-unknown", LIVE);
    for arguments in
        [&["run", "workflow.yaml"][..], &["run", "workflow.yaml", "--environment", "lvie"]]
    {
        let refused = folder.cog(arguments).ends(4);
        refused.says(&["does not govern the environment", "live, trial", "--environment live"]);
    }
    // The first run of a domain is refused before there is a canon that it could be refused by.
    folder.cog(&["run", "workflow.yaml", "--environment", "trial"]).ends(8).says(&["ask"]);
    let refused = folder.cog(&["run", "workflow.yaml", "--environment", "lvie"]).ends(4);
    let denial = crate::program::id(&refused.err, "dny").unwrap();
    folder.cog(&["why", &denial]).ends(0).says(&["start a run of", "lvie"]);
    let denials = folder.entries("denial");
    let recorded = denials.iter().find(|it| text(it, &["data", "id"]) == denial).unwrap();
    assert_eq!(text(recorded, &["data", "code"]), "environment.not_listed");
    assert_eq!(text(recorded, &["environment"]), "lvie");
    folder.cog(&["run", "workflow.yaml", "--dry-run", "--environment", "lvie"]).ends(4);
    folder.cog(&["run", "workflow.yaml", "--dry-run", "--environment", "trial"]).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn in_production_no_recording_and_no_other_server_answers_for_a_model() {
    let folder = house("production-models", LIVE);
    let live = ["run", "workflow.yaml", "--environment", "live"];
    let run = folder.cog(&live).says(&["live, production", "A recording answers for the model"]);
    assert!(run.out.contains("if the canon let recordings answer in production"), "{run}");
    let run = run.id("run");
    folder.cog(&["why", &run]).ends(0).says(&["(live, production)"]);
    folder.cog(&["domains"]).ends(0).says(&["live, production: 1 run"]);
    let denials = folder.entries("denial");
    assert!(denials.iter().all(|it| text(it, &["data", "code"]) == "model.recorded"));
    let size = folder.entries("session.started").len();
    let other = [&live[..], &["--model", "http://127.0.0.1:9/v1#x"]].concat();
    folder.cog(&other).ends(4).says(&["`live` is production", "--environment trial"]);
    assert_eq!(folder.entries("session.started").len(), size);
    folder.holds();
}

#[test]
fn what_the_canon_permits_may_answer_in_production() {
    let folder = house("production-stand-ins", &format!("{LIVE}stand_ins = true\n"));
    let run = folder.cog(&["run", "workflow.yaml", "--environment", "live"]).ends(8);
    assert!(!run.out.contains("A recording answers for the model"), "{run}");
    folder.cog(&["domains", "--json"]).ends(0).says(&[r#""production":true"#]);
    folder.holds();
}
