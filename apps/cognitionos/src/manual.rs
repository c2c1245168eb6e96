//! Manual pages, from the same description of the arguments as help.

use std::io::Write as _;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::cli::command;
use crate::failure::{Exit, Failure};

/// What each exit code means, as docs/guide/cli.md says.
const EXITS: [(&str, &str); 11] = [
    ("0", "Done."),
    ("1", "Failed, or what was looked at does not hold."),
    ("2", "Bad usage or input: nothing was begun."),
    ("3", "Not authenticated."),
    ("4", "Refused by policy."),
    ("5", "A limit or a quota is reached."),
    ("6", "Out of time."),
    ("7", "Something else stands in the way, such as a run that is under way."),
    ("8", "Waiting for approval or a signal, or paused."),
    ("130", "Interrupted, or cancelled."),
    ("143", "Ended by SIGTERM."),
];

/// The manual page of a command, by its words, and its name.
///
/// # Errors
/// When there is no such command.
pub(crate) fn page(words: &[String]) -> anyhow::Result<(String, Vec<u8>)> {
    let mut whole = command();
    whole.build();
    let mut found = &whole;
    for word in words {
        found = found.find_subcommand(word).ok_or_else(|| {
            let message = format!("there is no command `{}`", words.join(" "));
            Failure::advise(Exit::BadInput, message, "cognitionos --help lists them")
        })?;
    }
    let name = [&["cognitionos".to_owned()], words].concat().join("-");
    let page = rendered(found, &name, &format!("cognitionos {}", words.join(" ")))?;
    Ok((name, page))
}

fn rendered(command: &Command, name: &str, words: &str) -> anyhow::Result<Vec<u8>> {
    let source = concat!("cognitionos ", env!("CARGO_PKG_VERSION"));
    let shown = command.clone().display_name(name.to_owned());
    let man = Man::new(shown).title(name.to_uppercase()).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    section(&mut page, "SYNOPSIS", |roff| {
        roff.text(synopsis(command, words.trim_end()));
    })?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    section(&mut page, "EXIT STATUS", |roff| {
        for (code, means) in EXITS {
            roff.control("TP", []).text([bold(code)]).text([roman(means)]);
        }
    })?;
    let told = [command.get_before_help(), command.get_after_help()];
    let told: Vec<String> = told.into_iter().flatten().map(ToString::to_string).collect();
    if !told.is_empty() {
        section(&mut page, "EXAMPLES", |roff| {
            roff.control("nf", []);
            for line in told.join("\n\n").lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        })?;
    }
    Ok(page)
}

fn section(page: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Roff)) -> std::io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [name]);
    write(&mut roff);
    page.write_all(roff.to_roff().as_bytes())
}

/// The command with all that it takes, values by their names.
fn synopsis(command: &Command, name: &str) -> Vec<Inline> {
    let mut line = vec![bold(name)];
    let shown = |argument: &&Arg| !argument.is_hide_set() && !argument.is_global_set();
    for argument in command.get_arguments().filter(shown) {
        let (open, close) = if argument.is_required_set() { ("", "") } else { ("[", "]") };
        line.push(roman(format!(" {open}")));
        if let Some(long) = argument.get_long() {
            line.push(bold(format!("--{long}")));
        }
        let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let names = argument.get_value_names().filter(|_| takes).unwrap_or_default();
        for value in names {
            let gap = if argument.get_long().is_some() { " " } else { "" };
            line.extend([roman(gap), italic(value.as_str())]);
        }
        line.push(roman(close));
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    line
}
