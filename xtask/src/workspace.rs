//! The workspace as cargo and git see it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The tree and its packages.
pub(crate) struct Workspace {
    /// The root folder.
    pub(crate) root: PathBuf,
    /// The folder that cargo builds in.
    pub(crate) target: PathBuf,
    /// The packages of the workspace.
    pub(crate) packages: Vec<Package>,
    /// The files under version control and new ones that are not ignored, in order. Paths
    /// are relative to the root, with `/`.
    pub(crate) files: Vec<File>,
}

/// A package of the workspace.
#[derive(Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    /// The text of its manifest.
    pub(crate) manifest: String,
    /// The root files of its library and its programs, relative to the root.
    pub(crate) roots: Vec<String>,
    /// The layer that its manifest says.
    pub(crate) layer: Option<String>,
    /// What it depends on directly.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Clone, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package.
    pub(crate) name: String,
    /// Nothing for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where it is, when it is ours.
    pub(crate) path: Option<String>,
}

/// A file of the tree.
pub(crate) struct File {
    /// Its path, relative to the root.
    pub(crate) path: String,
    /// Its text; nothing when it is not UTF-8.
    pub(crate) text: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    #[serde(default)]
    metadata: Option<RawMetadata>,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Default, Deserialize)]
struct RawMetadata {
    cognitionos: Option<Ours>,
}

#[derive(Deserialize)]
struct Ours {
    layer: String,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Workspace {
    /// Reads the workspace that the current folder is in.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let output = text_of(Command::new(cargo_program()).args([
            "metadata",
            "--no-deps",
            "--format-version=1",
        ]))?;
        let metadata: Metadata =
            serde_json::from_str(&output).context("cargo metadata is not as expected")?;
        let root = metadata.workspace_root;
        let package = |raw| Package::read(&root, raw);
        let packages = metadata.packages.into_iter().map(package).collect::<anyhow::Result<_>>()?;
        let files = files(&root)?;
        Ok(Self { root, target: metadata.target_directory, packages, files })
    }

    /// The text of a file of the tree.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path)?.text.as_deref()
    }
}

impl Package {
    fn read(root: &Path, raw: RawPackage) -> anyhow::Result<Self> {
        let manifest = std::fs::read_to_string(&raw.manifest_path)
            .with_context(|| format!("could not read {}", raw.manifest_path.display()))?;
        let folder = raw.manifest_path.parent().unwrap_or(root);
        let is_root = |target: &&Target| {
            target.kind.iter().any(|kind| kind == "lib" || kind == "bin" || kind == "proc-macro")
        };
        let roots = raw.targets.iter().filter(is_root);
        Ok(Self {
            name: raw.name,
            folder: relative(root, folder),
            manifest,
            roots: roots.map(|target| relative(root, &target.src_path)).collect(),
            layer: raw.metadata.unwrap_or_default().cognitionos.map(|ours| ours.layer),
            dependencies: raw.dependencies,
        })
    }

    /// The dependencies that end up in the product.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"))
    }
}

/// The cargo that runs us.
pub(crate) fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let listing = text_of(Command::new("git").current_dir(root).args([
        "ls-files",
        "-co",
        "--exclude-standard",
        "-z",
    ]))
    .context("tidy asks git for the files of the tree")?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    // A file may be deleted but not yet committed as such.
    let there = paths.into_iter().filter(|path| root.join(path).is_file());
    let read = |path: &str| {
        let bytes =
            std::fs::read(root.join(path)).with_context(|| format!("could not read {path}"))?;
        Ok(File { path: path.to_owned(), text: String::from_utf8(bytes).ok() })
    };
    there.map(read).collect()
}

/// What a command prints; an error when it does not end well.
pub(crate) fn text_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
