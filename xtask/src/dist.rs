//! `cargo xtask dist`: what is handed over: one archive with the programs and what belongs to
//! them, and beside it what lets somebody else judge it.
//!
//! | File | What it is |
//! | --- | --- |
//! | `cognitionos-VERSION-TARGET.tar.gz` | programs, manual pages, completions, pages, licences |
//! | `….sbom.cdx.json` | what is built in: CycloneDX 1.5 |
//! | `….provenance.json` | what it was built from, by what: in-toto Statement v1, SLSA v1 |
//! | `….assurance.json` | each invariant with the tests that hold it, and their sources' digests |
//! | `SHA256SUMS` | digests of all of them, as `sha256sum --check` reads |
//!
//! No clock and no path of the machine is put into them. Nothing is signed: the digests are for
//! whoever releases to sign.

mod assurance;
mod materials;
mod provenance;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use cog_base::Digest;
use serde_json::Value;

use self::materials::Materials;
use crate::stage::{Stage, Tally, cargo};
use crate::suite::succeeds;
use crate::workspace::{Workspace, text_of};

/// The programs, and the packages that they are of.
const PROGRAMS: [(&str, &str); 2] =
    [("cognitionos", "cognitionos"), ("cognitionos-verify", "verify")];
/// What of the tree goes along.
const PAGES: [&str; 7] =
    ["ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "docs", "examples"];
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "cognitionos.bash"), ("fish", "cognitionos.fish"), ("zsh", "_cognitionos")];

/// What the command line says.
struct Wanted {
    /// Where the files go.
    folder: PathBuf,
    /// Where the programs are; nothing to build them.
    programs: Option<PathBuf>,
    /// Whether the tree may have what is not committed.
    allow_dirty: bool,
}

/// Makes the files as the arguments say.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<bool> {
    let wanted = Wanted::read(workspace, arguments)?;
    let made = make(workspace, &wanted)?;
    made.iter().for_each(|path| println!("wrote {}", path.display()));
    Ok(true)
}

/// Makes them of the programs of the tests, unpacks the archive and does the main job with what is
/// in it, as one stage of the suite.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Tally> {
    let stage = Stage::begin("release");
    let checked = try_out(workspace);
    if let Err(error) = &checked {
        println!("{error:#}");
    }
    Ok(stage.end(Tally::default().of_stage(checked.is_ok())))
}

impl Wanted {
    fn read(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = workspace.target.join("dist-files");
        let mut wanted = Self { folder, programs: None, allow_dirty: false };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let mut path =
                || rest.next().map(PathBuf::from).with_context(|| format!("{word} needs a folder"));
            match *word {
                "--out" => wanted.folder = path()?,
                "--programs" => wanted.programs = Some(path()?),
                "--allow-dirty" => wanted.allow_dirty = true,
                other => bail!("`{other}` is none of --out, --programs, --allow-dirty"),
            }
        }
        Ok(wanted)
    }
}

fn make(workspace: &Workspace, wanted: &Wanted) -> anyhow::Result<Vec<PathBuf>> {
    let materials = Materials::read(workspace, wanted.allow_dirty)?;
    let built = match &wanted.programs {
        Some(folder) => folder.clone(),
        None => build(workspace, &materials)?,
    };
    let name = format!("cognitionos-{}-{}", materials.version, materials.target);
    let out = |ending: &str| wanted.folder.join(format!("{name}{ending}"));
    if wanted.folder.exists() {
        fs::remove_dir_all(&wanted.folder).context("could not clear the folder of a former one")?;
    }
    let stage = wanted.folder.join(&name);
    fs::create_dir_all(&stage).with_context(|| format!("could not make {}", stage.display()))?;
    fill(workspace, &materials, &built, &stage)?;
    let archive = out(".tar.gz");
    pack(&wanted.folder, &name, &materials, &archive)?;
    let programs = PROGRAMS.map(|(program, _)| stage.join("bin").join(program));
    let (subjects, given) = (subjects(&archive, &programs)?, wanted.programs.is_some());
    let statement = provenance::statement(&materials, &subjects, given);
    fs::remove_dir_all(&stage).context("could not remove what was packed")?;
    let documents = [
        (out(".sbom.cdx.json"), sbom::document(&materials)),
        (out(".provenance.json"), statement),
        (out(".assurance.json"), assurance::document(workspace, &materials)?),
    ];
    for (path, document) in &documents {
        write_json(path, document)?;
    }
    let mut made = vec![archive];
    made.extend(documents.into_iter().map(|(path, _)| path));
    let sums = wanted.folder.join("SHA256SUMS");
    let lines =
        made.iter().map(|path| Ok(format!("{}  {}\n", digest(path)?.hex(), file_name(path))));
    fs::write(&sums, lines.collect::<anyhow::Result<String>>()?)?;
    made.push(sums);
    Ok(made)
}

