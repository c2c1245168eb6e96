//! Each numbered invariant of `ARCHITECTURE.md` names a test that exists.
//!
//! An invariant is a paragraph, list item or table row that begins with its number, such as
//! `INV-07`, and ends with `test: path/to/file.rs::name_of_the_test`; several tests are set
//! apart by commas.

use crate::tidy::Finding;
use crate::workspace::Workspace;

const MAP: &str = "ARCHITECTURE.md";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let Some(map) = workspace.text(MAP) else { return Vec::new() };
    compare(map, |path| workspace.text(path))
}

fn compare<'a>(map: &str, text: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let invariants = invariants(map);
    let mut findings = Vec::new();
    if invariants.is_empty() {
        findings.push(Finding::new(MAP, "has no numbered invariants (INV-01 ...)"));
    }
    for (position, invariant) in invariants.iter().enumerate() {
        let (number, rest) = invariant.split_at_checked(6).unwrap_or((invariant, ""));
        let expected = format!("INV-{:02}", position + 1);
        if number != expected {
            findings.push(Finding::new(MAP, format!("{number} stands where {expected} would")));
        }
        let tests = rest.split_once("test:").map_or("", |(_, tests)| tests);
        let tests: Vec<&str> =
            tests.split([',', ' ', '`', '|']).filter(|word| word.contains("::")).collect();
        if tests.is_empty() {
            findings.push(Finding::new(MAP, format!("{number} names no test")));
        }
        let missing = tests.into_iter().filter(|test| !exists(test, &text));
        findings.extend(missing.map(|test| Finding::new(MAP, format!("{number}: no test {test}"))));
    }
    findings
}

fn exists<'a>(test: &str, text: impl Fn(&str) -> Option<&'a str>) -> bool {
    let Some((path, name)) = test.rsplit_once("::") else { return false };
    let name = name.trim_end_matches(['.', ')', ';']);
    let declared = [format!("fn {name}("), format!("def {name}(")];
    text(path).is_some_and(|text| declared.iter().any(|declared| text.contains(declared)))
}

/// The text of each invariant on one line, from its number on.
fn invariants(map: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in map.lines() {
        let line = line.trim_start_matches(['-', '*', '#', '|', '`', ' ']);
        if line.starts_with("INV-") {
            found.push(String::new());
            inside = true;
        }
        inside = inside && !line.is_empty();
        if let Some(current) = found.last_mut().filter(|_| inside) {
            current.push_str(line);
            current.push(' ');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(map: &str) -> Vec<String> {
        let text = |path: &str| match path {
            "crates/gate/tests/attacks.rs" => Some("#[test]\nfn forged_is_refused() {}"),
            "sdk/python/tests/test_bundle.py" => Some("def test_tail_cut(self):"),
            _ => None,
        };
        compare(map, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn invariants_with_tests_are_fine() {
        let map = "\
# Invariants\n\n\
- **INV-01** Nothing takes effect\n  without a receipt. test: \
`crates/gate/tests/attacks.rs::forged_is_refused`\n\n\
| INV-02 | A cut tail is found. | test: sdk/python/tests/test_bundle.py::test_tail_cut, \
crates/gate/tests/attacks.rs::forged_is_refused |\n\n\
As INV-01 says, so be it.\n";
        assert_eq!(finds(map), Vec::<String>::new());
    }

    #[test]
    fn a_missing_test_a_gap_and_a_bare_claim_are_found() {
        let map = "- INV-01 Bare claim.\n- INV-03 Skips. test: `crates/gate/tests/a.rs::b`.\n";
        assert_eq!(
            finds(map),
            [
                "ARCHITECTURE.md: INV-01 names no test",
                "ARCHITECTURE.md: INV-03 stands where INV-02 would",
                "ARCHITECTURE.md: INV-03: no test crates/gate/tests/a.rs::b",
            ]
        );
    }

    #[test]
    fn a_map_without_invariants_is_found() {
        assert_eq!(finds("# Architecture\n").len(), 1);
    }
}
