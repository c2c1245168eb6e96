//! Recomputing a log whose canon cannot have been in force.

use std::sync::Arc;

use cog_engine::recompute::Recompute;

use crate::house::{House, canon_and};

const WRONG: &str = "
- name: nobody may read
  principal: agent:clerk
  action: file.read
  resource: { type: Root, id: out }
  context: { args: { root: out, path: a } }
  expect: forbid
";

/// The codes that come out of the log of a run that read and wrote.
fn codes(take: impl FnOnce(&House, &mut Recompute)) -> Vec<&'static str> {
    let mut house = House::new();
    house.start(
        "  - { id: read, uses: file.read, with: { root: out, path: a } }
  - { id: write, needs: [read], uses: file.write, with: { root: out, path: b, text: x } }
",
    );
    house.done("a");
    house.done("written");
    let recomputed = house.recomputed_with(|recompute| take(&house, recompute));
    recomputed.findings.kept().iter().map(|finding| finding.code).collect()
}

#[test]
fn nothing_was_permitted_by_a_canon_that_does_not_load() {
    let known = |house: &House, it: &mut Recompute| {
        it.canon(house.canon.digest(), Arc::clone(&house.canon));
    };
    assert!(codes(known).is_empty());
    // What is not here is not accused.
    assert!(codes(|_, _| {}).is_empty());
    let unreadable = |house: &House, it: &mut Recompute| {
        it.unreadable(house.canon.digest(), "it is no canon".to_owned());
    };
    // Put in force, and two receipts.
    assert_eq!(codes(unreadable), ["canon.unreadable"; 3]);
}

#[test]
fn no_canon_was_put_in_force_of_which_a_test_fails() {
    let failing = Arc::new(canon_and("tests/wrong.yaml", WRONG));
    assert!(!failing.test().is_good());
    let codes = codes(|house, it| it.canon(house.canon.digest(), failing));
    // That its digest is another is told as well.
    assert_eq!(codes.first(), Some(&"canon.tests_fail"));
}
