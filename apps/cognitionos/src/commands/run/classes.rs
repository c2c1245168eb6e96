//! Classes of data in a workflow that the canon does not declare, found before it starts.

use cog_canon::Canon;
use cog_flow::{Flow, Position};

use crate::failure::{Exit, Failure};

/// Refuse a workflow that names a class of data that there is not, in its own file or in one that it
/// runs. One that a canon without classes governs may name any: they mean nothing there.
///
/// # Errors
/// Names the place, what is labelled, and the class that may have been meant.
pub(super) fn check(
    flow: &Flow,
    source: &str,
    file: &str,
    canon: Option<&Canon>,
) -> anyhow::Result<()> {
    let Some(canon) = canon else { return Ok(()) };
    let Some(rules) = &canon.settings().data else { return Ok(()) };
    let unknown = flow.labels().into_iter().find_map(|(what, label)| {
        let (why, hint) = rules.known(&label.class).err()?;
        Some((what, label.at, why, hint))
    });
    if let Some((what, at, why, hint)) = unknown {
        let Position { line, column } = Position::of(source, at);
        let domain = canon.domain();
        let message =
            format!("{file}:{line}:{column}: the {what}: {why} in the canon of `{domain}`");
        return Err(Failure::advise(Exit::BadInput, message, hint));
    }
    let mut children = flow.children.values().filter(|child| child.flow.domain == canon.domain());
    children.try_for_each(|child| check(&child.flow, &child.source, &child.flow.file, Some(canon)))
}
