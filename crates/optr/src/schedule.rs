//! How long a plan takes: the longest path through its steps.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::plan::StepEstimate;

/// A step while the plan is walked.
struct Node<'a> {
    step: &'a StepEstimate,
    /// How many of its needs have not ended.
    open_needs: usize,
    /// When the last of its needs ends, in milliseconds from the start of the plan.
    start_ms: u64,
    /// The steps that need this one.
    dependents: Vec<&'a str>,
}

/// The milliseconds from the start of the first step to the end of the last, with every
/// step begun as soon as its needs have ended.
pub(crate) fn critical_path_ms(steps: &[StepEstimate]) -> Result<u64, Fault> {
    let mut nodes = graph(steps)?;
    let mut ready: Vec<&str> =
        steps.iter().filter(|step| step.needs.is_empty()).map(|step| step.id.as_str()).collect();
    let (mut ended, mut end_ms) = (0, 0);
    while let Some(id) = ready.pop() {
        let Some(node) = nodes.get_mut(id) else { continue };
        let finish = node.start_ms.checked_add(node.step.latency_ms);
        let finish = finish.ok_or(Fault::Overflow { what: "expected duration" })?;
        for dependent in std::mem::take(&mut node.dependents) {
            let Some(waiting) = nodes.get_mut(dependent) else { continue };
            waiting.start_ms = waiting.start_ms.max(finish);
            waiting.open_needs = waiting.open_needs.saturating_sub(1);
            if waiting.open_needs == 0 {
                ready.push(dependent);
            }
        }
        ended += 1;
        end_ms = finish.max(end_ms);
    }
    if ended == steps.len() { Ok(end_ms) } else { Err(Fault::Cycle) }
}

fn graph(steps: &[StepEstimate]) -> Result<BTreeMap<&str, Node<'_>>, Fault> {
    let mut nodes = BTreeMap::new();
    for step in steps {
        let node = Node { step, open_needs: step.needs.len(), start_ms: 0, dependents: Vec::new() };
        if nodes.insert(step.id.as_str(), node).is_some() {
            return Err(Fault::DuplicateStep { step: step.id.clone() });
        }
    }
    for step in steps {
        for need in &step.needs {
            let needed = nodes
                .get_mut(need.as_str())
                .ok_or_else(|| Fault::UnknownNeed { step: step.id.clone(), need: need.clone() })?;
            needed.dependents.push(&step.id);
        }
    }
    Ok(nodes)
}
