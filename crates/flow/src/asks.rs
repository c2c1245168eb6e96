//! Which steps ask people, themselves or inside, and what those are shown.

use std::collections::BTreeSet;

use crate::definition::{Block, Body, Flow, Handler, Step};

impl Flow {
    /// Whether people are asked by the step, by one inside it, or by a run that it waits for.
    #[must_use]
    pub fn asks_people(&self, step: &Step) -> bool {
        let inside = match &step.body {
            Body::Approve(_) => true,
            Body::Group(block) => self.block_asks(block),
            Body::Choose(choose) => choose.plans.iter().any(|plan| self.block_asks(&plan.block)),
            Body::Run(call) => {
                let child = self.children.get(&call.workflow).filter(|_| call.wait);
                child.is_some_and(|child| child.flow.block_asks(&child.flow.steps))
            }
            Body::Effect(_)
            | Body::Compute(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Checkpoint(_)
            | Body::Continue(_) => false,
        };
        inside || [&step.on_error, &step.on_refused].into_iter().any(|it| self.handler_asks(it))
    }

    fn handler_asks(&self, handler: &Handler) -> bool {
        match handler {
            Handler::Fail | Handler::Continue => false,
            Handler::Steps(block) => self.block_asks(block),
        }
    }

    fn block_asks(&self, block: &Block) -> bool {
        block.steps.iter().any(|step| self.asks_people(step))
    }

    /// The `compute` steps of a block that a step needs which asks people: what those are shown
    /// may come from there. By their positions.
    #[must_use]
    pub fn shown_to_people(&self, block: &Block) -> BTreeSet<usize> {
        let asking = block.steps.iter().filter(|step| self.asks_people(step));
        let mut left: Vec<&String> = asking.flat_map(|step| &step.needs).collect();
        let (mut seen, mut shown) = (BTreeSet::new(), BTreeSet::new());
        while let Some(id) = left.pop() {
            let Some(position) = block.index.get(id).copied() else { continue };
            let Some(step) = block.steps.get(position).filter(|_| seen.insert(position)) else {
                continue;
            };
            left.extend(&step.needs);
            if matches!(step.body, Body::Compute(_)) && step.foreach.is_none() {
                shown.insert(position);
            }
        }
        shown
    }
}
