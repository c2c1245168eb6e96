//! When a workflow is started: what is read, and what is wrong with it, where it stands.

use expect_test::expect;

use crate::diagnostics::check;
use crate::harness::flow;

const HEAD: &str = "name: report
domain: x
inputs:
  city: { type: string }
  pages: { type: integer, default: 3, enum: [3, 5] }
steps: [{ id: nap, sleep: { ms: 1 } }]
on:
  schedule:
";

#[test]
fn schedules_are_read_with_what_their_runs_are_given() {
    let file = format!(
        "{HEAD}    - {{ id: nightly, cron: '0 9 * * mon-fri', timezone: Europe/Berlin, \
         overlap: buffer_one, catch_up_minutes: 60, jitter_ms: 30000, inputs: {{ city: Rome }} }}\n    \
         - {{ id: often, every_ms: 60000, inputs: {{ city: Oslo, pages: 5 }} }}\n"
    );
    let flow = flow(&file);
    let told: Vec<String> = flow
        .schedules
        .iter()
        .map(|it| {
            let inputs = cog_base::Value::Map(it.inputs.clone());
            format!("{} {inputs}\n", it.schedule.to_value())
        })
        .collect();
    expect![[r#"
        {"catch_up_minutes":60,"cron":"0 9 * * mon-fri","id":"nightly","jitter_ms":30000,"overlap":"buffer_one","timezone":"Europe/Berlin"} {"city":"Rome"}
        {"catch_up_minutes":1,"every_ms":60000,"id":"often","jitter_ms":0,"offset_ms":0,"overlap":"skip"} {"city":"Oslo","pages":5}
    "#]].assert_eq(&told.concat());
}

#[test]
fn a_schedule_is_there_once_and_is_an_object() {
    let all = "    - { id: j, cron: '@daily', inputs: { city: Rome } }
    - { id: j, cron: '@daily', inputs: { city: Rome } }
    - nightly
";
    check(
        &format!("{HEAD}{all}"),
        expect![[r#"
        pay.yaml:10:7: a second schedule `j`
         10 |     - { id: j, cron: '@daily', inputs: { city: Rome } }
            |       ^
           = hint: give one of the two another id

        pay.yaml:11:7: a schedule must be an object, this is a string
         11 |     - nightly
            |       ^
           = hint: its keys are `id`, `cron`, `timezone`, `every_ms`, `offset_ms`, `at`, `jitter_ms`, `catch_up_minutes`, `overlap`, `from`, `until`, `inputs`
    "#]],
    );
}

#[test]
fn what_is_wrong_with_a_schedule_is_told_with_its_place() {
    let all = "    - { id: Nightly, cron: '0 9 * * mon-fri' }
    - { id: a, cron: '0 25 * * *', inputs: { city: Rome } }
    - { id: b, cron: '0 1 * * *', timezone: Europe/Berlinn, inputs: { city: Rome } }
    - { id: c, every_ms: 5, inputs: { city: Rome } }
    - { id: d, cron: '@daily', overlap: queue, inputs: { city: Rome } }
    - { id: e, cron: '@daily', catchup_minutes: 5, inputs: { city: Rome } }
    - { id: f, inputs: { city: Rome } }
    - { id: g, cron: '@daily' }
    - { id: h, cron: '@daily', inputs: { city: 5, pages: 4, town: x } }
    - { id: i, cron: '@daily', inputs: { city: '${{ event.city }}' } }
";
    check(
        &format!("{HEAD}{all}"),
        expect![[r#"
            pay.yaml:9:13: `Nightly` is not an id: a-z first, then a-z, 0-9, `_` and `-`, at most 64
             9 |     - { id: Nightly, cron: '0 9 * * mon-fri' }
               |             ^
               = hint: did you mean `nightly`?

            pay.yaml:10:22: `0 25 * * *` is no cron expression: value must be in range 0..=23; found 25
             10 |     - { id: a, cron: '0 25 * * *', inputs: { city: Rome } }
                |                      ^
               = hint: docs/guide/workflow.md says what a schedule may say, under `on`

            pay.yaml:11:45: `Europe/Berlinn` is no time zone of the IANA database; write a name such as `Europe/Berlin` or `UTC`
             11 |     - { id: b, cron: '0 1 * * *', timezone: Europe/Berlinn, inputs: { city: Rome } }
                |                                             ^
               = hint: docs/guide/workflow.md says what a schedule may say, under `on`

            pay.yaml:12:26: an interval of 5 ms is too short: the least is 1000 ms
             12 |     - { id: c, every_ms: 5, inputs: { city: Rome } }
                |                          ^
               = hint: docs/guide/workflow.md says what a schedule may say, under `on`

            pay.yaml:13:41: `overlap` of the schedule is `queue`; it is one of skip, buffer_one, buffer_all, cancel_other, allow_all
             13 |     - { id: d, cron: '@daily', overlap: queue, inputs: { city: Rome } }
                |                                         ^
               = hint: docs/guide/workflow.md says what a schedule may say, under `on`

            pay.yaml:14:32: unknown key `catchup_minutes` in a schedule
             14 |     - { id: e, cron: '@daily', catchup_minutes: 5, inputs: { city: Rome } }
                |                                ^
               = hint: did you mean `catch_up_minutes`?

            pay.yaml:15:7: `cron` of the schedule or `every_ms` or `at` must say when, and only one of them
             15 |     - { id: f, inputs: { city: Rome } }
                |       ^
               = hint: docs/guide/workflow.md says what a schedule may say, under `on`

            pay.yaml:16:7: a run of this schedule has no input `city`, which is required
             16 |     - { id: g, cron: '@daily' }
                |       ^
               = hint: inputs: { city: … }

            pay.yaml:17:48: `city` must be a string, this is an integer
             17 |     - { id: h, cron: '@daily', inputs: { city: 5, pages: 4, town: x } }
                |                                                ^
               = hint: put it in quotes

            pay.yaml:17:58: the value of `pages` is not in its `enum`
             17 |     - { id: h, cron: '@daily', inputs: { city: 5, pages: 4, town: x } }
                |                                                          ^
               = hint: take one of those that it lists

            pay.yaml:17:61: there is no input `town`
             17 |     - { id: h, cron: '@daily', inputs: { city: 5, pages: 4, town: x } }
                |                                                             ^
               = hint: known here: `city`, `pages`

            pay.yaml:18:48: the value of `city` holds an expression
             18 |     - { id: i, cron: '@daily', inputs: { city: '${{ event.city }}' } }
                |                                                ^
               = hint: write the value itself
        "#]],
    );
}

#[test]
fn there_is_nothing_else_that_starts_a_workflow() {
    let file = HEAD.replace("  schedule:\n", "  webhook: []\n");
    check(
        &file,
        expect![[r#"
            pay.yaml:8:3: unknown key `webhook` in `on`
             8 |   webhook: []
               |   ^
               = hint: known here: `schedule`, `event`
        "#]],
    );
    let many = (0..33)
        .map(|it| format!("    - {{ id: a{it}, cron: '@daily', inputs: {{ city: Rome }} }}\n"));
    let many = many.collect::<Vec<_>>().concat();
    let errors = cog_flow::parse(&format!("{HEAD}{many}"), "pay.yaml").unwrap_err().to_string();
    assert!(errors.contains("a workflow has at most 32 schedules"), "{errors}");
}
