//! What is set for every command: by a file of the project, of the user or of the machine, by the
//! environment, or by default. A flag goes before all of them.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks for its own files")]

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use cog_base::Value;
use cog_base::suggest::hint;
use toml::Table;
use verify::open_file;

use crate::failure::{Exit, Failure};
use crate::onward::names_folder;
use crate::system::env;
use crate::terminal::{Terminal, Tone, plain};

/// Something that can be set.
struct Key {
    name: &'static str,
    env: &'static str,
    kind: Kind,
    /// Who a person is, what is secret, and where records go, no file of a project says: such a
    /// file comes from others.
    is_personal: bool,
    default: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A word as it stands.
    Text,
    /// A file or a folder, from where the file stands that says it.
    Path,
    /// A file that holds this, which no effect may reach; a path as any other.
    SecretFile(&'static str),
    /// Files that hold this, each behind its name and `=`, with commas between.
    SecretFiles(&'static str),
    /// A word that is never shown.
    Secret,
}

const fn key(name: &'static str, env: &'static str, kind: Kind, is_personal: bool) -> Key {
    Key { name, env, kind, is_personal, default: None }
}

/// Everything that can be set.
const KEYS: [Key; 11] = [
    Key { default: Some(".cognitionos"), ..key("data", "COGNITIONOS_DATA", Kind::Path, false) },
    Key { default: Some("user:operator"), ..key("actor", "COGNITIONOS_ACTOR", Kind::Text, true) },
    key("approver", "COGNITIONOS_APPROVER", Kind::Text, true),
    key("tenant", TENANT, Kind::Text, false),
    key("database_url", "COGNITIONOS_DATABASE_URL", Kind::Secret, true),
    key(
        "database_url_file",
        DATABASE_URL_FILE,
        Kind::SecretFile("the address of the database"),
        true,
    ),
    key("databases", DATABASES, Kind::SecretFiles("the address of a database"), true),
    Key {
        default: Some("master.key"),
        ..key("master_key_file", MASTER_KEY_FILE, Kind::SecretFile("the master key"), true)
    },
    Key {
        default: Some("worker.token"),
        ..key(
            "worker_token_file",
            WORKER_TOKEN_FILE,
            Kind::SecretFile("the token of workers"),
            true,
        )
    },
    key("model_api_key_file", MODEL_API_KEY_FILE, Kind::SecretFile(MODEL_KEY), true),
    key("openai_api_key_file", OPENAI_API_KEY_FILE, Kind::SecretFile(MODEL_KEY), true),
];

/// Whose ledger in the database commands are about.
pub(crate) const TENANT: &str = "COGNITIONOS_TENANT";
/// Further databases, each with the file that holds its address.
pub(crate) const DATABASES: &str = "COGNITIONOS_DATABASES";
/// The file that holds the master key of nodes.
pub(crate) const MASTER_KEY_FILE: &str = "COGNITIONOS_MASTER_KEY_FILE";
/// The file that holds the token that workers are known by.
pub(crate) const WORKER_TOKEN_FILE: &str = "COGNITIONOS_WORKER_TOKEN_FILE";
/// The file that holds the address of the database.
pub(crate) const DATABASE_URL_FILE: &str = "COGNITIONOS_DATABASE_URL_FILE";
/// The file that holds the key of a model server that is not OpenAI's.
pub(crate) const MODEL_API_KEY_FILE: &str = "COGNITIONOS_MODEL_API_KEY_FILE";
/// The file that holds OpenAI's key.
pub(crate) const OPENAI_API_KEY_FILE: &str = "OPENAI_API_KEY_FILE";

const MODEL_KEY: &str = "the key of a model server";

/// The file of a project, in the working folder.
const PROJECT: &str = "cognitionos.toml";
/// The file of the machine.
const MACHINE: &str = "/etc/cognitionos/config.toml";

/// What files say, for each key that any of them has.
#[derive(Debug, Default)]
pub(crate) struct Config {
    set: Vec<Set>,
}

/// A value that a file gives.
#[derive(Debug)]
struct Set {
    env: &'static str,
    value: String,
    file: PathBuf,
    /// The file and the line.
    place: String,
}

static LOADED: OnceLock<Config> = OnceLock::new();

/// Read the files, once; the nearer one goes first.
///
/// # Errors
/// A file that cannot be read, or that says something that cannot be set.
pub(crate) fn load() -> anyhow::Result<()> {
    let mut config = Config::default();
    for (file, is_project) in files() {
        let text = match open_file(&file).and_then(std::io::read_to_string) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            // In a folder that may not be entered there is nothing of ours.
            Err(error)
                if error.kind() == ErrorKind::PermissionDenied && file.metadata().is_err() =>
            {
                continue;
            }
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.display());
                let advice = "let it be a text file that may be read, or move it away";
                return Err(Failure::advise(Exit::BadInput, message, advice));
            }
        };
        config.read(&file, &text, is_project)?;
    }
    // The first is the only one.
    let _ = LOADED.set(config);
    Ok(())
}

