//! The classes of data that a file names.

use crate::definition::{Flow, Label};

impl Flow {
    /// Every label of its inputs and steps: what is labelled, and with what.
    #[must_use]
    pub fn labels(&self) -> Vec<(String, &Label)> {
        let inputs = self.inputs.iter();
        let inputs = inputs.filter_map(|(name, spec)| Some((name, spec.label.as_ref()?)));
        let inputs = inputs.map(|(name, label)| (format!("input `{name}`"), label));
        let steps = self.all_steps().into_iter();
        let steps = steps.filter_map(|step| Some((&step.id, step.label.as_ref()?)));
        inputs.chain(steps.map(|(id, label)| (format!("step `{id}`"), label))).collect()
    }
}
