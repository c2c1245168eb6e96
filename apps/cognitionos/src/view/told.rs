//! What an effect would do or did, in words: for those who are asked to agree, and for `why`.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::{Json, Map};
use cog_base::words::{lasting, minor};

use crate::terminal::plain;

/// The longest text that is shown whole, in characters.
const TEXT_CHARS_MAX: usize = 2_000;
/// The most lines that are shown of one record.
const LINES_MAX: usize = 400;

/// What production is called, unless it is called otherwise.
pub(crate) const PRODUCTION: &str = "production";

/// What an action is, as somebody would say it.
pub(crate) fn deed(action: &str, resource: &str) -> String {
    let verb = match action {
        "file.read" => "read a file in",
        "file.write" => "write a file into",
        "file.delete" => "delete a file in",
        "http.request" => "send a request to",
        "process.run" => "run the program",
        "model.chat" => "ask the model",
        "session.accept" => "take in a completion from",
        "approve" => "go past the step",
        "run.cancel" => "end the run",
        "run.pause" => "hold the run",
        "run.unpause" => "let go on the run",
        "run.start" => "start a run of",
        "approval.answer" => "answer",
        "canon.propose" => "put forward the canon",
        "canon.approve" => "approve",
        "canon.reject" => "reject",
        "canon.activate" => "activate",
        "ledger.rotate" => "rotate the key of",
        "ledger.erase" => "erase from",
        "ledger.prune" => "prune",
        "schedule.change" => "change the schedule",
        "schedule.fire" => "start a run by the schedule",
        "workflow.activate" => "activate a version of",
        other => other,
    };
    let name = resource.split_once("::").map_or(resource, |(_, name)| name);
    plain(&format!("{verb} {}", name.replace('"', "`")))
}

/// The name of an environment, and whether effects are the real ones there.
pub(crate) fn environment(name: &str, is_production: bool) -> String {
    let marked = is_production && name != PRODUCTION;
    format!("{}{}", plain(name), if marked { ", production" } else { "" })
}

/// The command that sends a run the signal `name`.
pub(crate) fn send(run: RunId, name: &str) -> String {
    format!("cognitionos signal {run} {} --id ID --payload JSON", plain(name))
}

/// The command that lets a run go on.
pub(crate) fn unpause(run: RunId) -> String {
    format!("cognitionos unpause {run} --reason TEXT")
}

/// The root that an effect is in and the folder that it stands in, from the record of its
/// decision.
pub(crate) fn standing(body: &Value) -> Option<(String, String)> {
    let root = body.at(&["intent", "context", "args", "root"])?.as_text()?;
    let folder = body.at(&["snapshot", "folder", "path"])?.as_text()?;
    Some((root.to_owned(), folder.to_owned()))
}

/// Where a root stands, in words.
pub(crate) fn stands(root: &str, folder: &str) -> String {
    format!("in the folder {} (root `{}`)", plain(folder), plain(root))
}

/// The arguments of an effect, or any other record, with one line for each value, named by its
/// place: `document.invoice.amount_cents: 1248000 (12480.00)`.
pub(crate) fn lines(record: &Map) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in record {
        below(&plain(name), value, &mut lines);
    }
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("… and {more} more; --json shows all"));
    }
    lines
}

fn below(place: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Json::Map(members) if !members.is_empty() => {
            for (name, value) in members {
                below(&format!("{place}.{}", plain(name)), value, lines);
            }
        }
        Json::List(items) if items.iter().any(|item| item.as_map().is_some()) => {
            for (index, item) in items.iter().enumerate() {
                below(&format!("{place}[{index}]"), item, lines);
            }
        }
        Json::Null
        | Json::Bool(_)
        | Json::Int(_)
        | Json::Float(_)
        | Json::Text(_)
        | Json::List(_)
        | Json::Map(_) => lines.push(format!("{place}: {}", worded(place, value))),
    }
}

/// A value, with what it means where its name tells.
fn worded(place: &str, value: &Value) -> String {
    let Some(number) = value.as_int() else { return whole(value) };
    let named = |ending: &str| place.ends_with(ending);
    if named("_cents") || named("amount_minor") {
        return minor(number.into());
    }
    if named("_ms")
        && let Ok(ms) = u64::try_from(number)
    {
        return lasting(ms);
    }
    if named("_micros")
        && let Ok(micros) = u64::try_from(number)
    {
        return cog_base::Micros::new(micros).to_string();
    }
    number.to_string()
}

