//! `cognitionos-verify`: says whether a bundle holds. Exit codes: 0 it does, 1 it does not,
//! 2 bad usage or input.

#![expect(clippy::disallowed_methods, reason = "a program has arguments and a terminal")]

use std::io::Write as _;
use std::process::ExitCode;

use cog_base::Value;
use verify::{Request, VerifyError, printable, run};

/// Bad usage or input: nothing is said about the bundle.
const NO_VERDICT: u8 = 2;

const HELP: &str = "\
Check an exported ledger offline, with nothing but the key you trust.

Usage: cognitionos-verify BUNDLE --key KEY [--key KEY ...] [--against FILE] [--json]

  BUNDLE          the exported file (.cogbundle), or what `ledger proof` printed;
                  `-` is standard input
  --key KEY       a verifier key (name+id+base64), or a file with such lines. Get it from
                  the operator by another way than the bundle
  --against FILE  a checkpoint, or another bundle of the same log: the longer of the two
                  must have grown from the shorter one
  --json          report as one JSON document, errors too
  -h, --help      this text
  -V, --version   the version

Exit codes: 0 everything checked holds, 1 something does not, 2 bad usage or input.

Example: cognitionos-verify ledger.cogbundle --key ledger.key --against last-month.cogbundle
";

fn main() -> ExitCode {
    let worker = std::thread::Builder::new().stack_size(cog_base::STACK_BYTES).spawn(work);
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(exit)) => exit,
        // What it panicked with was said.
        Ok(Err(_)) => ExitCode::from(NO_VERDICT),
        Err(error) => fail(&format!("no thread could be begun: {error}")),
    }
}

/// What the program does, on a stack that is the same everywhere.
fn work() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Command::Help(text)) => {
            let mut out = std::io::stdout();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            written.map_or(ExitCode::from(1), |()| ExitCode::SUCCESS)
        }
        Ok(Command::Verify(request)) => match run(&request, None, &mut std::io::stdout().lock()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) if request.json => problem(&error),
            Err(error) => fail(&story(&error)),
        },
        Err(usage) if std::env::args().any(|argument| argument == "--json") => {
            report(&usage, Vec::new(), "cognitionos-verify --help")
        }
        Err(usage) => fail(&format!("{usage}\nTry `cognitionos-verify --help`.")),
    }
}

enum Command {
    Verify(Request),
    Help(String),
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut request = Request::default();
    let mut bundle = None;
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "-h" | "--help" => return Ok(Command::Help(HELP.to_owned())),
            "-V" | "--version" => {
                let version = concat!("cognitionos-verify ", env!("CARGO_PKG_VERSION"), "\n");
                return Ok(Command::Help(version.to_owned()));
            }
            "--key" => request.keys.push(value()?),
            "--against" => request.against = Some(value()?.into()),
            "--json" if inline.is_none() => request.json = true,
            unknown if unknown.starts_with('-') && unknown != "-" => {
                return Err(format!("unknown option `{argument}`"));
            }
            _ if bundle.is_none() => bundle = Some(argument.into()),
            _ => return Err(format!("one bundle at a time; what is `{argument}`?")),
        }
    }
    request.bundle = bundle.ok_or("which bundle?")?;
    if request.keys.is_empty() {
        return Err("--key is needed: a bundle cannot vouch for itself".to_owned());
    }
    Ok(Command::Verify(request))
}

/// An error with its causes, a line each.
fn story(error: &VerifyError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str("\n  because: ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// The error as one JSON document on standard output, as `cognitionos --json` says its own.
fn problem(error: &VerifyError) -> ExitCode {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        causes.push(Value::from(source.to_string()));
        cause = source.source();
    }
    report(&error.to_string(), causes, error.advice())
}

fn report(message: &str, causes: Vec<Value>, advice: &str) -> ExitCode {
    let problem = Value::map([
        ("error", Value::from(message)),
        ("causes", Value::list(causes)),
        ("try", advice.into()),
        ("exit", u64::from(NO_VERDICT).into()),
    ]);
    let _ = writeln!(std::io::stdout(), "{problem}");
    ExitCode::from(NO_VERDICT)
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "cognitionos-verify: {}", printable(message));
    ExitCode::from(NO_VERDICT)
}