fn files() -> Vec<(PathBuf, bool)> {
    let home = || env("HOME").map(|home| Path::new(&home).join(".config"));
    // A relative folder is to be ignored (XDG Base Directory Specification).
    let own = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|it| it.is_absolute());
    let own = own.or_else(home).map(|folder| (folder.join("cognitionos/config.toml"), false));
    // A project comes from others: it does not turn round what its user or the machine say.
    let others = [(PathBuf::from(MACHINE), false), (PathBuf::from(PROJECT), true)];
    own.into_iter().chain(others).collect()
}

/// What a file says of this variable of the environment, which goes before it.
pub(crate) fn says(variable: &OsStr) -> Option<&'static str> {
    let set = LOADED.get()?.set.iter().find(|set| variable == set.env)?;
    Some(&set.value)
}

/// A variable of the environment, or what a file says in its place.
pub(crate) fn setting(variable: &str) -> Option<String> {
    env(variable).or_else(|| says(OsStr::new(variable)).map(str::to_owned))
}

/// What sets this variable, in words: the environment, or a line of a file.
pub(crate) fn source(variable: &str) -> Option<String> {
    if env(variable).is_some() {
        return Some(variable.to_owned());
    }
    let set = LOADED.get()?.set.iter().find(|set| set.env == variable)?;
    Some(format!("`{}` in {}", KEYS.iter().find(|key| key.env == variable)?.name, set.place))
}

/// The files that hold what is secret, as things are set, and what each is called.
pub(crate) fn secret_files() -> Vec<(&'static str, PathBuf)> {
    let named = KEYS.iter().flat_map(|key| {
        let (Kind::SecretFile(what) | Kind::SecretFiles(what)) = key.kind else {
            return Vec::new();
        };
        let value = setting(key.env).unwrap_or_default();
        if matches!(key.kind, Kind::SecretFiles(_)) {
            return named_files(&value).map(|(_, file)| (what, file.into())).collect();
        }
        if value.is_empty() { Vec::new() } else { vec![(what, PathBuf::from(value))] }
    });
    let set = LOADED.get().map(|config| config.set.as_slice()).unwrap_or_default();
    let is_secret =
        |set: &&Set| KEYS.iter().any(|key| key.env == set.env && key.kind == Kind::Secret);
    let written = set.iter().filter(is_secret);
    named.chain(written.map(|set| ("the settings with a secret", set.file.clone()))).collect()
}

/// The names and files of `NAME=FILE,NAME=FILE`.
fn named_files(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split(',').filter_map(|one| one.split_once('='))
}

impl Config {
    fn read(&mut self, file: &Path, text: &str, is_project: bool) -> anyhow::Result<()> {
        let shown = file.display();
        let line_of = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            let message = format!("{shown}:{line}: {}", error.message());
            Failure::advise(Exit::BadInput, message, "write it as NAME = \"VALUE\" in TOML")
        })?;
        for (name, value) in &table {
            let line = text.lines().position(|line| line.trim_start().starts_with(name.as_str()));
            let place = format!("{shown}:{}", line.unwrap_or_default() + 1);
            let bad = |message: String, advice: String| {
                Failure::advise(Exit::BadInput, format!("{place}: {message}"), advice)
            };
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                let hint = hint(name, KEYS.iter().map(|key| key.name)).unwrap_or_default();
                let shown = plain(name);
                return Err(bad(format!("`{shown}` is nothing that can be set"), hint));
            };
            if is_project && key.is_personal {
                let own = "your own file, ~/.config/cognitionos/config.toml";
                let message = format!("`{name}` is not for a file that a project brings along");
                return Err(bad(message, format!("set it in {own}, or as {}", key.env)));
            }
            let Some(value) = value.as_str().filter(|value| !value.trim().is_empty()) else {
                return Err(bad(format!("`{name}` is a text"), format!("{name} = \"…\"")));
            };
            let is_inside = Path::new(value)
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
                && !passes_link(file, value);
            if is_project && key.kind == Kind::Path && !is_inside {
                let message = format!("`{name}` of a project is a folder in it, behind no link");
                return Err(bad(message, format!("name one below, or set {}", key.env)));
            }
            if self.set.iter().all(|set| set.env != key.env) {
                let (value, file) = (key.resolved(value, file), file.to_owned());
                self.set.push(Set { env: key.env, value, file, place });
            }
        }
        Ok(())
    }
}

/// Whether a path passes a symbolic link on its way from the folder of the file that says it: it
/// would lead to where the link does.
fn passes_link(file: &Path, value: &str) -> bool {
    let mut place = file.parent().map(Path::to_owned).unwrap_or_default();
    Path::new(value).components().any(|part| {
        place.push(part);
        place.symlink_metadata().is_ok_and(|it| it.file_type().is_symlink())
    })
}

