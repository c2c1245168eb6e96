//! Runs that end by beginning the next one of the same definition.

use cog_flow::{Event, Signal, Status, parse};
use expect_test::expect;

use crate::children::family;
use crate::diagnostics::check;
use crate::harness::World;

const COUNT: &str = "
name: count
domain: d
inputs: { n: { type: integer, default: 0 }, who: { type: string, default: ada } }
steps:
  - { id: one, uses: http.request, with: { url: \"https://a.example/${{ inputs.n }}\" } }
  - { id: two, uses: http.request, with: { url: \"https://b.example/\" }, on_error: continue }
  - { id: again, needs: [one], if: \"inputs.n < 3\", continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }
outputs: { n: \"${{ inputs.n }}\" }
";

fn again(world: &mut World) -> Result<(), String> {
    let step = "again".parse().unwrap();
    world.apply(Event::Continued { step }).map_err(|why| why.to_string())
}

#[test]
fn a_run_is_continued_when_all_else_of_it_is_over_and_gives_no_outputs() {
    let mut world = World::start(COUNT);
    world.expect(&["perform one", "perform two"]);
    world.complete("one", "{}");
    world.expect(&["continue again: {\"n\":1}"]);
    assert_eq!(world.run.continues(), None, "`two` is under way");
    assert!(again(&mut world).is_err());
    world.complete("two", "{}");
    assert_eq!(world.run.continues().map(ToString::to_string).as_deref(), Some("again"));
    assert!(world.run.has_moved());
    again(&mut world).unwrap();
    world.expect(&["finish continued"]);
    assert_eq!(world.status(), Status::Continued);
}

#[test]
fn a_run_that_does_not_come_to_it_ends_as_ever() {
    let mut world = World::start(&COUNT.replace("default: 0", "default: 3"));
    world.complete("one", "{}");
    world.complete("two", "{}");
    world.expect(&["perform one", "perform two", "finish completed {\"n\":3}"]);
}

#[test]
fn whoever_ends_the_run_or_falls_beside_it_ends_the_chain() {
    let mut world = World::start(COUNT);
    world.complete("one", "{}");
    world.lines();
    world.apply(Event::Cancelled { reason: "enough".into() }).unwrap();
    world.expect(&["cancel two", "cancel again"]);
    assert!(again(&mut world).is_err(), "it is being ended");
}

/// What brings a chain on, and what does not.
#[test]
fn a_chain_waits_for_something_between_its_runs() {
    let flow = |step: &str| {
        format!(
            "name: c\ndomain: d\nsteps:\n  - {{ id: one, {step}, on_error: continue, on_refused: continue }}\n  \
             - {{ id: again, needs: [one], continue_as_new: {{}} }}\n"
        )
    };
    let moved = |step: &str, event: Option<Event>| {
        let mut world = World::start(&flow(step));
        event.into_iter().for_each(|event| world.apply(event).unwrap());
        assert!(world.run.continues().is_some(), "{step}");
        world.run.has_moved()
    };
    let one = || "one".parse().unwrap();
    let output = cog_base::Value::Null;
    let done = || Some(Event::Completed { step: one(), output: output.clone() });
    let failed = || {
        let (code, message) = ("http.refused".to_owned(), "no".to_owned());
        let error = cog_flow::StepError { code, message, transient: true };
        Some(Event::Failed { step: one(), error })
    };
    let due = || Some(Event::Due { timer: one() });
    let effect = "uses: http.request, with: { url: \"https://a.example/\" }";
    let (from, payload) = ("user:x".to_owned(), output.clone());
    let signal = |name: &str| {
        let (id, name, from) = ("1".to_owned(), name.to_owned(), from.clone());
        Some(Event::Signalled(Signal { id, name, from, payload: payload.clone() }))
    };
    let approved = Some(Event::Approved {
        step: one(),
        by: vec!["user:b".to_owned()],
        forms: std::collections::BTreeMap::new(),
    });
    let cases = [
        ("uses: compute, with: { a: 1 }", None, false),
        (effect, done(), true),
        (effect, failed(), false),
        ("sleep: { ms: 999 }", due(), false),
        ("sleep: { ms: 1000 }", due(), true),
        ("wait_for: { signal: go }", signal("go"), true),
        ("wait_for: { signal: go, timeout_ms: 5 }", due(), false),
        ("wait_for: { signal: go, timeout_ms: 5000 }", due(), true),
        ("approve: { by: [\"user:b\"], message: go }", approved, true),
        ("run: { workflow: b.yaml }", done(), true),
        ("run: { workflow: b.yaml, wait: false }", done(), false),
    ];
    for (step, event, expected) in cases {
        assert_eq!(moved(step, event), expected, "{step}");
    }
}

#[test]
fn signals_that_no_step_took_are_told() {
    let text = COUNT.replace(
        "id: two, uses: http.request, with: { url: \"https://b.example/\" }",
        "id: two, wait_for: { signal: go }",
    );
    let mut world = World::start(&text);
    for id in ["1", "2", "3"] {
        let (name, from) = ("go".to_owned(), "user:x".to_owned());
        let payload = cog_base::Value::Null;
        world.apply(Event::Signalled(Signal { id: id.to_owned(), name, from, payload })).unwrap();
    }
    let kept: Vec<&str> = world.run.kept_signals().map(|signal| signal.id.as_str()).collect();
    assert_eq!(kept, ["2", "3"]);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    check(
        "
name: x
domain: d
inputs: { n: { type: integer }, who: { type: string, default: a } }
concurrency: { limit: 1 }
rate: { count: 1, per_seconds: 60 }
steps:
  - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
  - { id: b, needs: [a], sleep: { ms: 1 } }
  - { id: c, continue_as_new: {}, foreach: [1] }
  - { id: d, steps: [ { id: e, continue_as_new: { with: {} } } ] }",
        expect![[r#"
            pay.yaml:5:1: `concurrency` and `continue_as_new` do not go together
             5 | concurrency: { limit: 1 }
               | ^
               = hint: the next run would either pass those that wait for their turn, or wait behind them while its chain stands still: leave one of the two out

            pay.yaml:6:1: `rate` and `continue_as_new` do not go together
             6 | rate: { count: 1, per_seconds: 60 }
               | ^
               = hint: the next run would either pass those that wait for their turn, or wait behind them while its chain stands still: leave one of the two out

            pay.yaml:8:14: `b` needs `a`, behind which nothing of this run comes
             8 |   - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
               |              ^
               = hint: let it be needed by nothing: it ends the run

            pay.yaml:8:14: the next run needs the input `n`
             8 |   - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
               |              ^
               = hint: hand it on: `inputs: { n: "${{ inputs.n }}" }`

            pay.yaml:8:43: the input `who` is of type string, this is an integer
             8 |   - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
               |                                           ^

            pay.yaml:8:51: there is no input `m`
             8 |   - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
               |                                                   ^
               = hint: known here: `n`, `who`

            pay.yaml:8:61: `on_cancel` means nothing here; it goes with a step that does something
             8 |   - { id: a, continue_as_new: { inputs: { who: 5, m: 1 } }, on_cancel: { steps: [ { id: u, sleep: { ms: 1 } } ] } }
               |                                                             ^
               = hint: leave it out

            pay.yaml:10:14: another step of this file continues as new already
             10 |   - { id: c, continue_as_new: {}, foreach: [1] }
                |              ^
               = hint: keep one, and say the cases in its inputs

            pay.yaml:10:35: `foreach` means nothing here; it goes with `uses`, `steps`, `choose` or `run`
             10 |   - { id: c, continue_as_new: {}, foreach: [1] }
                |                                   ^
               = hint: leave it out

            pay.yaml:11:32: `continue_as_new` stands inside another step, and it ends the whole run
             11 |   - { id: d, steps: [ { id: e, continue_as_new: { with: {} } } ] }
                |                                ^
               = hint: put it among the outermost steps, with an `if` that says when

            pay.yaml:11:32: another step of this file continues as new already
             11 |   - { id: d, steps: [ { id: e, continue_as_new: { with: {} } } ] }
                |                                ^
               = hint: keep one, and say the cases in its inputs

            pay.yaml:11:51: unknown key `with` in `continue_as_new`
             11 |   - { id: d, steps: [ { id: e, continue_as_new: { with: {} } } ] }
                |                                                   ^
               = hint: known here: `inputs`
        "#]],
    );
}

#[test]
fn a_chain_is_no_child() {
    let main = "name: m\ndomain: d\nsteps: [ { id: a, run: { workflow: one.yaml } } ]";
    let one = "name: one\ndomain: d\nsteps: [ { id: b, sleep: { ms: 1000 } }, { id: c, needs: [b], continue_as_new: {} } ]";
    let why = family(&[("main.yaml", main), ("one.yaml", one)]).unwrap_err();
    expect![[r#"
        main.yaml:3:36: `one.yaml` continues as new
         3 | steps: [ { id: a, run: { workflow: one.yaml } } ]
           |                                    ^
           = hint: who begins a run waits for the end of that one, and a chain may have none: start it by itself, such as by a schedule"#]].assert_eq(&why);
    assert!(parse(one, "one.yaml").unwrap().continues());
}