/// A value on one line; only what is very long is cut, and says so.
fn whole(value: &Value) -> String {
    let text = value.as_text().map_or_else(|| value.to_string(), str::to_owned);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let count = text.chars().count();
    if count <= TEXT_CHARS_MAX {
        return plain(&text);
    }
    let head: String = text.chars().take(TEXT_CHARS_MAX).collect();
    format!("{}… ({} more characters; --json shows all)", plain(&head), count - TEXT_CHARS_MAX)
}

/// A sentence about a workflow file with its places as editors take them:
/// `(line 6, column 44)` is `(workflow.yaml:6:44)`.
pub(crate) fn placed(text: &str, file: Option<&str>) -> String {
    const MARKS: (&str, &str) = ("(line ", ", column ");
    let Some(file) = file else { return text.to_owned() };
    let place = text.split_once(MARKS.0).and_then(|(before, rest)| {
        let (inside, after) = rest.split_once(')')?;
        let (line, column) = inside.split_once(MARKS.1)?;
        let numbers = [line, column].iter().all(|it| it.parse::<u32>().is_ok());
        numbers.then(|| format!("{before}({file}:{line}:{column}){after}"))
    });
    place.unwrap_or_else(|| text.to_owned())
}

/// A sentence of the record with its lengths of time in words: `86400000 ms` is `1 day`.
pub(crate) fn timed(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" ms") {
        let (before, after) = rest.split_at(at);
        let digits = before.chars().rev().take_while(char::is_ascii_digit).count();
        let (head, number) = before.split_at(before.len() - digits);
        let after = after.get(" ms".len()..).unwrap_or_default();
        let is_word = !after.starts_with(|c: char| c.is_alphanumeric());
        told.push_str(head);
        match number.parse().ok().filter(|_| is_word) {
            Some(ms) => told.push_str(&lasting(ms)),
            None => told.extend([number, " ms"]),
        }
        rest = after;
    }
    told + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_line_by_line() {
        let record = cog_base::json::parse(
            r#"{"document":{"amount_cents":-1248005,"iban":"","lines":[{"a":1},{"a":2}]},"mode":"create","path":"a\nb","tags":["x","y"],"timeout_ms":90000}"#,
        );
        let record = record.ok().and_then(|it| it.as_map().cloned()).unwrap_or_default();
        assert_eq!(
            lines(&record),
            [
                "document.amount_cents: -1248005 (-12480.05)",
                "document.iban: (empty)",
                "document.lines[0].a: 1",
                "document.lines[1].a: 2",
                "mode: create",
                "path: a\\nb",
                r#"tags: ["x","y"]"#,
                "timeout_ms: 1 minute 30 seconds",
            ]
        );
    }

    #[test]
    fn what_is_long_is_not_cut_in_silence() {
        let long = Map::from([("text".to_owned(), Value::from("é".repeat(2_001)))]);
        let told = lines(&long);
        assert!(told.iter().all(|line| line.ends_with("… (1 more characters; --json shows all)")));
    }

    #[test]
    fn places_are_told_with_their_file() {
        let text = "could not evaluate `a` (line 6, column 44): there is no `z`";
        let expected = "could not evaluate `a` (w.yaml:6:44): there is no `z`";
        assert_eq!(placed(text, Some("w.yaml")), expected);
        assert_eq!(placed(text, None), text);
        for other in ["(line up, column b)", "(line 1", "no place", ""] {
            assert_eq!(placed(other, Some("w.yaml")), other);
        }
    }

    #[test]
    fn times_in_sentences_are_told_in_words() {
        for (text, expected) in [
            (
                "expected duration 172800000 ms; the deadline is 3600000 ms",
                "expected duration 2 days; the deadline is 1 hour",
            ),
            ("no ms here, 12 msgs, ms", "no ms here, 12 msgs, ms"),
            ("5 ms", "5 ms"),
            ("", ""),
        ] {
            assert_eq!(timed(text), expected);
        }
    }
}
