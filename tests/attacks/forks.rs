//! Runs that go on from a place of another, so that a consent counts twice, duties that are
//! segregated come together, or a limit begins anew.

use cog_base::Value;
use cog_base::id::RunId;
use cog_gate::Effect as _;
use cog_ledger::Kind;

use crate::engine::House;

const TEXT: &str = "inputs: { text: { type: string, default: 1 EUR to Acme } }";
const PAY: &str = "
  - { id: said, uses: compute, with: { it: \"Pay ${{ inputs.text }}?\" } }
  - { id: ok, needs: [said], approve: { by: [\"role:finance\"], message: \"${{ steps.said.output.it }}\" } }
  - { id: w, needs: [ok], uses: file.write, with: { root: out, path: order, text: \"${{ inputs.text }}\" } }
";
const MORE: [(&str, &str); 1] = [("text", "1000000 EUR to Mallory")];

/// A run that wrote what the CFO agreed to, and is over.
fn agreed(house: &mut House) -> RunId {
    let run = house.start_with(TEXT, PAY);
    house.answer(run, Ok(()));
    assert_eq!(writes(house), "1 EUR to Acme");
    house.done("written");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    run
}

/// What the effect that is under way writes.
fn writes(house: &House) -> String {
    let args = house.under_way.front().expect("an effect is under way").cleared.effect().args();
    args.get("text").and_then(Value::as_text).unwrap_or_default().to_owned()
}

fn count(house: &House, run: RunId, kind: Kind) -> usize {
    house.records(run).iter().filter(|record| record.entry.kind() == kind).count()
}

/// Nothing was permitted to a run.
fn nothing(house: &House, run: RunId) {
    assert!(house.under_way.is_empty(), "an effect is under way");
    assert_eq!(count(house, run, Kind::Receipt), 0);
}

/// What was asked last.
fn question(house: &House, run: RunId) -> String {
    let asked =
        house.records(run).into_iter().rfind(|it| it.entry.kind() == Kind::ApprovalRequested);
    asked.and_then(|asked| asked.body).expect("somebody was asked").to_string()
}

/// No run went on from there: nothing of it is on record.
fn refused(house: &House, run: RunId) {
    nothing(house, run);
    assert!(house.is_not_forked(run) && house.records(run).is_empty());
}

fn canon(of: &'static str, was: &'static str, is: &'static str) -> impl Fn(&str, &str) -> String {
    move |path, text| if path == of { text.replace(was, is) } else { text.to_owned() }
}

#[test]
fn control_who_is_asked_again_and_agrees_permits_the_fork() {
    let mut house = House::new();
    let parent = agreed(&mut house);
    let run = house.fork(parent, "w", &MORE);
    house.answer(run, Ok(()));
    assert_eq!(writes(&house), MORE[0].1);
    house.done("written");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
    house.assert_recomputes();
}

#[test]
fn owasp_asi09_a_yes_is_not_good_for_a_fork_with_other_inputs() {
    let mut house = House::new();
    let parent = agreed(&mut house);
    for inputs in [&MORE[..], &[]] {
        let run = house.fork(parent, "w", inputs);
        nothing(&house, run);
        assert_eq!(house.asked().len(), 1);
        let text = inputs.first().map_or("1 EUR to Acme", |(_, text)| text);
        assert!(question(&house, run).contains(&format!("Pay {text}?")), "it shows what is done");
        house.answer(run, Err("no"));
        nothing(&house, run);
        assert_eq!(house.sealed(run).unwrap().status, "refused");
        house.assert_replays(run);
    }
    house.assert_recomputes();
}

#[test]
fn owasp_asi03_a_yes_is_not_good_for_a_fork_by_an_agent() {
    let mut house = House::new();
    let parent = agreed(&mut house);
    let run = house.fork_by("agent:clerk", parent, "w", &MORE);
    nothing(&house, run);
    assert_eq!(house.asked().len(), 1);
}

#[test]
fn owasp_asi03_who_agreed_does_not_go_on_by_their_own_yes() {
    let mut house = House::new();
    let parent = agreed(&mut house);
    let run = house.fork_by("user:cfo", parent, "w", &MORE);
    nothing(&house, run);
    if house.asked().len() == 1 {
        house.answer(run, Ok(()));
    }
    nothing(&house, run);
    assert_eq!(count(&house, run, Kind::ApprovalGranted), 0);
}

#[test]
fn a_yes_is_not_good_for_a_fork_under_another_canon() {
    let mut house = House::new();
    let parent = agreed(&mut house);
    let finance = "{ \"type\": \"Role\", \"id\": \"finance\" }";
    let ada = "\"ada\" }, \"attrs\": {}, \"parents\": [";
    house.enact(|path, text| match path {
        "facts/people.json" => {
            text.replace(&format!("[{finance}]"), "[]").replace(ada, &format!("{ada}{finance},"))
        }
        _ => text.to_owned(),
    });
    let run = house.fork_by("agent:clerk", parent, "w", &MORE);
    nothing(&house, run);
    // The CFO is none of those who may any more.
    house.answer(run, Ok(()));
    nothing(&house, run);
    assert_eq!(count(&house, run, Kind::ApprovalGranted), 0);
}

#[test]
fn a_yes_to_an_effect_is_not_good_for_a_fork() {
    let mut house = House::new();
    let parent = house.start(
        "
  - { id: w, uses: file.write, with: { root: out, path: order, document: { amount_cents: 900 } } }
",
    );
    house.answer(parent, Ok(()));
    house.done("written");
    let run = house.fork(parent, "w", &[]);
    nothing(&house, run);
    assert_eq!(house.asked().len(), 1);
}

#[test]
fn steps_in_between_pass_no_yes_on() {
    let mut house = House::new();
    let steps = format!(
        "{PAY}
  - {{ id: then, needs: [w], uses: file.write, with: {{ root: out, path: then, text: \"${{{{ inputs.text }}}}\" }} }}
  - {{ id: aside, uses: file.write, with: {{ root: out, path: aside, text: aside }} }}
"
    );
    let parent = house.start_with(TEXT, &steps);
    house.done("aside");
    house.answer(parent, Ok(()));
    (0..2).for_each(|_| house.done("written"));
    let first = house.fork(parent, "then", &MORE);
    nothing(&house, first);
    house.answer(first, Ok(()));
    assert_eq!(writes(&house), MORE[0].1);
    assert_eq!(count(&house, first, Kind::Receipt), 1, "what was over stays");
    // Nor is the yes to a fork good for a fork of it.
    house.done("written");
    let second = house.fork(first, "then", &[]);
    nothing(&house, second);
    house.answer(second, Ok(()));
    house.done("written");
    for run in [first, second] {
        house.assert_replays(run);
    }
    // What nobody was asked for goes on at once.
    let third = house.fork(parent, "aside", &[]);
    assert_eq!(writes(&house), "aside");
    house.done("aside");
    house.answer(third, Ok(()));
    house.assert_recomputes();
}

#[test]
fn a_yes_inside_what_is_over_is_not_taken_over() {
    for (before, from) in [
        ("steps: [ { id: ok, approve: { by: [\"role:finance\"], message: Pay? } } ]", "all"),
        (
            "foreach: [1], steps: [ { id: ok, approve: { by: [\"role:finance\"], message: Pay? } } ]",
            "all",
        ),
    ] {
        let mut house = House::new();
        let parent = house.start(&format!(
            "
  - {{ id: all, {before} }}
  - {{ id: w, needs: [all], uses: file.write, with: {{ root: out, path: order, text: x }} }}
"
        ));
        house.answer(parent, Ok(()));
        house.done("written");
        let run = house.fork(parent, "w", &[]);
        refused(&house, run);
        let run = house.fork(parent, from, &[]);
        nothing(&house, run);
        house.answer(run, Ok(()));
        house.done("written");
        house.assert_replays(run);
        house.assert_recomputes();
    }
}

#[test]
fn a_yes_in_a_run_that_was_waited_for_is_not_taken_over() {
    let mut house = House::new();
    let sub = "name: sub\ndomain: simulation\nsteps:\n  - { id: ok, approve: { by: [\"role:finance\"], message: Pay? } }\n";
    let main = "name: main\ndomain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n  - { id: ask, run: { workflow: sub.yaml } }\n  - { id: w, needs: [ask], uses: file.write, with: { root: out, path: order, text: x } }\n";
    let parent = house.start_family(main, &[("sub.yaml", sub)]);
    let child =
        house.everything().iter().find_map(|it| it.entry.session().filter(|run| *run != parent));
    house.answer(child.unwrap(), Ok(()));
    house.done("written");
    let run = house.fork(parent, "w", &[]);
    refused(&house, run);
}

#[test]
fn who_was_not_asked_for_little_is_asked_for_more() {
    let little = "if: \"${{ size(inputs.text) < 15 ? false : true }}\"";
    let ask = "approve: { by: [\"role:finance\"], message: Pay? }";
    for (asks, is_told) in [
        (format!("{{ id: ok, {little}, {ask} }}"), true),
        (format!("{{ id: ok, {little}, steps: [ {{ id: ok, {ask} }} ] }}"), true),
        (format!("{{ id: ok, steps: [ {{ id: ok, {little}, {ask} }} ] }}"), false),
    ] {
        let mut house = House::new();
        let parent = house.start_with(
            TEXT,
            &format!(
                "
  - {asks}
  - {{ id: first, needs: [ok], uses: file.write, with: {{ root: out, path: first, text: x }} }}
  - {{ id: w, needs: [first], uses: file.write, with: {{ root: out, path: order, text: \"${{{{ inputs.text }}}}\" }} }}
"
            ),
        );
        // Nobody has to be asked for so little.
        (0..2).for_each(|_| house.done("written"));
        assert_eq!(house.sealed(parent).unwrap().status, "completed");
        let run = house.fork(parent, "w", &MORE);
        nothing(&house, run);
        assert_eq!(house.asked().len(), usize::from(is_told), "{asks}");
        assert_eq!(house.is_not_forked(run), !is_told, "who cannot be asked anew bars the place");
        // From the very start everybody is asked who is to be.
        house.fork(parent, "first", &MORE);
        assert_eq!(house.asked().len(), usize::from(is_told) + 1);
    }
}

const DUTIES: &str = "
  - { id: r, uses: file.read, with: { root: out, path: secret } }
  - { id: h, needs: [r], uses: http.request, with: { method: POST, url: \"https://sim.example/x\", body: \"${{ steps.r.output.text }}\" } }
";

fn segregated() -> House {
    let pair = "resources_max = 500\nforbidden = [[\"file.read\", \"http.request\"]]";
    House::under(canon("canon.toml", "resources_max = 500", pair))
}

/// Nothing more is permitted to what goes on from a step: it is refused, by this check.
fn refuses(house: &mut House, run: RunId, from: &str, code: &str) -> RunId {
    let fork = house.fork(run, from, &[]);
    nothing(house, fork);
    let story = house.story(fork);
    assert!(story.iter().any(|it| it.starts_with("denial") && it.contains(code)), "{story:?}");
    fork
}

#[test]
fn duties_that_are_segregated_are_not_split_over_a_fork() {
    let mut house = segregated();
    let parent = house.start(DUTIES);
    house.done("TOPSECRET");
    assert!(house.under_way.is_empty(), "one run may not do both");
    let fork = refuses(&mut house, parent, "h", "envelope");
    refuses(&mut house, fork, "h", "envelope");
    house.assert_recomputes();
    // Nor after the process died.
    let parent = house.start(&format!(
        "{}  - {{ id: nap, needs: [r], sleep: {{ ms: 5 }} }}\n",
        DUTIES.replace("needs: [r]", "needs: [nap]")
    ));
    house.done("TOPSECRET");
    house.ring();
    assert!(house.under_way.is_empty());
    let fork = house.fork(parent, "nap", &[]);
    house.restart();
    house.ring();
    nothing(&house, fork);
}

#[test]
fn duties_are_not_split_over_the_fork_of_a_run_that_another_began() {
    let mut house = segregated();
    let sub = "name: sub\ndomain: simulation\ninputs: { body: { type: string } }\nsteps:\n  - { id: h, uses: http.request, with: { method: POST, url: \"https://sim.example/x\", body: \"${{ inputs.body }}\" } }\n";
    let main = "name: main\ndomain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n  - { id: r, uses: file.read, with: { root: out, path: secret } }\n  - { id: s, needs: [r], run: { workflow: sub.yaml, inputs: { body: \"${{ steps.r.output.text }}\" } } }\n";
    let parent = house.start_family(main, &[("sub.yaml", sub)]);
    house.done("TOPSECRET");
    assert!(house.under_way.is_empty());
    let child =
        house.everything().iter().find_map(|it| it.entry.session().filter(|run| *run != parent));
    refuses(&mut house, child.unwrap(), "h", "envelope");
    house.assert_recomputes();
}

#[test]
fn no_limit_begins_anew_with_a_fork() {
    let write = "@id(\"sim.write-small\")\n";
    let limits: [(&str, &str, &str, &str); 4] = [
        (
            "policies/simulation.cedar",
            write,
            "@id(\"sim.write-small\")\n@limit(\"1 per run\")\n",
            "limit",
        ),
        (
            "policies/simulation.cedar",
            write,
            "@id(\"sim.write-small\")\n@limit(\"sum args.document.amount_cents <= 300 per run\")\n",
            "limit",
        ),
        ("canon.toml", "resources_max = 500", "resources_max = 1", "envelope"),
        ("canon.toml", "resources_max = 500", "amount_max = 300", "envelope"),
    ];
    for (file, was, is, code) in limits {
        let mut house = House::under(canon(file, was, is));
        let parent = house.start(
            "
  - { id: a, uses: file.write, with: { root: out, path: a, document: { amount_cents: 200 } } }
  - { id: b, needs: [a], uses: file.write, with: { root: out, path: b, document: { amount_cents: 200 } } }
",
        );
        house.done("written");
        assert!(house.under_way.is_empty(), "{is}");
        let fork = refuses(&mut house, parent, "b", code);
        refuses(&mut house, fork, "b", code);
        house.assert_recomputes();
    }
}

#[test]
fn what_was_done_before_a_fork_is_not_left_out_of_its_record() {
    let mut house = segregated();
    let parent = house.start(DUTIES);
    house.done("TOPSECRET");
    house.fork(parent, "h", &[]);
    let mut all = house.everything();
    let start = all.iter_mut().rfind(|it| it.entry.kind() == Kind::SessionStarted).unwrap();
    let Some(Value::Map(body)) = &mut start.body else { panic!("it has a body") };
    assert!(body.remove("carried").is_some());
    let findings = house.recomputed(&all).findings;
    assert!(findings.kept().iter().any(|it| it.code == "fork.counts"), "{findings:?}");
}

/// What a run does that is not waited for, and was under way at the place, is done beside the fork.
#[test]
fn what_a_run_below_has_under_way_counts_in_a_fork() {
    let sub = "name: sub\ndomain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n  - { id: w, uses: file.write, with: { root: out, path: below, document: { amount_cents: 200 } } }\n";
    let main = "name: main\ndomain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n  - { id: s, run: { workflow: sub.yaml, wait: false } }\n  - { id: nap, needs: [s], sleep: { ms: 5 } }\n  - { id: w, needs: [nap], uses: file.write, with: { root: out, path: own, document: { amount_cents: 200 } } }\n";
    let limit = "@id(\"sim.write-small\")\n@limit(\"1 per run\")\n";
    let write = "@id(\"sim.write-small\")\n";
    let mut house = House::under(canon("policies/simulation.cedar", write, limit));
    let parent = house.start_family(main, &[("sub.yaml", sub)]);
    house.ring();
    assert_eq!(count(&house, parent, Kind::Receipt), 0);
    let fork = house.fork(parent, "w", &[]);
    assert_eq!(count(&house, fork, Kind::Receipt), 0);
    house.assert_recomputes();
}

/// A run that is over with the very entry behind which another goes on from it.
#[test]
fn who_is_asked_anew_at_the_very_end_is_waited_for() {
    let steps = "
  - { id: ok, approve: { by: [\"role:finance\"], message: go? } }
  - { id: nap, needs: [ok], sleep: { ms: 5 } }
  - { id: last, needs: [nap], uses: compute, with: { it: x } }
";
    let mut house = House::new();
    let run = house.start(steps);
    house.answer(run, Ok(()));
    house.ring();
    assert!(house.sealed(run).is_some());
    let agreed = house.fork(run, "last", &[]);
    assert!(house.sealed(agreed).is_none());
    house.answer(agreed, Ok(()));
    assert_eq!(house.sealed(agreed).expect("it is over").status, "completed");
    let refused = house.fork(run, "last", &[]);
    house.restart();
    assert!(house.sealed(refused).is_none());
    house.answer(refused, Err("no"));
    assert_eq!(house.sealed(refused).expect("it is over").status, "refused");
    house.assert_recomputes();
    house.assert_replays(agreed);
    house.assert_replays(refused);
}

/// The canon lists environments: those are where runs begin, whoever hands them to the engine.
#[test]
fn no_run_begins_or_goes_on_where_the_canon_lists_no_environment() {
    let nap = "  - { id: nap, sleep: { ms: 5 } }\n  - { id: c, needs: [nap], uses: compute, with: { a: 1 } }\n";
    let live = |path: &str, text: &str| match path {
        "canon.toml" => {
            format!("{text}\n[environments]\nallow = [\"live\"]\nproduction = [\"live\"]\n")
        }
        _ => text.to_owned(),
    };
    let mut house = House::new();
    let parent = house.start(nap);
    house.ring();
    assert_eq!(house.sealed(parent).unwrap().status, "completed");
    house.enact(live);
    let run = house.start(nap);
    refused(&house, run);
    let fork = house.fork(parent, "c", &[]);
    refused(&house, fork);
    house.assert_recomputes();
    // One that began nevertheless is found.
    let mut house = House::under(live);
    house.restart_to_cancel_by("user:ada", false);
    house.start(nap);
    let findings = house.recomputed(&house.everything()).findings;
    let codes: Vec<_> = findings.kept().iter().map(|it| it.code).collect();
    assert_eq!(codes, ["session.environment"]);
}
