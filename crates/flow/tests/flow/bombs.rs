//! Files that are made to hurt: an error, in no time, and never a panic.

use cog_base::Value;
use cog_flow::{Action, parse};
use proptest::prelude::*;

use crate::harness::{World, with_steps};

fn expression(expression: &str) -> String {
    let quoted = expression.replace('\\', "\\\\").replace('"', "\\\"");
    with_steps(&format!("- {{ id: a, uses: compute, with: {{ x: \"${{{{ {quoted} }}}}\" }} }}"))
}

#[test]
fn bombs_are_refused() {
    let deep = |open: &str, times: usize| open.repeat(times);
    let laughs = "a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n".to_owned();
    let bombs: Vec<(&str, String)> = vec![
        ("laughs", laughs),
        ("flow lists", deep("[", 500_000)),
        ("flow maps", deep("{a: ", 200_000)),
        ("block lists", deep("- ", 500_000)),
        ("question marks", deep("? ", 500_000)),
        ("colons", deep("a: ", 300_000)),
        ("large", "x".repeat(2_000_000)),
        ("long lines", format!("name: {}", "x ".repeat(500_000))),
        ("many keys", (0..100_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("comments", "#\n".repeat(500_000)),
        ("tags", deep("!", 500_000)),
        ("anchors", deep("&a ", 300_000)),
        ("quotes", format!("\"{}", "\\\"".repeat(400_000))),
        ("zero bytes", "\0".repeat(1_000)),
        ("many steps", with_steps(&"- { id: a }\n".repeat(50_000))),
        ("many unknown needs", {
            let step = |n: u32| {
                format!(
                    "- {{ id: s{n}, needs: [{}], sleep: {{ ms: 1 }} }}\n",
                    (0..100).map(|m| format!("x{m}")).collect::<Vec<_>>().join(", ")
                )
            };
            with_steps(&(0..900).map(step).collect::<String>())
        }),
        ("many unknown references", {
            let uses = "${{ steps.x1.output }}".repeat(40);
            let step =
                |n: u32| format!("- {{ id: s{n}, uses: compute, with: {{ x: \"{uses}\" }} }}\n");
            with_steps(&(0..900).map(step).collect::<String>())
        }),
        ("parentheses", expression(&(deep("(", 1_500) + "1"))),
        ("negations", expression(&(deep("!", 4_000) + "true"))),
        ("minuses", expression(&(deep("- ", 2_000) + "1"))),
        ("selections", expression(&("inputs".to_owned() + &deep(".a", 2_000)))),
        ("indexes", expression(&("inputs".to_owned() + &deep("[0]", 1_300)))),
        ("sums", expression(&("1".to_owned() + &deep("+1", 2_000)))),
        ("conditions", expression(&(deep("true?1:", 580) + "1"))),
        ("maps", expression(&deep("{'a':", 800))),
        ("calls", expression(&("'a'".to_owned() + &deep(".trim()", 580)))),
        ("ins", expression(&("1".to_owned() + &deep(" in []", 600)))),
        ("long", expression(&"1".repeat(5_000))),
        ("macros", expression("[1].map(a,[1].map(b,[1].map(c,[1].map(d,d))))")),
        ("unclosed", expression(&deep("${{ ", 1_000))),
        ("backticks", expression(&deep("`", 4_000))),
        ("commas", expression(&deep(",", 4_000))),
        ("dots", expression(&deep(".", 4_000))),
    ];
    for (name, bomb) in bombs {
        // Each takes well below a second; one that hangs hangs the tests.
        assert!(parse(&bomb, "bomb.yaml").is_err(), "{name} passed");
    }
}

#[test]
fn what_takes_much_to_work_out_is_left_to_the_run() {
    let list = format!("[{}]", ["0"; 40].join(","));
    let all = format!("{list}.map(a, {list}.map(b, {list}.map(c, a + b + c)))");
    let text = expression(&format!("{all} + 'a'"));
    let mut world = World::start(&text);
    world.expect(&["fell a expression", "finish failed: a expression"]);
    assert!(parse(&expression("[0].map(a, a) + 'a'"), "small.yaml").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text, "any.yaml");
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([a-c]|: |\n|  |- |\\[|\\]|\\{|\\}|,|'|\"|#|\\||>|&|\\*|!|%|@|\\?|\t|\\\\|1|\\$\\{\\{|\\}\\}|é){0,60}") {
        let _ = parse(&text, "any.yaml");
    }

    #[test]
    fn no_expression_makes_it_panic(inner in "([a-c]|inputs|steps|item|\\.|\\[|\\]|\\(|\\)|\\{|\\}|,|'|==|&&|\\|\\||\\?|:|\\+|-|!|1|2u|3\\.5|b'x'|\\.map\\(|\\.filter\\(|has\\(| |é|`){0,40}") {
        let _ = parse(&expression(&inner), "any.yaml");
    }
}

#[test]
fn values_that_grow_from_step_to_step_meet_a_limit() {
    let chain = |with: &str, steps: usize| {
        let step = |n: usize| {
            let with = with.replace("PREV", &format!("steps.s{}.output.x", n.saturating_sub(1)));
            let (with, needs) = if n == 0 {
                ("1".to_owned(), String::new())
            } else {
                (format!("\"${{{{ {with} }}}}\""), format!("needs: [s{}], ", n - 1))
            };
            format!("- {{ id: s{n}, {needs}uses: compute, with: {{ x: {with} }} }}\n")
        };
        with_steps(&(0..steps).map(step).collect::<String>())
    };
    let big = "\"${{ inputs.b }}\"";
    let members: Vec<String> = (0..20).map(|n| format!("m{n}: {big}")).collect();
    let each = format!(
        "- {{ id: a, foreach: \"${{{{ inputs.n.split(',') }}}}\", uses: compute, with: {{ x: {big} }} }}"
    );
    let inputs = "inputs: { b: { type: string, default: x }, n: { type: string, default: x } }\n";
    let (b, n) = ("x".repeat(900_000), vec!["x"; 10_000].join(","));
    let given = [("b", b.as_str()), ("n", n.as_str())];
    for (name, text, code) in [
        ("deep", chain("[[[[[[[[PREV]]]]]]]]", 900), "expression"),
        ("doubling", chain("[PREV, PREV]", 60), "expression"),
        (
            "wide",
            with_steps(&format!(
                "- {{ id: a, uses: compute, with: {{ {} }} }}",
                members.join(", ")
            )),
            "expression",
        ),
        ("kept", with_steps(&each), "limit"),
    ] {
        let world = World::start_with(&(text + inputs), &given);
        let Some(Action::Finish { error: Some(error), .. }) = world.actions.last() else {
            panic!("{name} passed")
        };
        assert_eq!(error.get("code").and_then(Value::as_text), Some(code), "{name}: {error}");
    }
}