/// Builds the programs with no path of this machine in them.
fn build(workspace: &Workspace, materials: &Materials) -> anyhow::Result<PathBuf> {
    let packages = PROGRAMS.iter().flat_map(|(_, package)| ["-p", package]);
    let words = ["build", "--profile", "dist", "--locked", "--target", &materials.target];
    let mut command = cargo(workspace, &[&words[..], &packages.collect::<Vec<_>>()].concat());
    let without = [(&workspace.root, "."), (&materials.cargo_home, "cargo")];
    let flags =
        without.map(|(path, short)| format!("--remap-path-prefix={}={short}", path.display()));
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    command.env("CFLAGS", "-g0").env("SOURCE_DATE_EPOCH", materials.seconds.to_string());
    if !command.status().context("could not start cargo")?.success() {
        bail!("the programs could not be built");
    }
    Ok(workspace.target.join(&materials.target).join("dist"))
}

/// Lays out what the archive holds.
fn fill(
    workspace: &Workspace,
    materials: &Materials,
    built: &Path,
    stage: &Path,
) -> anyhow::Result<()> {
    let folder = |name: &str| -> anyhow::Result<PathBuf> {
        let folder = stage.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    let bin = folder("bin")?;
    for (program, _) in PROGRAMS {
        let from = built.join(program);
        fs::copy(&from, bin.join(program))
            .with_context(|| format!("could not copy {}", from.display()))?;
    }
    let program = bin.join("cognitionos");
    let said = |words: &[&str]| text_of(Command::new(&program).args(words));
    fs::write(folder("man")?.join("cognitionos.1"), said(&["man"])?)?;
    let completions = folder("completions")?;
    for (shell, file) in COMPLETIONS {
        fs::write(completions.join(file), said(&["completions", shell])?)?;
    }
    fs::write(stage.join("THIRD-PARTY-LICENSES.txt"), materials.licences()?)?;
    let is_page = |path: &str| {
        PAGES.iter().any(|page| {
            path == *page || path.strip_prefix(page).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    for file in workspace.files.iter().filter(|file| is_page(&file.path)) {
        let to = stage.join(&file.path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(workspace.root.join(&file.path), to)?;
    }
    Ok(())
}

/// Packs the folder: files in order, of nobody, with the time of the commit.
fn pack(folder: &Path, name: &str, materials: &Materials, archive: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder).args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u+rw,go+r,go-w", "--use-compress-program=gzip -9n"]);
    tar.arg(format!("--mtime=@{}", materials.seconds)).arg("-cf").arg(archive).arg(name);
    text_of(&mut tar).map(drop).context("could not pack the archive")
}

fn subjects(archive: &Path, programs: &[PathBuf]) -> anyhow::Result<Vec<(String, Digest)>> {
    let archive = [archive.to_owned()];
    let all = archive.iter().chain(programs);
    all.map(|path| Ok((file_name(path), digest(path)?))).collect()
}

fn digest(path: &Path) -> anyhow::Result<Digest> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(Digest::of(&[&bytes]))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn write_json(path: &Path, document: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

fn try_out(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = workspace.target.join("tmp").join("dist-check");
    let programs = workspace.target.join("debug");
    let wanted = Wanted { folder: folder.clone(), programs: Some(programs), allow_dirty: true };
    let made = make(workspace, &wanted)?;
    let archive = made.first().context("nothing was made")?;
    text_of(Command::new("sha256sum").current_dir(&folder).args([
        "--check",
        "--strict",
        "SHA256SUMS",
    ]))?;
    text_of(Command::new("tar").arg("-C").arg(&folder).arg("-xzf").arg(archive))?;
    let home = folder.join(file_name(archive).trim_end_matches(".tar.gz"));
    let program = home.join("bin").join("cognitionos");
    let mut quickstart = Command::new(&program);
    quickstart.current_dir(&home).args([
        "run",
        "examples/01-quickstart/workflow.yaml",
        "--no-input",
    ]);
    // It waits for the approval of the large invoice.
    let ended = quickstart.output().context("could not start what was packed")?;
    if ended.status.code() != Some(8) {
        bail!(
            "the quickstart ended with {}: {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        );
    }
    text_of(Command::new(&program).current_dir(&home).args(["ledger", "verify"]))?;
    if !succeeds(Command::new(home.join("bin").join("cognitionos-verify")).arg("--version")) {
        bail!("cognitionos-verify of the archive does not start");
    }
    fs::remove_dir_all(&folder).context("could not clear up")
}
