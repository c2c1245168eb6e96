//! Errors in a workflow file, as a person reads them: place, source line, hint.

use std::fmt;

use crate::limits::MAX_DIAGNOSTICS;
use crate::source::Source;

/// A place in a file, both numbers from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

impl Position {
    /// The place of a byte in the text of a file; its end when it has fewer bytes.
    #[must_use]
    pub fn of(text: &str, byte: usize) -> Self {
        Source::new("", text).locate(byte).0
    }
}

/// One error: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The name of the file, as it was given.
    pub file: String,
    /// The place, unless the error is about something outside the file.
    pub at: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The text of the line at `at`, cut to 160 characters.
    pub source_line: Option<String>,
}

/// `file:line:column: message`, the line with a caret, the hint.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{}:{}: {}", self.file, at.line, at.column, self.message)?,
            None => write!(f, "{}: {}", self.file, self.message)?,
        }
        if let (Some(at), Some(line)) = (self.at, &self.source_line) {
            let number = at.line.to_string();
            let margin = " ".repeat(number.len());
            let before: String = line
                .chars()
                .take(at.column.saturating_sub(1) as usize)
                .map(|letter| if letter == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n {number} | {line}\n {margin} | {before}^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n   = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a file or with the inputs, in order of place; at most
/// [`MAX_DIAGNOSTICS`] of them. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    more: usize,
}

impl Diagnostics {
    /// The errors.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many were found beyond those in the list.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, diagnostic) in self.list.iter().enumerate() {
            let gap = if position == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{diagnostic}")?;
        }
        if self.more > 0 {
            write!(f, "\n\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// Collects errors while a file is read.
pub(crate) struct Reports<'s> {
    source: &'s Source<'s>,
    found: Vec<(usize, Diagnostic)>,
    /// Errors after so many that nobody looks for the place of another.
    uncounted: usize,
}

/// Errors that are kept to pick the first of.
const MAX_KEPT: usize = 10 * MAX_DIAGNOSTICS;

impl<'s> Reports<'s> {
    pub(crate) fn new(source: &'s Source<'s>) -> Self {
        Self { source, found: Vec::new(), uncounted: 0 }
    }

    pub(crate) fn source(&self) -> &'s Source<'s> {
        self.source
    }

    /// Reports `message` at the byte `at` of the file, with what would be right.
    pub(crate) fn error(&mut self, at: usize, message: impl Into<String>, hint: &str) {
        self.add(at, message.into(), Some(hint.to_owned()));
    }

    /// The same, with a hint that is made for it.
    pub(crate) fn with_hint(
        &mut self,
        at: usize,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(at, message.into(), hint.into());
    }

    /// Whether another error would only be counted: no need to look for its hint.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_KEPT
    }

    fn add(&mut self, at: usize, message: String, hint: Option<String>) {
        if self.is_full() {
            self.uncounted += 1;
            return;
        }
        let (position, line) = self.source.locate(at);
        let diagnostic = Diagnostic {
            file: self.source.file().to_owned(),
            at: Some(position),
            message,
            hint,
            source_line: Some(line.chars().take(160).collect()),
        };
        self.found.push((at, diagnostic));
    }

    /// The value, if nothing was reported.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            Some(_) | None => Err(self.diagnostics()),
        }
    }

    fn diagnostics(mut self) -> Diagnostics {
        self.found.sort_by_key(|(at, _)| *at);
        let mut list: Vec<Diagnostic> = self.found.into_iter().map(|(_, one)| one).collect();
        list.dedup();
        let mut diagnostics = from_list(list);
        diagnostics.more += self.uncounted;
        diagnostics
    }
}

/// Diagnostics from a list that is not empty.
pub(crate) fn from_list(mut list: Vec<Diagnostic>) -> Diagnostics {
    let more = list.len().saturating_sub(MAX_DIAGNOSTICS);
    list.truncate(MAX_DIAGNOSTICS);
    Diagnostics { list, more }
}
