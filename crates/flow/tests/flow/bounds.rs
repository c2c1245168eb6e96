//! What would fail in the middle of a run is an error of the file, with its place.

use cog_flow::parse;
use expect_test::expect;

use crate::diagnostics::{check, check_steps};
use crate::harness::with_steps;

#[test]
fn what_the_gate_would_not_take_is_an_error_of_the_file() {
    check_steps(
        "
- { id: a, uses: http.request, with: { url: \"https://a.example/\", timeout_ms: 600001, bytes_max: 8388609, host: a.example } }
- { id: b, uses: http.request, with: { url: \"ftp://a.example/\", method: post } }
- { id: c, uses: process.run, with: { program: cat, timeout_ms: 3600001, memory_bytes_max: 17179869185, output_bytes_max: 8388609 } }
- { id: d, uses: model.chat, with: { model: m, messages: [ { role: user, content: hi } ], tokens_max: 131073, temperature_milli: 2001 } }
- { id: e, uses: file.write, with: { root: in, path: x, text: t, mode: append } }",
        expect![[r#"
            pay.yaml:5:81: `timeout_ms` of `http.request` takes an integer from 1 to 600000, not 600001
             5 |   - { id: a, uses: http.request, with: { url: "https://a.example/", timeout_ms: 600001, bytes_max: 8388609, host: a.example } }
               |                                                                                 ^
               = hint: a whole number from 1 to 600000

            pay.yaml:5:100: `bytes_max` of `http.request` takes an integer from 1 to 8388608, not 8388609
             5 |   - { id: a, uses: http.request, with: { url: "https://a.example/", timeout_ms: 600001, bytes_max: 8388609, host: a.example } }
               |                                                                                                    ^
               = hint: a whole number from 1 to 8388608

            pay.yaml:5:109: `http.request` has no `host`
             5 |   - { id: a, uses: http.request, with: { url: "https://a.example/", timeout_ms: 600001, bytes_max: 8388609, host: a.example } }
               |                                                                                                             ^
               = hint: known here: `method`, `url`, `headers`, `body`, `json`, `timeout_ms`, `bytes_max`

            pay.yaml:6:47: `url` of `http.request` takes an absolute http or https URL without user and password, not `ftp://a.example/`
             6 |   - { id: b, uses: http.request, with: { url: "ftp://a.example/", method: post } }
               |                                               ^
               = hint: such as `url: https://api.example.com/orders`

            pay.yaml:6:75: `method` of `http.request` takes one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`, not `post`
             6 |   - { id: b, uses: http.request, with: { url: "ftp://a.example/", method: post } }
               |                                                                           ^
               = hint: such as `method: GET`

            pay.yaml:7:67: `timeout_ms` of `process.run` takes an integer from 1 to 3600000, not 3600001
             7 |   - { id: c, uses: process.run, with: { program: cat, timeout_ms: 3600001, memory_bytes_max: 17179869185, output_bytes_max: 8388609 } }
               |                                                                   ^
               = hint: a whole number from 1 to 3600000

            pay.yaml:7:94: `memory_bytes_max` of `process.run` takes an integer from 1 to 17179869184, not 17179869185
             7 |   - { id: c, uses: process.run, with: { program: cat, timeout_ms: 3600001, memory_bytes_max: 17179869185, output_bytes_max: 8388609 } }
               |                                                                                              ^
               = hint: a whole number from 1 to 17179869184

            pay.yaml:7:125: `output_bytes_max` of `process.run` takes an integer from 1 to 8388608, not 8388609
             7 |   - { id: c, uses: process.run, with: { program: cat, timeout_ms: 3600001, memory_bytes_max: 17179869185, output_bytes_max: 8388609 } }
               |                                                                                                                             ^
               = hint: a whole number from 1 to 8388608

            pay.yaml:8:105: `tokens_max` of `model.chat` takes an integer from 1 to 131072, not 131073
             8 |   - { id: d, uses: model.chat, with: { model: m, messages: [ { role: user, content: hi } ], tokens_max: 131073, temperature_milli: 2001 } }
               |                                                                                                         ^
               = hint: a whole number from 1 to 131072

            pay.yaml:8:132: `temperature_milli` of `model.chat` takes an integer from 0 to 2000, not 2001
             8 |   - { id: d, uses: model.chat, with: { model: m, messages: [ { role: user, content: hi } ], tokens_max: 131073, temperature_milli: 2001 } }
               |                                                                                                                                    ^
               = hint: a whole number from 0 to 2000

            pay.yaml:9:74: `mode` of `file.write` takes one of `create`, `replace`, not `append`
             9 |   - { id: e, uses: file.write, with: { root: in, path: x, text: t, mode: append } }
               |                                                                          ^
               = hint: such as `mode: create`
        "#]],
    );
}

#[test]
fn the_most_that_the_gate_takes_is_fine() {
    check_steps(
        "
- { id: a, uses: http.request, with: { url: \"https://a.example/\", timeout_ms: 600000, bytes_max: 8388608, method: POST } }
- { id: b, uses: http.request, with: { url: \"${{ 'https://' + run.id }}\", timeout_ms: \"${{ 600000 }}\" } }
- { id: c, uses: process.run, with: { program: cat, timeout_ms: 3600000, memory_bytes_max: 17179869184, output_bytes_max: 8388608 } }
- { id: d, uses: model.chat, with: { model: m, messages: [ { role: user, content: hi } ], tokens_max: 131072, temperature_milli: 2000 } }",
        expect!["fine\n"],
    );
}

#[test]
fn a_question_has_at_most_a_thousand_messages() {
    let question = |count: usize| {
        let messages = "{ role: user, content: hi }, ".repeat(count);
        let with = format!("{{ model: m, messages: [ {messages} ] }}");
        parse(&with_steps(&format!("- {{ id: a, uses: model.chat, with: {with} }}")), "pay.yaml")
    };
    assert!(question(1_000).is_ok());
    let errors = question(1_001).unwrap_err();
    let message = &errors.list().first().unwrap().message;
    assert!(message.ends_with("role being system, user or assistant, not 1001"), "{message}");
    assert!(message.contains("a list of 1 to 1000"), "{message}");
}

#[test]
fn the_path_of_a_root_is_known_before_the_run() {
    check(
        "
name: x
domain: d
roots:
  a: { path: \"out/${{ run.id }}\", access: read }
  b: { path: \"out/${{ run.environment }}/${{ run['initiator'] }}\", access: read }
steps:
  - { id: a, uses: file.read, with: { root: a, path: x } }",
        expect![[r#"
            pay.yaml:5:23: `run.id` is not known before the run begins
             5 |   a: { path: "out/${{ run.id }}", access: read }
               |                       ^
               = hint: the path of a root and `subject` of a workflow may use `inputs` and `run.workflow`, `run.domain`, `run.environment`

            pay.yaml:6:46: `run.initiator` is not known before the run begins
             6 |   b: { path: "out/${{ run.environment }}/${{ run['initiator'] }}", access: read }
               |                                              ^
               = hint: the path of a root and `subject` of a workflow may use `inputs` and `run.workflow`, `run.domain`, `run.environment`
        "#]],
    );
}

#[test]
fn too_deep() {
    let nested = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    check(
        &nested(32),
        expect![[r#"
        pay.yaml:1:35: nested 33 levels deep; a file has at most 32
         1 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
           |                                   ^
           = hint: each list and each object around this is a level
    "#]],
    );
    let block: String =
        (0..33).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
    check(
        &block,
        expect![[r#"
        pay.yaml:33:33: nested 33 levels deep; a file has at most 32
         33 |                                 a:
            |                                 ^
           = hint: each list and each object around this is a level
    "#]],
    );
    let errors = |text: &str| match parse(text, "pay.yaml").unwrap_err().list() {
        [one] => (one.at.unwrap().line, one.at.unwrap().column, one.message.clone()),
        several => panic!("{several:?}"),
    };
    let message = "nested 256 levels deep; a file has at most 32".to_owned();
    assert_eq!(errors(&nested(300)), (1, 259, message.clone()));
    let objects = format!("\n\n{}", "{a: ".repeat(300));
    assert_eq!(errors(&objects), (3, 1 + 4 * 255, message));
}
