//! Where words go: standard output for answers, standard error for messages, colour only
//! on a terminal.

#![expect(clippy::disallowed_methods, reason = "the one place that speaks to the terminal")]

use std::cell::OnceCell;
use std::io::{BufRead as _, ErrorKind, Read as _, Write as _};

use cog_base::Value;
use cog_base::words::shown;

use crate::cli::Common;
use crate::failure::Told;
use crate::onward::Onward;
use crate::system::{is_error_terminal, is_interactive, is_plain, is_terminal, width};

/// How to speak to whoever started the program.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// JSON instead of words.
    pub(crate) json: bool,
    /// Only what was asked for.
    pub(crate) quiet: bool,
    /// What commands that are told are given, so that they are about the same ledger.
    onward: Option<Onward>,
    /// Columns are for programs: a tab between them, and nothing that lines them up.
    pub(crate) plain: bool,
    /// A person may be asked.
    pub(crate) interactive: bool,
    /// The status line may be redrawn in place.
    pub(crate) live: bool,
    colour: bool,
    /// Messages may have colour; they may go elsewhere than the answer.
    error_colour: bool,
    /// Why something that was said did not go out.
    unsaid: OnceCell<String>,
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
        let wanted = !common.no_color && !common.plain && !is_plain();
        Self {
            json: common.json,
            quiet: common.quiet,
            plain: common.plain,
            onward: Onward::of(common),
            interactive: is_interactive() && !common.no_input && !common.json,
            live: terminal && wanted && !common.json && !common.quiet,
            colour: terminal && wanted,
            error_colour: is_error_terminal() && wanted,
            unsaid: OnceCell::new(),
        }
    }

    /// For a program whose arguments could not be read, but for the wish for JSON.
    pub(crate) fn for_json() -> Self {
        Self { json: true, ..Self::for_words() }
    }

    /// For one that says nothing but what is wrong with them.
    pub(crate) const fn for_words() -> Self {
        Self {
            json: false,
            quiet: true,
            plain: false,
            onward: None,
            interactive: false,
            live: false,
            colour: false,
            error_colour: false,
            unsaid: OnceCell::new(),
        }
    }

    /// The same where nobody sits who could be asked.
    pub(crate) fn alone(&self) -> Self {
        Self { interactive: false, live: false, ..self.clone() }
    }

    /// A word in its colour, if the stream that it goes to has colours.
    #[expect(clippy::unused_self, reason = "whoever tints text has somebody to say it to")]
    pub(crate) fn tint(&self, tone: Tone, text: &str) -> String {
        let mark = match tone {
            Tone::Good => GOOD,
            Tone::Bad => BAD,
            Tone::Ask => ASK,
            Tone::Faint => FAINT,
            Tone::Strong => STRONG,
        };
        format!("{mark}{text}{END}")
    }

    /// Columns as they were asked for: lined up as in `aligned`, or for programs.
    pub(crate) fn columns(&self, cells: &[&str], aligned: impl FnOnce() -> String) -> String {
        if self.plain { cells.join("\t") } else { aligned() }
    }

    /// A line of the answer. When nobody reads any more (`| head`), the rest is not said; that
    /// it could not be written is told at the end ([`Self::unsaid`]).
    pub(crate) fn say(&self, line: &str) {
        let is_command = line.trim_start().starts_with("cognitionos ");
        let line = if is_command { self.located(line) } else { line.to_owned() };
        self.written(writeln!(std::io::stdout(), "{}", printable(&line, self.colour)));
    }

    /// Words of ours with the commands in them about the ledger that was named: whoever gives them
    /// means the same one.
    pub(crate) fn located(&self, text: &str) -> String {
        self.onward.as_ref().map_or_else(|| text.to_owned(), |onward| onward.told(text))
    }

    /// A JSON document on its own line.
    pub(crate) fn emit(&self, value: &Value) {
        self.written(writeln!(std::io::stdout(), "{}", escaped(&value.to_string())));
    }

    /// Whether what was said so far went out: a closed pipe is somebody who has read enough,
    /// anything else is a failure of its own.
    pub(crate) fn unsaid(&self) -> Option<String> {
        self.written(std::io::stdout().flush());
        self.unsaid.get().cloned()
    }

    fn written(&self, written: std::io::Result<()>) {
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            // The first failure is the one that is told.
            let _ = self.unsaid.set(error.to_string());
        }
    }

    /// A line beside the answer, unless less was asked for.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.complain(&self.located(line));
        }
    }

    /// What somebody has to know although little is to be said: it is told with `--quiet`, too.
    pub(crate) fn warn(&self, line: &str) {
        self.complain(&self.tint(Tone::Ask, &self.located(line)));
    }

    /// An error.
    pub(crate) fn complain(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", printable(text, self.error_colour));
    }

    /// The error that ends the program: a problem document with `--json`, words otherwise.
    pub(crate) fn fail(&self, told: &Told) {
        if !self.json {
            self.complain(&told.to_string());
            return;
        }
        self.emit(&told.document());
    }

    /// Text as it is, for files that go to standard output.
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Replace the status line; an empty one clears it.
    pub(crate) fn status(&self, line: &str) {
        if self.live {
            let mut out = std::io::stdout();
            let line = match width() {
                // The last column stays free: some terminals begin a new line there.
                Some(columns) => cut(line, usize::from(columns).saturating_sub(1)),
                None => line.to_owned(),
            };
            let line = printable(&line, self.colour);
            let _ = write!(out, "\r\u{1b}[2K{line}").and_then(|()| out.flush());
        }
    }

    /// Ask a question; nothing when there is nobody to answer any more.
    pub(crate) fn question(&self, question: &str) -> Option<String> {
        let mut out = std::io::stdout();
        let _ = write!(out, "{}", printable(question, self.colour)).and_then(|()| out.flush());
        let mut answer = Vec::new();
        let read = std::io::stdin().lock().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer);
        let answer = String::from_utf8_lossy(&answer).trim().to_owned();
        read.is_ok_and(|count| count > 0).then_some(answer)
    }
}

