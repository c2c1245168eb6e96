//! The chores of the house: `cargo xtask test`, `tidy`, `ci`, `bench`, `soak`, `dist`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it reads the tree, starts cargo and talks to the terminal"
)]

mod dist;
mod packages;
mod python;
mod services;
mod soak;
mod stage;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::soak::Kills;
use crate::stage::cargo;
use crate::suite::Extent;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [--quick]     everything that must hold: tidy, format, lints, tests, documentation,
                     the Python verifier. --quick leaves out the last two and the canary.
                     Tests get a private PostgreSQL, which is installed when we are root
  tidy               the rules of the house that no other tool checks
  ci                 `test` on the committed Cargo.lock, and cargo-deny where it is installed
  bench [ARGS]       the benchmarks of package cog-bench, in release
  soak [MINUTES] [--json]
                     the long simulation of package cog-sim, in release
  soak --kills MINUTES [--seed N] [--json]
                     programs, nodes, workers and the database killed while they work: a
                     journey that goes on as long. --json ends with one document
  dist [--out DIR]   the release: archive, bill of materials, provenance, assurance, digests.
                     --programs DIR takes programs that are built, --allow-dirty a tree with
                     what is not committed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well; an error when the command itself could not be carried out.
fn run(words: &[&str]) -> anyhow::Result<bool> {
    match words {
        ["test"] => suite::run(&Workspace::load()?, Extent::Full),
        ["test", "--quick"] => suite::run(&Workspace::load()?, Extent::Quick),
        ["ci"] => suite::run(&Workspace::load()?, Extent::Ci),
        ["tidy"] => tidy::run(&Workspace::load()?),
        ["bench", rest @ ..] => delegate("cog-bench", rest),
        ["soak", "--kills", rest @ ..] => Kills::read(rest)?.run(),
        ["soak", rest @ ..] => delegate("cog-sim", &[&["soak"], rest].concat()),
        ["dist", rest @ ..] => dist::run(&Workspace::load()?, rest),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        [] => bail!("no command\n\n{HELP}"),
        [other, ..] => bail!("`{other}` with these arguments is no command\n\n{HELP}"),
    }
}

fn delegate(package: &str, arguments: &[&str]) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    if !workspace.packages.iter().any(|found| found.name == package) {
        bail!("this needs package `{package}`, which is not in the workspace");
    }
    let mut command = cargo(&workspace, &["run", "--release", "--quiet", "-p", package, "--"]);
    let status = command.args(arguments).status().context("could not start cargo")?;
    Ok(status.success())
}
