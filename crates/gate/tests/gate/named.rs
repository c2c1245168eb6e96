//! Ways out of certain refusals, word for word.

use cog_base::Value;
use cog_gate::decision::decide;
use cog_gate::snapshot::Access;

use crate::minimal::{CENTS, ROOTS, World, fine};

#[test]
fn one_change_that_mends_several_checks_is_named_alone() {
    let mut world = World { cents: 3, summed: 5, ..fine() };
    world.lists.within.insert("payments".into(), vec!["/elsewhere".into()]);
    world.held.push("payments".into());
    let (flips, failing) = world.ways_out();
    assert_eq!(failing, 3, "where the root stands, the limit and the lease");
    assert_eq!(flips, ["if it were about Root `notes` (it is about `payments`)"]);
}

/// Only the policies of the other root say which path would do there.
#[test]
fn what_the_policies_of_another_resource_read_is_changed_with_it() {
    let mut world = World { path: "../draft.json".into(), ..fine() };
    world.held = vec!["payments".into(), "notes".into()];
    world.access = [("drafts".to_owned(), Access::Write)].into();
    world.lists.within.remove("payments");
    let (flips, failing) = world.ways_out();
    assert_eq!(failing, 2, "where it would lead, and the lease");
    let (root, path) = (
        "it were about Root `drafts` (it is about `payments`)",
        "args.path were `draft.json` (it is `../draft.json`)",
    );
    assert_eq!(flips, [format!("if {root} and {path}")]);
}

#[test]
fn a_sum_takes_no_negative_amount() {
    let world = World { cents: -1, ..fine() };
    let intent = world.intent();
    let decision = decide(&intent, &world.snapshot(&intent), Some(&world.lists.canon()));
    assert_eq!(decision.failed().unwrap().code, "canon.no_amount");
    assert_eq!(
        cog_gate::explain::reason(&decision, &intent),
        "The policy `pay.small` limits the sum of args.document.amount_cents, and a negative \
         number such as -1 would make room under the limit."
    );
    let expected = ["if args.document.amount_cents were at least 0 (it is -1)"];
    assert_eq!(world.ways_out().0, expected);
    assert_eq!(intent.at(CENTS), Some(&Value::from(-1_i64)));
}

#[test]
fn a_program_may_run_in_another_root() {
    let mut world = World { action: "process.run", root: "drafts".into(), ..fine() };
    world.lists.programs.push(("sort".into(), true));
    world.access.insert("drafts".into(), Access::Read);
    world.access.remove("notes");
    world.lists.within.insert("drafts".into(), vec!["/elsewhere".into()]);
    world.held.push("drafts".into());
    let (flips, failing) = world.ways_out();
    assert_eq!(failing, 2, "the root, which is read-only and stands elsewhere, and the lease");
    assert_eq!(flips, ["if it ran in the root `payments` (it runs in `drafts`)"]);
}

/// Each of these was found by the search in fresh worlds.
#[test]
fn what_one_change_does_is_not_named_as_two() {
    // What no canon can allow, and what this one does not, are unset together.
    let mut world = World { action: "process.run", env: vec!["LD_X", "LANG"], ..fine() };
    world.lists.programs.push(("sort".into(), false));
    assert_eq!(world.ways_out().0, ["if args.env set no LD_X, LANG"]);
    // Another root may be one that the workflow declares to read only.
    let mut world = World { action: "process.run", ..fine() };
    world.lists.programs.push(("sort".into(), false));
    world.access = ROOTS.map(|root| (root.to_owned(), Access::Read)).into();
    world.lists.within.insert("payments".into(), vec!["/elsewhere".into()]);
    world.held.push("payments".into());
    let (flips, failing) = world.ways_out();
    let other = |root| {
        format!(
            "if it ran in the root `{root}` (it runs in `payments`), and if the workflow declared the \
             root `{root}` with access: write"
        )
    };
    assert_eq!((flips, failing), (vec![other("drafts"), other("notes")], 2));
    // People said no to it as it is: if it cost less, it would be another intent.
    let mut world = World { cents: 5, cost: 4, budget: (2, 4), ..fine() };
    world.rejected = Some(world.intent().digest());
    let cheaper = "if cost_micros were at most 2 (it is 4), with the approval of 2 of role:finance";
    assert_eq!(world.ways_out(), (vec![cheaper.to_owned()], 2));
}

#[test]
fn where_the_sum_of_a_run_is_reached_no_amount_is_below_nothing() {
    let flips = |cents, summed| World { cents, summed, ..fine() }.ways_out().0;
    let of_policy = |sum| {
        format!(
            "if the policy `pay.small` let args.document.amount_cents come to {sum} per run (it lets 5)"
        )
    };
    let at_most = |cents| format!("if args.document.amount_cents were at most {cents} (it is 3)");
    assert_eq!(flips(3, 4), [at_most(1), of_policy(7)]);
    assert_eq!(flips(3, 5), [at_most(0), of_policy(8)]);
    assert_eq!(flips(3, 7), [of_policy(10)]);
    let poor = World { cents: 3, summed: 7, cost: 5, budget: (6, 9), ..fine() };
    let (flips, failing) = poor.ways_out();
    assert_eq!(failing, 2, "the budget and the sum");
    let together = format!("if the run's budget were at least $0.000011, and {}", of_policy(10));
    assert_eq!(flips, [together]);
}
