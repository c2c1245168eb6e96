//! `cargo xtask test` and `ci`: everything that must hold, stage by stage.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::dist;
use crate::python;
use crate::services::Services;
use crate::stage::{Stage, Tally, cargo};
use crate::tidy;
use crate::workspace::Workspace;

/// How much of the suite to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Without what is slow or needs a download.
    Quick,
    /// All that the README promises.
    Full,
    /// All, on the committed lock file, with cargo-deny where it is installed.
    Ci,
}

/// Runs every stage, also after one failed, and says at the end what tests counted and
/// how many passed.
pub(crate) fn run(workspace: &Workspace, extent: Extent) -> anyhow::Result<bool> {
    need_component(workspace, "clippy")?;
    need_component(workspace, "fmt")?;
    let mut tally = Tally::default();
    if extent == Extent::Ci {
        let mut locked = cargo(workspace, &["metadata", "--locked", "--format-version=1"]);
        let success = locked.output().context("could not start cargo")?.status.success();
        tally = tally
            .and(Stage::begin("Cargo.lock is current").end(Tally::default().of_stage(success)));
    }
    let stage = Stage::begin("tidy");
    tally = tally.and(stage.end(tidy::report(workspace, extent)?));
    let mut step = |name, arguments: &[&str]| -> anyhow::Result<()> {
        tally = tally.and(Stage::begin(name).run(&mut cargo(workspace, arguments))?);
        Ok(())
    };
    step("format", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    let (services, started) = Services::start();
    let tests = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    let mut tests = cargo(workspace, &tests);
    services.tell(&mut tests);
    if extent != Extent::Quick {
        python::ask_for_changes(workspace, &mut tests);
    }
    let (tested, mut counted) = Stage::begin("tests").run_and_keep(&mut tests)?;
    tally = tally.and(started).and(tested);
    drop(services);
    if extent != Extent::Quick {
        let mut doc = cargo(workspace, &["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        tally = tally.and(Stage::begin("documentation").run(&mut doc)?);
        let (agreed, judged) = python::run(workspace)?;
        counted.extend(judged);
        tally = tally.and(agreed);
        tally = tally.and(dist::check(workspace)?);
    }
    if extent == Extent::Ci && succeeds(&mut cargo(workspace, &["deny", "--version"])) {
        let checks = ["deny", "check", "bans", "licenses", "sources"];
        tally = tally.and(Stage::begin("dependencies").run(&mut cargo(workspace, &checks))?);
    }
    counted.iter().for_each(|line| println!("counted: {line}"));
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(tally.failed == 0)
}

/// Installs a part of the toolchain when it is missing, as on a fresh machine.
fn need_component(workspace: &Workspace, subcommand: &str) -> anyhow::Result<()> {
    if succeeds(&mut cargo(workspace, &[subcommand, "--version"])) {
        return Ok(());
    }
    let component = if subcommand == "fmt" { "rustfmt" } else { subcommand };
    let mut install = Command::new("rustup");
    install.current_dir(&workspace.root).args(["component", "add", component]);
    if !install.status().is_ok_and(|status| status.success()) {
        bail!("cargo {subcommand} is missing; install it with `rustup component add {component}`");
    }
    Ok(())
}

/// Whether a command can be started and ends well. What it prints is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
