//! Bundles and tables.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge writes the files it is asked for"
)]

mod table;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use cog_base::Value;
use cog_ledger::Kind;

use super::bundle::{Without, bundle, public_key};
use crate::cli::Format;
use crate::commands::run::again::word;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::Terminal;

/// What to export.
pub(super) struct Wanted<'a> {
    pub(super) output: &'a Path,
    pub(super) format: Format,
    pub(super) without: Without,
    /// Only entries of these kinds; of all when there are none. Not of a bundle.
    pub(super) kinds: Vec<Kind>,
    /// Whether entries in JSON come with their whole bodies.
    pub(super) with_bodies: bool,
}

impl Wanted<'_> {
    /// Refuse what this format cannot have.
    fn check(&self) -> anyhow::Result<()> {
        let flag = match self.format {
            Format::Bundle if !self.kinds.is_empty() => "--kind",
            Format::Bundle | Format::Csv if self.with_bodies => "--with-bodies",
            Format::Json if self.with_bodies && self.without.bodies => "--no-bodies",
            Format::Bundle | Format::Json | Format::Csv => return Ok(()),
        };
        let (message, advice) = match flag {
            "--kind" => {
                let message = "a bundle holds every entry: what is left out could not be proved";
                (message, "--kind with --format json or csv")
            }
            "--with-bodies" => ("only JSON can be made to hold whole bodies", "--format json"),
            _ => ("--with-bodies and --no-bodies say the opposite", "one of the two"),
        };
        Err(Failure::advise(Exit::BadInput, message, advice))
    }
}

pub(super) fn export(
    home: &Home,
    wanted: &Wanted<'_>,
    key: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    wanted.check()?;
    if key.is_some_and(|key| is_same(key, wanted.output)) {
        let message = "the key would be written over what is exported";
        return Err(Failure::advise(Exit::BadInput, message, "--key FILE, another than --output"));
    }
    let to_stdout = wanted.output == Path::new("-");
    if to_stdout {
        let mut bytes = Vec::new();
        write(home, wanted, &mut bytes)?;
        terminal.raw(&bytes)?;
    } else if wanted.output.metadata().is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        // A pipe or a device is written to and not put away for another file.
        let path = wanted.output;
        write_to(home, wanted, path).map_err(|error| unwritten(path, error))?;
    } else {
        let path = wanted.output;
        // Whatever fails, an earlier file of this name stays as it was.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let partial = PathBuf::from(name);
        let written =
            write_file(home, wanted, &partial).and_then(|()| Ok(std::fs::rename(&partial, path)?));
        if written.is_err() {
            drop(std::fs::remove_file(&partial));
        }
        written.map_err(|error| unwritten(path, error))?;
    }
    if let Some(path) = key {
        std::fs::write(path, format!("{}\n", public_key(home)?))
            .map_err(|error| unwritten(path, error.into()))?;
    }
    if !to_stdout {
        let shown = wanted.output.display().to_string();
        if terminal.json {
            terminal.emit(&Value::map([("output", shown.as_str())]));
        } else {
            terminal.say(&format!("wrote {shown}"));
            if wanted.format == Format::Bundle {
                let key = key.map_or("KEY".into(), |path| word(&path.display().to_string()));
                let shown = word(&shown);
                terminal.note(&format!("check it: cognitionos verify {shown} --key {key}"));
            }
        }
    }
    Ok(Exit::Done)
}

/// Whether both name one file, as far as they are there.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let folder =
            path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        path.canonicalize().unwrap_or_else(|_| folder.join(path.file_name().unwrap_or_default()))
    };
    real(one) == real(other)
}

fn unwritten(path: &Path, error: anyhow::Error) -> anyhow::Error {
    if error.is::<Failure>() {
        return error;
    }
    Failure::advise(
        Exit::Failed,
        format!("cannot write {}: {error:#}", path.display()),
        "name a file in a folder that is there and that you may write to",
    )
}

/// Write into something that is there.
fn write_to(home: &Home, wanted: &Wanted<'_>, path: &Path) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    write(home, wanted, &mut bytes)?;
    match OpenOptions::new().write(true).open(path)?.write_all(&bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn write_file(home: &Home, wanted: &Wanted<'_>, path: &Path) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create_new(path)?);
    write(home, wanted, &mut out)?;
    out.flush()?;
    Ok(out.get_ref().sync_all()?)
}

fn write(home: &Home, wanted: &Wanted<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    match wanted.format {
        Format::Bundle => bundle(home, wanted.without, out),
        Format::Json => table::json(home, wanted, out),
        Format::Csv => table::csv(home, wanted, out),
    }
}
