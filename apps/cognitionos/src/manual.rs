//! Manual pages, from the same description of the arguments as help.

use clap::Command;
use clap_mangen::Man;

use crate::cli::command;
use crate::failure::{Exit, Failure};

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
    let page = rendered(found.clone(), &name)?;
    Ok((name, page))
}

fn rendered(command: Command, name: &str) -> anyhow::Result<Vec<u8>> {
    // A page has its examples behind the options, where readers of manuals look for them.
    let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let text = format!("{examples}\n\n{more}");
    let command = command.after_help(text.trim().to_owned()).display_name(name.to_owned());
    let mut page = Vec::new();
    Man::new(command).title(name.to_uppercase()).render(&mut page)?;
    Ok(page)
}
