//! Which runs may leave memory while they wait.

use cog_base::id::RunId;

use crate::house::House;

const WAITS: &str = "  - { id: go, wait_for: { signal: go } }\n";
const MID: &str = "
name: mid
domain: simulation
roots: { out: { path: out, access: write } }
steps: [ { id: leaf, run: { workflow: ./leaf.yaml, wait: false, on_cancel: leave } } ]
";
const LEAF: &str = "
name: leaf
domain: simulation
roots: { out: { path: out, access: write } }
steps: [ { id: one, uses: file.write, with: { root: out, path: one, text: x } } ]
";

fn dormant(house: &House) -> Vec<RunId> {
    house.engine.dormant().collect()
}

#[test]
fn a_run_that_waits_for_a_signal_may_leave_memory() {
    let mut house = House::new();
    let run = house.start(WAITS);
    assert_eq!(dormant(&house), [run]);
}

#[test]
fn a_run_that_has_begun_others_stays_when_those_are_over() {
    for (file, how) in [
        ("./leaf.yaml", ""),
        ("./leaf.yaml", ", wait: false"),
        ("./leaf.yaml", ", wait: false, on_cancel: leave"),
        // Nobody waits for the run that the run in between began.
        ("./mid.yaml", ""),
        ("./mid.yaml", ", wait: false"),
    ] {
        let mut house = House::new();
        let main = format!(
            "
name: main
domain: simulation
roots: {{ out: {{ path: out, access: write }} }}
steps:
  - {{ id: sub, run: {{ workflow: {file}{how} }} }}
{WAITS}"
        );
        let run = house.start_family(&main, &[("./mid.yaml", MID), ("./leaf.yaml", LEAF)]);
        assert_eq!(dormant(&house), [], "{file}{how}");
        house.done("one");
        assert_eq!(house.engine.open_runs(), 1, "{file}{how}");
        assert!(house.sealed(run).is_none(), "{file}{how}");
        assert_eq!(dormant(&house), [], "{file}{how}");
        house.restart();
        assert_eq!(house.engine.open_runs(), 1, "{file}{how}");
        assert_eq!(dormant(&house), [], "{file}{how}");
    }
}
