//! Our evaluator against the interpreter of the `cel` crate, on generated expressions.

use std::collections::HashMap;

use cog_base::Value;
use cog_base::json::Json;
use cog_flow::Action;
use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::World;

const VALUES: &str = r#"{"n":7,"z":0,"s":"héllo","e":"","t":true,"l":[3,1,2],"w":["a","bb",""],"m":{"k":1,"q":"v","o":{"k":2}}}"#;

/// What our machine makes of an expression.
fn ours(expression: &str) -> Result<Value, String> {
    let text = format!(
        "name: x\ndomain: d\ninputs: {{ v: {{ type: object }} }}\nsteps:\n  - id: a\n    uses: compute\n    with:\n      r: |-\n        ${{{{ {expression} }}}}\noutputs: {{ r: \"${{{{ steps.a.output.r }}}}\" }}\n"
    );
    // What is the same in every run is judged before there is one.
    if let Err(errors) = cog_flow::parse(&text, "test.yaml") {
        let [error] = errors.list() else { panic!("{errors}") };
        assert!(error.message.starts_with("this has no value in any run: "), "{error}");
        return Err(error.to_string());
    }
    let world = World::start_with(&text, &[("v", VALUES)]);
    match world.actions.last() {
        Some(Action::Finish { output, error: None, .. }) => Ok(output.get("r").cloned().unwrap()),
        Some(Action::Finish { error: Some(error), .. }) => Err(error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// What the interpreter of the `cel` crate makes of it.
fn theirs(expression: &str) -> Option<cel::Value> {
    let mut context = cel::Context::default();
    let values = cog_base::json::parse(VALUES).unwrap();
    context.add_variable_from_value("inputs", HashMap::from([("v".to_owned(), to_cel(&values))]));
    cel::Program::compile(expression).unwrap().execute(&context).ok()
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Json::Null => cel::Value::Null,
        Json::Bool(truth) => cel::Value::Bool(*truth),
        Json::Int(number) => cel::Value::Int(number.get()),
        Json::Float(never) => match *never {},
        Json::Text(text) => text.as_str().into(),
        Json::List(items) => items.iter().map(to_cel).collect::<Vec<_>>().into(),
        Json::Map(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), to_cel(value)));
            members.collect::<HashMap<String, cel::Value>>().into()
        }
    }
}

/// Expressions of every kind, often ill-typed on purpose.
fn expression() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "0",
        "1",
        "-3",
        "12",
        "true",
        "false",
        "null",
        "''",
        "'a'",
        "'héllo'",
        "[]",
        "[1, 2]",
        "['a', 'b']",
        "{}",
        "{'k': 1}",
        "inputs.v.n",
        "inputs.v.z",
        "inputs.v.s",
        "inputs.v.e",
        "inputs.v.t",
        "inputs.v.l",
        "inputs.v.w",
        "inputs.v.m",
        "inputs.v.m.k",
        "inputs.v.m.o.k",
        "inputs.v['m']['q']",
        "inputs.v.nothing",
        "inputs.v.l[1]",
        "inputs.v.l[9]",
        "has(inputs.v.m.k)",
        "has(inputs.v.m.zz)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let operators = select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        let functions = select(vec!["contains", "startsWith", "endsWith"]);
        let macros = select(vec!["all", "exists", "exists_one", "filter", "map"]);
        prop_oneof![
            (two.clone(), operators).prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (two.clone(), functions).prop_map(|((a, b), f)| format!("({a}).{f}({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("size({a})")),
            inner.clone().prop_map(|a| format!("string({a})")),
            two.clone().prop_map(|(a, b)| format!("({a})[{b}]")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.clone().prop_map(|(a, b)| format!("{{'x': {a}, 'y': {b}}}")),
            (two, macros.clone()).prop_map(|((a, b), m)| format!("({a}).{m}(i, {b})")),
            (inner.clone(), macros).prop_map(|(a, m)| format!("({a}).{m}(i, i == 'a' || i > 1)")),
            inner.prop_map(|a| format!("({a}).map(i, i != null, [i])")),
        ]
    })
}

/// A macro goes through a map in any order in the `cel` crate, another one in each evaluation,
/// and in ours in that of the keys.
fn has_order_of_a_map(expression: &str) -> bool {
    ["map(", "filter(", "all(", "exists(", "exists_one("].iter().any(|it| expression.contains(it))
}

/// How often the other interpreter is asked until it took the order that ours takes.
const ORDERS: usize = 500;

