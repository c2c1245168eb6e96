//! Getting past what a domain may do in a period: by many small runs, runs side by side, forks, runs
//! that runs begin, restarts, clocks and new versions of the canon.

use cog_base::id::RunId;
use cog_ledger::Kind;

use crate::engine::House;

/// All runs of a day move 900 at most; the policy lets five payments through a month.
fn bounded(path: &str, text: &str) -> String {
    match path {
        "canon.toml" => format!("{text}\n[envelope.per_day]\namount_max = 900\n"),
        "policies/simulation.cedar" => text.replace(
            "@id(\"sim.write-small\")",
            "@id(\"sim.write-small\") @limit(\"5 per month\")",
        ),
        _ => text.to_owned(),
    }
}

fn pay(name: &str, cents: u64) -> String {
    format!(
        "  - {{ id: {name}, uses: file.write, with: {{ root: out, path: {name}, document: {{ amount_cents: {cents} }} }} }}\n"
    )
}

/// A run that pays and is over, if it may.
fn run(house: &mut House, name: &str, cents: u64) -> RunId {
    let run = house.start(&pay(name, cents));
    if !house.under_way.is_empty() {
        house.done("paid");
    }
    run
}

/// How many payments were permitted, and that whoever looks finds nothing wrong.
fn permitted(house: &House) -> usize {
    house.assert_recomputes();
    house.everything().iter().filter(|record| record.entry.kind() == Kind::Receipt).count()
}

fn code(house: &House, run: RunId) -> String {
    let denial = house.records(run).into_iter().find(|it| it.entry.kind() == Kind::Denial);
    denial.and_then(|it| it.entry.text("code").map(str::to_owned)).unwrap_or_default()
}

#[test]
fn many_small_runs_move_no_more_than_their_domain_may() {
    let mut house = House::under(bounded);
    let runs = ["a", "b", "c", "d"].map(|name| run(&mut house, name, 450));
    assert_eq!(permitted(&house), 2);
    assert_eq!(
        runs.map(|run| code(&house, run)),
        ["", "", "envelope.period_amount", "envelope.period_amount"]
    );
    // Tomorrow is another day, and the month goes on.
    house.later(24 * 3_600_000);
    for name in ["e", "f", "g", "h"] {
        run(&mut house, name, 1);
    }
    assert_eq!(permitted(&house), 5);
}

#[test]
fn of_runs_side_by_side_no_two_get_the_last_of_it() {
    let mut house = House::under(bounded);
    for name in ["a", "b", "c"] {
        house.start(&pay(name, 450));
    }
    assert_eq!(house.under_way.len(), 2, "what is reserved is not there for others");
    (0..2).for_each(|_| house.done("paid"));
    assert_eq!(permitted(&house), 2);
}

#[test]
fn a_fork_begins_no_period_anew() {
    let mut house = House::under(bounded);
    let parent = run(&mut house, "a", 500);
    let fork = house.fork(parent, "a", &[]);
    assert_eq!(code(&house, fork), "envelope.period_amount");
    // What it goes on from is counted once.
    run(&mut house, "b", 400);
    assert_eq!(permitted(&house), 2);
}

#[test]
fn a_run_that_a_run_began_counts_once_and_in_the_same_period() {
    let mut house = House::under(bounded);
    let head = "domain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n";
    let sub = format!("name: sub\n{head}{}", pay("one", 450));
    let main = format!(
        "name: main\n{head}  - {{ id: sub, run: {{ workflow: sub.yaml }} }}\n  - {{ id: then, needs: [sub], uses: file.write, with: {{ root: out, path: then, document: {{ amount_cents: 450 }} }} }}\n"
    );
    house.start_family(&main, &[("sub.yaml", &sub)]);
    (0..2).for_each(|_| house.done("paid"));
    assert_eq!(permitted(&house), 2, "together they are within it");
    let third = run(&mut house, "c", 1);
    assert_eq!(code(&house, third), "envelope.period_amount");
}

#[test]
fn a_restart_forgets_nothing() {
    let mut house = House::under(bounded);
    run(&mut house, "a", 450);
    // Of this one nobody knows yet what came of it.
    let open = house.start(&pay("b", 450));
    house.restart();
    let third = run(&mut house, "c", 1);
    assert_eq!(code(&house, third), "envelope.period_amount");
    assert_eq!(code(&house, open), "");
    for _ in 0..3 {
        house.restart();
    }
    let fourth = run(&mut house, "d", 1);
    assert_eq!(code(&house, fourth), "envelope.period_amount");
    assert_eq!(permitted(&house), 2);
}

#[test]
fn a_clock_that_is_set_back_gives_no_period_twice() {
    let mut house = House::under(bounded);
    house.later(12 * 3_600_000);
    for name in ["a", "z"] {
        run(&mut house, name, 450);
    }
    house.back_to_noon();
    let second = run(&mut house, "b", 1);
    assert_ne!(code(&house, second), "");
    house.restart();
    let third = run(&mut house, "c", 1);
    assert_ne!(code(&house, third), "");
    // With a clock that goes on the day is the one that began.
    house.later(12 * 3_600_000);
    house.restart();
    let fourth = run(&mut house, "d", 1);
    assert_eq!(code(&house, fourth), "envelope.period_amount");
    assert_eq!(permitted(&house), 2);
}

#[test]
fn the_same_bounds_in_another_version_of_the_canon_go_on_counting() {
    let mut house = House::under(bounded);
    run(&mut house, "a", 500);
    house.enact(|path, text| match path {
        "canon.toml" => bounded(path, text).replace("name = \"simulation\"", "name = \"other\""),
        _ => bounded(path, text),
    });
    let second = run(&mut house, "b", 450);
    assert_eq!(code(&house, second), "envelope.period_amount");
    // Nor do they when a version without any was in force in between.
    house.enact(|_, text| text.to_owned());
    run(&mut house, "c", 450);
    house.restart();
    house.enact(bounded);
    let last = run(&mut house, "d", 450);
    assert_eq!(code(&house, last), "envelope.period_amount");
    assert_eq!(permitted(&house), 2);
}
