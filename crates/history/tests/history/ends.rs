//! Outcomes, seals, cancelling, undoing, leases, definitions.

use std::sync::Arc;

use cog_base::Value;
use cog_base::id::{RunId, Uuid};
use cog_base::json::parse;
use cog_history::{Leases, Property, Record, Rules, check};
use cog_ledger::Entry;

use crate::told::{breaks, keeps, records};

const PAGE: &str = include_str!("../../../../docs/reference/histories.md");
const INVARIANTS: &str = include_str!("../../../../ARCHITECTURE.md");
const GUIDE: &str = include_str!("../../../../docs/guide/workflow.md");
const ENTRIES: &str = include_str!("../../../../docs/reference/entries.md");
const ONE: &str = "steps:\n  - { id: a, uses: file.read, with: { root: out, path: a } }\n";

#[test]
fn each_receipt_has_one_outcome_and_nothing_follows_the_seal() {
    keeps(ONE, "1 receipt a 1\n2 outcome 1 completed\n2 seal completed");
    for (story, code) in [
        ("1 receipt a 1\n2 seal completed", "history.outcome"),
        (
            "1 receipt a 1\n2 outcome 1 completed\n2 outcome 1 completed\n2 seal completed",
            "history.outcome",
        ),
        ("1 outcome 1 completed\n2 receipt a 1\n2 seal completed", "history.outcome"),
        ("1 receipt a 1\n2 outcome 1 completed\n2 seal completed\n3 receipt a 2", "history.sealed"),
        ("1 receipt a 1\n2 outcome 1 completed\n2 seal completed spent=1", "history.sums"),
        ("1 receipt a 1\n2 outcome 1 completed\n2 seal failed", "history.status"),
        ("1 receipt a 1\n2 outcome 1 failed\n2 seal completed", "history.status"),
    ] {
        breaks(ONE, story, code);
    }
}

const BOOK: &str =
    "on_cancel: { steps: [ { id: n, uses: file.read, with: { root: out, path: n } } ] }
compensate_on: [failed]
steps:
  - id: a
    uses: file.read
    with: { root: out, path: a }
    on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ua } } ] }
  - id: b
    needs: [a]
    uses: file.read
    with: { root: out, path: b }
    on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ub } } ] }
  - { id: c, needs: [b], uses: file.read, with: { root: out, path: c } }
";

#[test]
fn what_completed_is_undone_once_and_the_last_first() {
    let done = "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 completed\n3 receipt c 3\n";
    let ended = format!("{done}4 cancel\n5 outcome 3 completed\n");
    let undo = |step: &str, id: &str| format!("6 receipt {step} {id}\n6 outcome {id} completed\n");
    let (b, a, n) =
        (undo("b.on_cancel.u", "4"), undo("a.on_cancel.u", "5"), undo("on_cancel.n", "6"));
    keeps(BOOK, &format!("{ended}{b}{a}{n}9 seal cancelled"));
    keeps(BOOK, &format!("{done}4 outcome 3 failed\n{b}{a}{n}9 seal failed"));
    keeps(BOOK, "1 cancel\n1 receipt on_cancel.n 6\n2 outcome 6 completed\n2 seal cancelled");
    keeps(
        BOOK,
        &format!("{ended}6 receipt b.on_cancel.u 4\n6 outcome 4 failed\n{a}{n}9 seal cancelled"),
    );
    for (story, code) in [
        (format!("{ended}{a}{b}{n}9 seal cancelled"), "history.undo.order"),
        (format!("{ended}{b}{n}{a}9 seal cancelled"), "history.undo.order"),
        (
            format!("{done}4 cancel\n{b}5 outcome 3 completed\n{a}{n}9 seal cancelled"),
            "history.undo.order",
        ),
        (format!("{ended}{b}{n}9 seal cancelled"), "history.undo.missing"),
        (format!("{ended}9 seal cancelled"), "history.undo.missing"),
        (
            format!("{ended}{b}{}{a}{n}9 seal cancelled", undo("b.on_cancel.u", "7")),
            "history.twice",
        ),
        (
            format!("{ended}{}{b}{a}{n}9 seal cancelled", undo("c.on_cancel.u", "7")),
            "history.undo.cause",
        ),
        (format!("{done}5 outcome 3 completed\n{b}{a}{n}9 seal completed"), "history.undo.cause"),
        (format!("{done}4 denial c\n{b}{a}{n}9 seal refused"), "history.twice"),
    ] {
        breaks(BOOK, &story, code);
    }
    let early = "1 receipt a 1\n2 cancel\n3 outcome 1 completed\n3 receipt b 2\n4 outcome 2 completed\n5 seal cancelled";
    breaks(BOOK, early, "history.cancelled");
}

