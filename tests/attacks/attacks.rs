//! Attacks on the door: what must not compile, and what is refused at run time, with what
//! the ledger says afterwards. Names that begin with `owasp_` show an item of the OWASP
//! lists: API Security 2023 (`api`), LLM 2025 (`llm`), Agentic Applications 2026 (`asi`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod board;
mod change;
mod classes;
mod compile;
mod consent;
mod door;
#[expect(dead_code, reason = "the tests of the engine need more of it")]
#[path = "../../crates/engine/tests/engine/house.rs"]
mod engine;
mod foreign;
mod forks;
#[path = "../../crates/gate/tests/gate/house.rs"]
mod house;
mod means;
mod periods;
mod places;
mod redirects;
mod runner;
mod runs;
mod state;
mod store;
mod words;

/// The files of attacks at run time. Each test in them is one, but for the controls, which
/// show that the same house lets through what is allowed.
const AT_RUN_TIME: [&str; 15] = [
    include_str!("board.rs"),
    include_str!("change.rs"),
    include_str!("classes.rs"),
    include_str!("consent.rs"),
    include_str!("door.rs"),
    include_str!("foreign.rs"),
    include_str!("forks.rs"),
    include_str!("means.rs"),
    include_str!("places.rs"),
    include_str!("redirects.rs"),
    include_str!("runner.rs"),
    include_str!("runs.rs"),
    include_str!("state.rs"),
    include_str!("store.rs"),
    include_str!("words.rs"),
];

#[test]
fn there_are_more_attacks_than_promised() {
    let count = |what| AT_RUN_TIME.iter().map(|text| text.matches(what).count()).sum::<usize>();
    let at_run_time = count("\n#[test]\nfn ") - count("\n#[test]\nfn control_");
    let owasp = count("\n#[test]\nfn owasp_");
    let not_compiling = compile::MUST_NOT_COMPILE.len();
    let all = at_run_time + not_compiling;
    println!(
        "counted: attacks: {not_compiling} that must not compile, {at_run_time} at run time \
         ({owasp} of them on OWASP's lists), {all} in all"
    );
    assert!(not_compiling >= 14 && all >= 40);
}
