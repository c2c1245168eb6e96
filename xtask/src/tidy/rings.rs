//! The second ring of the gate is in place: one `clippy.toml`, every crate inherits the
//! lints, and below the adapters nobody can lift the ones that name the world.

use anyhow::Context as _;

use crate::tidy::{Finding, layers};
use crate::workspace::{File, Package, Workspace};

/// The lints that name files, processes, sockets, clocks and chance.
pub(crate) const WORLD: [&str; 2] = ["disallowed_methods", "disallowed_types"];

/// What the root file of each crate below the adapters says. No attribute further in can
/// lift it, neither by name nor by group.
const FORBID: &str = "#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]";

pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let manifest = workspace.text("Cargo.toml").context("the root Cargo.toml is missing")?;
    let mut findings = workspace_denies(&toml::from_str(manifest)?);
    findings.extend(one_configuration(&workspace.files));
    for package in &workspace.packages {
        findings.extend(inherits(package)?);
        if !layers::is_edge(package) {
            findings.extend(forbids(package, |path| workspace.text(path)));
        }
    }
    Ok(findings)
}

fn workspace_denies(manifest: &toml::Table) -> Vec<Finding> {
    let clippy = ["workspace", "lints", "clippy"]
        .iter()
        .try_fold(manifest, |table, key| table.get(*key)?.as_table());
    let denied = |lint: &str| {
        let level = clippy.and_then(|table| table.get(lint)).and_then(toml::Value::as_str);
        matches!(level, Some("deny" | "forbid"))
    };
    let missing = WORLD.into_iter().filter(|lint| !denied(lint));
    missing
        .map(|lint| Finding::new("Cargo.toml", format!("[workspace.lints] must deny {lint}")))
        .collect()
}

fn one_configuration(files: &[File]) -> Vec<Finding> {
    let is_configuration = |file: &&File| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        name == "clippy.toml" || name == ".clippy.toml"
    };
    let others = files.iter().filter(is_configuration).filter(|file| file.path != "clippy.toml");
    others.map(|file| Finding::new(&file.path, "there is one clippy.toml, at the root")).collect()
}

fn inherits(package: &Package) -> anyhow::Result<Option<Finding>> {
    let manifest: toml::Table = toml::from_str(&package.manifest)
        .with_context(|| format!("could not read the manifest of {}", package.name))?;
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    let inherits = inherits.and_then(toml::Value::as_bool) == Some(true);
    let remark = "needs `[lints] workspace = true`";
    Ok((!inherits).then(|| Finding::new(&package.folder, remark)))
}

fn forbids<'a>(package: &Package, text: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let lacks = |root: &&String| {
        !text(root).unwrap_or_default().lines().any(|line| line.trim_end() == FORBID)
    };
    let lacking = package.roots.iter().filter(lacks);
    lacking.map(|root| Finding::new(root, format!("needs the line `{FORBID}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_that_only_warns_is_found() {
        let lints = |level: &str| {
            let text = format!(
                "[workspace.lints.clippy]\ndisallowed_types = \"deny\"\n\
                 disallowed_methods = \"{level}\""
            );
            workspace_denies(&toml::from_str(&text).unwrap()).len()
        };
        assert_eq!((lints("deny"), lints("forbid"), lints("warn")), (0, 0, 1));
        assert_eq!(workspace_denies(&toml::Table::new()).len(), 2);
    }

    #[test]
    fn a_second_clippy_toml_is_found() {
        let file = |path: &str| File { path: path.to_owned(), text: None };
        let files = [file("clippy.toml"), file("crates/gate/.clippy.toml")];
        assert_eq!(one_configuration(&files).len(), 1);
    }

    #[test]
    fn a_crate_that_does_not_inherit_the_lints_is_found() {
        let finds = |manifest: &str| {
            let manifest = manifest.to_owned();
            inherits(&Package { manifest, ..Package::default() }).unwrap().is_some()
        };
        assert!(!finds("[lints]\nworkspace = true"));
        assert!(finds("[lints]\nworkspace = false"));
        assert!(finds("[lints.clippy]\nall = \"allow\""));
        assert!(finds("[package]"));
    }

    #[test]
    fn a_root_that_does_not_forbid_is_found() {
        let package = Package { roots: vec!["src/lib.rs".to_owned()], ..Package::default() };
        let finds = |text: &'static str| !forbids(&package, |_| Some(text)).is_empty();
        assert!(!finds(concat!(
            "//! A crate.\n\n",
            "#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]\n",
        )));
        assert!(finds("//! A crate.\n"));
        assert!(finds("//! #![forbid(clippy::disallowed_methods, clippy::disallowed_types)]\n"));
    }
}