/// The most that is read of one answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 4_096;

// Where colours begin and end, until it is known whether they are wanted. These are no
// characters, so that none of them can be meant by text of others; in such text they are shown.
const GOOD: char = '\u{fdd0}';
const BAD: char = '\u{fdd1}';
const ASK: char = '\u{fdd2}';
const FAINT: char = '\u{fdd3}';
const STRONG: char = '\u{fdd4}';
const END: char = '\u{fdd5}';

/// What a mark sends to a terminal.
const fn sequence(mark: char) -> Option<&'static str> {
    match mark {
        GOOD => Some("\u{1b}[32m"),
        BAD => Some("\u{1b}[31m"),
        ASK => Some("\u{1b}[33m"),
        FAINT => Some("\u{1b}[2m"),
        STRONG => Some("\u{1b}[1m"),
        END => Some("\u{1b}[0m"),
        _ => None,
    }
}

/// The text as it is sent: our own colours, line ends and tabs; whatever else could steer a
/// terminal is shown.
fn printable(text: &str, colour: bool) -> String {
    let mut sent = String::with_capacity(text.len());
    let ours = |c: char| matches!(c, '\n' | '\t') || sequence(c).is_some();
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| ours(*c)) {
        let (before, after) = rest.split_at(at);
        sent.push_str(&shown(before));
        match sequence(c) {
            Some(sequence) => sent.push_str(if colour { sequence } else { "" }),
            None => sent.push(c),
        }
        rest = after.get(c.len_utf8()..).unwrap_or_default();
    }
    sent.push_str(&shown(rest));
    sent
}

/// As much of a line as has room in so many columns.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| {
        let is_mark = sequence(*c).is_some();
        let fits = is_mark || left > 0;
        left = left.saturating_sub(usize::from(!is_mark));
        fits
    };
    line.chars().filter(fits).collect()
}

/// JSON whose texts cannot steer a terminal either; it is the same value.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut buffer = [0; 4];
    for c in json.chars() {
        let piece = c.encode_utf8(&mut buffer);
        // Only texts hold such characters, and there JSON can spell them.
        if c.is_ascii() || shown(piece) == *piece && sequence(c).is_none() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

/// Text from files, models and people, made safe to show on one line.
pub(crate) fn plain(text: &str) -> String {
    let marks = |c: char| if sequence(c).is_some() { '\u{fffd}' } else { c };
    shown(&text.chars().map(marks).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_to_those_who_have_them() {
        let terminal = Terminal::for_words();
        let tinted = terminal.tint(Tone::Ask, "c");
        let message = format!("a {tinted} b {}", terminal.tint(Tone::Bad, "d\n\te"));
        assert_eq!(printable(&message, false), "a c b d\n\te");
        assert_eq!(printable(&message, true), "a \u{1b}[33mc\u{1b}[0m b \u{1b}[31md\n\te\u{1b}[0m");
    }

    #[test]
    fn a_line_is_cut_to_the_columns_there_are() {
        let line = Terminal::for_words().tint(Tone::Faint, "  38 · open");
        for (columns, expected) in
            [(0, ""), (6, "  38 ·"), (11, "  38 · open"), (99, "  38 · open")]
        {
            assert_eq!(printable(&cut(&line, columns), false), expected, "{columns}");
            assert!(cut(&line, columns).ends_with(END), "{columns}");
        }
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        for hostile in ["\u{1b}[2J", "\u{9b}1A", "\r", "\u{202e}", "\u{200b}", "\u{7f}", "\u{fdd0}"]
        {
            let sent = printable(&plain(hostile), true);
            assert!(!sent.contains(hostile), "{sent:?}");
            if sequence(hostile.chars().next().unwrap_or_default()).is_none() {
                // Also where somebody forgot to make it plain.
                assert!(!printable(hostile, true).contains(hostile));
            }
        }
        assert_eq!(plain("ACME\n  permit"), "ACME\\n  permit");
    }

    #[test]
    fn json_is_the_same_value_without_what_steers() {
        let value = Value::from("a\u{9b}\u{202e}\u{e0041}ü");
        let json = escaped(&value.to_string());
        assert_eq!(json, r#""a\u009b\u202e\udb40\udc41ü""#);
        assert_eq!(cog_base::json::parse(&json).ok(), Some(value));
        assert_eq!(escaped("\"\u{fdd0}\""), r#""\ufdd0""#);
    }
}
