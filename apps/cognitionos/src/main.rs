//! The one binary: reads the command line, wires the parts, and ends with an honest code.

mod canon_dir;
mod cli;
mod clock;
mod commands;
mod failure;
mod folders;
mod hands;
mod home;
mod kit;
mod models;
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
        let (exit, text) = explain(&error);
        terminal.fail(&error, exit, &text);
        exit
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

/// The help of a group of commands that was named without one of them.
fn menu() -> String {
    let mut command = Cli::command();
    command.build();
    for word in system::arguments().skip(1) {
        command = command.find_subcommand(&word).cloned().unwrap_or(command);
    }
    command.render_help().to_string()
}

/// What was said is not a command; or it asks for help, which is one.
fn misused(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { Exit::BadInput } else { Exit::Done };
    if code == Exit::BadInput && system::arguments().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.split("\n\n").next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message).trim();
        let failure = Failure::advise(code, message, "--help shows what can be said");
        Terminal::for_json().fail(&failure, code, message);
    } else {
        // A variable of the environment that is set does not make it another question.
        if error.kind() == ErrorKind::MissingSubcommand {
            Terminal::for_words().complain(&menu());
        } else {
            return match error.print() {
                Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                    Terminal::for_words().complain(&format!("error: could not write: {why}"));
                    ExitCode::from(Exit::Failed as u8)
                }
                _ => ended(&Terminal::for_words(), code),
            };
        }
    }
    ended(&Terminal::for_words(), code)
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
