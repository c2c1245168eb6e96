//! What a release is made of: the commit, the toolchain, the crates that are built in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use cog_base::Digest;
use serde::Deserialize;

use super::PROGRAMS;
use crate::workspace::{Workspace, cargo_program, text_of};

/// What a release is made of.
pub(super) struct Materials {
    /// The version of the programs.
    pub(super) version: String,
    /// The target triple.
    pub(super) target: String,
    /// The commit, in hex.
    pub(super) commit: String,
    /// Whether the tree was as committed.
    pub(super) is_clean: bool,
    /// When the commit was made, in seconds since 1970.
    pub(super) seconds: u64,
    /// The compiler, as it names itself.
    pub(super) compiler: String,
    /// The digest of `Cargo.lock`.
    pub(super) lock: Digest,
    /// The folder of cargo.
    pub(super) cargo_home: PathBuf,
    /// What is built in: crates by id, without tests' and other targets' ones.
    pub(super) crates: BTreeMap<String, Crate>,
}

/// A crate that is built in.
pub(super) struct Crate {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Its licence, in SPDX; ours have the workspace's.
    pub(super) licence: Option<String>,
    /// SHA-256 of its package, in hex; nothing for ours.
    pub(super) checksum: Option<String>,
    /// The ids of what it uses.
    pub(super) uses: BTreeSet<String>,
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Materials {
    /// Asks git, cargo and the compiler.
    pub(super) fn read(workspace: &Workspace, allow_dirty: bool) -> anyhow::Result<Self> {
        let git = |words: &[&str]| {
            text_of(Command::new("git").current_dir(&workspace.root).args(words))
                .map(|text| text.trim().to_owned())
        };
        let is_clean = git(&["status", "--porcelain"])?.is_empty();
        if !is_clean && !allow_dirty {
            bail!("the tree has what is not committed: commit it, or say --allow-dirty");
        }
        let compiler = text_of(Command::new("rustc").arg("-vV"))?;
        let line = |name: &str| compiler.lines().find_map(|line| line.strip_prefix(name));
        let target = line("host: ").context("rustc -vV names no host")?.to_owned();
        let lock = workspace.text("Cargo.lock").context("there is no Cargo.lock")?;
        let crates = crates(workspace, &target, lock)?;
        let ours = crates.values().find(|found| found.name == "cognitionos");
        Ok(Self {
            version: ours.context("there is no package `cognitionos`")?.version.clone(),
            commit: git(&["rev-parse", "HEAD"])?,
            is_clean,
            seconds: git(&["log", "-1", "--format=%ct"])?.parse().context("git names no time")?,
            compiler: compiler.lines().next().unwrap_or_default().to_owned(),
            lock: Digest::of(&[lock.as_bytes()]),
            cargo_home: cargo_home()?,
            target,
            crates,
        })
    }

    /// The texts of the licences of all crates of others, each text once with those it is for.
    pub(super) fn licences(&self) -> anyhow::Result<String> {
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut all = String::from("The programs contain these crates under these licences.\n\n");
        for found in self.crates.values().filter(|found| found.checksum.is_some()) {
            let title = format!("{} {}", found.name, found.version);
            let licence = found.licence.as_deref().unwrap_or("see its package");
            all += &format!("{title}: {licence}\n");
            for text in licence_texts(&found.folder)? {
                texts.entry(text).or_default().push(title.clone());
            }
        }
        for (text, of) in texts {
            let rule = "=".repeat(80);
            all += &format!("\n{rule}\n{}\n{rule}\n\n{}\n", of.join(", "), text.trim_end());
        }
        Ok(all)
    }
}

fn licence_texts(folder: &Path) -> anyhow::Result<Vec<String>> {
    let listing =
        fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths = listing.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort_unstable();
    let starts = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
    let is_one = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && starts.iter().any(|start| name.starts_with(start))
    };
    let texts = paths.iter().filter(is_one).map(fs::read);
    texts.map(|bytes| Ok(String::from_utf8_lossy(&bytes?).into_owned())).collect()
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    set.or_else(usual).context("neither CARGO_HOME nor HOME is set")
}

/// What the programs are built of: all that their packages reach without tests.
fn crates(
    workspace: &Workspace,
    target: &str,
    lock: &str,
) -> anyhow::Result<BTreeMap<String, Crate>> {
    let mut command = Command::new(cargo_program());
    command.current_dir(&workspace.root);
    command.args(["metadata", "--locked", "--format-version=1", "--filter-platform", target]);
    let metadata: Metadata = serde_json::from_str(&text_of(&mut command)?)
        .context("cargo metadata is not as expected")?;
    let lock: Lock = toml::from_str(lock).context("Cargo.lock is not as expected")?;
    let sums: BTreeMap<_, _> = lock
        .package
        .into_iter()
        .filter_map(|one| Some(((one.name, one.version), one.checksum?)))
        .collect();
    let is_built_in =
        |edge: &Edge| edge.dep_kinds.iter().any(|it| it.kind.as_deref() != Some("dev"));
    let uses: BTreeMap<String, BTreeSet<String>> = metadata
        .resolve
        .nodes
        .into_iter()
        .map(|node| {
            (node.id, node.deps.into_iter().filter(is_built_in).map(|edge| edge.pkg).collect())
        })
        .collect();
    let is_program = |package: &&Package| {
        package.source.is_none() && PROGRAMS.iter().any(|(_, name)| *name == package.name)
    };
    let roots = metadata.packages.iter().filter(is_program).map(|package| package.id.clone());
    let reached = reached(roots.collect(), &uses);
    let read = |package: Package| {
        let folder = package.manifest_path.parent().map(Path::to_owned).unwrap_or_default();
        let built = Crate {
            checksum: sums.get(&(package.name.clone(), package.version.clone())).cloned(),
            uses: uses.get(&package.id).cloned().unwrap_or_default(),
            name: package.name,
            version: package.version,
            licence: package.license,
            folder,
        };
        (package.id, built)
    };
    let there = metadata.packages.into_iter().filter(|package| reached.contains(&package.id));
    Ok(there.map(read).collect())
}

fn reached(roots: Vec<String>, uses: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = roots;
    while let Some(id) = next.pop() {
        if found.insert(id.clone()) {
            next.extend(uses.get(&id).into_iter().flatten().cloned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_in_steps_counts_and_what_nobody_uses_does_not() {
        let uses = |list: &[&str]| list.iter().map(|id| (*id).to_owned()).collect();
        let graph = BTreeMap::from([
            ("a".to_owned(), uses(&["b"])),
            ("b".to_owned(), uses(&["c", "a"])),
            ("d".to_owned(), uses(&["c"])),
        ]);
        assert_eq!(reached(vec!["a".to_owned()], &graph), uses(&["a", "b", "c"]));
    }
}
