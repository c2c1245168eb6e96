//! What is handed on came from everything that is named on the way to it, and from nothing else.

use cog_base::Sources;
use cog_flow::Action;
use expect_test::{Expect, expect};

use crate::diagnostics::check as check_file;
use crate::harness::{World, path};

/// A flow with three inputs around these steps, moved in by two.
fn file(steps: &str) -> String {
    let steps: Vec<_> = steps.trim().lines().map(|line| format!("  {line}")).collect();
    format!(
        "name: test\ndomain: demo\n\
         inputs:\n  who: {{ type: string, default: ada }}\n  \
           list: {{ type: list, default: [1, 2], class: personal }}\n\
         roots:\n  in: {{ path: in, access: write }}\n  books: {{ path: books, access: write }}\n\
         steps:\n{}\n",
        steps.join("\n")
    )
}

fn told(sources: &Sources) -> String {
    let all = sources.iter().map(|(source, step)| format!("{source} by {step}"));
    all.collect::<Vec<_>>().join(", ")
}

/// What each thing that the flow wanted since was handed.
fn lines(world: &mut World) -> String {
    let mut lines = Vec::new();
    for action in std::mem::take(&mut world.actions) {
        match action {
            Action::Perform { step, sources, .. } | Action::Ask { step, sources, .. } => {
                lines.push(format!("{step}: {}", told(&sources)));
            }
            Action::Choose { step, plans, .. } => {
                for plan in plans {
                    for part in plan.steps {
                        lines.push(format!(
                            "{step}.{}.{}: {}",
                            plan.id,
                            part.id,
                            told(&part.sources)
                        ));
                    }
                }
            }
            Action::StartRun { step, sources, .. } => {
                for (name, sources) in sources {
                    lines.push(format!("{step} {name}: {}", told(&sources)));
                }
            }
            Action::Finish { sources, .. } => lines.push(format!("end: {}", told(&sources))),
            _ => {}
        }
    }
    lines.join("\n")
}

fn check(steps: &str, events: &[(&str, &str)], expected: Expect) {
    let mut world = World::start(&file(steps));
    for (step, output) in events {
        world.complete(step, output);
    }
    expected.assert_eq(&lines(&mut world));
}

