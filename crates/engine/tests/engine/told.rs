//! What onlookers hear, and when: behind what it rests on, and not before it is durable.

use cog_engine::What;

use crate::house::House;

/// What was told, in one word for each notice.
fn told(house: &House) -> Vec<String> {
    let word = |what: &What| match what {
        What::Started { .. } => "started".to_owned(),
        What::Queued { .. } => "queued".to_owned(),
        What::Called => "called".to_owned(),
        What::Unqueued { why, .. } => format!("unqueued {why}"),
        What::Permitted { step, .. } => format!("permitted {step}"),
        What::Refused { step, .. } => format!("refused {step}"),
        What::Asked { step, .. } => format!("asked {step}"),
        What::Escalated { step, of, .. } => format!("escalated {step} {}", of.join(" ")),
        What::Waiting { step, .. } => format!("waiting {step}"),
        What::Retried { step, .. } => format!("retried {step}"),
        What::Given { step, text, .. } => format!("given {step} {text}"),
        What::Settled { step, .. } => format!("settled {step}"),
        What::Planned { step, .. } => format!("planned {step}"),
        What::Fell { step, message } => format!("fell {step}: {message}"),
        What::Begun { step, workflow, .. } => format!("begun {step} {workflow}"),
        What::Sleeping { step, ms } => format!("sleeping {step} {ms}"),
        What::Listening { step, signal, .. } => format!("listening {step} {signal}"),
        What::Signalled { signal, .. } => format!("signalled {signal}"),
        What::NotTaken { signal, .. } => format!("not taken {signal}"),
        What::Held { pauses, .. } => format!("held {pauses}"),
        What::NotPaused { .. } => "not paused".to_owned(),
        What::NotCounted { .. } => "not counted".to_owned(),
        What::NotGranted { .. } => "not granted".to_owned(),
        What::EndsAlready { .. } => "ends already".to_owned(),
        What::Parked { .. } => "parked".to_owned(),
        What::Sealed(sealed) => sealed.status.clone(),
        What::NotBegun { .. } => "not forked".to_owned(),
        What::Stopped { .. } => "stopped".to_owned(),
    };
    house.notices.iter().map(|notice| word(&notice.what)).collect()
}

const WRITE: &str = "uses: file.write, with: { root: out, path: a";

#[test]
fn lines_come_behind_what_they_rest_on() {
    let mut house = House::new();
    let run = house.start(&format!(
        "  - {{ id: first, {WRITE}, text: x }} }}\n\
         \x20 - {{ id: no, needs: [first], on_refused: continue, {WRITE}/../../b, text: x }} }}\n\
         \x20 - {{ id: nap, needs: [no], sleep: {{ ms: 7 }} }}\n\
         \x20 - {{ id: large, needs: [nap], {WRITE}, document: {{ amount_cents: 900 }} }} }}\n"
    ));
    house.done("written");
    house.ring();
    house.answer(run, Err("too much"));
    assert_eq!(
        told(&house),
        [
            "started",
            "permitted first",
            "settled first",
            "refused no",
            "sleeping nap 7",
            "asked large",
            "parked",
            "refused large",
            "refused"
        ]
    );
}

#[test]
fn what_is_not_recorded_is_not_told() {
    let mut house = House::new();
    house.hold = true;
    house.start(&format!("  - {{ id: no, {WRITE}/../../b, text: x }} }}\n"));
    assert_eq!(told(&house), [""; 0]);
    house.release();
    assert_eq!(told(&house), ["started", "refused no", "refused"]);

    let mut house = House::new();
    house.no_space = true;
    house.start(&format!("  - {{ id: no, {WRITE}/../../b, text: x }} }}\n"));
    assert_eq!(told(&house), ["stopped"]);
}

#[test]
fn a_step_that_fails_by_itself_is_told_with_its_place() {
    let mut house = House::new();
    house.start(
        "  - { id: a, uses: compute, with: { x: 1 } }\n\
         \x20 - { id: b, needs: [a], uses: compute, with: { y: \"${{ steps.a.output.z }}\" } }\n",
    );
    let fell = "fell b: could not evaluate `steps.a.output.z` (line 7, column 57): there is no `z`";
    assert_eq!(told(&house), ["started", fell, "failed"]);
}
