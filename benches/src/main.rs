//! `cargo xtask bench [NAME] [--json]`: how fast the kernel is, and how fast it could be.
//!
//! Each figure stands beside a floor or a peer that is measured in the same run on the same
//! machine: what the disk, the hash or stock Cedar takes for the same work. Compare ratios
//! and CPU per operation across machines, never the absolute figures. Nothing here fails
//! because it is slow.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal that measures clock, files and processes"
)]

mod append;
mod bare;
mod canons;
mod decide;
mod fair;
mod fanout;
mod flight;
mod journal;
mod kernel;
mod meter;
mod options;
mod parked;
mod report;
mod resume;
mod server;
mod start;
mod steps;
mod system;
mod town;
mod usage;
mod verify;
mod waiting;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::options::{HELP, Options, Wanted};
use crate::report::{Row, document, print};

type Bench = fn(&Options) -> anyhow::Result<Vec<Row>>;

/// Every bench by name, in the order in which they are run.
const BENCHES: [(&str, Bench); 9] = [
    ("decide", decide::run),
    ("append", append::run),
    ("steps", steps::run),
    ("fanout", fanout::run),
    ("fair", fair::run),
    ("parked", parked::run),
    ("resume", resume::run),
    ("verify", verify::run),
    ("start", start::run),
];

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((flight::NODE, arguments)) = arguments.split_first().map(|(it, rest)| (&**it, rest))
    {
        return ended(flight::serve(arguments));
    }
    let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    let result = match Options::read(&arguments, &names) {
        Ok(Wanted::Help) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Wanted::Run(options)) => run(&options),
        Err(error) => {
            eprintln!("error: {error:#}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    ended(result)
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let mut done = Vec::new();
    for (name, bench) in BENCHES.iter().filter(|(name, _)| options.wants(name)) {
        let load = usage::load();
        let rows = bench(options).with_context(|| format!("bench `{name}`"))?;
        if !options.json {
            print(name, &load, &rows);
        }
        done.push((*name, load, rows));
    }
    if options.json {
        println!("{}", document(&done));
    }
    Ok(())
}