#[test]
fn what_was_read_goes_along_through_computing_and_texts() {
    check(
        r#"
- { id: read, uses: file.read, with: { root: books, path: "${{ inputs.who }}" } }
- { id: mix, needs: [read], uses: compute, with: { a: { b: ["x ${{ steps.read.output.text }}"] } } }
- { id: more, needs: [mix], uses: compute, with: { n: "${{ size(steps.mix.output.a.b) }}" } }
- { id: ask, needs: [more], uses: model.chat, with: { model: reader, messages: [{ role: user, content: "${{ string(steps.more.output.n) }}" }] } }
- { id: plain, needs: [ask], uses: model.chat, with: { model: reader, messages: [{ role: user, content: hi }] } }
- { id: next, needs: [ask], uses: http.request, with: { url: "https://a.example/${{ steps.ask.output.text }}" } }
- { id: last, needs: [next], uses: file.write, with: { root: in, path: a, text: "${{ steps.next.output.text }}" } }
"#,
        &[("read", r#"{"text":"t"}"#), ("ask", r#"{"text":"u"}"#), ("next", r#"{"text":"v"}"#)],
        expect![[r#"
            read: input:who by inputs.who
            ask: input:who by inputs.who, root:books by read
            plain: 
            next: input:who by inputs.who, root:books by read, model:reader by ask
            last: input:who by inputs.who, root:books by read, host:a.example by next, model:reader by ask"#]],
    );
}

#[test]
fn all_inputs_are_read_by_whoever_reads_them_without_a_name() {
    check(
        r#"
- { id: a, uses: file.write, with: { root: in, path: a, document: { all: "${{ inputs }}" } } }
- { id: b, uses: file.write, with: { root: in, path: b, text: "${{ ['who'].map(x, inputs[x])[0] }}" } }
- { id: c, uses: file.write, with: { root: in, path: c, text: "${{ inputs.who }}" } }
- { id: d, uses: file.write, with: { root: in, path: d, text: "${{ has(inputs.who) ? 'a' : 'b' }}" } }
- { id: e, uses: file.write, with: { root: in, path: e, text: "${{ run.workflow }}" } }
"#,
        &[],
        expect![[r#"
            a: input:list by inputs.list, input:who by inputs.who, labelled:personal by inputs.list
            b: input:list by inputs.list, input:who by inputs.who, labelled:personal by inputs.list
            c: input:who by inputs.who
            d: input:list by inputs.list, input:who by inputs.who, labelled:personal by inputs.list
            e: "#]],
    );
}

#[test]
fn items_carry_what_the_list_came_from_and_the_list_of_results_what_they_read() {
    check(
        r#"
- id: each
  foreach: "${{ inputs.list }}"
  steps:
    - { id: read, uses: file.read, with: { root: books, path: "${{ string(item) }}" } }
- { id: count, needs: [each], uses: file.write, with: { root: in, path: n, text: "${{ string(steps.each.output.size()) }}" } }
"#,
        &[("each[0].read", r#"{"text":"t"}"#), ("each[1].read", r#"{"text":"t"}"#)],
        expect![[r#"
            each[0].read: input:list by inputs.list, labelled:personal by inputs.list
            each[1].read: input:list by inputs.list, labelled:personal by inputs.list
            count: input:list by inputs.list, root:books by each[0].read, labelled:personal by inputs.list"#]],
    );
}

#[test]
fn a_label_holds_for_all_that_stands_inside_and_only_raises() {
    check(
        r#"
- id: group
  class: secret
  steps:
    - { id: a, uses: file.read, with: { root: books, path: a } }
    - { id: b, class: public, needs: [a], uses: file.write, with: { root: in, path: b, text: "x" } }
- { id: c, needs: [group], uses: file.write, with: { root: in, path: c, text: "${{ steps.group.output.steps.b.output.path }}" } }
"#,
        &[("group.a", r#"{"text":"t"}"#), ("group.b", r#"{"path":"b"}"#)],
        expect![[r#"
            group.a: labelled:secret by group
            group.b: labelled:public by group.b, labelled:secret by group
            c: root:books by group.a, labelled:public by group.b, labelled:secret by group"#]],
    );
}

#[test]
fn plans_are_foreseen_with_what_they_would_be_handed_and_give_it_on() {
    let steps = r#"
- { id: read, uses: file.read, with: { root: books, path: a } }
- id: pick
  needs: [read]
  choose:
    goal: "go"
    plans:
      - id: one
        expect: { cost_micros: 1, latency_ms: 1, risk: low }
        steps: [{ id: w, class: personal, uses: file.write, with: { root: in, path: w, text: "${{ steps.read.output.text }}" } }]
- { id: after, needs: [pick], uses: file.write, with: { root: in, path: z, text: "${{ steps.pick.output.plan }}" } }
"#;
    let mut world = World::start(&file(steps));
    world.complete("read", r#"{"text":"t"}"#);
    world.plan("pick", Some("one"));
    world.complete("pick.one.w", "{}");
    expect![[r#"
        read: 
        pick.one.w: root:books by read, labelled:personal by pick.one.w
        pick.one.w: root:books by read, labelled:personal by pick.one.w
        after: root:books by read, labelled:personal by pick.one.w"#]]
    .assert_eq(&lines(&mut world));
}

#[test]
fn signals_answers_and_runs_are_sources_of_their_own() {
    let steps = r#"
- { id: got, wait_for: { signal: paid } }
- { id: sign, needs: [got], approve: { by: ["role:cfo"], message: "${{ steps.got.output.payload.text }}" } }
- { id: sub, needs: [sign], run: { workflow: b.yaml, inputs: { by: "${{ steps.sign.output.by[0] }}", got: "${{ steps.got.output.id }}" } } }
- { id: tell, needs: [sub], uses: file.write, with: { root: in, path: z, text: "${{ steps.sub.output.x }}" } }
"#;
    for (class, last) in
        [(Some("personal"), "labelled:personal by sub"), (None, "run:b.yaml by sub")]
    {
        let mut world = World::start(&file(steps));
        world.signal("s", "paid", r#"{"text":"t"}"#);
        world.approve("sign");
        world.run.raise(&path("sub"), class);
        world.complete("sub", r#"{"x":"y"}"#);
        let found = lines(&mut world);
        assert!(found.lines().last().unwrap().contains(last), "{found}");
        if class.is_some() {
            expect![[r#"
                sign: signal:paid by got
                sub by: people by sign
                sub got: signal:paid by got
                tell: signal:paid by got, people by sign, labelled:personal by sub"#]]
            .assert_eq(&found);
        }
    }
}

#[test]
fn what_fails_shows_what_it_was_made_of() {
    let steps = r#"
- { id: read, uses: file.read, with: { root: books, path: a } }
- { id: bad, needs: [read], uses: compute, on_error: continue, with: { x: "${{ steps.read.output.text.size() / 0 }}" } }
- { id: tell, needs: [bad], uses: file.write, with: { root: in, path: z, text: "${{ steps.bad.error.message }}" } }
- { id: no, needs: [read], if: "${{ steps.read.output.nothing }}", on_error: continue, uses: compute, with: { a: b } }
- { id: tell-no, needs: [no], uses: file.write, with: { root: in, path: y, text: "${{ steps.no.error.message }}" } }
"#;
    check(
        steps,
        &[("read", r#"{"text":"t"}"#)],
        expect![[r#"
        read: 
        tell: root:books by read
        tell-no: root:books by read"#]],
    );
}

#[test]
fn what_a_canon_lowers_stays_so_but_for_the_word_of_the_file() {
    let steps = r#"
- { id: read, uses: file.read, with: { root: books, path: a } }
- { id: redact, needs: [read], uses: process.run, with: { program: redact, stdin: "${{ steps.read.output.text }}" } }
- { id: own, class: internal, needs: [read], uses: process.run, with: { program: redact, stdin: "${{ steps.read.output.text }}" } }
- { id: tell, needs: [redact], uses: file.write, with: { root: in, path: z, text: "${{ steps.redact.output.stdout }}" } }
- { id: tell-own, needs: [own], uses: file.write, with: { root: in, path: y, text: "${{ steps.own.output.stdout }}" } }
"#;
    let mut world = World::start(&file(steps));
    world.complete("read", r#"{"text":"t"}"#);
    for step in ["redact", "own"] {
        world.run.lower(&path(step), "public");
        world.complete(step, r#"{"stdout":"x"}"#);
    }
    expect![[r#"
        read: 
        redact: root:books by read
        own: root:books by read, labelled:internal by own
        tell: lowered:public by redact
        tell-own: labelled:internal by own, lowered:public by own"#]]
    .assert_eq(&lines(&mut world));
}

#[test]
fn what_a_completion_says_comes_from_its_source() {
    let steps = r#"
- { id: read, uses: file.read, with: { root: books, path: a } }
- { id: accept, needs: [read], uses: session.accept, with: { event: "${{ steps.read.output.text }}" } }
- { id: tell, needs: [accept], uses: file.write, with: { root: in, path: z, text: "${{ steps.accept.output.status }}" } }
"#;
    let event = r#"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/agents\",\"type\":\"t\"}"#;
    check(
        steps,
        &[("read", &format!(r#"{{"text":"{event}"}}"#)), ("accept", r#"{"status":"done"}"#)],
        expect![[r#"
            read: 
            accept: root:books by read
            tell: root:books by read, session:/agents by accept"#]],
    );
}

#[test]
fn what_a_run_answers_with_and_what_it_failed_with() {
    let steps = r#"
- { id: read, uses: file.read, with: { root: books, path: a } }
"#;
    let text = file(steps) + "outputs: { said: \"${{ steps.read.output.text }}\" }\n";
    let mut world = World::start(&text);
    world.complete("read", r#"{"text":"t"}"#);
    assert!(lines(&mut world).ends_with("end: root:books by read"));
    let mut world = World::start(&file(steps));
    world.fail("read", "no");
    assert!(lines(&mut world).ends_with("end: root:books by read"));
}

#[test]
fn a_class_is_a_plain_word() {
    check_file(
        "
name: x
domain: y
inputs: { a: { type: string, class: [a] } }
steps:
  - { id: a, class: \"${{ inputs.a }}\", uses: compute, with: { b: c } }
",
        expect![[r#"
            pay.yaml:4:37: `class` must be a string, this is a list
             4 | inputs: { a: { type: string, class: [a] } }
               |                                     ^
               = hint: write text, such as `name` or "some words"

            pay.yaml:6:21: `${{ inputs.a }}` is no class
             6 |   - { id: a, class: "${{ inputs.a }}", uses: compute, with: { b: c } }
               |                     ^
               = hint: name one that the canon declares, without expressions: `class: personal`
        "#]],
    );
}
