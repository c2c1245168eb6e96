//! The codes that effects fail with are those of the page.

use cog_flow::FAILURES;

#[test]
fn a_retry_names_codes_that_effects_fail_with() {
    let page = include_str!("../../../../docs/reference/failures.md");
    let table = page.split("\n## ").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let of_effects = ["effect.", "file.", "http.", "model.", "process.", "worker."];
    let mut known: Vec<&str> =
        words.filter(|code| of_effects.iter().any(|of| code.starts_with(of))).collect();
    known.sort_unstable();
    assert_eq!(known, FAILURES);
}
