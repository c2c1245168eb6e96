//! How a command ends when it does not end well: an exit code, a sentence, and what to do.

use std::fmt;

use cog_base::Value;

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

impl Exit {
    /// How the program ends when a run ended with this status, and this error if it has one.
    pub(crate) fn of_run(status: &str, error: Option<&Value>) -> Self {
        let code = error.and_then(|error| error.get("code")?.as_text()).unwrap_or_default();
        match (status, code) {
            ("completed" | "continued", _) => Self::Done,
            ("cancelled", _) => Self::Interrupted,
            (_, "limit" | "over_budget" | "budget.exceeded" | "quota.exceeded") => Self::Limit,
            ("refused", _) => Self::Refused,
            (_, code) if code.ends_with("timeout") || code.ends_with("timed_out") => Self::Timeout,
            _ => Self::Failed,
        }
    }
}

/// The code of what is wrong with the program itself.
const INTERNAL: &str = "internal";

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
    /// Where in a file, place by place, for programs.
    pub(crate) places: Vec<Value>,
}

impl Failure {
    pub(crate) fn told(exit: Exit, message: impl fmt::Display) -> anyhow::Error {
        Self { exit, code: None, message: message.to_string(), advice: None, places: Vec::new() }
            .into()
    }

    pub(crate) fn advise(
        exit: Exit,
        message: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> anyhow::Error {
        let advice = Some(advice.to_string());
        Self { exit, code: None, message: message.to_string(), advice, places: Vec::new() }.into()
    }

    /// The same for what is wrong at places of a file.
    pub(crate) fn at(
        exit: Exit,
        message: impl fmt::Display,
        advice: impl fmt::Display,
        places: Vec<Value>,
    ) -> anyhow::Error {
        let advice = Some(advice.to_string());
        Self { exit, code: None, message: message.to_string(), advice, places }.into()
    }

    /// The same for what is wrong with the program itself.
    pub(crate) fn internal(said: impl fmt::Display, then: impl fmt::Display) -> anyhow::Error {
        let message = format!("internal error: {said}");
        Self::coded(Exit::Failed, INTERNAL, message, then)
    }

    /// The same for what has a code.
    pub(crate) fn coded(
        exit: Exit,
        code: &'static str,
        message: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> anyhow::Error {
        let advice = Some(advice.to_string());
        Self { exit, code: Some(code), message: message.to_string(), advice, places: Vec::new() }
            .into()
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

/// An error as it is told: what went wrong, why, and what to do about it. There is always
/// something to do.
#[derive(Debug)]
pub(crate) struct Told {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// A stable word for it, where there is one.
    pub(crate) code: Option<&'static str>,
    /// What went wrong.
    pub(crate) message: String,
    /// Why, each for the one before.
    pub(crate) causes: Vec<String>,
    /// Where in a file, place by place.
    pub(crate) places: Vec<Value>,
    /// What to do about it.
    pub(crate) advice: String,
}

/// An error of `command`, such as `cognitionos ledger list`. What says nothing itself about
/// what to do points to the help of the command, or to the check of machine and data.
pub(crate) fn explain(error: &anyhow::Error, command: &str) -> Told {
    let failure = error.downcast_ref::<Failure>();
    let exit = failure.map_or(Exit::Failed, |failure| failure.exit);
    let elsewhere = || match exit {
        Exit::BadInput => format!("{command} --help"),
        Exit::Done
        | Exit::Failed
        | Exit::Refused
        | Exit::Limit
        | Exit::Timeout
        | Exit::Conflict
        | Exit::Waiting
        | Exit::Interrupted
        | Exit::Terminated => "cognitionos doctor".to_owned(),
    };
    Told {
        exit,
        code: failure.and_then(|failure| failure.code),
        message: error.to_string(),
        causes: error.chain().skip(1).map(ToString::to_string).collect(),
        places: failure.map(|failure| failure.places.clone()).unwrap_or_default(),
        advice: failure.and_then(|failure| failure.advice.clone()).unwrap_or_else(elsewhere),
    }
}

impl Told {
    /// The document that says it.
    pub(crate) fn document(&self) -> Value {
        let members = [
            ("error", Value::from(self.message.as_str())),
            ("code", self.code.into()),
            ("causes", Value::list(self.causes.iter().map(String::as_str))),
            ("try", self.advice.as_str().into()),
            ("exit", u64::from(self.exit as u8).into()),
        ];
        let places = Value::list(self.places.iter().cloned());
        let places = (!self.places.is_empty()).then_some(("places", places));
        Value::map(members.into_iter().chain(places))
    }
}

/// `error:`, a `because:` for each cause, and `try:`.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", indented(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  because: {}", indented(cause))?;
        }
        write!(f, "\n  try: {}", indented(&self.advice))
    }
}

/// Text of which no line can be taken for one of ours: each further line is set in.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ").replace("\n    \n", "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_error_looks_like_one_of_ours() {
        let error =
            Failure::advise(Exit::BadInput, "cannot read a\nerror: all is lost", "b\n  try: c");
        let text = explain(&error, "cognitionos run").to_string();
        assert_eq!(text, "error: cannot read a\n    error: all is lost\n  try: b\n      try: c");
    }

    #[test]
    fn how_a_run_ended_is_told_by_its_status_and_its_error() {
        for (status, code, expected) in [
            ("completed", "", Exit::Done),
            ("cancelled", "over_budget", Exit::Interrupted),
            ("failed", "over_budget", Exit::Limit),
            ("failed", "limit", Exit::Limit),
            ("refused", "quota.exceeded", Exit::Limit),
            ("refused", "canon.forbid", Exit::Refused),
            ("failed", "effect.timeout", Exit::Timeout),
            ("failed", "process.timed_out", Exit::Timeout),
            ("failed", "", Exit::Failed),
        ] {
            let error = Value::map([("code", Value::from(code))]);
            let found = Exit::of_run(status, Some(&error));
            assert_eq!(found as u8, expected as u8, "{status} {code}");
        }
        assert_eq!(Exit::of_run("failed", None) as u8, 1);
    }

    #[test]
    fn every_error_says_what_to_do() {
        for (error, expected) in [
            (Failure::told(Exit::BadInput, "no"), "cognitionos run --help"),
            (Failure::told(Exit::Failed, "no"), "cognitionos doctor"),
            (anyhow::anyhow!("no"), "cognitionos doctor"),
        ] {
            assert_eq!(explain(&error, "cognitionos run").advice, expected);
        }
    }
}
