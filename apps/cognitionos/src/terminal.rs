//! Where words go: standard output for answers, standard error for messages, colour only
//! on a terminal.

#![expect(clippy::disallowed_methods, reason = "the one place that speaks to the terminal")]

use std::io::Write as _;

use cog_base::Value;

use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::system::{is_error_terminal, is_interactive, is_plain, is_terminal};

/// How to speak to whoever started the program.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// JSON instead of words.
    pub(crate) json: bool,
    /// Only what was asked for.
    pub(crate) quiet: bool,
    /// A person may be asked.
    pub(crate) interactive: bool,
    /// The status line may be redrawn in place.
    pub(crate) live: bool,
    colour: bool,
    /// Messages may have colour; they may go elsewhere than the answer.
    error_colour: bool,
}

/// What a word means, and so its colour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tone {
    /// Went well.
    Good,
    /// Went wrong, or was refused.
    Bad,
    /// Needs somebody.
    Ask,
    /// Of little weight.
    Faint,
    /// A heading.
    Strong,
}

impl Terminal {
    pub(crate) fn new(common: &Common) -> Self {
        let terminal = is_terminal();
        let wanted = !common.no_color && !is_plain();
        Self {
            json: common.json,
            quiet: common.quiet,
            interactive: is_interactive() && !common.no_input && !common.json,
            live: terminal && !is_plain() && !common.json && !common.quiet,
            colour: terminal && wanted,
            error_colour: is_error_terminal() && wanted,
        }
    }

    /// For a program whose arguments could not be read, but for the wish for JSON.
    pub(crate) const fn for_json() -> Self {
        Self { json: true, ..Self::for_words() }
    }

    /// For one that says nothing but what is wrong with them.
    pub(crate) const fn for_words() -> Self {
        Self {
            json: false,
            quiet: true,
            interactive: false,
            live: false,
            colour: false,
            error_colour: false,
        }
    }

    /// A word in its colour.
    pub(crate) fn tint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Ask => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A line of the answer. When nobody reads any more (`| head`), the rest is not said.
    pub(crate) fn say(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{}", printable(line));
    }

    /// A JSON document on its own line.
    pub(crate) fn emit(&self, value: &Value) {
        let _ = writeln!(std::io::stdout(), "{value}");
    }

    /// A line beside the answer, unless less was asked for.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.complain(line);
        }
    }

    /// An error.
    pub(crate) fn complain(&self, text: &str) {
        let text = printable(text);
        let text = if self.error_colour { text } else { without_colour(&text) };
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The error that ends the program: a problem document with `--json`, words otherwise.
    pub(crate) fn fail(&self, error: &anyhow::Error, exit: Exit, text: &str) {
        if !self.json {
            self.complain(text);
            return;
        }
        let causes = error.chain().skip(1).map(|cause| Value::from(cause.to_string()));
        let advice = error.downcast_ref::<Failure>().and_then(|failure| failure.advice.clone());
        self.emit(&Value::map([
            ("error", Value::from(error.to_string())),
            ("causes", Value::list(causes)),
            ("try", advice.into()),
            ("exit", u64::from(exit as u8).into()),
        ]));
    }

    /// Text as it is, for files that go to standard output.
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Replace the status line; an empty one clears it.
    pub(crate) fn status(&self, line: &str) {
        if self.live {
            let mut out = std::io::stdout();
            let _ = write!(out, "\r\u{1b}[2K{}", printable(line)).and_then(|()| out.flush());
        }
    }

    /// Ask a question; the answer is empty when there is nobody.
    pub(crate) fn question(&self, question: &str) -> String {
        let mut out = std::io::stdout();
        let _ = write!(out, "{}", printable(question)).and_then(|()| out.flush());
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        answer
    }

    /// Ask a yes-or-no question; no answer is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let answer = self.question(&format!("{question} [y/N] "));
        matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

/// Text from outside cannot steer the terminal: control characters but our own colours and
/// line ends are shown, not sent.
fn printable(text: &str) -> String {
    let ours = |c: char| matches!(c, '\n' | '\t' | '\u{1b}' | '\r');
    text.chars().map(|c| if c.is_control() && !ours(c) { '\u{fffd}' } else { c }).collect()
}

/// The text without the colours that [`Terminal::tint`] gives.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// Text from files, models and people, made safe to show: no escape sequences at all.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_goes_to_a_file_has_no_colour() {
        let colourful = Terminal { colour: true, ..Terminal::for_words() };
        let message =
            format!("a {} b {}", colourful.tint(Tone::Ask, "c"), colourful.tint(Tone::Bad, "d"));
        assert_ne!(message, "a c b d");
        assert_eq!(without_colour(&message), "a c b d");
        assert_eq!(without_colour("plain m"), "plain m");
    }
}
