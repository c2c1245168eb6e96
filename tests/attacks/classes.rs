//! Data that is too confidential for a place, taken there by a way round: through labels, steps,
//! runs, files, messages and crashes.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::{Input, Sent, What};
use cog_flow::Signal;
use cog_ledger::Kind;

use crate::engine::House;

const DATA: &str = "\n[data]\nclasses = [\"public\", \"internal\", \"personal\"]\n\
                    default = \"internal\"\n";
/// What is sent on comes to a model that may have what is internal.
const SEND: &str = "
  - { id: send, needs: [NEEDS], as: agent:clerk, uses: model.chat, with: { model: reader, messages: [{ role: user, content: \"x ${{ WHAT }}\" }] } }
";
const READ: &str = "
  - { id: read, uses: file.read, with: { root: out, path: people } }
";

/// A house in which the root `out` holds personal data, and nobody else may have that.
fn house() -> House {
    house_with("personal", |text| text)
}

fn house_with(out: &str, change: fn(String) -> String) -> House {
    let root = format!("out = {{ within = [\"/\"], class = \"{out}\" }}");
    House::under(|path, text| match path {
        "canon.toml" => {
            let host = "[{ host = \"sim.example\", ports = [443], class_max = \"public\" }]";
            text.replace("\"*\" = { within = [\"/\"] }", &root).replace("[\"sim.example\"]", host)
                + DATA
        }
        _ => change(text.to_owned()),
    })
}

fn send(needs: &str, what: &str) -> String {
    SEND.replace("NEEDS", needs).replace("WHAT", what)
}

/// The code of the last refusal, and how often something was permitted.
fn refused(house: &House, run: RunId) -> (String, usize) {
    let records = house.records(run);
    let denial = records.iter().rfind(|it| it.entry.kind() == Kind::Denial);
    let code = denial.and_then(|it| it.entry.text("code")).unwrap_or("permitted").to_owned();
    (code, records.iter().filter(|it| it.entry.kind() == Kind::Receipt).count())
}

/// Reading gives something; whatever then sends it on is refused.
fn check(steps: &str) {
    let mut house = house();
    let run = house.start(&format!("{READ}{steps}"));
    house.done("Ada, 12 Main Street");
    assert_eq!(refused(&house, run), ("data.above_model".into(), 1), "{steps}");
    assert!(house.under_way.is_empty());
    house.assert_recomputes();
    house.assert_replays(run);
}

fn child(house: &House) -> RunId {
    let begun = house.notices.iter().find_map(|notice| {
        let What::Begun { child, .. } = &notice.what else { return None };
        Some(*child)
    });
    begun.expect("a run was begun")
}

fn signal(house: &mut House, run: RunId, payload: &str) {
    let payload = Value::map([("text", payload)]);
    let signal = Signal { id: "1".into(), name: "note".into(), from: "user:ada".into(), payload };
    let sent = Sent { signal, subject: None };
    house.give(Input::Signal { run, sent: Box::new(sent) });
}

#[test]
fn control_what_is_internal_is_sent_and_its_class_is_on_record() {
    let mut house = house();
    let steps = send("", "inputs.text").replace("needs: [], ", "");
    let run = house.start_with("inputs: { text: { type: string, default: hello } }", &steps);
    house.done("said");
    assert_eq!(refused(&house, run), ("permitted".into(), 1));
    let records = house.records(run);
    let receipt = records.iter().find(|it| it.entry.kind() == Kind::Receipt).unwrap();
    assert_eq!(receipt.entry.text("data_class"), Some("internal"));
    let from = receipt.body.as_ref().unwrap().at(&["intent", "data_from"]).unwrap().to_string();
    assert_eq!(from, r#"{"input:text":"inputs.text"}"#);
    house.assert_recomputes();
}

#[test]
fn a_workflow_does_not_lower_what_the_canon_labels() {
    let labelled = READ.replace("id: read", "id: read, class: public");
    let mut house = house();
    let run = house.start(&format!("{labelled}{}", send("read", "steps.read.output.text")));
    house.done("Ada");
    assert_eq!(refused(&house, run), ("data.above_model".into(), 1));
}

#[test]
fn a_class_that_nobody_declared_counts_as_the_highest() {
    let mut house = house();
    let line = "inputs: { text: { type: string, default: hello, class: harmless } }";
    let run = house.start_with(line, &send("", "inputs.text").replace("needs: [], ", ""));
    assert_eq!(refused(&house, run), ("data.above_model".into(), 0));
}

#[test]
fn computing_takes_no_class_off() {
    check(&format!(
        "  - {{ id: mix, needs: [read], uses: compute, with: {{ a: {{ b: \"${{{{ steps.read.output.text.split('') }}}}\" }} }} }}\n{}",
        send("mix", "steps.mix.output.a.b.size() > 0 ? steps.mix.output.a.b[0] : ''")
    ));
}

#[test]
fn a_loop_over_letters_takes_no_class_off() {
    let step = send("read", "item").replace(
        "as: agent:clerk",
        "foreach: \"${{ steps.read.output.text.split(',') }}\", max_parallel: 1, as: agent:clerk",
    );
    check(&step);
}

#[test]
fn results_of_a_group_and_of_a_loop_keep_the_class_of_what_is_inside() {
    let group = "  - id: all\n    needs: [read]\n    steps:\n      - { id: c, uses: compute, with: { a: \"${{ steps.read.output.text }}\" } }\n";
    check(&format!("{group}{}", send("all", "steps.all.output.steps.c.output.a")));
    let each = "  - { id: all, needs: [read], foreach: [1], uses: compute, with: { a: \"${{ steps.read.output.text }}\" } }\n";
    check(&format!("{each}{}", send("all", "steps.all.output[0].output.a")));
}

#[test]
fn the_error_of_a_step_keeps_the_class_of_what_it_failed_over() {
    let bad = "  - { id: bad, needs: [read], on_error: continue, uses: compute, with: { a: \"${{ steps.read.output.text[0] }}\" } }\n";
    check(&format!("{bad}{}", send("bad", "steps.bad.error.message")));
}

#[test]
fn no_plan_is_taken_that_would_send_it() {
    let step = send("", "steps.read.output.text").replace("needs: [], ", "").replace("\n", "");
    let step = step.trim_start().trim_start_matches("- ").to_owned();
    let plan = format!(
        "  - id: pick\n    needs: [read]\n    choose:\n      goal: g\n      plans:\n        - id: one\n          expect: {{ cost_micros: 1, latency_ms: 1, risk: low }}\n          steps: [{step}]\n"
    );
    check(&plan);
}

const SUB: &str = "
name: sub
domain: simulation
inputs: { text: { type: string } }
roots: { out: { path: out, access: write } }
steps:
";

fn family(house: &mut House, main: &str, sub: &str) -> RunId {
    let head = "name: main\ndomain: simulation\nroots: { out: { path: out, access: write } }\n";
    house.start_family(&format!("{head}steps:\n{main}"), &[("./sub.yaml", sub)])
}

#[test]
fn a_run_that_is_handed_data_knows_its_class() {
    let mut house = house();
    let sub = format!("{SUB}{}", send("", "inputs.text").replace("needs: [], ", ""));
    let main = format!(
        "{READ}  - {{ id: sub, needs: [read], run: {{ workflow: ./sub.yaml, inputs: {{ text: \"${{{{ steps.read.output.text }}}}\" }} }} }}\n"
    );
    family(&mut house, &main, &sub);
    house.done("Ada");
    let child = child(&house);
    assert_eq!(refused(&house, child), ("data.above_model".into(), 0));
    house.assert_recomputes();
}

#[test]
fn what_a_run_gives_back_has_its_class_also_after_a_crash() {
    for crash in [false, true] {
        let mut house = house();
        let sub =
            format!("{SUB}{READ}outputs: {{ said: \"${{{{ steps.read.output.text }}}}\" }}\n");
        let main = format!(
            "  - {{ id: sub, run: {{ workflow: ./sub.yaml, inputs: {{ text: a }} }} }}\n{}",
            send("sub", "steps.sub.output.said")
        );
        let run = family(&mut house, &main, &sub);
        house.hold = crash;
        house.done("Ada");
        if crash {
            // The run that was begun is sealed, and the other has not heard of it.
            while let Some((ticket, drafts)) = house.held.pop_front() {
                let is_seal = drafts.iter().any(|(_, it)| it.kind == Kind::SessionSealed);
                let durable = house.append(ticket, drafts);
                house.give(durable);
                if is_seal {
                    break;
                }
            }
            house.held.clear();
            house.hold = false;
            house.restart();
        }
        assert_eq!(refused(&house, run).0, "data.above_model", "crash: {crash}");
        house.assert_recomputes();
    }
}

#[test]
fn what_is_written_down_to_be_read_again_is_not_written_where_it_may_not_be() {
    let mut house = house_with("internal", |text| text);
    let line = "inputs: { who: { type: string, default: Ada, class: personal } }";
    let write = "  - { id: w, uses: file.write, with: { root: out, path: x, text: \"${{ inputs.who }}\" } }\n";
    let read = READ.replace("id: read,", "id: read, needs: [w],");
    let run =
        house.start_with(line, &format!("{write}{read}{}", send("read", "steps.read.output.text")));
    assert_eq!(refused(&house, run), ("data.above_root".into(), 0));
}

#[test]
fn a_message_from_outside_is_of_the_default_class_at_least_and_of_its_label() {
    let mut house = house();
    let got = "  - { id: got, class: personal, wait_for: { signal: note } }\n";
    let run = house.start(&format!("{got}{}", send("got", "steps.got.output.payload.text")));
    signal(&mut house, run, "Ada");
    assert_eq!(refused(&house, run), ("data.above_model".into(), 0));
    let post = "  - { id: post, needs: [got], uses: http.request, with: { url: \"https://sim.example/${{ steps.got.output.payload.text }}\" } }\n";
    let mut house = self::house();
    let run = house.start(&format!("{}{post}", got.replace("class: personal, ", "")));
    signal(&mut house, run, "Ada");
    assert_eq!(refused(&house, run), ("data.above_host".into(), 0));
    house.assert_recomputes();
}

#[test]
fn what_people_answer_is_of_the_default_class_at_least() {
    let mut house = house();
    let ask = "  - { id: ok, approve: { by: [\"role:finance\"], message: go? } }\n";
    let post = "  - { id: post, needs: [ok], uses: http.request, with: { url: \"https://sim.example/${{ steps.ok.output.by[0] }}\" } }\n";
    let run = house.start(&format!("{ask}{post}"));
    house.answer(run, Ok(()));
    assert_eq!(refused(&house, run), ("data.above_host".into(), 0));
}

#[test]
fn a_fork_takes_the_classes_over_with_what_it_takes_over() {
    let mut house = house();
    let wait = "  - { id: nap, needs: [read], sleep: { ms: 5 } }\n";
    let steps = format!("{READ}{wait}{}", send("nap", "steps.read.output.text"))
        .replace("needs: [nap]", "needs: [nap, read]");
    let run = house.start(&steps);
    house.done("Ada");
    house.cancel(run);
    let fork = house.fork(run, "nap", &[]);
    house.ring();
    assert_eq!(refused(&house, fork), ("data.above_model".into(), 0));
    house.assert_recomputes();
}

#[test]
fn a_crash_takes_no_class_off() {
    let mut house = house();
    let wait = "  - { id: nap, needs: [read], sleep: { ms: 5 } }\n";
    let steps = format!("{READ}{wait}{}", send("nap", "steps.read.output.text"))
        .replace("needs: [nap]", "needs: [nap, read]");
    let run = house.start(&steps);
    house.done("Ada");
    house.restart();
    house.ring();
    assert_eq!(refused(&house, run), ("data.above_model".into(), 1));
}

#[test]
fn a_canon_that_declares_classes_meanwhile_knows_what_was_read_before() {
    let mut house = House::new();
    let wait = "  - { id: nap, needs: [read], sleep: { ms: 5 } }\n";
    let steps = format!("{READ}{wait}{}", send("nap", "steps.read.output.text"))
        .replace("needs: [nap]", "needs: [nap, read]");
    let run = house.start(&steps);
    house.done("Ada");
    house.enact(|path, text| match path {
        "canon.toml" => text.replace("\"*\" = {", "out = { class = \"personal\",") + DATA,
        _ => text.to_owned(),
    });
    house.ring();
    assert_eq!(refused(&house, run), ("data.above_model".into(), 1));
    house.assert_recomputes();
}

#[test]
fn control_only_a_policy_lowers_and_its_receipt_says_so() {
    let lower = |text: String| {
        text.replace("@id(\"sim.read\")", "@id(\"sim.read\") @declassify(\"internal\")")
    };
    let mut house = house_with("personal", lower);
    let run = house.start(&format!("{READ}{}", send("read", "steps.read.output.text")));
    house.done("Ada");
    house.done("said");
    assert_eq!(refused(&house, run), ("permitted".into(), 2));
    let records = house.records(run);
    let receipt = records.iter().find(|it| it.entry.kind() == Kind::Receipt).unwrap();
    assert_eq!(receipt.entry.text("declassify"), Some("internal"));
    house.assert_recomputes();
    house.assert_replays(run);
}

#[test]
fn what_a_policy_lowers_is_raised_by_the_label_of_the_step() {
    let lower = |text: String| {
        text.replace("@id(\"sim.read\")", "@id(\"sim.read\") @declassify(\"internal\")")
    };
    let mut house = house_with("personal", lower);
    let read = READ.replace("id: read", "id: read, class: personal");
    let run = house.start(&format!("{read}{}", send("read", "steps.read.output.text")));
    house.done("Ada");
    assert_eq!(refused(&house, run), ("data.above_model".into(), 1));
}

#[test]
fn the_subject_of_a_step_around_shows_what_it_was_made_from() {
    let group = "  - id: all\n    needs: [read]\n    subject: \"${{ fail(steps.read.output.text) }}\"\n    steps:\n      - { id: bad, on_error: continue, uses: file.read, with: { root: out, path: x } }\n      - { id: c, needs: [bad], uses: compute, with: { a: \"${{ steps.bad.error.message }}\" } }\n";
    let send = send("all", "steps.all.output.steps.c.output.a");
    check(&format!("{group}{send}"));
}
