//! How a command ends when it does not end well: an exit code, a sentence, and what to do.

use std::fmt;

/// Exit codes, as in the command-line contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Bad usage or input.
    BadInput = 2,
    /// Refused by policy.
    Refused = 4,
    /// A limit or a quota is reached.
    Limit = 5,
    /// It took too long.
    Timeout = 6,
    /// Something else stands in the way.
    Conflict = 7,
    /// Waiting for approval or a signal, or paused.
    Waiting = 8,
    /// Interrupted.
    Interrupted = 130,
    /// Told to end.
    Terminated = 143,
}

/// An error that a person can act on.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// A stable word for it, where there is one.
    pub(crate) code: Option<&'static str>,
    /// What went wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl Failure {
    pub(crate) fn told(exit: Exit, message: impl fmt::Display) -> anyhow::Error {
        Self { exit, code: None, message: message.to_string(), advice: None }.into()
    }

    pub(crate) fn advise(
        exit: Exit,
        message: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> anyhow::Error {
        let advice = Some(advice.to_string());
        Self { exit, code: None, message: message.to_string(), advice }.into()
    }

    /// The same for what has a code.
    pub(crate) fn coded(
        exit: Exit,
        code: &'static str,
        message: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> anyhow::Error {
        let advice = Some(advice.to_string());
        Self { exit, code: Some(code), message: message.to_string(), advice }.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error, and its text with causes and advice.
pub(crate) fn explain(error: &anyhow::Error) -> (Exit, String) {
    let failure = error.downcast_ref::<Failure>();
    let mut text = format!("error: {}", indented(error));
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {}", indented(&cause)));
    }
    if let Some(advice) = failure.and_then(|failure| failure.advice.as_ref()) {
        text.push_str(&format!("\n  try: {}", indented(advice)));
    }
    (failure.map_or(Exit::Failed, |failure| failure.exit), text)
}

/// Text of which no line can be taken for one of ours: each further line is set in.
fn indented(text: &dyn fmt::Display) -> String {
    text.to_string().replace('\n', "\n    ").replace("\n    \n", "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_error_looks_like_one_of_ours() {
        let error =
            Failure::advise(Exit::BadInput, "cannot read a\nerror: all is lost", "b\n  try: c");
        let text = explain(&error).1;
        assert_eq!(text, "error: cannot read a\n    error: all is lost\n  try: b\n      try: c");
    }
}
