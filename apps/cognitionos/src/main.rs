//! The one binary: reads the command line, wires the parts, and ends with an honest code.

mod canon_dir;
mod cli;
mod clock;
mod commands;
mod control;
mod failure;
mod folders;
mod given;
mod hands;
mod home;
mod kit;
mod models;
mod recheck;
mod shared;
mod system;
mod terminal;
mod view;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure, explain};
use crate::terminal::Terminal;

/// What the engine allocates, the committer frees: an allocator that is good at that saves CPU
/// in every step (docs/adr/0011).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The way into the sandbox comes before everything else: it must be taken by a process
    // that has done nothing yet.
    if system::arguments().nth(1).as_deref() == Some(cog_effect_process::ARGUMENT) {
        return cog_effect_process::enter();
    }
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let terminal = Terminal::new(&cli.common);
    let exit = dispatch(&cli, &terminal).unwrap_or_else(|error| {
        let told = explain(&error, &commanded());
        terminal.fail(&told);
        told.exit
    });
    ended(&terminal, exit)
}

/// The end of the program: what could not be said is a failure, whatever came of the rest.
fn ended(terminal: &Terminal, exit: Exit) -> ExitCode {
    match terminal.unsaid() {
        Some(why) => {
            terminal.complain(&format!("error: could not write to standard output: {why}"));
            ExitCode::from(if exit == Exit::Done { Exit::Failed as u8 } else { exit as u8 })
        }
        None => ExitCode::from(exit as u8),
    }
}

/// What was said, in words that keep to `--no-color` too when they are wrong or ask for help.
fn parsed() -> Result<Cli, clap::Error> {
    let plain = system::arguments().any(|argument| argument == "--no-color");
    let colour = if plain { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = Cli::command().color(colour).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

/// The command that was given, and its words: `cognitionos ledger list`.
fn meant() -> (clap::Command, String) {
    let mut command = Cli::command();
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
fn commanded() -> String {
    meant().1
}

/// What was said is not a command; or it asks for help, which is one.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                Terminal::for_words().complain(&format!("error: could not write: {why}"));
                ExitCode::from(Exit::Failed as u8)
            }
            _ => ended(&Terminal::for_words(), Exit::Done),
        };
    }
    let words = Terminal::for_words();
    let asks_menu = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let text = error.to_string();
    let said = text.split("\n\nFor more information").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    // What a variable of the environment says need not be said again.
    let data = system::arguments().any(|it| it == "--data" || it.starts_with("--data="));
    let said = if data { said.to_owned() } else { said.replace(" --data <DIR>", "") };
    if system::arguments().any(|argument| argument == "--json") {
        let first = said.split("\n\n").next().unwrap_or_default().trim();
        Terminal::for_json().fail(&explain(&Failure::told(Exit::BadInput, first), &commanded()));
    } else if asks_menu {
        // A variable of the environment that is set does not make it another question.
        words.complain(&meant().0.render_help().to_string());
    } else {
        // What clap says in several lines is its own text, and is not set in as ours.
        words.complain(&format!("error: {}\n\n  try: {} --help", said.trim_end(), commanded()));
    }
    ended(&words, Exit::BadInput)
}

fn dispatch(cli: &Cli, terminal: &Terminal) -> anyhow::Result<Exit> {
    let common = &cli.common;
    match &cli.command {
        Command::Run(args) => commands::run::run(args, common, terminal),
        Command::Replay(args) => commands::replay::replay(args, common, terminal),
        Command::Why(args) => commands::why::why(args, common, terminal),
        Command::Approvals(command) => commands::approvals::approvals(command, common, terminal),
        Command::Signal(args) => commands::signal::signal(args, common, terminal),
        Command::Pause(args) => commands::pause::hold(args, true, common, terminal),
        Command::Unpause(args) => commands::pause::hold(args, false, common, terminal),
        Command::Checkpoint(command) => commands::checkpoint::checkpoint(command, common, terminal),
        Command::Ledger(command) => commands::ledger::ledger(command, common, terminal),
        Command::Verify(args) => commands::verify::verify(args, terminal),
        Command::Canon(command) => commands::canon::canon(command, common, terminal),
        Command::Submit(args) => commands::submit::submit(args, common, terminal),
        Command::Serve(args) => commands::serve::serve(args, terminal),
        Command::Database(command) => commands::database::database(command, terminal),
        Command::Doctor { deep } => commands::doctor::doctor(*deep, common, terminal),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "cognitionos", &mut script);
            terminal.raw(&script)?;
            Ok(Exit::Done)
        }
    }
}
