//! `canon diff`: what is otherwise in another canon, line by line.

use cog_base::Value;
use cog_canon::{Canon, Difference};
use similar::TextDiff;

use crate::terminal::{Terminal, Tone, plain};

/// How many lines around a changed one are shown.
const AROUND: usize = 2;

/// Show how two canons differ.
pub(super) fn show(from: &Canon, to: &Canon, terminal: &Terminal) {
    let differences = from.compare(to);
    if terminal.json {
        terminal.emit(&Value::list(differences.iter().map(json)));
        return;
    }
    if differences.is_empty() {
        let same = from.digest() == to.digest();
        let but = "no difference in what binds: the files differ in comments or in their order";
        terminal.note(if same { "no difference" } else { but });
    }
    for difference in &differences {
        terminal.say(&terminal.tint(Tone::Strong, &plain(&difference.to_string())));
        if difference.is_said_whole() {
            continue;
        }
        for line in lines(difference) {
            let line = plain(&line);
            let line = match line.chars().next() {
                Some('-') => terminal.tint(Tone::Bad, &line),
                Some('+') => terminal.tint(Tone::Good, &line),
                Some('@') => terminal.tint(Tone::Faint, &line),
                _ => line,
            };
            terminal.say(&format!("  {line}"));
        }
    }
}

fn json(difference: &Difference) -> Value {
    Value::map([
        ("part", Value::from(difference.part.word())),
        ("name", difference.name.as_str().into()),
        ("change", difference.turn.word().into()),
        ("before", difference.before().into()),
        ("after", difference.after().into()),
        ("diff", Value::list(lines(difference).iter().map(String::as_str))),
    ])
}

/// A difference as a unified diff, without file names.
fn lines(difference: &Difference) -> Vec<String> {
    // A last line is a line like any other.
    let text = |side: Option<&str>| {
        side.map_or(String::new(), |side| format!("{}\n", side.trim_end_matches('\n')))
    };
    let (before, after) = (text(difference.before()), text(difference.after()));
    let diff = TextDiff::from_lines(&before, &after);
    let unified = diff.unified_diff().context_radius(AROUND).to_string();
    // Of what is new or gone as a whole there is only one place.
    let whole = difference.before().is_none() || difference.after().is_none();
    let lines = unified.lines().filter(|line| !(whole && line.starts_with("@@")));
    lines.map(str::to_owned).collect()
}
