//! Each numbered invariant of `ARCHITECTURE.md` names a test, and every test that a page names
//! exists.
//!
//! An invariant is a paragraph, list item or table row that begins with its number, such as
//! `INV-07`, and ends with `test: path/to/file.rs::name_of_the_test`; several tests are set
//! apart by commas.

use crate::tidy::Finding;
use crate::workspace::Workspace;

const MAP: &str = "ARCHITECTURE.md";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let text = |path: &str| workspace.text(path);
    let mut findings = text(MAP).map(numbered).unwrap_or_default();
    for file in workspace.files.iter().filter(|file| file.path.ends_with(".md")) {
        let page = file.text.as_deref().unwrap_or_default();
        findings.extend(named(&file.path, page, text));
    }
    findings
}

fn numbered(map: &str) -> Vec<Finding> {
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
        let after = rest.split_once("test:").map_or("", |(_, tests)| tests);
        if tests(after).next().is_none() {
            findings.push(Finding::new(MAP, format!("{number} names no test")));
        }
    }
    findings
}

/// The tests named in a text: `path/to/file.rs::name` or `path/to/file.py::name`.
pub(crate) fn tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_-./:".contains(letter);
    text.split(move |letter| !is_part(letter)).filter_map(|word| {
        let (path, name) = word.split_once("::")?;
        let is_source = path.ends_with(".rs") || path.ends_with(".py");
        is_source.then(|| (path, name.trim_end_matches(['.', ':'])))
    })
}

fn named<'a>(place: &str, page: &str, text: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let exists = |path: &str, name: &str| {
        let declared = [format!("fn {name}("), format!("def {name}(")];
        text(path).is_some_and(|text| declared.iter().any(|declared| text.contains(declared)))
    };
    let missing = tests(page).filter(|(path, name)| !exists(path, name));
    missing.map(|(path, name)| Finding::new(place, format!("no test {path}::{name}"))).collect()
}

/// The text of each invariant on one line, from its number on.
pub(crate) fn invariants(map: &str) -> Vec<String> {
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
        let findings = numbered(map).into_iter().chain(named(MAP, map, text));
        findings.map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn invariants_with_tests_are_fine() {
        let map = "\
# Invariants\n\n\
- **INV-01** Nothing takes effect\n  without a receipt. test: \
`crates/gate/tests/attacks.rs::forged_is_refused`\n\n\
| INV-02 | A cut tail is found. | test: sdk/python/tests/test_bundle.py::test_tail_cut, \
crates/gate/tests/attacks.rs::forged_is_refused. |\n\n\
As INV-01 says, `Digest::of` is at the bottom of it.\n";
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
                "ARCHITECTURE.md: no test crates/gate/tests/a.rs::b",
            ]
        );
    }

    #[test]
    fn a_test_of_another_name_is_found() {
        let map = "- INV-01 Forged. test: `crates/gate/tests/attacks.rs::forged`\n";
        assert_eq!(finds(map), ["ARCHITECTURE.md: no test crates/gate/tests/attacks.rs::forged"]);
    }

    #[test]
    fn a_map_without_invariants_is_found() {
        assert_eq!(finds("# Architecture\n").len(), 1);
    }
}
