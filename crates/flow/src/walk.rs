//! All steps of a workflow, wherever they stand in it.

use std::collections::BTreeSet;

use crate::definition::{Block, Body, Flow, Handler, Step};
use crate::effect::Operation;

impl Flow {
    /// Every step, each before those inside it, and what undoes the run last. Runs that it begins
    /// have theirs.
    #[must_use]
    pub fn all_steps(&self) -> Vec<&Step> {
        let mut found = Vec::new();
        in_block(&self.steps, &mut found);
        self.undo.steps.iter().for_each(|block| in_block(block, &mut found));
        found
    }

    /// The models that its steps name; nothing where one is named only when the run is under way, or
    /// by a run that it begins.
    #[must_use]
    pub fn models(&self) -> Option<BTreeSet<String>> {
        let mut named = BTreeSet::new();
        for step in self.all_steps() {
            match &step.body {
                Body::Effect(call) if call.operation == Operation::ModelChat => {
                    let model = call.with.get("model").and_then(|model| model.known())?;
                    named.insert(model.as_text()?.to_owned());
                }
                Body::Run(_) => return None,
                Body::Effect(_)
                | Body::Compute(_)
                | Body::Group(_)
                | Body::Choose(_)
                | Body::Approve(_)
                | Body::Sleep(_)
                | Body::WaitFor(_)
                | Body::Checkpoint(_)
                | Body::Continue(_) => {}
            }
        }
        Some(named)
    }
}

fn in_block<'f>(block: &'f Block, found: &mut Vec<&'f Step>) {
    for step in &block.steps {
        found.push(step);
        match &step.body {
            Body::Group(inner) => in_block(inner, found),
            Body::Choose(choose) => {
                choose.plans.iter().for_each(|plan| in_block(&plan.block, found));
            }
            Body::Effect(_)
            | Body::Compute(_)
            | Body::Approve(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Checkpoint(_)
            | Body::Run(_)
            | Body::Continue(_) => {}
        }
        for handler in [&step.on_refused, &step.on_error] {
            match handler {
                Handler::Steps(inner) => in_block(inner, found),
                Handler::Fail | Handler::Continue => {}
            }
        }
        step.on_cancel.iter().for_each(|inner| in_block(inner, found));
    }
}
