//! What is given on the command line, read; or told what to write in its place.

use std::io::Read as _;
use std::path::Path;

use cog_base::id::{Given, RunId};
use cog_base::{Clock as _, Timestamp};
use cog_flow::{SearchLabels, check_label};
use cog_gate::Actor;

use verify::open_file;

use crate::failure::{Exit, Failure};
use crate::system::SystemClock;

/// Where runs are listed.
pub(crate) const RUNS: &str = "cognitionos ledger list --kind session.started";

/// Somebody who acts.
pub(crate) fn actor(text: &str) -> anyhow::Result<Actor> {
    text.parse().map_err(|error| {
        let user = format!("user:{text}");
        let meant = user.parse::<Actor>().map_or("user:NAME".to_owned(), |user| user.to_string());
        Failure::advise(Exit::BadInput, error, format!("--as {meant}"))
    })
}

/// An id, in its own form or as a UUID, of which there is a list by the command `listed`.
pub(crate) fn id<T>(text: &str, listed: &str) -> anyhow::Result<T>
where
    T: Given,
{
    T::given(text).map_err(|error| {
        let whole = if is_cut(text) { "; ids are given whole" } else { "" };
        Failure::advise(Exit::BadInput, format!("{error}{whole}"), listed)
    })
}

/// A run.
pub(crate) fn run(text: &str) -> anyhow::Result<RunId> {
    id(text, RUNS)
}

/// What a file is called that `-` or a path names: `-` is standard input.
pub(crate) fn name(file: &Path) -> String {
    if file == Path::new("-") { "<stdin>".to_owned() } else { file.display().to_string() }
}

/// What runs are found by: each name once.
pub(crate) fn labels(given: &[String]) -> anyhow::Result<SearchLabels> {
    let mut labels = SearchLabels::new();
    for label in given {
        let bad = |why: String| Failure::advise(Exit::BadInput, why, "--label NAME=VALUE");
        let (name, text) =
            label.split_once('=').ok_or_else(|| bad(format!("`--label {label}` has no value")))?;
        check_label(name, text).map_err(bad)?;
        if labels.insert(name.to_owned(), text.to_owned()).is_some() {
            return Err(bad(format!("the label `{name}` is given twice")));
        }
    }
    Ok(labels)
}

/// The longest that a run may be put off, in milliseconds: 366 days.
const PUT_OFF_MS_MAX: u64 = 366 * 86_400_000;

/// A time to come: as entries write it, or so long from now.
pub(crate) fn time(text: &str) -> anyhow::Result<Timestamp> {
    let now = SystemClock.now();
    let at = whole(text).or_else(|| Some(now.plus_ms(span_ms(text)?)));
    let at = at.filter(|at| at.ms_since(now) <= PUT_OFF_MS_MAX);
    at.ok_or_else(|| {
        let message = format!("`{text}` is no time within 366 days from now");
        let advice = "--not-before 2026-11-21T08:00:00Z, or from now: 90s, 15m, 4h, 2d";
        Failure::advise(Exit::BadInput, message, advice)
    })
}

/// A time that is over: as entries write it, or so long ago.
pub(crate) fn past(text: &str) -> anyhow::Result<Timestamp> {
    let micros = |ms: u64| i64::try_from(ms).ok()?.checked_mul(1_000);
    let now = SystemClock.now().micros();
    let ago = || Some(Timestamp::from_micros(now.checked_sub(micros(span_ms(text)?)?)?));
    whole(text).or_else(ago).ok_or_else(|| {
        let message = format!("`{text}` is no time");
        let advice = "2026-11-21T08:00:00Z, or so long ago: 90s, 15m, 4h, 2d";
        Failure::advise(Exit::BadInput, message, advice)
    })
}

/// A time in UTC, with or without microseconds.
fn whole(text: &str) -> Option<Timestamp> {
    let short = text.strip_suffix('Z').filter(|rest| !rest.contains('.'));
    text.parse().ok().or_else(|| short.and_then(|rest| format!("{rest}.000000Z").parse().ok()))
}

/// The milliseconds of `90s`, `15m`, `4h` or `2d`.
fn span_ms(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    number.checked_mul(unit)
}

/// The bytes of a file, and of nothing that only looks like one.
pub(crate) fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it looks like an id of which a part is missing: `run_01m7`, `dny_01j…`.
pub(crate) fn is_cut(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('_') else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '…' | '.');
    prefix.len() == 3 && rest.chars().count() < ID_CHARS && rest.chars().all(letter)
}

/// How many characters of an id follow its prefix.
const ID_CHARS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_cut_is_known() {
        for (text, cut) in [
            ("run_01m7", true),
            ("dny_01j…", true),
            ("dny_", true),
            ("run_01m7yb4qxbf438zjd8206fmvk4", false),
            ("nothing", false),
            ("12", false),
            ("file_name.txt", false),
        ] {
            assert_eq!(is_cut(text), cut, "{text}");
        }
    }

    #[test]
    fn a_name_alone_is_taken_for_a_user() {
        for (text, expected) in [("cfo", "--as user:cfo"), ("a b", "--as user:NAME")] {
            let error = actor(text).unwrap_err();
            assert_eq!(error.downcast_ref::<Failure>().unwrap().advice.as_deref(), Some(expected));
        }
    }
}