impl Key {
    /// A path is meant from the folder of the file that says it.
    fn resolved(&self, value: &str, file: &Path) -> String {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        match (self.kind, folder) {
            (Kind::Path | Kind::SecretFile(_), Some(folder)) => {
                folder.join(value).display().to_string()
            }
            (Kind::SecretFiles(_), Some(folder)) => {
                let all = named_files(value)
                    .map(|(name, file)| format!("{name}={}", folder.join(file).display()));
                all.collect::<Vec<_>>().join(",")
            }
            (
                Kind::Text | Kind::Path | Kind::SecretFile(_) | Kind::SecretFiles(_) | Kind::Secret,
                _,
            ) => value.to_owned(),
        }
    }

    /// What holds, and where it comes from.
    fn now(&self, flags: &[(&str, String)]) -> (Option<String>, String) {
        if let Some((_, value)) = flags.iter().find(|(name, _)| *name == self.name) {
            return (Some(value.clone()), format!("flag --{}", self.name));
        }
        if let Some(value) = env(self.env) {
            return (Some(value), format!("environment {}", self.env));
        }
        let set = LOADED.get().and_then(|config| config.set.iter().find(|it| it.env == self.env));
        match (set, self.default) {
            (Some(set), _) => (Some(set.value.clone()), set.place.clone()),
            (None, Some(default)) => (Some(default.to_owned()), "default".to_owned()),
            (None, None) => (None, "not set".to_owned()),
        }
    }
}

/// `config explain`: each setting, its value, and what says it.
pub(crate) fn explain(data: &Path, terminal: &Terminal) -> Exit {
    let flags = names_folder().then(|| ("data", data.display().to_string()));
    let flags: Vec<_> = flags.into_iter().collect();
    let mut all = Vec::new();
    for key in &KEYS {
        let (value, source) = key.now(&flags);
        let hidden = key.kind == Kind::Secret && value.is_some();
        let value = if hidden { None } else { value };
        if terminal.json {
            all.push(Value::map([
                ("name", Value::from(key.name)),
                ("value", value.into()),
                ("hidden", hidden.into()),
                ("source", source.into()),
                ("environment", key.env.into()),
            ]));
            continue;
        }
        let shown = value.map_or(if hidden { "(hidden)" } else { "-" }.to_owned(), |it| plain(&it));
        let source = plain(&source);
        terminal.say(&terminal.columns(&[key.name, &shown, &source], || {
            format!("{:<20} {shown:<24} {}", key.name, terminal.tint(Tone::Faint, &source))
        }));
    }
    if terminal.json {
        terminal.emit(&Value::list(all));
    }
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, is_project: bool) -> Result<Vec<(&'static str, String, String)>, String> {
        let mut config = Config::default();
        let file = Path::new(if is_project { PROJECT } else { "/home/ann/config.toml" });
        let read = config.read(file, text, is_project);
        let set = config.set.into_iter().map(|set| (set.env, set.value, set.place)).collect();
        read.map(|()| set).map_err(|error| {
            let advice = error.downcast_ref::<Failure>().and_then(|it| it.advice.clone());
            format!("{error} / {}", advice.unwrap_or_default())
        })
    }

    #[test]
    fn a_file_sets_what_can_be_set_and_paths_are_meant_from_it() {
        let set = read("# mine\nactor = \"user:ann\"\ndata = \"logs\"\n", false).unwrap();
        let (actor, data) = (set.first().unwrap(), set.get(1).unwrap());
        assert_eq!(actor.1, "user:ann");
        assert_eq!(actor.2, "/home/ann/config.toml:2");
        assert_eq!((data.0, data.1.as_str()), ("COGNITIONOS_DATA", "/home/ann/logs"));
        assert_eq!(read("data = \"logs\"", true).unwrap().first().unwrap().1, "logs");
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_its_place() {
        for (text, is_project, expected) in [
            (
                "\nacter = \"x\"",
                false,
                "/home/ann/config.toml:2: `acter` is nothing that can be set / did you mean `actor`?",
            ),
            ("data = 5", true, "cognitionos.toml:1: `data` is a text / data = \"…\""),
            ("data = \"\"", true, "cognitionos.toml:1: `data` is a text / data = \"…\""),
            (
                "actor = \"user:cfo\"",
                true,
                "cognitionos.toml:1: `actor` is not for a file that a project brings along / set it in your own file, ~/.config/cognitionos/config.toml, or as COGNITIONOS_ACTOR",
            ),
        ] {
            assert_eq!(read(text, is_project).unwrap_err(), expected);
        }
        let broken = read("data = \"a\"\ndata = \"b\"\n", true).unwrap_err();
        assert!(broken.starts_with("cognitionos.toml:2: "), "{broken}");
    }
}
