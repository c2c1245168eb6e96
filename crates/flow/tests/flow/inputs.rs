//! Inputs: declared in the file, given at the start.

use std::collections::BTreeMap;

use expect_test::expect;

use crate::diagnostics::check;
use crate::harness::flow;

#[test]
fn inputs_that_do_not_fit_their_own_type() {
    check(
        "
name: x
domain: d
inputs:
  a: { type: integer, default: five }
  b: { type: text }
  c: { type: string, enum: [x, 5], default: z }
  d: { type: boolean, default: yes }
  E: { type: string, required: true, default: x }
steps: [ { id: a, uses: compute, with: { a: 1 } } ]",
        expect![[r#"
            pay.yaml:5:32: `a` must be an integer, this is a string
             5 |   a: { type: integer, default: five }
               |                                ^
               = hint: write a whole number, without quotes

            pay.yaml:6:14: unknown type `text`
             6 |   b: { type: text }
               |              ^
               = hint: known here: `string`, `integer`, `boolean`, `list`, `object`

            pay.yaml:7:32: `c` must be a string, this is an integer
             7 |   c: { type: string, enum: [x, 5], default: z }
               |                                ^
               = hint: put it in quotes

            pay.yaml:7:45: the default of `c` is not in its `enum`
             7 |   c: { type: string, enum: [x, 5], default: z }
               |                                             ^
               = hint: add it to the `enum`, or take one of those

            pay.yaml:8:32: `d` must be true or false, this is a string
             8 |   d: { type: boolean, default: yes }
               |                                ^
               = hint: write `true`

            pay.yaml:9:3: `E` is not an input name: a-z first, then a-z, 0-9, `_` and `-`, at most 64
             9 |   E: { type: string, required: true, default: x }
               |   ^
               = hint: did you mean `e`?

            pay.yaml:9:22: `E` is required, so its default is never used
             9 |   E: { type: string, required: true, default: x }
               |                      ^
               = hint: leave out `required`, or the default
        "#]],
    );
}

const INPUTS: &str = "
name: x
domain: d
inputs:
  folder: { type: string, default: ./in }
  most: { type: integer, description: Most invoices }
  dry: { type: boolean, required: false }
  tags: { type: list, default: [] }
  level: { type: string, enum: [low, high], default: low }
roots:
  in: { path: \"${{ inputs.folder }}/x\", access: read }
steps: [ { id: a, uses: compute, with: { a: 1 } } ]";

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn inputs_are_bound_by_their_type() {
    let flow = flow(INPUTS);
    let inputs =
        flow.bind(&given(&[("most", "12"), ("tags", "[\"a\"]"), ("dry", "true")])).unwrap();
    assert_eq!(
        cog_base::Value::Map(inputs.clone()).to_string(),
        r#"{"dry":true,"folder":"./in","level":"low","most":12,"tags":["a"]}"#
    );
    let roots = flow.roots(&inputs, "development").unwrap();
    assert_eq!(roots.iter().map(|root| root.path.as_str()).collect::<Vec<_>>(), ["./in/x"]);
}

#[test]
fn a_root_is_that_of_the_environment_of_the_run() {
    let text = "name: x
domain: d
environment: production
roots: { out: { path: \"out/${{ run.environment }}/${{ run.domain }}\", access: write } }
steps: [ { id: a, uses: compute, with: { a: 1 } } ]";
    let bound = |environment| flow(text).roots(&cog_base::json::Map::new(), environment).unwrap();
    assert_eq!(bound("production").first().unwrap().path, "out/production/d");
    assert_eq!(bound("staging").first().unwrap().path, "out/staging/d");
}

#[test]
fn inputs_that_are_wrong_are_all_named() {
    let wrong = [("foldr", "x"), ("tags", "{}"), ("dry", "maybe"), ("level", "middle")];
    let errors = flow(INPUTS).bind(&given(&wrong)).unwrap_err();
    expect![[r#"
        test.yaml: there is no input `foldr`
           = hint: did you mean `folder`?

        test.yaml: the input `dry` is not boolean: it takes `true` or `false`

        test.yaml: the input `level` is not one of "low", "high"

        test.yaml: the input `most` is missing
           = hint: Most invoices

        test.yaml: the input `tags` is not list: it takes a JSON list, this is of the kind `object`
    "#]]
    .assert_eq(&format!("{errors}\n"));
}

#[test]
fn values_are_bound_by_kind_and_null_is_not_given() {
    let flow = flow(
        "name: x\ndomain: d\ninputs: { n: { type: integer, default: 3 }, s: { type: string, enum: [a, b] }, o: { type: object, required: false } }\nsteps: [ { id: a, uses: compute, with: { a: 1 } } ]",
    );
    let bind = |text: &str| {
        let given = cog_base::json::parse(text).unwrap();
        let bound = flow.bind_values(given.as_map().unwrap());
        bound.map(|map| cog_base::Value::Map(map).to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(bind(r#"{"s":"a"}"#).unwrap(), r#"{"n":3,"o":null,"s":"a"}"#);
    assert_eq!(
        bind(r#"{"s":"b","n":null,"o":{"x":1}}"#).unwrap(),
        r#"{"n":3,"o":{"x":1},"s":"b"}"#
    );
    for (text, message) in [
        ("{}", "the input `s` is missing"),
        (r#"{"s":"c"}"#, "the input `s` is not one of"),
        (r#"{"s":"a","n":"3"}"#, "the input `n` is not integer: it is string"),
        (r#"{"s":"a","m":1}"#, "there is no input `m`"),
    ] {
        let error = bind(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn whose_data_a_run_holds_is_known_before_it_begins() {
    let subject = |subject: &str, who: &str| {
        let text = format!(
            "name: test\ndomain: demo\nsubject: {subject}\ninputs: {{ who: {{ type: string, required: false }}, \
             no: {{ type: integer, default: 7 }} }}\nsteps: [ {{ id: a, uses: compute, with: {{ a: 1 }} }} ]\n"
        );
        let flow = cog_flow::parse(&text, "test.yaml").map_err(|errors| errors.to_string())?;
        let bound = flow.bind(&given(&[("who", who)][..usize::from(!who.is_empty())]));
        let inputs = bound.map_err(|errors| errors.to_string())?;
        flow.subject_of(&inputs)
    };
    assert_eq!(subject("\"person:${{ inputs.who }}\"", "ada"), Ok(Some("person:ada".to_owned())));
    assert_eq!(subject("\"${{ inputs.no }}\"", "ada"), Ok(Some("7".to_owned())));
    let null = subject("\"${{ inputs.who }}\"", "").unwrap_err();
    assert!(null.contains("the subject of the run is null, and must be text"), "{null}");
    let late = subject("\"${{ run.initiator }}\"", "ada").unwrap_err();
    assert!(late.contains("`run.initiator` is not known before the run begins"), "{late}");
    let step = subject("\"${{ steps.a.output }}\"", "ada").unwrap_err();
    assert!(step.contains("`a`"), "{step}");
}
