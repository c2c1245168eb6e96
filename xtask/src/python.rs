//! The tests of the Python verifier, in a virtual environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::packages::install;
use crate::stage::{Stage, Tally};
use crate::suite::succeeds;
use crate::workspace::Workspace;

const FOLDER: &str = "sdk/python";
const NEEDED_BY: &str = "the tests of the Python verifier";
/// The one package that the verifier needs beyond the standard library.
const NEEDS: &str = "cryptography";

/// Names the file in which the tests of the Rust verifier write down the bundles that they changed,
/// for the Python verifier to judge.
const CHANGES: &str = "COGNITIONOS_CHANGES";

/// Has the tests of the Rust verifier write down their changed bundles.
pub(crate) fn ask_for_changes(workspace: &Workspace, tests: &mut Command) {
    let path = changes(workspace);
    // What an earlier run wrote is not taken for what this one did.
    let _ = std::fs::remove_file(&path);
    tests.env(CHANGES, path);
}

fn changes(workspace: &Workspace) -> PathBuf {
    workspace.target.join("changes.jsonl")
}

/// Runs them, if there is a Python package, and gives what they counted.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<(Tally, Vec<String>)> {
    let folder = workspace.root.join(FOLDER);
    if !folder.is_dir() {
        return Ok((Tally::default(), Vec::new()));
    }
    let stage = Stage::begin("Python verifier");
    let python = match environment(&workspace.root) {
        Ok(python) => python,
        Err(error) => {
            println!("{error:#}");
            return Ok((stage.end(Tally::default().of_stage(false)), Vec::new()));
        }
    };
    let mut tests = Command::new(python);
    tests
        .current_dir(&folder)
        .env("PYTHONPATH", folder.join("src"))
        .env(CHANGES, changes(workspace))
        .args(["-m", "unittest", "discover", "-s", "tests"]);
    stage.run_and_keep(&mut tests)
}

/// A Python with what the verifier needs; made once under `target`.
fn environment(root: &Path) -> anyhow::Result<PathBuf> {
    let home = root.join("target").join("python");
    let python = home.join("bin").join("python");
    let ready = |python: &Path| succeeds(Command::new(python).args(["-c", "import cryptography"]));
    if ready(&python) {
        return Ok(python);
    }
    if !succeeds(Command::new("python3").arg("--version")) {
        install("python3", NEEDED_BY)?;
    }
    let make = || succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
    if !make() {
        // Debian ships Python without what makes environments.
        install("python3-venv", NEEDED_BY)?;
        if !make() {
            bail!("`python3 -m venv` fails; the Python verifier needs it");
        }
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", NEEDS]);
    let status = pip.status().context("could not start pip")?;
    if !status.success() || !ready(&python) {
        bail!("could not install the Python package `{NEEDS}` into {}", home.display());
    }
    Ok(python)
}
