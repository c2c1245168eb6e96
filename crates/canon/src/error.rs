//! Why a canon does not load: which file, where in it, what is wrong, what to do.

use std::fmt;

use miette::Diagnostic;

/// Why a canon does not load. Shown as `file:line:column: what` and, below it, a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CanonError {
    /// The file, relative to the canon's folder.
    pub file: String,
    /// The line, from 1; nothing when the whole file is meant.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CanonError {
    /// Something wrong with a file as a whole.
    pub(crate) fn in_file(file: &str, what: impl Into<String>) -> Self {
        let file = file.to_owned();
        Self { file, line: None, column: None, what: what.into(), hint: None }
    }

    /// Something wrong at a byte of a file.
    pub(crate) fn at_byte(file: &str, text: &str, byte: usize, what: impl Into<String>) -> Self {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Self::in_file(file, what).at(line, column)
    }

    /// Something that Cedar found, with its place and its own advice.
    pub(crate) fn from_cedar(file: &str, text: &str, found: &dyn Diagnostic) -> Self {
        let label = found.labels().and_then(|mut labels| labels.next());
        let what = with_causes(found);
        let mut error = match &label {
            Some(label) => Self::at_byte(file, text, label.offset(), what),
            None => Self::in_file(file, what),
        };
        let label = label.and_then(|label| label.label().map(str::to_owned));
        error.hint = found.help().map(|help| help.to_string()).or(label);
        error
    }

    /// Where it is, then what: the order of reading.
    pub(crate) fn place(&self) -> (String, Option<usize>, Option<usize>, String) {
        (self.file.clone(), self.line, self.column, self.what.clone())
    }

    /// The same at a line and column, both from 1.
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The same with advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The message of an error with those of its causes that say something new.
pub(crate) fn with_causes(error: &dyn Diagnostic) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

impl fmt::Display for CanonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
