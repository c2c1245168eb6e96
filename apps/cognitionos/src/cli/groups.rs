//! Arguments that several commands take, each declared once.

use std::path::PathBuf;

use clap::Args;

/// Who does something, where most who work alone are nobody in particular.
#[derive(Debug, Clone, Args)]
pub(crate) struct By {
    /// Who does it.
    #[arg(
        long = "as",
        value_name = "ACTOR",
        env = "COGNITIONOS_ACTOR",
        default_value = "user:operator"
    )]
    pub(crate) actor: String,
}

/// Who answers a request.
#[derive(Debug, Clone, Args)]
pub(crate) struct Answerer {
    /// Who answers.
    #[arg(long = "as", value_name = "ACTOR", env = "COGNITIONOS_APPROVER")]
    pub(crate) actor: String,
}

/// Who takes part in a change of canon. Nothing says it but the command line: these acts bind
/// everybody.
#[derive(Debug, Clone, Args)]
pub(crate) struct Changer {
    /// Who does it.
    #[arg(long = "as", value_name = "ACTOR")]
    pub(crate) actor: String,
}

/// Why something is done.
#[derive(Debug, Clone, Args)]
pub(crate) struct Because {
    /// Why; it is kept in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

/// What a run begins with, beside its workflow file.
#[derive(Debug, Clone, Args)]
pub(crate) struct Beginning {
    /// An input of the workflow. Given once for each.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// The canon folder, which founds a domain that has no canon yet; by default `canon` beside
    /// the workflow file.
    #[arg(long, value_name = "DIR")]
    pub(crate) canon: Option<PathBuf>,
    /// The environment, if not the one the workflow names.
    #[arg(long, value_name = "NAME", value_parser = environment)]
    pub(crate) environment: Option<String>,
    /// Which of the runs that wait goes first: from 0, the last, to 9; by default what the workflow
    /// file says, or 5.
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    /// Begin it at this time, and not before: 2026-11-21T08:00:00Z, or 90s, 15m, 4h, 2d from now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) not_before: Option<String>,
    /// What the run is found by, beside what the workflow says. Given once for each.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    #[command(flatten)]
    pub(crate) by: By,
}

impl Beginning {
    /// What a run begins with that nobody said anything of, but for who begins it.
    pub(crate) fn of(by: By) -> Self {
        let (input, label, canon, environment) = (Vec::new(), Vec::new(), None, None);
        Self { input, canon, environment, priority: None, not_before: None, label, by }
    }
}

/// The longest name of an environment, in bytes; as in workflow files.
const ENVIRONMENT_BYTES_MAX: usize = 64;

/// The name of an environment, as a workflow file may say it.
pub(super) fn environment(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    if starts && text.chars().all(letter) && text.len() <= ENVIRONMENT_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err("an environment is named by a-z first, then a-z, 0-9, _ and -, 64 at most".to_owned())
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why; it is kept in the ledger".to_owned());
    }
    Ok(text.to_owned())
}
