//! The classes of data that a file names.

use crate::definition::{Block, Body, Flow, Handler, Label, Step};

impl Flow {
    /// Every label of its inputs and steps: what is labelled, and with what.
    #[must_use]
    pub fn labels(&self) -> Vec<(String, &Label)> {
        let inputs = self.inputs.iter();
        let inputs = inputs.filter_map(|(name, spec)| Some((name, spec.label.as_ref()?)));
        let mut found: Vec<_> =
            inputs.map(|(name, label)| (format!("input `{name}`"), label)).collect();
        in_block(&self.steps, &mut found);
        self.undo.steps.iter().for_each(|block| in_block(block, &mut found));
        found
    }
}

fn in_block<'f>(block: &'f Block, found: &mut Vec<(String, &'f Label)>) {
    block.steps.iter().for_each(|step| in_step(step, found));
}

fn in_step<'f>(step: &'f Step, found: &mut Vec<(String, &'f Label)>) {
    found.extend(step.label.iter().map(|label| (format!("step `{}`", step.id), label)));
    match &step.body {
        Body::Group(inner) => in_block(inner, found),
        Body::Choose(choose) => choose.plans.iter().for_each(|plan| in_block(&plan.block, found)),
        Body::Effect(_)
        | Body::Compute(_)
        | Body::Approve(_)
        | Body::Sleep(_)
        | Body::WaitFor(_)
        | Body::Run(_) => {}
    }
    for handler in [&step.on_refused, &step.on_error] {
        match handler {
            Handler::Steps(inner) => in_block(inner, found),
            Handler::Fail | Handler::Continue => {}
        }
    }
    step.on_cancel.iter().for_each(|inner| in_block(inner, found));
}
