//! Reading the command line, and telling what is wrong with it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Command, FromArgMatches as _};
use cog_base::suggest::nearest;

use crate::cli::{Cli, command};
use crate::failure::{Exit, Failure, explain};
use crate::onward::names_folder;
use crate::system;
use crate::terminal::Terminal;

/// What a group of commands does that is given without one, if it can.
const ALONE: &str = "list";

/// What was said, in words that keep to `--no-color` too when they are wrong or ask for help.
pub(crate) fn parsed() -> Result<Cli, clap::Error> {
    let plain = system::arguments().any(|argument| argument == "--no-color");
    let colour = if plain { ColorChoice::Never } else { ColorChoice::Auto };
    let read = |words| command().color(colour).try_get_matches_from(words);
    let matches = read(system::words()).or_else(|error| match listing(&error) {
        Some(place) => {
            let mut words = system::words();
            words.insert(place, ALONE.into());
            read(words).map_err(|_| error)
        }
        None => Err(error),
    })?;
    Cli::from_arg_matches(&matches)
}

/// Where `list` is to be put in, for a group of commands that was given without one.
fn listing(error: &clap::Error) -> Option<usize> {
    let lacks = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::UnknownArgument
    );
    let command = command();
    let lists = |word: &String| {
        command.find_subcommand(word).is_some_and(|group| group.find_subcommand(ALONE).is_some())
    };
    let words: Vec<String> = system::arguments().collect();
    let place = words.iter().position(lists)? + 1;
    let alone = words.get(place).is_none_or(|next| next.starts_with('-'));
    (lacks && alone).then_some(place)
}

/// The command that was given, and its words: `cognitionos ledger list`.
fn meant() -> (Command, String) {
    let mut command = command();
    command.build();
    let mut words = command.get_name().to_owned();
    for word in system::arguments().skip(1) {
        if let Some(inner) = command.find_subcommand(&word) {
            command = inner.clone();
            words = format!("{words} {}", command.get_name());
        }
    }
    (command, words)
}

/// The words of the command that was given.
pub(crate) fn commanded() -> String {
    meant().1
}

/// What was said is not a command; or it asks for help, which is one.
pub(crate) fn misused(error: &clap::Error) -> (Terminal, Exit) {
    let words = Terminal::for_words();
    if !error.use_stderr() {
        let exit = match error.print() {
            Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                words.complain(&format!("error: could not write: {why}"));
                Exit::Failed
            }
            _ => Exit::Done,
        };
        return (words, exit);
    }
    let asks_menu = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let text = error.to_string();
    let said = text.split("\n\nFor more information").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    // What a variable of the environment says need not be said again.
    let said = if names_folder() { said.to_owned() } else { said.replace(" --data <DIR>", "") };
    let (command, name) = meant();
    let better = better(error, &command);
    let advice = better.as_ref().map_or_else(
        || format!("{name} --help"),
        |better| match better {
            Better::Command(word) => format!("{name} {word} --help"),
            Better::Input(input) => {
                format!("--input {input}; the flag is given once for each input")
            }
        },
    );
    if system::arguments().any(|argument| argument == "--json") {
        let first = said.split("\n\n").next().unwrap_or_default().trim();
        let failure = Failure::advise(Exit::BadInput, first, advice);
        Terminal::for_json().fail(&explain(&failure, &name));
    } else if asks_menu {
        // A variable of the environment that is set does not make it another question.
        words.complain(&meant().0.render_help().to_string());
    } else {
        // What clap says in several lines is its own text, and is not set in as ours.
        words.complain(&format!("error: {}\n\n  try: {advice}", said.trim_end()));
    }
    (words, Exit::BadInput)
}

/// What was probably meant.
enum Better {
    /// Another command of the group.
    Command(String),
    /// An input of the workflow, without its flag.
    Input(String),
}

fn better(error: &clap::Error, command: &Command) -> Option<Better> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        Some(ContextValue::Strings(words)) => words.first().cloned(),
        _ => None,
    };
    if let Some(given) = word(ContextKind::InvalidSubcommand) {
        let names = command.get_subcommands().map(Command::get_name);
        let near = nearest(&given, names).map(str::to_owned);
        // Clap compares without swaps of neighbours: `rnu` is `run` first, and then `runs`.
        let like = || word(ContextKind::SuggestedSubcommand);
        return near.or_else(like).map(Better::Command);
    }
    let given = word(ContextKind::InvalidArg)?;
    let takes = command.get_arguments().any(|argument| argument.get_long() == Some("input"));
    let is_input = takes && given.contains('=') && !given.starts_with('-');
    (error.kind() == ErrorKind::UnknownArgument && is_input).then_some(Better::Input(given))
}
