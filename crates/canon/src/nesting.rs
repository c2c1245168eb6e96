//! How deep Cedar's text is nested, told before it is read: its parser and its evaluator go one
//! level down the stack for each, and what is too deep for a stack would end the program, or give
//! another verdict on a machine with another one.

use std::str::CharIndices;

use crate::error::CanonError;
use crate::source::SCHEMA;

/// Deepest nesting of a policy or a type, in `&&` and `||` in a row.
const LEVELS_MAX: usize = 1_024;
/// What another operator counts for, in these.
const OPERATOR: usize = 4;
/// What a bracket and an `if` count for: each goes through the whole grammar.
const BRACKET: usize = 16;

/// The most brackets and `if` within one another.
pub const BRACKETS_MAX: usize = LEVELS_MAX / BRACKET;
/// The most operators in a row, but for `&&` and `||`, of which there may be four times as many.
pub const OPERATORS_MAX: usize = LEVELS_MAX / OPERATOR;

/// Refuse what is nested too deep.
pub(crate) fn check(file: &str, text: &str) -> Result<(), CanonError> {
    let Some(byte) = too_deep(text) else { return Ok(()) };
    let what = format!(
        "nested deeper than {BRACKETS_MAX} brackets, {OPERATORS_MAX} operators in a row or \
         {LEVELS_MAX} `&&` and `||`, all of which count together"
    );
    let hint = if file == SCHEMA {
        "give what is inside a type of its own: type NAME = { ... };"
    } else {
        "split it into policies of their own, or ask a set with `contains`"
    };
    Err(CanonError::at_byte(file, text, byte, what).hint(hint))
}

/// What is nested in an open bracket so far. Cedar nests `a && b && c` and `a.b.c` to the left, so
/// that what comes behind a bracket adds to what is in it.
#[derive(Clone, Copy, Default)]
struct Level {
    /// What it is nested in.
    around: usize,
    /// The bracket itself, `if`, `&&` and `||`.
    links: usize,
    /// The other operators since the last of these.
    chain: usize,
    /// The deepest bracket since then.
    inner: usize,
    /// The deepest that came before.
    deepest: usize,
    /// The deepest that is over: an item of a list, a policy.
    over: usize,
    /// It is an index, and those are chained: `context["a"]["b"]`.
    is_index: bool,
}

impl Level {
    /// A bracket opens in this.
    fn within(&self, is_index: bool) -> Self {
        let around = self.around + self.links + self.chain;
        Self { around, links: BRACKET, is_index, ..Self::default() }
    }

    /// How deep it goes by now, what it is in not counted.
    fn height(&self) -> usize {
        self.over.max(self.links + self.deepest.max(self.chain + self.inner))
    }

    /// A `&&`, a `||` or an `if`.
    fn link(&mut self, weight: usize) {
        let deepest = self.deepest.max(self.chain + self.inner);
        *self = Self { links: self.links + weight, chain: 0, inner: 0, deepest, ..*self };
    }

    /// What comes now is beside what came before, not in it.
    fn next(&mut self, links: usize) {
        let over = self.height();
        *self = Self { chain: 0, inner: 0, deepest: 0, over, links, ..*self };
    }
}

/// Where a text gets too deep.
fn too_deep(text: &str) -> Option<usize> {
    let mut levels = vec![Level::default()];
    let (mut letters, mut before) = (text.char_indices(), ' ');
    while let Some((byte, letter)) = letters.next() {
        let top = levels.len() - 1;
        let level = levels.get_mut(top)?;
        match letter {
            '"' => skip_text(&mut letters),
            '/' if text.get(byte..).is_some_and(|rest| rest.starts_with("//")) => {
                letters.by_ref().find(|(_, letter)| *letter == '\n');
                continue;
            }
            '(' | '[' | '{' => {
                let is_operand = before.is_alphanumeric() || "_)]\"".contains(before);
                let inside = level.within(letter == '[' && is_operand);
                levels.push(inside);
            }
            ')' | ']' | '}' if top > 0 => {
                let (height, is_index) = (level.height(), level.is_index);
                levels.pop();
                let around = levels.last_mut()?;
                around.inner = around.inner.max(height);
                around.chain += if is_index { OPERATOR } else { 0 };
            }
            ',' | ';' => level.next(if top > 0 { BRACKET } else { 0 }),
            '&' | '|' if text.get(..byte).is_some_and(|before| before.ends_with(letter)) => {
                level.link(1);
            }
            _ if is_word(text, byte, "if") => level.link(BRACKET),
            _ => level.chain += weight(text, byte, letter),
        }
        before = if letter.is_whitespace() { before } else { letter };
        let level = levels.last()?;
        if level.around + level.height() > LEVELS_MAX {
            return Some(byte);
        }
    }
    None
}

