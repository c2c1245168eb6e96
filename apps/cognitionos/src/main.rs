//! The one binary: reads the command line, wires the parts, and ends with an honest code.

mod canon_dir;
mod cli;
mod clock;
mod commands;
mod config;
mod control;
mod failure;
mod folders;
mod given;
mod hands;
mod home;
mod kit;
mod manual;
mod misuse;
mod models;
mod onward;
mod outgoing;
mod recheck;
mod remote;
mod shared;
mod streaming;
mod system;
mod terminal;
mod view;

use std::io::Write as _;
use std::process::ExitCode;

use cog_base::Value;
use cog_engine::driver::contained;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::failure::{Exit, Failure, explain};
use crate::misuse::{commanded, misused, parsed};
use crate::terminal::Terminal;

/// What the engine allocates, the committer frees: an allocator that is good at that saves CPU
/// in every step (docs/adr/0011).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::disallowed_methods, reason = "without a thread there is no terminal to tell by")]
fn main() -> ExitCode {
    // The way into the sandbox comes before everything else: it must be taken by a process
    // that has done nothing yet.
    if system::arguments().nth(1).as_deref() == Some(cog_effect_process::ARGUMENT) {
        return cog_effect_process::enter();
    }
    let worker = std::thread::Builder::new().stack_size(cog_base::STACK_BYTES).spawn(work);
    let worked = worker.map(std::thread::JoinHandle::join);
    worked.ok().and_then(Result::ok).unwrap_or_else(|| {
        let said =
            "error: no thread could be begun, or it panicked\n  try: free memory, then again\n";
        drop(std::io::stderr().write_all(said.as_bytes()));
        ExitCode::FAILURE
    })
}

/// What the program does, on a stack that is the same everywhere.
fn work() -> ExitCode {
    // Help is to be had although a file of settings is broken.
    let config = config::load();
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => {
            let (terminal, exit) = misused(&error);
            return ended(&terminal, exit);
        }
    };
    let terminal = Terminal::new(&cli.common);
    let done =
        contained(|| config.and_then(|()| dispatch(&cli, &terminal))).unwrap_or_else(|said| {
            let then =
                "cognitionos doctor, and tell whoever looks after this program what was said";
            Err(Failure::internal(terminal::plain(&said), then))
        });
    let exit = done.unwrap_or_else(|error| {
        let mut told = explain(&error, &commanded());
        told.advice = terminal.located(&told.advice);
        terminal.fail(&told);
        told.exit
    });
    ended(&terminal, exit)
}

/// The end of the program: what could not be said is a failure, whatever came of the rest.
fn ended(terminal: &Terminal, exit: Exit) -> ExitCode {
    match terminal.unsaid() {
        Some(why) => {
            terminal.complain(&format!(
                "error: could not write to standard output: {why}\n  try: give it another place; what was \
                 done is on record: cognitionos ledger list"
            ));
            let was_done = matches!(exit, Exit::Done | Exit::Waiting);
            ExitCode::from(if was_done { Exit::Failed as u8 } else { exit as u8 })
        }
        None => ExitCode::from(exit as u8),
    }
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
        Command::Domains(args) => commands::domains::domains(args, common, terminal),
        Command::Runs(args) => commands::runs::runs(args, common, terminal),
        Command::Logs(args) => commands::logs::logs(args, common, terminal),
        Command::Redrive(args) => commands::runs::redrive(args, common, terminal),
        Command::Schedules(command) => commands::schedules::schedules(command, common, terminal),
        Command::Workflows(command) => commands::workflows::workflows(command, common, terminal),
        Command::Events(command) => commands::events::events(command, common, terminal),
        Command::Sessions(command) => commands::sessions::sessions(command, common, terminal),
        Command::Ledger(command) => commands::ledger::ledger(command, common, terminal),
        Command::Verify(args) => commands::verify::verify(args, terminal),
        Command::Canon(command) => commands::canon::canon(command, common, terminal),
        Command::Submit(args) => commands::submit::submit(args, common, terminal),
        Command::Serve(args) => commands::serve::serve(args, common, terminal),
        Command::Database(command) => commands::database::database(command, terminal),
        Command::Doctor { deep } => commands::doctor::doctor(*deep, common, terminal),
        Command::Config(ConfigCommand::Explain) => Ok(config::explain(&common.data, terminal)),
        Command::Man { command } => {
            let (name, page) = manual::page(command)?;
            printed(&[("command", &name)], "page", &page, terminal)?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut cli::command(), "cognitionos", &mut script);
            printed(&[("shell", &shell.to_string())], "script", &script, terminal)?;
            Ok(Exit::Done)
        }
    }
}

/// A file for somebody else to read: as it is, or with `--json` as the member `name`.
fn printed(
    about: &[(&str, &str)],
    name: &str,
    file: &[u8],
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if !terminal.json {
        return Ok(terminal.raw(file)?);
    }
    let text = String::from_utf8_lossy(file).into_owned();
    let about = about.iter().map(|(name, value)| (*name, Value::from(*value)));
    terminal.emit(&Value::map(about.chain([(name, text.into())])));
    Ok(())
}
