//! Finding runs: by labels, domain and time, a page after the other.

use cog_base::Value;

use crate::program::{Folder, text};

const FLOW: &str = "
name: ship
domain: demo
inputs: { customer: { type: string, default: acme }, fails: { type: boolean, default: false } }
labels: { customer: \"${{ inputs.customer }}\", team: logistics }
steps:
  - { id: go, if: \"${{ inputs.customer == 'waits' }}\", wait_for: { signal: go } }
  - { id: note, needs: [go], uses: compute, with: { x: \"${{ inputs.fails ? fail('no stock') : 1 }}\" } }
";

fn run(folder: &Folder, customer: &str, code: i32, more: &[&str]) -> String {
    let input = format!("customer={customer}");
    folder.cog(&[&["run", "ship.yaml", "--input", &input], more].concat()).ends(code).id("run")
}

fn listed(folder: &Folder, more: &[&str]) -> Vec<String> {
    let all = folder.cog(&[&["runs", "--json"], more].concat()).ends(0).json();
    let all = all.as_list().unwrap();
    all.iter().map(|run| text(run, &["run"]).to_owned()).collect()
}

#[test]
fn runs_are_found_by_what_they_are_labelled_with() {
    let folder = Folder::new("labels");
    folder.write("ship.yaml", FLOW);
    let acme = run(&folder, "acme", 0, &["--label", "order=1029"]);
    let other = run(&folder, "other", 1, &["--input", "fails=true"]);
    let waits = run(&folder, "waits", 8, &[]);
    for (more, expected) in [
        (&["--label", "customer=acme"][..], vec![&acme]),
        (&["--label", "team=logistics"], vec![&waits, &other, &acme]),
        (&["--label", "team=logistics", "--label", "order=1029"], vec![&acme]),
        (&["--label", "team=logistics", "--status", "failed"], vec![&other]),
        (&["--label", "order=1030"], vec![]),
        (&["--domain", "demo", "--status", "open"], vec![&waits]),
        (&["--domain", "other"], vec![]),
        (&["--workflow", "ship", "--since", "1d", "--limit", "2"], vec![&waits, &other]),
        (&["--since", "2999-01-01T00:00:00Z"], vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(listed(&folder, more), expected, "{more:?}");
    }
    folder.cog(&["runs"]).ends(0).says(&["customer=acme order=1029 team=logistics"]);
    folder.cog(&["why", &acme]).ends(0).says(&["found by customer=acme, order=1029"]);
    for (bad, says) in [
        (&["--label", "team=blue"][..], "says that the label `team` is `logistics`"),
        (&["--label", "Team=blue"], "names no label"),
        (&["--label", "team"], "has no value"),
        (&["--label", "a=1", "--label", "a=2"], "is given twice"),
    ] {
        folder.cog(&[&["run", "ship.yaml"], bad].concat()).ends(2).says(&[says]);
    }
    let again = folder.cog(&["redrive", &other, "--input", "fails=false"]).ends(0).id("run");
    assert_eq!(listed(&folder, &["--label", "customer=other"]), [again, other]);
    folder.holds();
}

/// What has begun or ended since a page was shown moves nothing on the next one.
#[test]
fn pages_leave_out_no_run_and_show_none_twice() {
    let folder = Folder::new("pages");
    folder.write("ship.yaml", FLOW);
    folder.write(
        "one.yaml",
        "name: one\ndomain: demo\nconcurrency: { limit: 1 }\nsteps:\n  - { id: go, wait_for: { signal: go } }\n",
    );
    let first = folder.cog(&["run", "one.yaml"]).ends(8).id("run");
    let queued = folder.cog(&["run", "one.yaml"]).ends(8).id("run");
    let mut all = vec![first.clone(), queued.clone()];
    all.extend((0..5).map(|_| run(&folder, "acme", 0, &[])));
    all.reverse();
    let mut found = listed(&folder, &["--limit", "3"]);
    // The one that waited begins, and others come.
    folder.cog(&["run", "--cancel", &first, "--reason", "make room"]).ends(0);
    folder.cog(&["run", "--resume", &queued]).ends(8);
    run(&folder, "acme", 0, &[]);
    while let Some(last) = found.last().cloned() {
        let page = listed(&folder, &["--limit", "3", "--after", &last]);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, all);
    let told = folder.cog(&["runs", "--limit", "3"]).ends(0);
    told.says(&["there are older ones: --after run_"]);
    let open = folder.cog(&["runs", "--status", "open", "--json"]).json();
    let labels = open.as_list().unwrap().iter().map(|run| run.get("labels").cloned());
    assert_eq!(labels.collect::<Vec<_>>(), [Some(Value::map::<&str, Value>([]))]);
    folder
        .cog(&["runs", "--after", "run_01m7yb4qxbf438zjd8206fmvk4"])
        .ends(2)
        .says(&["there is no run"]);
    folder.holds();
}
