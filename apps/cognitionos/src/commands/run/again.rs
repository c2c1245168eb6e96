//! The command that was given, to be given again with a change; and the folders it needs.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks for folders")]

use std::collections::BTreeMap;
use std::path::Path;

use cog_effect_file::RootBinding;

use crate::cli::{Beginning, RunArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::terminal::plain;

/// What is said of who could answer in place of a recording: a server on the own machine.
const LIVE: &str = "--model http://127.0.0.1:11434/v1#llama3.2";

/// Where the folder of a root was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// By this input, as it is given on the command line.
    Given { input: String, value: String },
    /// By the default of this input.
    Default(String),
    /// By the workflow file.
    File,
}

/// The command that runs the workflow again, with these words at its end. The input `without` is
/// left out.
fn again(args: &RunArgs, without: Option<&str>, more: &str) -> String {
    let file = args.file.as_deref().unwrap_or_else(|| Path::new("WORKFLOW"));
    let mut words = vec!["cognitionos run".to_owned(), word(&file.display().to_string())];
    let Beginning { input, canon, environment, .. } = &args.begin;
    let is_left = |input: &&String| input.split_once('=').map(|(name, _)| name) == without;
    words.extend(
        input
            .iter()
            .filter(|it| without.is_none() || !is_left(it))
            .flat_map(|input| ["--input".to_owned(), word(input)]),
    );
    if let Some(canon) = canon {
        words.extend(["--canon".to_owned(), word(&canon.display().to_string())]);
    }
    if let Some(environment) = environment {
        words.extend(["--environment".to_owned(), word(environment)]);
    }
    words.push(more.to_owned());
    words.join(" ")
}

/// How to run it again with a live model.
pub(super) fn live(args: &RunArgs) -> String {
    again(args, None, LIVE)
}

/// A word as a shell takes it for one.
pub(crate) fn word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", plain(text).replace('\'', "'\\''"))
}

/// Refuse a root that has no folder and is not made, before anything of the run is recorded.
///
/// # Errors
/// Names the root, where its folder is looked for, what named it, and what to do.
pub(super) fn folders(
    roots: &BTreeMap<String, RootBinding>,
    named: &BTreeMap<String, Named>,
    args: &RunArgs,
) -> anyhow::Result<()> {
    let missing = |(_, root): &(&String, &RootBinding)| !root.create && !root.path.is_dir();
    let Some((name, root)) = roots.iter().find(missing) else { return Ok(()) };
    let path = root.path.display().to_string();
    let stands = if root.path.exists() { "is no folder" } else { "is not there" };
    let file = given::name(args.file.as_deref().unwrap_or_else(|| Path::new("WORKFLOW")));
    let other = |input: &str| {
        let more = format!("--input {input}=DIR, where DIR is a folder that is there");
        again(args, Some(input), &more)
    };
    let (by, advice) = match named.get(name).unwrap_or(&Named::File) {
        Named::Given { input, value } => {
            (format!("`--input {input}={}` names it", plain(value)), other(input))
        }
        Named::Default(input) => {
            (format!("the default of the input `{input}` names it"), other(input))
        }
        Named::File => (
            format!("{file} names it"),
            format!("mkdir -p {}, or say `create: true` of the root in {file}", word(&path)),
        ),
    };
    let message = format!("the folder of the root `{name}`, {}, {stands}; {by}", plain(&path));
    Err(Failure::advise(Exit::BadInput, message, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        for (text, expected) in [
            ("a/b.yaml", "a/b.yaml"),
            ("folder=./in", "folder=./in"),
            ("", "''"),
            ("a b", "'a b'"),
            ("a'b", "'a'\\''b'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(word(text), expected, "{text}");
        }
    }
}
