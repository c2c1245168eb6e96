//! The canary: code that touches the world must be refused by the lints as they stand.
//!
//! A package outside the workspace is made under `target`, with the lint table of the
//! workspace and the one `clippy.toml`, and clippy must report each line that says so.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::tidy::{Finding, rings};
use crate::workspace::{Workspace, cargo_program};

/// Each must be refused: one way each to files, sockets, processes, clocks and chance.
const USES: [&str; 12] = [
    "std::fs::write(\"a\", \"b\").is_ok()",
    "std::fs::File::open(\"a\").is_ok()",
    "std::path::Path::new(\"a\").exists()",
    "std::net::TcpStream::connect(\"127.0.0.1:1\").is_ok()",
    "std::net::UdpSocket::bind(\"127.0.0.1:0\").is_ok()",
    "std::net::ToSocketAddrs::to_socket_addrs(\"localhost:1\").is_ok()",
    "std::process::Command::new(\"a\").spawn().is_ok()",
    "std::env::var(\"HOME\").is_ok()",
    "std::time::SystemTime::now() > std::time::UNIX_EPOCH",
    "std::time::Instant::now().elapsed().is_zero()",
    "std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) == 0",
    "std::thread::sleep(std::time::Duration::ZERO) == ()",
];

/// What a crate below the adapters must not be able to write.
const LIFT: &str = "\
//! A lift that must be refused.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]
#[expect(clippy::style, reason = \"a canary\")]
fn main() { drop(std::fs::write(\"a\", \"b\")); }
";

pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let folder = workspace.root.join("target").join("tidy-canary");
    build(workspace, &folder)?;
    let reports = clippy(workspace, &folder)?;
    Ok(compare(&reports))
}

/// What clippy said: the program, the line and the code of each message.
type Reports = Vec<(String, u64, String)>;

fn compare(reports: &Reports) -> Vec<Finding> {
    let refused = |program: &str, line: u64, codes: &[&str]| {
        reports.iter().any(|(found_in, found_at, code)| {
            found_in == program && *found_at == line && codes.contains(&code.as_str())
        })
    };
    let world = rings::WORLD.map(|lint| format!("clippy::{lint}"));
    let world: Vec<&str> = world.iter().map(String::as_str).collect();
    let lines = USES.iter().zip(2..);
    let sung = lines.filter(|(_, line)| !refused("uses", *line, &world));
    let mut findings: Vec<Finding> =
        sung.map(|(text, _)| Finding::new("clippy.toml", format!("lets `{text}` pass"))).collect();
    if !refused("lift", 3, &["E0453"]) {
        findings.push(Finding::new("clippy", "lets a forbidden lint be lifted"));
    }
    findings
}

fn build(workspace: &Workspace, folder: &Path) -> anyhow::Result<()> {
    let manifest = workspace.text("Cargo.toml").context("the root Cargo.toml is missing")?;
    let manifest: toml::Table = toml::from_str(manifest)?;
    let lints = manifest.get("workspace").and_then(|table| table.get("lints"));
    let lints = lints.context("Cargo.toml has no [workspace.lints]")?;
    let mut package = toml::toml! {
        [workspace]
        [package]
        name = "canary"
        version = "0.0.0"
        edition = "2024"
        description = "Must be refused."
    };
    package.insert("lints".to_owned(), lints.clone());
    // One expression on each line, from the second on.
    let uses: String = USES.iter().map(|text| format!("    let _: bool = {text};\n")).collect();
    let uses = format!("/*! Must be refused. */ fn main() {{\n{uses}}}\n");
    let programs = folder.join("src").join("bin");
    std::fs::create_dir_all(&programs).context("could not make the canary")?;
    let files = [
        (folder.join("Cargo.toml"), package.to_string()),
        (programs.join("uses.rs"), uses),
        (programs.join("lift.rs"), LIFT.to_owned()),
    ];
    for (path, text) in files {
        std::fs::write(path, text).context("could not write the canary")?;
    }
    Ok(())
}

fn clippy(workspace: &Workspace, folder: &Path) -> anyhow::Result<Reports> {
    let output = Command::new(cargo_program())
        .current_dir(folder)
        .env("CLIPPY_CONF_DIR", &workspace.root)
        .args(["clippy", "--offline", "--quiet", "--keep-going", "--message-format=json"])
        .arg("--target-dir")
        .arg(folder.join("target"))
        .output()
        .context("could not start clippy on the canary")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).flat_map(read).collect())
}

fn read(message: serde_json::Value) -> Reports {
    let text = |pointer: &str| message.pointer(pointer).and_then(|value| value.as_str());
    let (Some(program), Some(code)) = (text("/target/name"), text("/message/code/code")) else {
        return Reports::new();
    };
    let spans = message.pointer("/message/spans").and_then(|spans| spans.as_array());
    let lines = spans.into_iter().flatten().filter_map(|span| span.get("line_start")?.as_u64());
    lines.map(|line| (program.to_owned(), line, code.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_refused() -> Reports {
        let uses = (2..).take(USES.len());
        let mut reports: Reports = uses
            .map(|line| ("uses".to_owned(), line, "clippy::disallowed_methods".to_owned()))
            .collect();
        reports.push(("lift".to_owned(), 3, "E0453".to_owned()));
        reports
    }

    #[test]
    fn a_canary_that_is_refused_everywhere_is_fine() {
        assert_eq!(compare(&all_refused()), []);
    }

    #[test]
    fn a_canary_that_is_let_through_is_found() {
        let mut reports = all_refused();
        reports.remove(0);
        reports.pop();
        let found: Vec<String> = compare(&reports).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "clippy.toml: lets `std::fs::write(\"a\", \"b\").is_ok()` pass",
                "clippy: lets a forbidden lint be lifted",
            ]
        );
    }

    #[test]
    fn another_lint_on_the_same_line_does_not_count() {
        let other = |(program, line, _): (String, u64, String)| {
            (program, line, "clippy::unwrap_used".to_owned())
        };
        let reports = all_refused().into_iter().map(other).collect();
        assert_eq!(compare(&reports).len(), USES.len() + 1);
    }
}
