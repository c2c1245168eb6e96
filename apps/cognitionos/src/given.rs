//! What is given on the command line, read; or told what to write in its place.

use std::io::Read as _;
use std::path::Path;

use cog_base::id::{Given, RunId};
use cog_gate::Actor;

use verify::open_file;

use crate::failure::{Exit, Failure};

/// Where runs are listed.
pub(crate) const RUNS: &str = "cognitionos ledger list --kind session.started";

/// Somebody who acts.
pub(crate) fn actor(text: &str) -> anyhow::Result<Actor> {
    text.parse().map_err(|error| {
        let user = format!("user:{text}");
        let meant = user.parse::<Actor>().map_or("user:NAME".to_owned(), |user| user.to_string());
        Failure::advise(Exit::BadInput, error, format!("--as {meant}"))
    })
}

/// An id, in its own form or as a UUID, of which there is a list by the command `listed`.
pub(crate) fn id<T>(text: &str, listed: &str) -> anyhow::Result<T>
where
    T: Given,
{
    T::given(text).map_err(|error| {
        let whole = if is_cut(text) { "; ids are given whole" } else { "" };
        Failure::advise(Exit::BadInput, format!("{error}{whole}"), listed)
    })
}

/// A run.
pub(crate) fn run(text: &str) -> anyhow::Result<RunId> {
    id(text, RUNS)
}

/// What a file is called that `-` or a path names: `-` is standard input.
pub(crate) fn name(file: &Path) -> String {
    if file == Path::new("-") { "<stdin>".to_owned() } else { file.display().to_string() }
}

/// The bytes of a file, and of nothing that only looks like one.
pub(crate) fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it looks like an id of which a part is missing: `run_01m7`, `dny_01j…`.
pub(crate) fn is_cut(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('_') else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '…' | '.');
    prefix.len() == 3 && rest.chars().count() < ID_CHARS && rest.chars().all(letter)
}

/// How many characters of an id follow its prefix.
const ID_CHARS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_cut_is_known() {
        for (text, cut) in [
            ("run_01m7", true),
            ("dny_01j…", true),
            ("dny_", true),
            ("run_01m7yb4qxbf438zjd8206fmvk4", false),
            ("nothing", false),
            ("12", false),
            ("file_name.txt", false),
        ] {
            assert_eq!(is_cut(text), cut, "{text}");
        }
    }

    #[test]
    fn a_name_alone_is_taken_for_a_user() {
        for (text, expected) in [("cfo", "--as user:cfo"), ("a b", "--as user:NAME")] {
            let error = actor(text).unwrap_err();
            assert_eq!(error.downcast_ref::<Failure>().unwrap().advice.as_deref(), Some(expected));
        }
    }
}
