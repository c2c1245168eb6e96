//! The history of a run, in pages and as it comes.

use std::io::{BufRead as _, BufReader};

use cog_base::json::parse;

use crate::program::Folder;

const FLOW: &str = "
name: ship
domain: demo
steps:
  - { id: go, wait_for: { signal: go } }
  - { id: nap, needs: [go], sleep: { ms: 1 } }
";

/// Entry for entry what the log has, however often whoever reads breaks off.
#[test]
fn a_run_is_followed_until_it_is_sealed_and_nothing_is_lost_or_shown_twice() {
    let folder = Folder::new("follow");
    folder.write("ship.yaml", FLOW);
    let run = folder.cog(&["run", "ship.yaml"]).ends(8).id("run");
    let follow = ["ledger", "list", "--run", &run, "--follow", "--json"];
    let mut reader = folder.start(&follow);
    let lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    let mut seen: Vec<u64> = Vec::new();
    let mut lines = lines.map_while(Result::ok);
    seen.push(seq(&lines.next().unwrap()));
    // It is under way and shown as far as it got. What comes is shown when it comes.
    folder.cog(&["signal", &run, "go"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    seen.extend(lines.map(|line| seq(&line)));
    assert!(reader.wait().unwrap().success());
    let all = folder.cog(&["ledger", "list", "--run", &run, "--json"]).ends(0).jsons();
    let all: Vec<u64> =
        all.iter().map(|entry| entry.get("seq").unwrap().as_u64().unwrap()).collect();
    assert_eq!(seen, all);
    assert!(seen.len() >= 3, "{seen:?}");

    let mut paged = Vec::new();
    while let Some(from) = paged.last().map_or(Some(0), |last| Some(last + 1)) {
        let from = from.to_string();
        let page = folder.cog(&[&follow[..], &["--from", &from, "--limit", "2"]].concat()).ends(0);
        let page: Vec<u64> = page.out.lines().map(seq).collect();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let seals = [&follow[..], &["--kind", "session.sealed"]].concat();
    assert_eq!(folder.cog(&seals).ends(0).jsons().len(), 1);
    let nobody = ["ledger", "list", "--run", "run_01m7yb4qxbf438zjd8206fmvk4", "--follow"];
    folder.cog(&nobody).ends(2).says(&["there is no run"]);
}

fn seq(line: &str) -> u64 {
    parse(line).unwrap().get("seq").unwrap().as_u64().unwrap()
}
