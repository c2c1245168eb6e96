//! What a person reads when a workflow file is wrong. `UPDATE_EXPECT=1` rewrites them.

use cog_flow::parse;
use expect_test::{Expect, expect};

use crate::harness::{flow, with_steps};

#[expect(clippy::needless_pass_by_value, reason = "the way expect-test is used")]
pub(crate) fn check(text: &str, expected: Expect) {
    let errors = match parse(text, "pay.yaml") {
        Ok(_) => "fine\n".to_owned(),
        Err(errors) => format!("{errors}\n"),
    };
    expected.assert_eq(&errors);
}

/// A flow with these steps; the first of them is in line 5.
pub(crate) fn check_steps(steps: &str, expected: Expect) {
    check(&with_steps(steps.trim_start_matches('\n')), expected);
}

#[test]
fn an_empty_file_and_no_object() {
    check(
        "",
        expect![[r#"
            pay.yaml:1:1: the file is empty
             1 | 
               | ^
               = hint: it needs `name`, `domain` and `steps`
        "#]],
    );
    check(
        "- a\n- b\n",
        expect![[r#"
            pay.yaml:1:1: a workflow must be an object, this is a list
             1 | - a
               | ^
               = hint: its keys are `name`, `domain`, `steps`, `description`, `environment`, `subject`, `inputs`, `roots`, `budget`, `priority`, `concurrency`, `rate`, …
        "#]],
    );
    check(
        "name: x\n",
        expect![[r#"
            pay.yaml:1:1: a workflow needs `domain`
             1 | name: x
               | ^
               = hint: add a line `domain: …`

            pay.yaml:1:1: a workflow needs `steps`
             1 | name: x
               | ^
               = hint: add a line `steps: …`
        "#]],
    );
}

#[test]
fn unknown_keys_get_the_nearest_known_one() {
    check_steps(
        "
- id: a
  uses: file.read
  with: { root: in, pat: x }
- id: b
  need: [a]
  depends_on: [a]
  timeout: 5m
  uses: file.read
  with: { root: in, path: x }",
        expect![[r#"
            pay.yaml:7:11: `file.read` needs `path` in `with`
             7 |     with: { root: in, pat: x }
               |           ^
               = hint: its arguments are `root`, `path`

            pay.yaml:7:23: `file.read` has no `pat`
             7 |     with: { root: in, pat: x }
               |                       ^
               = hint: did you mean `path`?

            pay.yaml:9:5: unknown key `need` in a step
             9 |     need: [a]
               |     ^
               = hint: did you mean `needs`?

            pay.yaml:10:5: unknown key `depends_on` in a step
             10 |     depends_on: [a]
                |     ^
               = hint: did you mean `needs`?

            pay.yaml:11:5: unknown key `timeout` in a step
             11 |     timeout: 5m
                |     ^
               = hint: did you mean `timeout_ms`?
        "#]],
    );
}

#[test]
fn needs_that_are_not_there_and_cycles() {
    check_steps(
        "
- { id: fetch, uses: compute, with: { a: 1 } }
- { id: parse, needs: [fech], uses: compute, with: { a: 1 } }
- { id: a, needs: [c], uses: compute, with: { a: 1 } }
- { id: b, needs: [a], uses: compute, with: { a: 1 } }
- { id: c, needs: [b], uses: compute, with: { a: 1 } }
- { id: self, needs: [self], uses: compute, with: { a: 1 } }
- { id: text, needs: fetch, uses: compute, with: { a: 1 } }",
        expect![[r#"
            pay.yaml:6:26: `parse` needs `fech`, which is not here
             6 |   - { id: parse, needs: [fech], uses: compute, with: { a: 1 } }
               |                          ^
               = hint: did you mean `fetch`? Only steps of the same list can be needed

            pay.yaml:8:22: the steps wait for each other: a -> c -> b -> a
             8 |   - { id: b, needs: [a], uses: compute, with: { a: 1 } }
               |                      ^
               = hint: take one of these out of `needs`

            pay.yaml:11:24: `needs` must be a list, this is a string
             11 |   - { id: text, needs: fetch, uses: compute, with: { a: 1 } }
                |                        ^
               = hint: write `needs: [fetch]`
        "#]],
    );
}

#[test]
fn ids() {
    check_steps(
        "
- { id: Fetch All, uses: compute, with: { a: 1 } }
- { id: a, uses: compute, with: { a: 1 } }
- { id: a, uses: compute, with: { a: 1 } }
- { id: on_error, uses: compute, with: { a: 1 } }
- { id: 5, uses: compute, with: { a: 1 } }
- { uses: compute, with: { a: 1 } }",
        expect![[r#"
            pay.yaml:5:11: `Fetch All` is not an id: a-z first, then a-z, 0-9, `_` and `-`, at most 64
             5 |   - { id: Fetch All, uses: compute, with: { a: 1 } }
               |           ^
               = hint: did you mean `fetch-all`?

            pay.yaml:7:11: the id `a` is used twice; first in line 6
             7 |   - { id: a, uses: compute, with: { a: 1 } }
               |           ^
               = hint: give one of the two another id

            pay.yaml:8:11: the id `on_error` is taken by the handlers
             8 |   - { id: on_error, uses: compute, with: { a: 1 } }
               |           ^
               = hint: give the step another id

            pay.yaml:9:11: `id` must be a string, this is an integer
             9 |   - { id: 5, uses: compute, with: { a: 1 } }
               |           ^
               = hint: put it in quotes

            pay.yaml:10:5: a step needs `id`
             10 |   - { uses: compute, with: { a: 1 } }
                |     ^
               = hint: add a line `id: …`
        "#]],
    );
}

#[test]
fn effects_and_their_arguments() {
    check_steps(
        "
- { id: a, uses: file.raed, with: { root: in, path: x } }
- { id: b, uses: file.write, with: { root: inn, path: x } }
- { id: c, uses: file.write, with: { root: in, path: 5, text: a, document: {}, mode: append } }
- { id: d, uses: model.chat, with: { model: m, messages: [ { role: robot, content: hi } ] } }
- { id: e, uses: file.read }
- { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }",
        expect![[r#"
            pay.yaml:5:20: there is no effect `file.raed`
             5 |   - { id: a, uses: file.raed, with: { root: in, path: x } }
               |                    ^
               = hint: did you mean `file.read`?

            pay.yaml:6:38: `file.write` needs one of `text`, `document` in `with`
             6 |   - { id: b, uses: file.write, with: { root: inn, path: x } }
               |                                      ^
               = hint: its arguments are `root`, `path`, `text`, `document`, `mode`

            pay.yaml:6:46: there is no root `inn`
             6 |   - { id: b, uses: file.write, with: { root: inn, path: x } }
               |                                              ^
               = hint: did you mean `in`?

            pay.yaml:7:38: `file.write` takes only one of `text`, `document`
             7 |   - { id: c, uses: file.write, with: { root: in, path: 5, text: a, document: {}, mode: append } }
               |                                      ^
               = hint: leave the others out

            pay.yaml:7:56: `path` of `file.write` takes a string, not an integer
             7 |   - { id: c, uses: file.write, with: { root: in, path: 5, text: a, document: {}, mode: append } }
               |                                                        ^
               = hint: such as `path: some-text`, in quotes if it is a number

            pay.yaml:7:88: `mode` of `file.write` takes one of `create`, `replace`, not `append`
             7 |   - { id: c, uses: file.write, with: { root: in, path: 5, text: a, document: {}, mode: append } }
               |                                                                                        ^
               = hint: such as `mode: create`

            pay.yaml:8:60: `messages` of `model.chat` takes a list of 1 to 1000 {role, content}, role being system, user or assistant, not one whose item 1 is none of these
             8 |   - { id: d, uses: model.chat, with: { model: m, messages: [ { role: robot, content: hi } ] } }
               |                                                            ^
               = hint: such as `messages: [{ role: user, content: "…" }]`

            pay.yaml:9:14: `file.read` needs `root` in `with`
             9 |   - { id: e, uses: file.read }
               |              ^
               = hint: its arguments are `root`, `path`

            pay.yaml:9:14: `file.read` needs `path` in `with`
             9 |   - { id: e, uses: file.read }
               |              ^
               = hint: its arguments are `root`, `path`

            pay.yaml:10:47: `url` of `http.request` takes an absolute http or https URL without user and password, not `u`
             10 |   - { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }
                |                                               ^
               = hint: such as `url: https://api.example.com/orders`

            pay.yaml:10:62: `timeout_ms` of `http.request` takes an integer from 1 to 600000, not 0
             10 |   - { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }
                |                                                              ^
               = hint: a whole number from 1 to 600000

            pay.yaml:10:79: `timeout_ms` must be an integer, this is a string
             10 |   - { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }
                |                                                                               ^
               = hint: write 3600000

            pay.yaml:10:102: `attempts` must be from 1 to 10, this is 11
             10 |   - { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }
                |                                                                                                      ^
               = hint: write a whole number within these bounds

            pay.yaml:10:111: cannot retry on `transiet`
             10 |   - { id: g, uses: http.request, with: { url: u, timeout_ms: 0 }, timeout_ms: 1h, retry: { attempts: 11, on: [transiet] } }
                |                                                                                                               ^
               = hint: did you mean `transient`?
        "#]],
    );
}

#[test]
fn a_root_that_is_only_read_is_not_written() {
    check(
        "
name: x
domain: d
roots:
  mail: { path: mail, access: read }
  out: { path: out, access: wirte }
steps:
  - { id: a, uses: file.write, with: { root: mail, path: x, text: t } }
  - { id: b, uses: process.run, with: { program: cat, root: mail } }",
        expect![[r#"
            pay.yaml:6:29: unknown access `wirte`
             6 |   out: { path: out, access: wirte }
               |                             ^
               = hint: did you mean `write`?

            pay.yaml:8:46: `file.write` changes the root `mail`, which is `access: read`
             8 |   - { id: a, uses: file.write, with: { root: mail, path: x, text: t } }
               |                                              ^
               = hint: declare it with `access: write`

            pay.yaml:9:61: `process.run` may change the root `mail`, which is `access: read`
             9 |   - { id: b, uses: process.run, with: { program: cat, root: mail } }
               |                                                             ^
               = hint: declare it with `access: write`
        "#]],
    );
}

#[test]
fn retries_within_their_bounds() {
    check(
        "name: x
domain: d
steps:
  - id: a
    uses: model.chat
    with: { model: m, messages: [{ role: user, content: x }] }
    retry: { attempts: 2, backoff_ms_max: 3600001, jitter_percent: 200, never_on: 404 }",
        expect![[r#"
            pay.yaml:7:43: `backoff_ms_max` must be from 0 to 3600000, this is 3600001
             7 |     retry: { attempts: 2, backoff_ms_max: 3600001, jitter_percent: 200, never_on: 404 }
               |                                           ^
               = hint: write a whole number within these bounds

            pay.yaml:7:68: `jitter_percent` must be from 0 to 100, this is 200
             7 |     retry: { attempts: 2, backoff_ms_max: 3600001, jitter_percent: 200, never_on: 404 }
               |                                                                    ^
               = hint: write a whole number within these bounds

            pay.yaml:7:83: `never_on` must be a list, this is an integer
             7 |     retry: { attempts: 2, backoff_ms_max: 3600001, jitter_percent: 200, never_on: 404 }
               |                                                                                   ^
               = hint: write a list: `[one, two]`, or lines that begin with `- `
        "#]],
    );
}

#[test]
fn one_body_and_what_goes_with_it() {
    check_steps(
        "
- { id: a }
- { id: b, uses: compute, with: { a: 1 }, sleep: { ms: 5 } }
- { id: c, sleep: { ms: 5s }, retry: { attempts: 2 }, foreach: [1] }
- { id: d, approve: { by: [finance], message: ok, expires_minutes: 2h } }
- { id: e, approve: { by: [\"user:a\"], count: 2, message: ok }, max_parallel: 3 }
- { id: f, as: \"${{ 'user:cfo' }}\", uses: file.read, with: { root: in, path: x }, on_error: ignore, on_refused: [] }
- { id: g, steps: [] }",
        expect![[r#"
            pay.yaml:5:5: the step `a` does nothing
             5 |   - { id: a }
               |     ^
               = hint: give it one of `uses`, `steps`, `choose`, `approve`, `sleep`, `wait_for`, `checkpoint`, `run`, `continue_as_new`

            pay.yaml:6:45: the step `b` has `uses`, `sleep`
             6 |   - { id: b, uses: compute, with: { a: 1 }, sleep: { ms: 5 } }
               |                                             ^
               = hint: a step has exactly one of `uses`, `steps`, `choose`, `approve`, `sleep`, `wait_for`, `checkpoint`, `run`, `continue_as_new`

            pay.yaml:7:27: `ms` must be an integer, this is a string
             7 |   - { id: c, sleep: { ms: 5s }, retry: { attempts: 2 }, foreach: [1] }
               |                           ^
               = hint: write 5000

            pay.yaml:7:33: `retry` means nothing here; it goes with an effect
             7 |   - { id: c, sleep: { ms: 5s }, retry: { attempts: 2 }, foreach: [1] }
               |                                 ^
               = hint: leave it out

            pay.yaml:7:57: `foreach` means nothing here; it goes with `uses`, `steps`, `choose` or `run`
             7 |   - { id: c, sleep: { ms: 5s }, retry: { attempts: 2 }, foreach: [1] }
               |                                                         ^
               = hint: leave it out

            pay.yaml:8:30: `finance` cannot approve
             8 |   - { id: d, approve: { by: [finance], message: ok, expires_minutes: 2h } }
               |                              ^
               = hint: write `role:name` or `user:name`

            pay.yaml:8:70: `expires_minutes` must be an integer, this is a string
             8 |   - { id: d, approve: { by: [finance], message: ok, expires_minutes: 2h } }
               |                                                                      ^
               = hint: write 120

            pay.yaml:9:41: 2 must agree, but only 1 are named
             9 |   - { id: e, approve: { by: ["user:a"], count: 2, message: ok }, max_parallel: 3 }
               |                                         ^
               = hint: name more people, a `role:…`, or ask for fewer

            pay.yaml:9:66: `max_parallel` goes with `foreach`
             9 |   - { id: e, approve: { by: ["user:a"], count: 2, message: ok }, max_parallel: 3 }
               |                                                                  ^
               = hint: leave it out, or say what there is one of for each: `foreach`

            pay.yaml:10:18: `${{ 'user:cfo' }}` is not an actor
             10 |   - { id: f, as: "${{ 'user:cfo' }}", uses: file.read, with: { root: in, path: x }, on_error: ignore, on_refused: [] }
                |                  ^
               = hint: write `user:name`, `agent:name` or `service:name`, without expressions

            pay.yaml:10:95: `on_error` cannot be `ignore`
             10 |   - { id: f, as: "${{ 'user:cfo' }}", uses: file.read, with: { root: in, path: x }, on_error: ignore, on_refused: [] }
                |                                                                                               ^
               = hint: known here: `fail`, `continue`

            pay.yaml:10:115: `on_refused` must be `fail`, `continue` or an object with `steps`, this is a list
             10 |   - { id: f, as: "${{ 'user:cfo' }}", uses: file.read, with: { root: in, path: x }, on_error: ignore, on_refused: [] }
                |                                                                                                                   ^
               = hint: write what is wanted there, as docs/guide/workflow.md shows it

            pay.yaml:11:21: `steps` has no steps
             11 |   - { id: g, steps: [] }
                |                     ^
               = hint: write one at least: `- id: …`
        "#]],
    );
}

#[test]
fn plans() {
    check_steps(
        "
- id: a
  choose: { goal: g, plans: [] }
- id: b
  choose:
    goal: g
    plans:
      - { id: p, expect: { cost_micros: 1, risk: lov }, steps: [ { id: n, sleep: { ms: 5 } } ] }
      - { id: p, expect: { cost_micros: x, latency_ms: 1, risk: low }, steps: [ { id: n, uses: compute, with: { a: 1 } } ] }",
        expect![[r#"
            pay.yaml:6:31: `choose` needs at least one plan
             6 |     choose: { goal: g, plans: [] }
               |                               ^
               = hint: write one at least: `- id: …` with `expect` and `steps`

            pay.yaml:11:28: `expect` needs `latency_ms`
             11 |         - { id: p, expect: { cost_micros: 1, risk: lov }, steps: [ { id: n, sleep: { ms: 5 } } ] }
                |                            ^
               = hint: add a line `latency_ms: …`

            pay.yaml:11:52: unknown risk `lov`
             11 |         - { id: p, expect: { cost_micros: 1, risk: lov }, steps: [ { id: n, sleep: { ms: 5 } } ] }
                |                                                    ^
               = hint: did you mean `low`?

            pay.yaml:11:77: a step of a plan is one effect
             11 |         - { id: p, expect: { cost_micros: 1, risk: lov }, steps: [ { id: n, sleep: { ms: 5 } } ] }
                |                                                                             ^
               = hint: use `uses` here, and compute, sleep or loop outside of `choose`

            pay.yaml:12:43: `cost_micros` must be an integer, this is a string
             12 |         - { id: p, expect: { cost_micros: x, latency_ms: 1, risk: low }, steps: [ { id: n, uses: compute, with: { a: 1 } } ] }
                |                                           ^
               = hint: write a whole number, without quotes

            pay.yaml:12:98: a step of a plan is one effect, `compute` is none
             12 |         - { id: p, expect: { cost_micros: x, latency_ms: 1, risk: low }, steps: [ { id: n, uses: compute, with: { a: 1 } } ] }
                |                                                                                                  ^
               = hint: compute it in a step before the choice
        "#]],
    );
}

#[test]
fn yaml_that_is_dangerous_or_says_two_things() {
    let texts = [
        "a: &x 1\nb: *x\n",
        "a: !!python/object x\n",
        "name: a\nname: b\n",
        "name: a\n---\nname: b\n",
        "name: [a\n",
        "? [a]\n: b\n",
        "name: a\n\tdomain: b\n",
    ];
    let errors: Vec<String> = texts
        .iter()
        .map(|text| parse(text, "pay.yaml").unwrap_err())
        .filter_map(|errors| errors.list().last().map(ToString::to_string))
        .collect();
    expect![[r#"
        pay.yaml:1:4: anchors and aliases (`&`, `*`) are not allowed
         1 | a: &x 1
           |    ^
           = hint: write the value out where it is needed

        pay.yaml:1:4: tags (`!`) are not allowed
         1 | a: !!python/object x
           |    ^
           = hint: leave the tag out; quote the value if it must be text

        pay.yaml:2:1: the key `name` is here twice
         2 | name: b
           | ^
           = hint: keep one of the two

        pay.yaml:2:1: a second document; a workflow file has one
         2 | ---
           | ^
           = hint: put it into a file of its own

        pay.yaml:2:1: this is not valid YAML: while parsing a flow sequence, expected ',' or ']'
         2 | 
           | ^
           = hint: check the indentation, the quotes and the brackets around here

        pay.yaml:1:3: a key must be plain text
         1 | ? [a]
           |   ^
           = hint: put an expression in quotes: "${{ … }}"

        pay.yaml:1:7: this is not valid YAML: while scanning a plain scalar, found a tab
         1 | name: a
           |       ^
           = hint: check the indentation, the quotes and the brackets around here
    "#]]
    .assert_eq(&(errors.join("\n\n") + "\n"));
}

#[test]
fn numbers_that_would_not_survive() {
    check(
        "
name: x
domain: d
budget: { cost_micros: 1.5, effects: 007, minutes: 99999999999999999999 }
steps: [ { id: a, uses: compute, with: { a: 1e3, b: .5, c: 1.2.3, d: '1.5', e: -0, f: 0x1F } } ]",
        expect![[r#"
            pay.yaml:4:24: `1.5` has a fraction or an exponent
             4 | budget: { cost_micros: 1.5, effects: 007, minutes: 99999999999999999999 }
               |                        ^
               = hint: use a whole number in a smaller unit (cents, milliseconds), or quote it: "1.5"

            pay.yaml:4:38: the number `007` starts with 0
             4 | budget: { cost_micros: 1.5, effects: 007, minutes: 99999999999999999999 }
               |                                      ^
               = hint: quote it to keep the zeros: "007"

            pay.yaml:4:52: `99999999999999999999` is beyond ±(2^53 - 1)
             4 | budget: { cost_micros: 1.5, effects: 007, minutes: 99999999999999999999 }
               |                                                    ^
               = hint: quote it to make it text: "99999999999999999999"

            pay.yaml:5:45: `1e3` has a fraction or an exponent
             5 | steps: [ { id: a, uses: compute, with: { a: 1e3, b: .5, c: 1.2.3, d: '1.5', e: -0, f: 0x1F } } ]
               |                                             ^
               = hint: use a whole number in a smaller unit (cents, milliseconds), or quote it: "1e3"

            pay.yaml:5:53: `.5` has a fraction or an exponent
             5 | steps: [ { id: a, uses: compute, with: { a: 1e3, b: .5, c: 1.2.3, d: '1.5', e: -0, f: 0x1F } } ]
               |                                                     ^
               = hint: use a whole number in a smaller unit (cents, milliseconds), or quote it: ".5"
        "#]],
    );
}

#[test]
fn only_the_first_twenty_are_told() {
    let steps: String = (0..30).map(|n| format!("- {{ id: s{n} }}\n")).collect();
    let errors = parse(&with_steps(&steps), "pay.yaml").unwrap_err();
    assert_eq!((errors.list().len(), errors.more()), (20, 10));
    assert!(errors.to_string().ends_with("\n\nand 10 more"));
}

#[test]
fn yaml_and_json_of_the_same_content_have_the_same_digest() {
    let yaml = "# pay\nname: x\ndomain: d\nsteps:\n  - id: a\n    uses: compute\n    with: {t: \"é\", n: 1}\n";
    let json = r#"{"steps":[{"with":{"n":1,"t":"\u00e9"},"uses":"compute","id":"a"}],"domain":"d","name":"x"}"#;
    let (yaml, json) = (flow(yaml), flow(json));
    assert_eq!(yaml.digest, json.digest);
    assert_eq!(yaml.to_value(), json.to_value());
    assert_ne!(flow(&with_steps("- { id: a, sleep: { ms: 1 } }")).digest, json.digest);
}

#[test]
fn a_tab_and_an_alias_are_called_by_their_names() {
    let bad = ["name:\tx\n", "name: *other\n", "base:\n  <<: *other\n"];
    let errors = bad.iter().filter_map(|text| parse(text, "pay.yaml").err());
    let errors: Vec<String> =
        errors.filter_map(|errors| errors.list().first().map(ToString::to_string)).collect();
    expect![[r#"
        pay.yaml:1:7: a tab stands here, where YAML wants blanks
         1 | name:	x
           |      	^
           = hint: put a blank in its place

        pay.yaml:1:7: anchors and aliases (`&`, `*`) are not allowed
         1 | name: *other
           |       ^
           = hint: write the value out where it is needed

        pay.yaml:2:7: anchors and aliases (`&`, `*`) are not allowed
         2 |   <<: *other
           |       ^
           = hint: write the value out where it is needed
    "#]]
    .assert_eq(&(errors.join("\n\n") + "\n"));
}

#[test]
fn steps_that_could_be_needed_are_listed_in_a_sentence_of_their_own() {
    check_steps(
        "
- { id: list, uses: compute, with: { a: 1 } }
- { id: b, needs: [banana], uses: compute, with: { a: 1 } }
",
        expect![[r#"
            pay.yaml:6:22: `b` needs `banana`, which is not here
             6 |   - { id: b, needs: [banana], uses: compute, with: { a: 1 } }
               |                      ^
               = hint: known here: `list`. Only steps of the same list can be needed
        "#]],
    );
}
