//! `verify`: the independent verifier, called from the one binary.

use crate::cli::VerifyArgs;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

pub(crate) fn verify(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let request = verify::Request {
        bundle: args.bundle.clone(),
        keys: args.key.clone(),
        against: args.against.clone(),
        json: terminal.json,
    };
    let mut report = Vec::new();
    let holds = verify::run(&request, &mut report).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let message = format!("{error}{}", cause.unwrap_or_default());
        Failure::advise(Exit::BadInput, message, error.advice())
    })?;
    terminal.raw(&report)?;
    Ok(if holds { Exit::Done } else { Exit::Failed })
}
