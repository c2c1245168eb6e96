//! Flags that say nothing beside the others: refused, so that nobody takes them for heard. The
//! reader of the command line asks for what a flag needs only where nothing else stands against
//! it.

use crate::cli::RunArgs;
use crate::failure::{Exit, Failure};

pub(super) fn check(args: &RunArgs) -> anyhow::Result<()> {
    let begins = args.file.is_some();
    let goes_on = args.resume.is_some();
    let ends = args.cancel.is_some();
    let spare = [
        ("--reason", args.reason.is_some() && !ends, "it says why a run is ended: --cancel RUN"),
        ("--from", args.from.is_some() && args.fork.is_none(), "it takes --fork RUN"),
        (
            "--environment",
            args.begin.environment.is_some() && !begins,
            "a run stays in the one it began in",
        ),
        ("--canon", args.begin.canon.is_some() && ends, "the canon in force decides who may"),
        ("--model", args.model.is_some() && ends, "no model is asked"),
    ];
    let Some((flag, _, why)) = spare.into_iter().find(|(_, is_spare, _)| *is_spare) else {
        return Ok(());
    };
    let what = if goes_on {
        "a run that goes on"
    } else if ends {
        "a run that is ended"
    } else if begins {
        "a run that begins"
    } else {
        "a run that goes on from another"
    };
    let message = format!("{flag} says nothing of {what}: {why}");
    Err(Failure::advise(Exit::BadInput, message, format!("the same without {flag}")))
}
