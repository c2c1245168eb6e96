//! The tests of the Python verifier, in a virtual environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::stage::{Stage, Tally};
use crate::suite::succeeds;
use crate::workspace::Workspace;

const FOLDER: &str = "sdk/python";
/// The one package that the verifier needs beyond the standard library.
const NEEDS: &str = "cryptography";

/// Runs them, if there is a Python package.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<Tally> {
    let folder = workspace.root.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Tally::default());
    }
    let stage = Stage::begin("Python verifier");
    let python = match environment(&workspace.root) {
        Ok(python) => python,
        Err(error) => {
            println!("{error:#}");
            return Ok(stage.end(Tally::default().of_stage(false)));
        }
    };
    let mut tests = Command::new(python);
    tests
        .current_dir(&folder)
        .env("PYTHONPATH", folder.join("src"))
        .args(["-m", "unittest", "discover", "-s", "tests"]);
    stage.run(&mut tests)
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
        install("python3")?;
    }
    let make = || succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
    if !make() {
        // Debian ships Python without what makes environments.
        install("python3-venv")?;
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

/// Installs a Debian package when we may, else says what is missing.
fn install(package: &str) -> anyhow::Result<()> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let may = is_root && succeeds(Command::new("apt-get").arg("--version"));
    if may {
        println!("installing {package} with apt-get");
        let quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"];
        succeeds(Command::new("apt-get").args(quiet).arg("update"));
        let mut install = Command::new("apt-get");
        install.env("DEBIAN_FRONTEND", "noninteractive").args(quiet);
        if succeeds(install.args(["install", "--yes", "--no-install-recommends", package])) {
            return Ok(());
        }
    }
    bail!("the tests of the Python verifier need `{package}`; please install it")
}
