//! Runs that a run begins, and the workflows that files name.

use std::collections::BTreeMap;

use cog_flow::{Event, Flow, Opened, Status, parse};
use expect_test::expect;

use crate::diagnostics::check;
use crate::harness::{World, with_steps};

#[test]
fn a_child_run_is_waited_for_and_gives_its_outputs() {
    let text =
        with_steps("- { id: pay, run: { workflow: pay.yaml, inputs: { sum: \"${{ 3 + 4 }}\" } } }")
            + "outputs: { paid: \"${{ steps.pay.output.sum }}\" }\n";
    let mut world = World::start(&text);
    world.expect(&[r#"run pay: pay.yaml {"sum":7}"#]);
    world.complete("pay", r#"{"sum":7}"#);
    world.expect(&[r#"finish completed {"paid":7}"#]);
}

#[test]
fn a_child_is_ended_with_its_parent_unless_the_file_says_otherwise() {
    for (more, line) in [
        ("", "run a: b.yaml {}"),
        (", wait: false", "run a: b.yaml {}, go on"),
        (", wait: false, on_cancel: leave", "run a: b.yaml {}, go on, leave"),
        (", on_cancel: leave", "run a: b.yaml {}, leave"),
    ] {
        let text = with_steps(&format!("- {{ id: a, run: {{ workflow: b.yaml{more} }} }}"));
        World::start(&text).expect(&[line]);
    }
}

#[test]
fn a_child_is_stopped_with_its_parent_and_still_answers() {
    let mut world = World::start(&with_steps("- { id: a, run: { workflow: b.yaml } }"));
    world.lines();
    world.apply(Event::Cancelled { reason: "enough".into() }).unwrap();
    world.expect(&["cancel a"]);
    assert_eq!(world.status(), Status::Running);
    world.fail("a", "cancelled");
    world.expect(&["finish cancelled: - cancelled"]);
}

#[test]
fn a_run_for_each_item() {
    let text = with_steps(
        "- { id: a, foreach: [1, 2], max_parallel: 1, run: { workflow: b.yaml, inputs: { n: \"${{ item }}\" } } }",
    );
    let mut world = World::start(&text);
    world.expect(&[r#"run a[0]: b.yaml {"n":1}"#]);
    world.complete("a[0]", "{}");
    world.expect(&[r#"run a[1]: b.yaml {"n":2}"#]);
}

#[test]
fn what_is_wrong_with_runs_in_a_file() {
    check(
        "
name: x
domain: d
inputs: { n: { type: integer } }
steps:
  - { id: a, run: { workflow: \"${{ inputs.n }}\" } }
  - { id: b, run: { workflow: b.yaml, wait: maybe } }
  - { id: c, run: { workflow: /b.yaml, on_cancel: ignore } }
  - { id: d, run: { inputs: {} }, retry: { attempts: 2 } }",
        expect![[r#"
            pay.yaml:6:31: `workflow` cannot hold an expression
             6 |   - { id: a, run: { workflow: "${{ inputs.n }}" } }
               |                               ^
               = hint: name one file, such as `./child.yaml`

            pay.yaml:7:45: `wait` must be true or false, this is a string
             7 |   - { id: b, run: { workflow: b.yaml, wait: maybe } }
               |                                             ^
               = hint: write `true` or `false`, without quotes

            pay.yaml:8:31: `workflow` must be a path from the folder of this file
             8 |   - { id: c, run: { workflow: /b.yaml, on_cancel: ignore } }
               |                               ^
               = hint: name one file, such as `./child.yaml`

            pay.yaml:8:51: `on_cancel` cannot be `ignore`
             8 |   - { id: c, run: { workflow: /b.yaml, on_cancel: ignore } }
               |                                                   ^
               = hint: known here: `cancel`, `leave`

            pay.yaml:9:19: `run` needs `workflow`
             9 |   - { id: d, run: { inputs: {} }, retry: { attempts: 2 } }
               |                   ^
               = hint: add a line `workflow: …`

            pay.yaml:9:35: `retry` means nothing here; it goes with an effect
             9 |   - { id: d, run: { inputs: {} }, retry: { attempts: 2 } }
               |                                   ^
               = hint: leave it out
        "#]],
    );
}

/// A workflow with these steps, in a small world of files; its own file is `main.yaml`.
pub(crate) fn family(files: &[(&str, &str)]) -> Result<Flow, String> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut open = |around: &str, name: &str| {
        let folder = around.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
        let id = format!("{}{}", folder.unwrap_or_default(), name.trim_start_matches("./"));
        let text = files.get(id.as_str()).ok_or("no such file")?;
        Ok(Opened { file: id.clone(), id, text: (*text).to_owned() })
    };
    let flow = parse(files.get("main.yaml").unwrap(), "main.yaml").unwrap();
    flow.with_children("main.yaml", &mut open).map_err(|errors| errors.to_string())
}

const MAIN: &str = "name: main\ndomain: d\nsteps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { n: 1 } } } ]";
const ONE: &str = "name: one\ndomain: d\ninputs: { n: { type: integer } }\nsteps: [ { id: b, run: { workflow: two.yaml } } ]";
const TWO: &str = "name: two\ndomain: d\nsteps: [ { id: c, sleep: { ms: 1 } } ]";

#[test]
fn all_that_a_workflow_runs_is_read_with_it_and_kept_in_its_record() {
    let flow =
        family(&[("main.yaml", MAIN), ("sub/one.yaml", ONE), ("sub/two.yaml", TWO)]).unwrap();
    let one = &flow.children.get("./sub/one.yaml").unwrap().flow;
    assert_eq!(one.children.get("two.yaml").unwrap().flow.name, "two");
    let again = parse(MAIN, "x").unwrap().with_recorded(flow.children_record().as_ref()).unwrap();
    assert_eq!(again.family_digest(), flow.family_digest());
    let other = TWO.replace("ms: 1", "ms: 2");
    let other = family(&[("main.yaml", MAIN), ("sub/one.yaml", ONE), ("sub/two.yaml", &other)]);
    assert_ne!(other.unwrap().family_digest(), flow.family_digest());
    let missing = parse(MAIN, "x").unwrap().with_recorded(None).unwrap_err();
    assert_eq!(missing, "`./sub/one.yaml`, which it runs, is not in it");
}

#[test]
fn what_is_wrong_with_the_files_is_told_before_anything_runs() {
    let told = |files: &[(&str, &str)]| family(files).unwrap_err();
    let cycle = TWO.replace("sleep: { ms: 1 }", "run: { workflow: two.yaml }");
    let strange = ONE.replace("domain: d", "domain: e");
    let inputs = MAIN.replace("n: 1", "m: 1");
    let kinds = MAIN.replace("n: 1", "n: \"${{ 'one' + '!' }}\"");
    let all = [
        told(&[("main.yaml", MAIN)]),
        told(&[("main.yaml", MAIN), ("sub/one.yaml", ONE), ("sub/two.yaml", &cycle)]),
        told(&[("main.yaml", MAIN), ("sub/one.yaml", &strange), ("sub/two.yaml", TWO)]),
        told(&[("main.yaml", &inputs), ("sub/one.yaml", ONE), ("sub/two.yaml", TWO)]),
        told(&[("main.yaml", &kinds), ("sub/one.yaml", ONE), ("sub/two.yaml", TWO)]),
        told(&[("main.yaml", MAIN), ("sub/one.yaml", ONE), ("sub/two.yaml", "name: two")]),
    ];
    expect![[r#"
        main.yaml:3:36: cannot read `./sub/one.yaml`: no such file
         3 | steps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { n: 1 } } } ]
           |                                    ^
           = hint: the path counts from the folder of this file
        ---
        sub/two.yaml:3:36: `two.yaml` would come to run itself
         3 | steps: [ { id: c, run: { workflow: two.yaml } } ]
           |                                    ^
           = hint: leave out this step, or run another workflow
        ---
        main.yaml:3:36: `./sub/one.yaml` is of the domain `e`, not `d`
         3 | steps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { n: 1 } } } ]
           |                                    ^
           = hint: a run and those it begins are of one domain, under one canon
        ---
        main.yaml:3:62: `./sub/one.yaml` has no input `m`
         3 | steps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { m: 1 } } } ]
           |                                                              ^
           = hint: known here: `n`

        main.yaml:3:36: `./sub/one.yaml` needs the input `n`
         3 | steps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { m: 1 } } } ]
           |                                    ^
        ---
        main.yaml:3:62: the input `n` of `./sub/one.yaml` is of type integer, this is a string
         3 | steps: [ { id: a, run: { workflow: ./sub/one.yaml, inputs: { n: "${{ 'one' + '!' }}" } } } ]
           |                                                              ^
        ---
        sub/two.yaml:1:1: a workflow needs `domain`
         1 | name: two
           | ^
           = hint: add a line `domain: …`

        sub/two.yaml:1:1: a workflow needs `steps`
         1 | name: two
           | ^
           = hint: add a line `steps: …`
    "#]]
    .assert_eq(&(all.join("\n---\n") + "\n"));
}

#[test]
fn workflows_run_each_other_only_so_deep() {
    let texts: Vec<(String, String)> = (0..12)
        .map(|number| {
            let name = if number == 0 { "main.yaml".into() } else { format!("w{number}.yaml") };
            let next = number + 1;
            (
                name,
                format!(
                    "name: w\ndomain: d\nsteps: [ {{ id: a, run: {{ workflow: w{next}.yaml }} }} ]"
                ),
            )
        })
        .collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let told = family(&files).unwrap_err();
    assert!(told.starts_with("w8.yaml:3:"), "{told}");
    assert!(told.contains("more than 8 deep"), "{told}");
}