fn sorted(value: &cel::Value) -> String {
    match value {
        cel::Value::List(items) => {
            let mut items: Vec<String> = items.iter().map(sorted).collect();
            items.sort();
            format!("[{}]", items.join(","))
        }
        cel::Value::Map(map) => {
            let mut members: Vec<String> =
                map.map.iter().map(|(key, value)| format!("{key}:{}", sorted(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_interpreter_of_the_cel_crate(expression in expression()) {
        prop_assume!(expression.len() < 1_000);
        let (ours, theirs) = (ours(&expression), theirs(&expression));
        // Kinds that we do not have are errors with us.
        let double_or_unsigned = matches!(
            theirs, Some(cel::Value::Float(_) | cel::Value::UInt(_) | cel::Value::Bytes(_)));
        prop_assume!(!double_or_unsigned);
        let mut agrees = agree(&expression, &ours, theirs.as_ref());
        if !agrees && has_order_of_a_map(&expression) {
            agrees = (0..ORDERS).any(|_| agree(&expression, &ours, self::theirs(&expression).as_ref()));
        }
        prop_assert!(agrees, "{expression}: ours {ours:?}, theirs {theirs:?}");
    }
}

fn agree(expression: &str, ours: &Result<Value, String>, theirs: Option<&cel::Value>) -> bool {
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            let is_any_order = has_order_of_a_map(expression);
            to_cel(ours) == *theirs || (is_any_order && sorted(&to_cel(ours)) == sorted(theirs))
        }
        (Err(_), None) => true,
        // Against the specification, the cel crate adds the keys of a map to a list.
        (Err(why), Some(_)) => why.contains("`+` does not work on list and object"),
        (Ok(_), None) => false,
    }
}

#[test]
fn what_depends_on_the_order_of_a_map_agrees_in_one_of_its_orders() {
    let expression = "((inputs.v.m).map(i, i != null, [i]))[1]";
    let ours = ours(expression);
    assert!((0..ORDERS).any(|_| agree(expression, &ours, theirs(expression).as_ref())));
    let wrong = Ok(Value::from("k"));
    assert!((0..ORDERS).all(|_| !agree(expression, &wrong, theirs(expression).as_ref())));
}

#[test]
fn our_own_functions_and_rules() {
    let long = "1".to_owned() + &" + 1".repeat(50);
    for (expression, expected) in [
        ("'a,b,,c'.split(',')", r#"["a","b","","c"]"#),
        ("['a','b'].join('-')", r#""a-b""#),
        ("'  x '.trim() + 'Ab'.upperAscii() + 'Ab'.lowerAscii()", r#""xABab""#),
        ("'héllo'.substring(1, 3)", r#""él""#),
        ("'héllo'.indexOf('l') - 'x'.indexOf('y')", "3"),
        ("'a-b-c'.replace('-', '+')", r#""a+b+c""#),
        ("[1, 2, 3].sum() + sum([])", "6"),
        ("int('42') + 1", "43"),
        ("{'b': 1, 'a': 2}.map(k, k)", r#"["a","b"]"#),
        ("inputs.v.m.map(k, k)", r#"["k","o","q"]"#),
        ("[[1, 2], [3]].map(a, a.map(b, b * 10))", "[[10,20],[30]]"),
        ("[1, 2].exists(x, x / 0 == 1 || x == 2)", "true"),
        ("[1, 2, 3, 4].map(x, x > 2, x * x)", "[9,16]"),
        ("1 == '1'", "false"),
        (long.as_str(), "51"),
    ] {
        let found = ours(expression).map(|value| value.to_string());
        assert_eq!(found.as_deref(), Ok(expected), "{expression}");
    }
    for failing in [
        "9007199254740991 + 1",
        "-9007199254740991 - 1",
        "7 / 0",
        "7 % 0",
        "int('4.2')",
        "int('')",
        "'abc'.substring(2, 1)",
        "'abc'.substring(0, 9)",
        "['a', 1].join(',')",
        "{'a': 1, 'a': 2}",
        "{1: 2}",
        "string([1])",
    ] {
        assert!(ours(failing).is_err(), "{failing}");
    }
    assert_eq!(ours("true || fail('no')").map(|value| value.to_string()), Ok("true".to_owned()));
    let said = ours("fail('nothing ' + 'left')").unwrap_err();
    assert!(said.contains(r#""message":"nothing left""#), "{said}");
    let said = ours(&format!("fail('{}')", "é".repeat(600))).unwrap_err();
    assert_eq!(said.matches('é').count(), 500, "{said}");
}

#[test]
fn no_expression_takes_long_or_much() {
    let list = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]";
    let mut big = "'xxxxxxxxxxxxxxxx'".to_owned();
    for _ in 0..4 {
        big = format!("({big} + {big} + {big})");
    }
    for bomb in [
        format!("{list}.map(a, {list}.map(b, {list}.map(c, {list})))"),
        format!("{list}.map(a, {list}.map(b, {list}.map(c, {big})))"),
        format!(
            "{list}.all(a, {list}.all(b, {list}.all(c, {list} == {list} && {list} == {list})))"
        ),
        format!("'{}'.replace('', '{}')", "x".repeat(1_500), "y".repeat(1_500)),
    ] {
        let why = ours(&bomb).expect_err("a bomb passed");
        let told = why.contains("too much work") || why.contains("larger than 1 MiB");
        assert!(told, "{why}");
    }
}
