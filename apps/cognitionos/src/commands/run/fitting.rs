//! Whether a workflow fits the canon, found before it starts: questions that nobody could ever answer,
//! and classes of data that there are not.

use std::collections::BTreeSet;

use cog_canon::Canon;
use cog_flow::{Approve, Body, Escalate, Flow, Position};

use super::file::wrong_at;

/// A workflow file as it is told of.
#[derive(Clone, Copy)]
struct File<'f> {
    flow: &'f Flow,
    source: &'f str,
    name: &'f str,
}

/// Refuse a workflow that does not fit the canon, by its own file or one that it runs.
///
/// # Errors
/// Names the place, what is wrong there, and what may have been meant.
pub(super) fn check(
    flow: &Flow,
    source: &str,
    name: &str,
    canon: Option<&Canon>,
) -> anyhow::Result<()> {
    let Some(canon) = canon else { return Ok(()) };
    let file = File { flow, source, name };
    file.people(canon)?;
    // One that another canon governs may name other classes.
    if flow.domain == canon.domain() {
        file.classes(canon)?;
    }
    let mut children = flow.children.values();
    children.try_for_each(|child| check(&child.flow, &child.source, &child.flow.file, Some(canon)))
}

impl File<'_> {
    fn wrong(&self, at: usize, message: &str, hint: &str) -> anyhow::Error {
        let at = Position::of(self.source, at);
        wrong_at(self.name, (at.line, Some(at.column)), message, hint)
    }

    /// Refuse an `approve` step for which the canon knows too few people.
    fn people(&self, canon: &Canon) -> anyhow::Result<()> {
        for step in self.flow.all_steps() {
            let Body::Approve(Approve { by, by_at, count_at, count, escalate, .. }) = &step.body
            else {
                continue;
            };
            self.later(&step.id, escalate.as_ref(), canon)?;
            let people: BTreeSet<String> =
                by.iter().flat_map(|group| canon.people(group)).collect();
            let have = people.len();
            if have as u64 >= u64::from(*count) {
                continue;
            }
            // A name that means nobody is likely a misspelt one: that is the place to look at.
            let nobody = by.iter().zip(by_at).find(|(group, _)| canon.people(group).is_empty());
            let (groups, at) = match nobody {
                Some((group, at)) => (vec![group.clone()], at),
                None => (by.clone(), count_at),
            };
            let message = format!(
                "the step `{}` asks {count} of {}, and the canon of `{}` knows {have} such people: \
                 nobody could ever approve it",
                step.id,
                by.join(" or "),
                canon.domain(),
            );
            return Err(self.wrong(*at, &message, &canon.whom(&groups)));
        }
        Ok(())
    }

    /// Refuse to have somebody answer later whom the canon does not know.
    fn later(&self, step: &str, later: Option<&Escalate>, canon: &Canon) -> anyhow::Result<()> {
        let named = later.into_iter().flat_map(|later| later.to.iter().zip(&later.to_at));
        for (group, at) in named {
            if canon.people(group).is_empty() {
                let domain = canon.domain();
                let message = format!(
                    "the step `{step}` lets {group} answer later, which is nobody in the canon of `{domain}`"
                );
                return Err(self.wrong(*at, &message, &canon.whom(std::slice::from_ref(group))));
            }
        }
        Ok(())
    }

    /// Refuse a class of data that there is not. A canon without classes lets any be named: they mean
    /// nothing there.
    fn classes(&self, canon: &Canon) -> anyhow::Result<()> {
        let Some(rules) = &canon.settings().data else { return Ok(()) };
        for (what, label) in self.flow.labels() {
            let Err((why, hint)) = rules.known(&label.class) else { continue };
            let message = format!("the {what}: {why} in the canon of `{}`", canon.domain());
            return Err(self.wrong(label.at, &message, &hint));
        }
        Ok(())
    }
}
