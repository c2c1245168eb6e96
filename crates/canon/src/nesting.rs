//! How deep Cedar's text is nested, told before it is read: its parser and its evaluator go one
//! level down the stack for each, and what is too deep for a stack would end the program, or give
//! another verdict on a machine with another one.

use std::str::CharIndices;

use crate::error::CanonError;

/// Deepest nesting of a policy or a type, in operators in a row. A bracket and an `if` count for
/// [`BRACKET`] of them.
pub const NESTING_MAX: usize = 256;
/// What a bracket and an `if` count for: each goes through the whole grammar.
pub const BRACKET: usize = 4;

/// Refuse what is nested too deep.
pub(crate) fn check(file: &str, text: &str) -> Result<(), CanonError> {
    let Some(byte) = too_deep(text) else { return Ok(()) };
    let brackets = NESTING_MAX / BRACKET;
    let what = format!("nested deeper than {brackets} brackets or {NESTING_MAX} operators");
    Err(CanonError::at_byte(file, text, byte, what)
        .hint("split it into policies of their own, or ask a set with `contains`"))
}

/// Where a text gets too deep.
fn too_deep(text: &str) -> Option<usize> {
    // For each open bracket, what was chained in it so far.
    let mut levels = vec![0_usize];
    let mut depth = 0_usize;
    let mut letters = text.char_indices();
    while let Some((byte, letter)) = letters.next() {
        match letter {
            '"' => skip_text(&mut letters),
            '/' if text.get(byte..).is_some_and(|rest| rest.starts_with("//")) => {
                letters.by_ref().find(|(_, letter)| *letter == '\n');
            }
            '(' | '[' | '{' => {
                levels.push(BRACKET);
                depth += BRACKET;
            }
            ')' | ']' | '}' if levels.len() > 1 => depth -= levels.pop().unwrap_or(0),
            ',' | ';' => depth -= levels.last_mut().map_or(0, std::mem::take),
            _ => {
                let weight = weight(text, byte, letter);
                depth += weight;
                levels.last_mut().into_iter().for_each(|level| *level += weight);
            }
        }
        if depth > NESTING_MAX {
            return Some(byte);
        }
    }
    None
}

fn skip_text(letters: &mut CharIndices<'_>) {
    while let Some((_, letter)) = letters.next() {
        match letter {
            '"' => return,
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
}

/// What an operator, or a word that goes one level down, counts for where it ends or begins.
fn weight(text: &str, byte: usize, letter: char) -> usize {
    let (before, rest) = text.split_at_checked(byte).unwrap_or(("", text));
    match letter {
        '&' | '|' | '=' => usize::from(before.ends_with(letter)),
        '.' | '+' | '-' | '*' | '!' | '<' | '>' => 1,
        'h' | 'i' | 'l' | 'u' | 'w' => {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            match rest.get(..end).filter(|_| !before.ends_with(is_part)) {
                Some("if") => BRACKET,
                Some("has" | "in" | "is" | "like" | "unless" | "when") => 1,
                _ => 0,
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with this condition; what stands around the condition is nested three deep.
    fn policy(condition: &str) -> String {
        format!("permit (principal, action, resource) when {{ {condition} }};")
    }

    fn check(condition: &str, is_fine: bool) {
        let text = policy(condition);
        let shown: String = condition.chars().take(40).collect();
        assert_eq!(too_deep(&text).is_none(), is_fine, "{shown}");
    }

    #[test]
    fn brackets_and_chains_count_and_lists_do_not() {
        let around = |open: &str, close: &str, times: usize| {
            format!("{}true{}", open.repeat(times), close.repeat(times))
        };
        // The braces of the condition, and `when`.
        let (brackets, operators) = (NESTING_MAX / BRACKET - 2, NESTING_MAX - BRACKET - 1);
        for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}"), ("if true then ", " else 1")] {
            check(&around(open, close, brackets), true);
            check(&around(open, close, brackets + 1), false);
        }
        for link in ["&& true", "|| true", "+ 1", ".a", "has a", "like \"a\"", "== 1", "in a"] {
            check(&format!("context {}", vec![link; operators].join(" ")), true);
            check(&format!("context {}", vec![link; operators + 1].join(" ")), false);
        }
        check(&format!("[{}].contains(1)", vec!["1"; 9_000].join(", ")), true);
        check(&format!("\"{}\\\"((\" == context.a", "(".repeat(9_000)), true);
        check(&format!("true // {}\n && true", "(".repeat(9_000)), true);
    }

    #[test]
    fn each_policy_counts_for_itself() {
        let many = policy("context.a.b == 1 && context.b == 2").repeat(1_000);
        assert_eq!(too_deep(&many), None);
        let clauses =
            format!("permit (principal, action, resource) {};", "when { true } ".repeat(300));
        assert!(too_deep(&clauses).is_some());
    }

    /// A thread has a quarter of the stack of a program.
    #[test]
    fn what_passes_is_read_and_evaluated_on_the_stack_of_a_thread() {
        let (brackets, operators) = (NESTING_MAX / BRACKET - 2, NESTING_MAX - BRACKET - 1);
        for condition in [
            format!("{}true{}", "(".repeat(brackets), ")".repeat(brackets)),
            format!("{}true{}", "if true then ".repeat(brackets), " else false".repeat(brackets)),
            format!("[1] == {}1{}", "[".repeat(brackets - 1), "]".repeat(brackets - 1)),
            format!("{} == 1", vec!["1"; operators].join(" + ")),
            vec!["true"; operators].join(" && "),
        ] {
            let text = policy(&condition);
            assert_eq!(too_deep(&text), None);
            let evaluated = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
                let set: cedar_policy::PolicySet = text.parse().unwrap();
                let request = cedar_policy::Request::new(
                    "U::\"a\"".parse().unwrap(),
                    "Action::\"a\"".parse().unwrap(),
                    "R::\"a\"".parse().unwrap(),
                    cedar_policy::Context::empty(),
                    None,
                );
                let entities = cedar_policy::Entities::empty();
                let answer = cedar_policy::Authorizer::new();
                let answer = answer.is_authorized(&request.unwrap(), &set, &entities);
                answer.diagnostics().errors().map(ToString::to_string).collect::<Vec<_>>()
            });
            let errors = evaluated.unwrap().join().unwrap();
            assert!(!errors.iter().any(|error| error.contains("recursion")), "{errors:?}");
        }
    }
}
