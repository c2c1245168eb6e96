//! Recorded answers: one JSON object a line, found by the question's key.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::json::{JsonError, parse};
use cog_base::{Digest, Value};

use crate::answer::Answer;

/// The most recordings of one cassette.
pub const RECORDINGS_MAX: usize = 100_000;
/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// Answers by the key of their question ([`crate::request_key`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cassette {
    answers: BTreeMap<Digest, Answer>,
    /// Of the whole file, as `sha256sum` shows it.
    digest: Option<Digest>,
    /// The file that there should have been.
    absent: Option<String>,
}

/// Why a text is not a cassette. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CassetteError {
    /// A line is not JSON.
    #[error("line {line} of the cassette is not JSON")]
    NotJson {
        /// The line.
        line: usize,
        /// What is wrong.
        #[source]
        source: JsonError,
    },
    /// A line is no recording.
    #[error(
        "line {line} of the cassette must be {{request, output: {{text, model, input_tokens, \
         output_tokens, finish_reason}}, note?}}: {what}"
    )]
    NotARecording {
        /// The line.
        line: usize,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// A question is recorded twice, so that its answer would depend on the order.
    #[error("line {line} of the cassette records {request} again; keep one")]
    Twice {
        /// The second line.
        line: usize,
        /// The question's key.
        request: Digest,
    },
    /// The file is too large to be a cassette.
    #[error(
        "line {line} of the cassette is beyond {RECORDINGS_MAX} lines or {LINE_BYTES_MAX} bytes"
    )]
    TooLarge {
        /// The line.
        line: usize,
    },
}

impl Cassette {
    /// Read a cassette. Empty lines, and lines that begin with `#`, are skipped.
    ///
    /// # Errors
    /// [`CassetteError`] names the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, CassetteError> {
        let mut answers = BTreeMap::new();
        for (position, content) in text.lines().enumerate() {
            let line = position + 1;
            if content.trim().is_empty() || content.starts_with('#') {
                continue;
            }
            if content.len() > LINE_BYTES_MAX || answers.len() == RECORDINGS_MAX {
                return Err(CassetteError::TooLarge { line });
            }
            let value = parse(content).map_err(|source| CassetteError::NotJson { line, source })?;
            let (request, answer) =
                recording(&value).map_err(|what| CassetteError::NotARecording { line, what })?;
            if answers.insert(request, answer).is_some() {
                return Err(CassetteError::Twice { line, request });
            }
        }
        Ok(Self { answers, digest: Some(Digest::of(&[text.as_bytes()])), absent: None })
    }

    /// A cassette whose file, `name`, is not there: it has no answers.
    #[must_use]
    pub fn absent(name: &str) -> Self {
        Self { absent: Some(name.to_owned()), ..Self::default() }
    }

    /// Why there is no answer to the question `request` about `model`, and what to do.
    pub(crate) fn no_answer(&self, model: &str, request: &Digest) -> String {
        match &self.absent {
            Some(name) => format!(
                "the cassette {name} of model `{model}` is not there: ask a live model with \
                 `--model`, and record its answers with `--record`"
            ),
            None => format!(
                "the cassette of model `{model}` has no answer to this question ({request}): ask \
                 a live model with `--model`, or record an answer under this key"
            ),
        }
    }

    /// What is recorded of who answered: which file, and which line of it.
    pub(crate) fn served(&self, request: &Digest) -> Value {
        let recording = self.digest.map(|digest| ("recording", Value::from(digest)));
        let parts = [("provider", Value::from("cassette")), ("request", (*request).into())];
        Value::map(parts.into_iter().chain(recording))
    }

    /// The recorded answer to a question.
    #[must_use]
    pub fn answer(&self, request: &Digest) -> Option<&Answer> {
        self.answers.get(request)
    }

    /// The questions that are recorded.
    #[must_use]
    pub fn requests(&self) -> BTreeSet<Digest> {
        self.answers.keys().copied().collect()
    }

    /// One recording as a line, with its end. `note` is for the people who read the file.
    #[must_use]
    pub fn line(request: Digest, answer: &Answer, note: &str) -> String {
        let value = Value::map([
            ("request", Value::from(request)),
            ("output", answer.to_value()),
            ("note", note.into()),
        ]);
        format!("{value}\n")
    }
}

fn recording(value: &Value) -> Result<(Digest, Answer), &'static str> {
    let members = value.as_map().ok_or("it is not an object")?;
    if members.keys().any(|name| !matches!(name.as_str(), "request" | "output" | "note")) {
        return Err("it has an unknown member");
    }
    let request = value.get("request").and_then(Value::as_text).ok_or("`request` is missing")?;
    let request = request.parse().map_err(|_| "`request` is not a digest")?;
    let output = value.get("output").ok_or("`output` is missing")?;
    let text = |name| output.get(name).and_then(Value::as_text).map(str::to_owned);
    let number = |name| output.get(name).and_then(Value::as_u64);
    let answer = Answer {
        text: text("text").ok_or("`output.text` is not a string")?,
        model: text("model").ok_or("`output.model` is not a string")?,
        input_tokens: number("input_tokens")
            .ok_or("`output.input_tokens` is not a whole number")?,
        output_tokens: number("output_tokens")
            .ok_or("`output.output_tokens` is not a whole number")?,
        finish_reason: text("finish_reason").ok_or("`output.finish_reason` is not a string")?,
    };
    Ok((request, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str =
        r#"{"text":"hi","model":"m","input_tokens":1,"output_tokens":2,"finish_reason":"stop"}"#;

    fn key(text: &str) -> Digest {
        Digest::of(&[text.as_bytes()])
    }

    fn line(request: &str, output: &str) -> String {
        format!(r#"{{"request":"{}","output":{output},"note":"n"}}"#, key(request))
    }

    fn check(text: &str, expected: &str) {
        let error = Cassette::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_recording_is_found_by_its_question() {
        let text = format!("# Invoices\n\n{}\n{}\n", line("a", OUTPUT), line("b", OUTPUT));
        let cassette = Cassette::parse(&text).unwrap();
        assert_eq!(cassette.requests(), [key("a"), key("b")].into());
        assert_eq!(cassette.answer(&key("a")).unwrap().text, "hi");
        assert_eq!(cassette.answer(&key("c")), None);
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let cassette = Cassette::parse(&line("a", OUTPUT)).unwrap();
        let answer = cassette.answer(&key("a")).unwrap();
        let again = Cassette::parse(&Cassette::line(key("a"), answer, "again")).unwrap();
        assert_eq!(again.answer(&key("a")), Some(answer));
        assert_eq!(again.requests(), cassette.requests());
    }

    #[test]
    fn a_wrong_line_is_named() {
        check("{", "line 1 of the cassette is not JSON");
        check(&format!("\n{}\n[]", line("a", OUTPUT)), "line 3");
        check("{}", "`request` is missing");
        check(r#"{"request":"sha256:12"}"#, "`request` is not a digest");
        check(&line("a", "1"), "`output.text` is not a string");
        check(&line("a", &OUTPUT.replace('1', "-1")), "`output.input_tokens`");
        check(&line("a", OUTPUT).replace("note", "nota"), "unknown member");
    }

    #[test]
    fn a_question_with_two_answers_is_refused() {
        let text = format!("{}\n{}", line("a", OUTPUT), line("a", &OUTPUT.replace("hi", "ho")));
        check(&text, "line 2 of the cassette records sha256:");
    }
}
