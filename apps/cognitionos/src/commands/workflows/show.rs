//! `workflows list`, `show` and `diff`: which versions there are, what they say, and how they differ.

use cog_base::Value;
use cog_embed::definitions::kept;
use cog_engine::versions::{Kept, Version};
use similar::TextDiff;

use super::{document, numbered, of_name, versions};
use crate::cli::workflows::Of;
use crate::failure::{Exit, Failure};
use crate::home::{Home, unmade};
use crate::terminal::{Terminal, Tone, plain};

/// How many lines around a changed one are shown.
const AROUND: usize = 2;

pub(super) fn list(home: &Home, terminal: &Terminal) -> anyhow::Result<Exit> {
    let versions = versions(home)?;
    let active: Vec<&Version> = versions.all().filter_map(<[Version]>::last).collect();
    if terminal.json {
        let all = active.iter().map(|version| Value::map(document(version, true)));
        terminal.emit(&Value::list(all));
        return Ok(Exit::Done);
    }
    if active.is_empty() {
        terminal.note(
            "no workflow has an active version, so that any file is run; cognitionos workflows \
             activate FILE activates one",
        );
    }
    for version in active {
        say(version, true, terminal);
    }
    Ok(Exit::Done)
}

fn say(version: &Version, is_active: bool, terminal: &Terminal) {
    let (name, domain) = (plain(&version.workflow), plain(&version.domain));
    let (number, digest) = (version.number, version.definition.short());
    let active = if is_active { terminal.tint(Tone::Good, "  active") } else { String::new() };
    terminal.say(&format!("{name}@{number}  {domain}  {digest}{active}"));
    let count = |name: &str| version.tested.get(name).and_then(Value::as_u64).unwrap_or_default();
    let line = format!(
        "  by {} at {}, entry {}; recorded runs: {} same, {} differ, {} of earlier versions, {} not \
         to be told",
        plain(&version.by),
        version.at,
        version.seq,
        count("same"),
        count("differs"),
        count("earlier"),
        count("unknown"),
    );
    terminal.say(&terminal.tint(Tone::Faint, &line));
}

pub(super) fn show(
    home: &Home,
    (workflow, of): (&str, &Of),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (name, number) = match workflow.rsplit_once('@') {
        None => (workflow, None),
        Some((name, number)) => match number.parse::<u64>() {
            Ok(number) => (name, Some(number)),
            Err(_) => {
                let message = format!("`{}` is no version", plain(number));
                return Err(Failure::advise(Exit::BadInput, message, "NAME@2, for version 2"));
            }
        },
    };
    let versions = versions(home)?;
    let all = of_name(&versions, (name, of))?;
    let active = all.last().map_or(0, |version| version.number);
    let shown = numbered(all, number.unwrap_or(active))?;
    let kept = definition(home, shown)?;
    if terminal.json {
        let one = |version: &Version| Value::map(document(version, version.number == active));
        let more = [
            ("source", Value::from(kept.source.as_str())),
            ("base", kept.base.as_str().into()),
            ("reason", kept.reason.as_deref().into()),
            ("versions", Value::list(all.iter().map(one))),
        ];
        let own = document(shown, shown.number == active);
        terminal.emit(&Value::map(own.into_iter().chain(more)));
        return Ok(Exit::Done);
    }
    for version in all.iter().filter(|it| number.is_none_or(|number| number == it.number)) {
        say(version, version.number == active, terminal);
    }
    if let Some(reason) = &kept.reason {
        terminal.say(&format!("  activated although recorded runs differ: {}", plain(reason)));
    }
    terminal.say("");
    kept.source.lines().for_each(|line| terminal.say(&plain(line)));
    Ok(Exit::Done)
}

/// What is kept of a version.
fn definition(home: &Home, version: &Version) -> anyhow::Result<Kept> {
    kept(&*home.scope()?, version).map_err(unmade)
}

pub(super) fn diff(
    home: &Home,
    named: (&str, &Of),
    (from, to): (Option<u64>, Option<u64>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let versions = versions(home)?;
    let all = of_name(&versions, named)?;
    let active = all.last().map_or(0, |version| version.number);
    let to = to.unwrap_or(active);
    let from = from.unwrap_or(to.saturating_sub(1).max(1));
    let before = definition(home, numbered(all, from)?)?;
    let after = definition(home, numbered(all, to)?)?;
    let text = |kept: &Kept| format!("{}\n", kept.source.trim_end_matches('\n'));
    let (before, after) = (text(&before), text(&after));
    let diff = TextDiff::from_lines(&before, &after);
    let diff = diff.unified_diff().context_radius(AROUND).to_string();
    if terminal.json {
        terminal.emit(&Value::map([
            ("from", Value::from(from)),
            ("to", to.into()),
            ("diff", Value::list(diff.lines())),
        ]));
        return Ok(Exit::Done);
    }
    if diff.is_empty() {
        terminal.note("no difference in the file itself");
    }
    for line in diff.lines() {
        let line = plain(line);
        terminal.say(&match line.chars().next() {
            Some('-') => terminal.tint(Tone::Bad, &line),
            Some('+') => terminal.tint(Tone::Good, &line),
            Some('@') => terminal.tint(Tone::Faint, &line),
            _ => line,
        });
    }
    Ok(Exit::Done)
}
