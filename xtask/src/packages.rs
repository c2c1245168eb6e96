//! Debian packages that the tests need.

use std::process::Command;

use anyhow::bail;

use crate::suite::succeeds;

/// Installs a package when we may, else says what is missing, and for what.
pub(crate) fn install(package: &str, needed_by: &str) -> anyhow::Result<()> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let may = is_root && succeeds(Command::new("apt-get").arg("--version"));
    if may {
        println!("installing {package} with apt-get");
        let quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"];
        succeeds(Command::new("apt-get").args(quiet).arg("update"));
        let mut install = Command::new("apt-get");
        // In this run level, packages of servers do not start the machine's own.
        install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").args(quiet);
        if succeeds(install.args(["install", "--yes", "--no-install-recommends", package])) {
            return Ok(());
        }
    }
    bail!("{needed_by} need `{package}`; please install it")
}
