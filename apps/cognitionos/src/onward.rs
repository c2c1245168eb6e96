//! Commands that are told: they are about the folder or the tenant that the given one named.

use clap::{Command, CommandFactory as _};

use crate::cli::{Cli, Common};
use crate::commands::run::again::word;
use crate::system::arguments;

/// The program, as commands are told.
const NAME: &str = "cognitionos ";

/// The commands that are about a data folder.
const OF_A_FOLDER: [&str; 19] = [
    "approvals",
    "canon",
    "checkpoint",
    "doctor",
    "domains",
    "events",
    "ledger",
    "logs",
    "pause",
    "redrive",
    "replay",
    "run",
    "runs",
    "schedules",
    "sessions",
    "signal",
    "unpause",
    "why",
    "workflows",
];

/// What was named on the command line. What the environment or a file says holds for the next command,
/// too.
#[derive(Debug, Clone)]
pub(crate) struct Onward {
    data: Option<String>,
    tenant: Option<String>,
    commands: Command,
}

impl Onward {
    /// What the given command named; nothing when it named neither.
    pub(crate) fn of(common: &Common) -> Option<Self> {
        let data = names_folder().then(|| word(&common.data.display().to_string()));
        let named = named("--tenant");
        // It is an id, and what is none is refused before anything is told.
        let tenant = named.as_deref().map(word);
        let is_named = data.is_some() || tenant.is_some();
        is_named.then(|| Self { data, tenant, commands: Cli::command() })
    }

    /// Words of ours with the commands in them about the same.
    pub(crate) fn told(&self, text: &str) -> String {
        let mut pieces = text.split(NAME);
        let mut told = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            told.push_str(NAME);
            let (words, command) = self.command(piece);
            let first = words.split(' ').next().unwrap_or_default();
            if let Some(data) = self.data.as_ref().filter(|_| OF_A_FOLDER.contains(&first)) {
                told.push_str(&format!("--data {data} "));
            }
            told.push_str(words);
            let takes_tenant = command.get_arguments().any(|it| it.get_id() == "tenant");
            let rest = piece.get(words.len()..).unwrap_or_default();
            if let Some(tenant) = self.tenant.as_ref().filter(|_| takes_tenant)
                && !rest.lines().next().unwrap_or_default().contains("--tenant")
            {
                told.push_str(&format!(" --tenant {tenant}"));
            }
            told.push_str(rest);
        }
        told
    }

    /// The words of the command that a text begins with, and what it is.
    fn command<'t>(&self, text: &'t str) -> (&'t str, &Command) {
        let (mut length, mut command) = (0, &self.commands);
        loop {
            let rest = text.get(length..).unwrap_or_default();
            let next = if length == 0 { Some(rest) } else { rest.strip_prefix(' ') };
            let is_letter = |c: char| c.is_ascii_lowercase() || c == '-';
            let next = next.unwrap_or_default();
            let word = next.split(|c| !is_letter(c)).next().unwrap_or_default();
            let Some(inner) = command.find_subcommand(word) else {
                return (text.get(..length).unwrap_or_default(), command);
            };
            length += rest.len() - next.len() + word.len();
            command = inner;
        }
    }
}

/// Whether the folder was named on the command line.
pub(crate) fn names_folder() -> bool {
    named("--data").is_some()
}

/// What was given behind a flag.
fn named(flag: &str) -> Option<String> {
    let mut arguments = arguments();
    while let Some(argument) = arguments.next() {
        if argument == flag {
            return arguments.next();
        }
        if let Some(value) = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(data: Option<&str>, tenant: Option<&str>, text: &str) -> String {
        let (data, tenant) = (data.map(str::to_owned), tenant.map(str::to_owned));
        Onward { data, tenant, commands: Cli::command() }.told(text)
    }

    #[test]
    fn commands_are_about_what_was_named() {
        let cases = [
            ("try: cognitionos why run_1", "try: cognitionos D why T run_1"),
            ("cognitionos ledger verify\nIt tells", "cognitionos D ledger verify T\nIt tells"),
            (
                "it waits: cognitionos approvals approve apr_1 --as user:cfo, or: cognitionos runs",
                "it waits: cognitionos D approvals approve T apr_1 --as user:cfo, or: cognitionos D runs T",
            ),
            ("cognitionos schedules remove ID", "cognitionos D schedules remove T ID"),
            ("cognitionos why x --tenant ten_2", "cognitionos D why x --tenant ten_2"),
            (
                "see that a node runs (cognitionos serve)",
                "see that a node runs (cognitionos serve)",
            ),
            ("cognitionos is told", "cognitionos is told"),
            ("cognitionos verify log.cogbundle", "cognitionos verify log.cogbundle"),
            ("cognitionos doctor, and tell", "cognitionos D doctor, and tell"),
            ("", ""),
        ];
        for (text, expected) in cases {
            for data in [None, Some("'a b'")] {
                for tenant in [None, Some("ten_1")] {
                    let flag = |flag: &str, value: Option<&str>| {
                        value.map(|value| format!("--{flag} {value}"))
                    };
                    let with_data = flag("data", data).map_or(String::new(), |it| it + " ");
                    let with_tenant =
                        flag("tenant", tenant).map_or(String::new(), |it| " ".to_owned() + &it);
                    let expected = expected.replace("D ", &with_data).replace(" T", &with_tenant);
                    assert_eq!(told(data, tenant, text), expected);
                }
            }
        }
    }
}