#[test]
fn what_undoes_a_group_stands_for_what_undoes_the_steps_inside() {
    let flow = "steps:
  - id: g
    steps:
      - id: x
        uses: file.read
        with: { root: out, path: x }
        on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ux } } ] }
    on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ug } } ] }
  - { id: c, needs: [g], uses: file.read, with: { root: out, path: c } }
";
    let group =
        "1 receipt g.x 1\n2 outcome 1 completed\n2 receipt c 2\n3 cancel\n3 outcome 2 completed\n";
    keeps(
        flow,
        &format!("{group}4 receipt g.on_cancel.u 3\n4 outcome 3 completed\n4 seal cancelled"),
    );
    breaks(
        flow,
        &format!("{group}4 receipt g.x.on_cancel.u 3\n4 outcome 3 completed\n4 seal cancelled"),
        "history.undo.cause",
    );
    // A group that was stopped did not complete.
    let stopped = "1 receipt g.x 1\n2 cancel\n3 outcome 1 completed\n";
    keeps(
        flow,
        &format!("{stopped}4 receipt g.x.on_cancel.u 3\n4 outcome 3 completed\n4 seal cancelled"),
    );
    breaks(
        flow,
        &format!("{stopped}4 receipt g.on_cancel.u 3\n4 outcome 3 completed\n4 seal cancelled"),
        "history.undo.cause",
    );
}

