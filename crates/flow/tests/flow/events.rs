//! Events that start a workflow: what a file may say of them, and what a run is given.

use cog_base::Value;
use cog_base::json::parse;

use crate::harness::flow;

const HEAD: &str = "
name: ship
domain: demo
inputs: { order: { type: string }, cents: { type: integer, default: 0 } }
";
const STEPS: &str = "steps: [ { id: a, uses: compute, with: { a: 1 } } ]\n";

fn on(event: &str) -> String {
    format!("{HEAD}on: {{ event: [ {event} ] }}\n{STEPS}")
}

fn event(data: &str) -> Value {
    let text = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/shop","type":"order.paid","data":{data}}}"#
    );
    parse(&text).unwrap()
}

#[test]
fn a_run_is_given_what_the_file_takes_from_the_event() {
    let text = on("{ id: paid, type: order.paid, if: \"event.data.cents > 100\", inputs: \
                   { order: \"${{ event.data.order }}\", cents: \"${{ event.data.cents }}\" } }");
    let flow = flow(&text);
    let given = flow.given_by("paid", &event(r#"{"order":"7","cents":120}"#)).unwrap().unwrap();
    assert_eq!(Value::Map(given).to_string(), r#"{"cents":120,"order":"7"}"#);
    assert_eq!(flow.given_by("paid", &event(r#"{"order":"7","cents":100}"#)), Ok(None));
    let broken = flow.given_by("paid", &event("{}")).unwrap_err();
    assert!(broken.contains("`if` of the event `paid` cannot be told"), "{broken}");
    let ids: Vec<String> = flow.starts().into_iter().map(|it| it.schedule.id).collect();
    assert_eq!(ids, ["paid"]);
}

#[test]
fn what_is_wrong_with_an_event_is_told_with_the_file() {
    for (event, expected) in [
        ("{ id: paid }", "an event needs `type`"),
        ("{ id: paid, type: 'a b', inputs: { order: x } }", "is no type of events"),
        ("{ id: paid, type: a, inputs: { ordre: x } }", "there is no input `ordre`"),
        ("{ id: paid, type: a }", "a run of this event has no input `order`"),
        ("{ id: paid, type: a, inputs: { order: \"${{ inputs.cents }}\" } }", "no inputs yet"),
        (
            "{ id: paid, type: a, if: \"steps.a.output.a == 1\", inputs: { order: x } }",
            "no step `a`",
        ),
        ("{ id: paid, type: a, if: \"'yes'\", inputs: { order: x } }", "must be true or false"),
        (
            "{ id: paid, type: a, inputs: { order: x } }, { id: paid, type: b, inputs: { order: x } }",
            "a second schedule or event `paid`",
        ),
    ] {
        let errors = cog_flow::parse(&on(event), "ship.yaml").unwrap_err().to_string();
        assert!(errors.contains(expected), "{event}: {errors}");
    }
    let step = format!(
        "{HEAD}steps: [ {{ id: a, uses: compute, with: {{ a: \"${{{{ event.id }}}}\" }} }} ]"
    );
    let errors = cog_flow::parse(&step, "ship.yaml").unwrap_err().to_string();
    assert!(errors.contains("`event` is known only under `on`"), "{errors}");
}