/// How many commas stand in lists, outside of texts and comments: how long all lists are together.
pub(crate) fn listed(text: &str) -> usize {
    let (mut open, mut commas) = (Vec::new(), 0);
    let mut letters = text.char_indices();
    while let Some((byte, letter)) = letters.next() {
        match letter {
            '"' => skip_text(&mut letters),
            '/' if text.get(byte..).is_some_and(|rest| rest.starts_with("//")) => {
                letters.by_ref().find(|(_, letter)| *letter == '\n');
            }
            '(' | '[' | '{' => open.push(letter),
            ')' | ']' | '}' => drop(open.pop()),
            ',' if open.last() == Some(&'[') => commas += 1,
            _ => {}
        }
    }
    commas
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
    let before = text.get(..byte).unwrap_or_default();
    let is_operator = match letter {
        '=' => before.ends_with(letter),
        '.' | '+' | '-' | '*' | '!' | '<' | '>' => true,
        'h' | 'i' | 'l' | 'u' | 'w' => {
            let words = ["has", "in", "is", "like", "unless", "when"];
            words.into_iter().any(|word| is_word(text, byte, word))
        }
        _ => false,
    };
    if is_operator { OPERATOR } else { 0 }
}

/// Whether this word stands here, and is no part of another.
fn is_word(text: &str, byte: usize, word: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let (before, rest) = text.split_at_checked(byte).unwrap_or_default();
    let behind = rest.strip_prefix(word).filter(|_| !before.ends_with(is_part));
    behind.is_some_and(|behind| !behind.starts_with(is_part))
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
        let (brackets, operators) = (BRACKETS_MAX - 2, OPERATORS_MAX - BRACKET / OPERATOR - 1);
        for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}"), ("if true then ", " else 1")] {
            check(&around(open, close, brackets), true);
            check(&around(open, close, brackets + 1), false);
        }
        check(&vec!["true"; 4 * operators].join(" && "), true);
        check(&vec!["true"; 4 * operators + 2].join(" || "), false);
        for link in ["+ 1", ".a", "has a", "like \"a\"", "== 1", "in a"] {
            check(&format!("context {}", vec![link; operators].join(" ")), true);
            check(&format!("context {}", vec![link; operators + 1].join(" ")), false);
        }
        for (indexes, is_fine) in [(operators - 5, true), (operators + 1, false), (9_000, false)] {
            check(&format!("context{} == 1", "[\"a\"]".repeat(indexes)), is_fine);
        }
        check(&format!("context{} == 1", " //;\n [\"a\"]".repeat(operators + 1)), false);
        check(&vec!["context.a.b == 1"; 300].join(" && "), true);
        let ifs = |condition: &str, times: usize| format!("if {condition} then ").repeat(times);
        check(&format!("{}true{}", ifs("true", 60), " else true".repeat(60)), true);
        check(&format!("{}true{}", ifs("true && true", 60), " else true".repeat(60)), false);
        check(&format!("{}true{}", ifs("true && true", 50), " else true".repeat(50)), true);
        // What comes behind a bracket goes around it.
        let behind = |times: usize| format!("{}true{}", "(".repeat(9), " && true)".repeat(times));
        check(&behind(9), true);
        let long = format!(" && true{})", " && true".repeat(100));
        check(&format!("{}true{}", "(".repeat(7), long.repeat(7)), true);
        check(&format!("{}true{}", "(".repeat(9), long.repeat(9)), false);
        check(&format!("[{}].contains(1)", vec!["1"; 9_000].join(", ")), true);
        check(&format!("\"{}\\\"((\" == context.a", "(".repeat(9_000)), true);
        check(&format!("true // {}\n && true", "(".repeat(9_000)), true);
    }

    #[test]
    fn what_lists_hold_is_counted_outside_of_texts_and_comments() {
        let text = "permit (principal, action in [a, b, \"x,y\"], resource)\n// [1, 2]\nwhen \
                    { [{a: 1, b: 2}, 3].contains(f(1, 2)) };";
        assert_eq!(listed(text), 3);
    }

    #[test]
    fn each_policy_counts_for_itself() {
        let many = policy("context.a.b == 1 && context.b == 2").repeat(1_000);
        assert_eq!(too_deep(&many), None);
        let clauses =
            format!("permit (principal, action, resource) {};", "when { true } ".repeat(300));
        assert!(too_deep(&clauses).is_some());
    }

    /// Far below what a thread has that loads or asks a canon.
    #[test]
    fn what_passes_is_read_and_evaluated_on_an_eighth_of_the_stack() {
        let (brackets, operators) = (BRACKETS_MAX - 2, OPERATORS_MAX - BRACKET / OPERATOR - 1);
        for condition in [
            format!("{}true{}", "(".repeat(brackets), ")".repeat(brackets)),
            format!("{}true{}", "if true then ".repeat(brackets), " else false".repeat(brackets)),
            format!("[1] == {}1{}", "[".repeat(brackets - 1), "]".repeat(brackets - 1)),
            format!("{} == 1", vec!["1"; operators].join(" + ")),
            format!("context{} == 1", "[\"a\"]".repeat(operators - 5)),
            vec!["true"; 4 * operators].join(" && "),
            format!("{}true{}", "if true && true then ".repeat(58), " else true".repeat(58)),
            format!("{}true{}", "(".repeat(40), " && true && true && true)".repeat(40)),
        ] {
            let text = policy(&condition);
            assert_eq!(too_deep(&text), None);
            let evaluated = std::thread::Builder::new()
                .stack_size(cog_base::STACK_BYTES / 8)
                .spawn(move || {
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
