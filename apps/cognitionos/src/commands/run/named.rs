//! What is run: the workflow file that is named, or the active version of the workflow of that name.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks for files")]

use std::path::{Path, PathBuf};

use cog_base::id::RunId;
use cog_embed::definitions::kept;
use cog_engine::Versions;
use cog_engine::versions::Unnamed;
use cog_flow::Flow;

use super::{family, keyed};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told, unmade};
use crate::terminal::{Terminal, plain};

/// A workflow to be run.
pub(crate) struct Definition {
    pub(crate) source: String,
    pub(crate) flow: Flow,
    /// The folder that its file stands in, or stood in when it was activated.
    pub(crate) base: PathBuf,
}

/// What an argument may be the name of; nothing where it can only be a file: one that is there, a path,
/// or what ends as files do.
pub(crate) fn name(argument: &Path) -> Option<&str> {
    let text = argument.to_str()?;
    let is_file = std::fs::metadata(argument).is_ok_and(|it| !it.is_dir());
    let is_run = given::run(text).is_ok();
    (!is_file && !is_run && Versions::is_name(text)).then_some(text)
}

impl Definition {
    /// What a file says, with those that its steps run.
    pub(crate) fn of_file(file: &Path) -> anyhow::Result<Self> {
        let (source, flow) = family::read(file)?;
        let base = file.parent().filter(|base| !base.as_os_str().is_empty());
        let base = base.unwrap_or_else(|| Path::new(".")).to_owned();
        Ok(Self { source, flow, base })
    }

    /// What is named, by the ledger of a folder. Under a key it stays what was asked for before.
    pub(crate) fn here(
        argument: &Path,
        key: Option<&str>,
        data: &Path,
        terminal: &Terminal,
    ) -> anyhow::Result<Self> {
        let Some(name) = name(argument) else { return Self::of_file(argument) };
        if !data.join("ledger.db").exists() {
            return Self::unknown(name, &Unnamed::Unknown(Vec::new()));
        }
        let home = Home::read(data)?;
        let before = key.map(|key| keyed::of_key(&home, key)).transpose()?;
        Self::of_name(&home, name, before, terminal)
    }

    /// The active version of the workflow of this name; or the one that a run was begun from which was
    /// asked for before.
    pub(crate) fn of_name(
        home: &Home,
        name: &str,
        before: Option<RunId>,
        terminal: &Terminal,
    ) -> anyhow::Result<Self> {
        let scope = home.scope()?;
        let versions = Versions::read(&*scope).map_err(told)?;
        let all = match versions.named(name) {
            Ok(all) => all,
            Err(why) => return Self::unknown(name, &why),
        };
        let begun = before.map(|run| keyed::first(home, run)).transpose()?.flatten();
        let begun = begun.and_then(|first| first.digest("definition"));
        let is_it = |begun| all.iter().rev().find(|version| version.definition == begun);
        let Some(version) = begun.and_then(is_it).or(all.last()) else {
            return Self::unknown(name, &Unnamed::Unknown(Vec::new()));
        };
        let kept = kept(&*scope, version).map_err(unmade)?;
        let (number, digest) = (version.number, version.definition.short());
        terminal.note(&format!("{}@{number} ({digest}), entry {}", plain(name), version.seq));
        Ok(Self { source: kept.source, flow: kept.flow, base: PathBuf::from(kept.base) })
    }

    /// Say what is wrong with a name. Something that is there in its place is told of as a file.
    fn unknown(name: &str, why: &Unnamed) -> anyhow::Result<Self> {
        if Path::new(name).exists() {
            return Self::of_file(Path::new(name));
        }
        let advice = match why.hint(name) {
            Some(hint) => format!("{hint}\n  all that are active: cognitionos workflows list"),
            None => "name a workflow file; examples/01-quickstart/workflow.yaml is one".to_owned(),
        };
        let message = match why {
            Unnamed::Unknown(_) => format!("there is no file `{name}`, and {why}"),
            Unnamed::Several(_) => format!("`{name}`: {why}"),
        };
        Err(Failure::advise(Exit::BadInput, message, advice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_only_be_a_file_is_no_name() {
        for (argument, expected) in [
            ("letters", true),
            ("forks/letters", true),
            ("letters.yaml", false),
            ("forks/letters.json", false),
            ("./letters", false),
            ("../letters", false),
            ("/forks/letters", false),
            ("a/b/c", false),
            ("letters/", false),
            ("-", false),
            ("Letters", false),
            ("run_01m7yb4qxbf438zjd8206fmvk4", false),
            ("src", true),
            ("Cargo.toml", false),
        ] {
            assert_eq!(name(Path::new(argument)).is_some(), expected, "{argument}");
        }
    }
}
