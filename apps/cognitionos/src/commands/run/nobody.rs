//! Questions of a workflow that nobody could ever answer, found before it starts.

use std::collections::BTreeSet;

use cog_canon::Canon;
use cog_flow::{Approve, Block, Body, Flow, Handler, Position};

use super::file::wrong_at;

/// Refuse a workflow with an `approve` step for which the canon knows too few people, in its own
/// file or in one that it runs.
///
/// # Errors
/// Names the place, the step, whom it asks, and the role that may have been meant.
pub(super) fn check(
    flow: &Flow,
    source: &str,
    file: &str,
    canon: Option<&Canon>,
) -> anyhow::Result<()> {
    let Some(canon) = canon else { return Ok(()) };
    let mut questions = Vec::new();
    gather(&flow.steps, &mut questions);
    flow.undo.steps.iter().for_each(|block| gather(block, &mut questions));
    for (step, Approve { by, by_at, count_at, count, .. }) in questions {
        let people: BTreeSet<String> = by.iter().flat_map(|group| canon.people(group)).collect();
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
        let at = Position::of(source, *at);
        let message = format!(
            "the step `{step}` asks {count} of {}, and the canon of `{}` knows {have} such people: \
             nobody could ever approve it",
            by.join(" or "),
            canon.domain(),
        );
        return Err(wrong_at(file, (at.line, Some(at.column)), &message, &canon.whom(&groups)));
    }
    let mut children = flow.children.values();
    children.try_for_each(|child| check(&child.flow, &child.source, &child.flow.file, Some(canon)))
}

/// All questions of a block and of the blocks inside it.
fn gather<'f>(block: &'f Block, found: &mut Vec<(&'f str, &'f Approve)>) {
    for step in &block.steps {
        match &step.body {
            Body::Approve(approve) => found.push((&step.id, approve)),
            Body::Group(inner) => gather(inner, found),
            Body::Choose(choose) => {
                choose.plans.iter().for_each(|plan| gather(&plan.block, found));
            }
            Body::Effect(_)
            | Body::Compute(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Run(_) => {}
        }
        for handler in [&step.on_refused, &step.on_error] {
            match handler {
                Handler::Steps(inner) => gather(inner, found),
                Handler::Fail | Handler::Continue => {}
            }
        }
        step.on_cancel.iter().for_each(|inner| gather(inner, found));
    }
}