/// Whether `w` and `x` completed before the entry that released them made `v` fail depends on which
/// of them came first. Steps that wait for a time leave no entry when they begin.
#[test]
fn what_undoes_may_do_nothing_but_wait() {
    let flow = "compensate_on: [failed]
steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: w, needs: [a], uses: compute, with: { it: 1 }, on_cancel: { steps: [ { id: n, sleep: { ms: 100 } } ] } }
  - { id: v, needs: [a], uses: compute, with: { it: \"${{ fail('no') }}\" } }
  - { id: x, needs: [a], uses: compute, with: { it: 1 }, on_cancel: { steps: [ { id: n, sleep: { ms: 100 } } ] } }
";
    let done = "1 receipt a 1\n10 outcome 1 completed\n";
    let (w, x) = ("timer w.on_cancel.n", "timer x.on_cancel.n");
    for undone in [
        String::new(),
        format!("110 {w}\n"),
        format!("110 {x}\n"),
        format!("110 {w}\n210 {x}\n"),
        format!("110 {x}\n210 {w}\n"),
    ] {
        keeps(flow, &format!("{done}{undone}210 seal failed"));
    }
    breaks(flow, &format!("{done}109 {w}\n210 seal failed"), "history.early");
    breaks(flow, &format!("{done}110 {x}\n209 {w}\n210 seal failed"), "history.early");
    breaks(flow, &format!("{done}110 {w}\n210 {w}\n210 seal failed"), "history.unarmed");
}

const WRITES: &str = "steps:
  - { id: a, uses: file.write, with: { root: out, path: a, text: t } }
  - { id: b, uses: file.read, with: { root: out, path: b } }
";

#[test]
fn no_two_open_receipts_touch_the_same_when_one_writes() {
    let rest = "4 outcome 1 completed\n4 outcome 2 completed\n4 seal completed";
    let write = "1 receipt a 1 action=file.write path=x/y\n";
    keeps(WRITES, &format!("{write}1 receipt b 2 path=x/z\n{rest}"));
    keeps(
        WRITES,
        &format!(
            "{write}2 outcome 1 completed\n2 receipt b 2 path=x\n4 outcome 2 completed\n4 seal completed"
        ),
    );
    breaks(WRITES, &format!("{write}1 receipt b 2 path=x/y\n{rest}"), "history.lease");
    breaks(WRITES, &format!("{write}1 receipt b 2 path=./x\n{rest}"), "history.lease");
    breaks(WRITES, &format!("{write}1 receipt b 2 path=.\n{rest}"), "history.lease");
}

/// The same entries as those of another run.
fn of_another_run(records: Vec<Record>) -> Vec<Record> {
    let other = RunId::from_uuid(Uuid::from_u128(3));
    let moved = |record: Record| {
        let text = std::str::from_utf8(record.entry.bytes()).unwrap();
        let Value::Map(mut members) = parse(text).unwrap() else { panic!("an object") };
        members.insert("session".into(), other.into());
        let entry = Entry::parse(&Value::Map(members).canonical()).unwrap();
        Record { entry: Arc::new(entry), body: record.body }
    };
    records.into_iter().map(moved).collect()
}

#[test]
fn runs_of_one_program_hold_against_each_other() {
    let one = records(WRITES, "1 receipt a 1 action=file.write path=x");
    let other = of_another_run(records(WRITES, "1 receipt b 2 path=x"));
    let both = || one.iter().chain(&other).cloned();
    let strict = check(both(), Rules::STRICT);
    assert!(strict.findings.has(Property::Lease.code()), "{strict:?}");
    assert_eq!(Rules::EMBEDDED.leases, Leases::WithinRuns);
    assert!(check(both(), Rules::EMBEDDED).holds());
}

#[test]
fn a_definition_that_is_gone_leaves_what_entries_say_alone() {
    let mut all =
        records(ONE, "1 receipt a 1\n1 receipt b 2\n2 outcome 1 completed\n2 seal completed");
    all[0].body = None;
    let report = check(all.clone(), Rules::STRICT);
    assert_eq!((report.followed, report.not_followed), (0, 1));
    assert!(report.findings.has("history.outcome"));
    // A run whose beginning was pruned is not accused.
    assert!(check(all.into_iter().skip(1).take(2), Rules::STRICT).holds());
    let mut other = records(ONE, "1 receipt a 1");
    other[0].body = records(WRITES, "")[0].body.clone();
    assert!(check(other, Rules::STRICT).findings.has("history.definition"));
}

#[test]
fn an_output_that_is_gone_accuses_nobody() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], if: \"steps.a.output.text == 'go'\", uses: file.read, with: { root: out, path: b } }
";
    for story in [
        "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 completed\n3 seal completed",
        "1 receipt a 1\n2 outcome 1 completed\n2 seal completed",
    ] {
        let mut all = records(flow, story);
        all[2].body = None;
        let report = check(all, Rules::STRICT);
        assert!(report.holds() && report.unsure == 1, "{report:?}");
    }
}

#[test]
fn every_property_has_a_code_of_its_own_and_a_row_in_the_page() {
    let mut codes: Vec<_> = Property::ALL.iter().map(|it| it.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Property::ALL.len());
    for property in Property::ALL {
        assert!(property.code().starts_with("history."));
        let row = [property.code(), property.says(), property.source()];
        let row = format!("| `{}` | {} | {} |", row[0], row[1], row[2]);
        assert!(PAGE.contains(&row), "docs/reference/histories.md lacks {row}");
    }
}

#[test]
fn every_property_is_asked_for_where_it_says() {
    let is_section = |name: &str| {
        let mut headings = GUIDE.lines().filter(|line| line.starts_with("##"));
        headings.any(|line| line.to_lowercase().contains(name))
    };
    for property in Property::ALL {
        for source in property.source().split("; ") {
            let stands = match source.split_once(": ") {
                Some(("guide", name)) => is_section(name),
                Some(("entries", kinds)) => {
                    kinds.split(", ").all(|kind| ENTRIES.contains(&format!("| `{kind}` |")))
                }
                Some(_) => false,
                None => source.starts_with("INV-") && INVARIANTS.contains(&format!("**{source}**")),
            };
            assert!(stands, "{} comes from `{source}`, which is nowhere", property.code());
        }
    }
}
