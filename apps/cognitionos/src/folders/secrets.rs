//! What is within the reach of no effect: the ledger and the keys.

use std::path::{Path, PathBuf};

use super::real;
use super::sameness::{Shared, shared};
use crate::config::secret_files;
use crate::failure::{Exit, Failure};

/// Where the ledger and the keys are, and what each place is called.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<(&'static str, PathBuf)>);

impl Secrets {
    /// Those of whoever keeps a data folder.
    pub(crate) fn of_folder(data: &Path) -> Self {
        let mut secrets = Self(secret_files());
        // What is in it may be a link to another place.
        let keys = ["keys", "keys/master.key", "ledger.db"].map(|name| data.join(name));
        let links = keys.into_iter().filter(|path| !real(path).starts_with(real(data)));
        let folders = std::iter::once(data.to_owned()).chain(links);
        secrets.0.splice(0..0, folders.map(|path| ("the data folder", path)));
        secrets
    }

    /// Those of a node.
    pub(crate) fn of_node(master_key: &Path) -> Self {
        let mut secrets = Self(secret_files());
        secrets.0.insert(0, ("the master key", master_key.to_owned()));
        secrets
    }

    /// One more.
    pub(crate) fn add(&mut self, what: &'static str, path: &Path) {
        self.0.push((what, path.to_owned()));
    }

    /// Those of a worker: it has no ledger and no key of one.
    pub(crate) fn of_worker(token: &Path, trust: &Path, journal: &Path) -> Self {
        let mut secrets = Self(secret_files());
        let own = [("the token", token), ("the keys", trust), ("the journal", journal)];
        secrets.0.splice(0..0, own.map(|(what, path)| (what, path.to_owned())));
        secrets
    }

    /// Refuse a root that shares anything with them: what holds the ledger and its keys is not
    /// within the reach of an effect, whatever a workflow or a canon says.
    pub(crate) fn keep_apart(&self, name: &str, root: &Path) -> Result<(), anyhow::Error> {
        let root = real(root);
        for (what, place) in &self.0 {
            let place = real(place);
            let how = match touches(&root, &place) {
                Some(How::In) => "stands in",
                Some(How::Above) => "holds",
                Some(How::Mounted(Shared::StandsIn)) => "is mounted from",
                Some(How::Mounted(Shared::Holds)) => "holds, by a mount,",
                None => continue,
            };
            let message = format!(
                "the root `{name}` ({}) {how} {what} {}: no effect may reach the ledger and its keys",
                root.display(),
                place.display()
            );
            let advice = "give the root another folder, or keep the data elsewhere with --data";
            return Err(Failure::advise(Exit::Refused, message, advice));
        }
        Ok(())
    }

    /// Whether no program in the sandbox sees any of them: what does, otherwise.
    pub(crate) fn keep_hidden(&self) -> Result<(), String> {
        let shown = cog_effect_process::shown().map(Path::new).filter(|path| path.exists());
        self.hidden_from(&shown.map(real).collect::<Vec<_>>())
    }

    fn hidden_from(&self, shown: &[PathBuf]) -> Result<(), String> {
        for (what, place) in &self.0 {
            let place = real(place);
            let Some(seen) = shown.iter().find(|seen| touches(seen, &place).is_some()) else {
                continue;
            };
            return Err(format!(
                "{what} {} is where every program in the sandbox can read, by {}: keep it \
                 elsewhere, and mount it nowhere there",
                place.display(),
                seen.display()
            ));
        }
        Ok(())
    }
}

enum How {
    /// The folder is the place or in it.
    In,
    /// The place is in the folder.
    Above,
    Mounted(Shared),
}

/// Whether a folder shares anything with a place. Both paths are real ones.
fn touches(folder: &Path, place: &Path) -> Option<How> {
    if folder.starts_with(place) {
        return Some(How::In);
    }
    if place.starts_with(folder) {
        return Some(How::Above);
    }
    shared(folder, place).map(How::Mounted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_sees_holds_neither_the_data_nor_a_key() {
        let folder = std::env::temp_dir().join(format!("cog-secrets-{}", std::process::id()));
        for path in ["system/share/data/keys", "elsewhere/data", "elsewhere/keys"] {
            std::fs::create_dir_all(folder.join(path)).unwrap();
        }
        let folder = std::fs::canonicalize(&folder).unwrap();
        std::fs::write(folder.join("system/share/url"), "").unwrap();
        std::fs::write(folder.join("elsewhere/key"), "").unwrap();
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(folder.join(to), folder.join(at)).unwrap();
        };
        link("system/share/data", "link");
        link("system/share/data/keys", "elsewhere/data/keys");
        let shown = [folder.join("system"), folder.join("nowhere")];
        for (path, hidden) in [
            ("system/share/data", false),
            ("system/share/yet/to/be/made", false),
            ("system", false),
            ("", false),
            ("link", false),
            ("elsewhere/data", false),
            ("elsewhere", true),
            ("system-2/data", true),
        ] {
            let secrets = Secrets::of_folder(&folder.join(path));
            assert_eq!(secrets.hidden_from(&shown).is_ok(), hidden, "{path}");
        }
        for (path, hidden) in [("system/share/url", false), ("elsewhere/key", true)] {
            let secrets = Secrets::of_node(&folder.join(path));
            assert_eq!(secrets.hidden_from(&shown).is_ok(), hidden, "{path}");
            let apart = secrets.keep_apart("r", &folder.join("system"));
            assert_eq!(apart.is_ok(), hidden, "{path}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_stands_among_the_programs_of_the_system_is_seen() {
        assert!(Secrets::of_node(Path::new("/usr/share/cog-key")).keep_hidden().is_err());
        assert!(Secrets::of_folder(Path::new("/usr/local/share/cog")).keep_hidden().is_err());
        assert!(Secrets::of_folder(Path::new("/nowhere/cog")).keep_hidden().is_ok());
    }
}
