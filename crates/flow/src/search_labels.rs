//! What runs are found by: names with a text each, from the workflow file and from who starts them.

use std::collections::BTreeMap;

use cog_base::json::{Json, Map};

use crate::definition::Flow;
use crate::limits::{MAX_ID_BYTES, MAX_LABEL_BYTES, MAX_LABELS};
use crate::path::is_id;

/// The labels of a run, by name.
pub type SearchLabels = BTreeMap<String, String>;

impl Flow {
    /// The labels that the file gives a run with these inputs.
    ///
    /// # Errors
    /// Why one of them comes to no text that a label can have.
    pub fn labels_of(&self, inputs: &Map) -> Result<SearchLabels, String> {
        let mut labels = SearchLabels::new();
        for (name, template) in &self.labels {
            let not = |why: &str| format!("the label `{name}` {why}");
            let text = match self.of_inputs(template, inputs) {
                Ok(Json::Text(text)) => text,
                Ok(Json::Int(number)) => number.get().to_string(),
                Ok(Json::Bool(flag)) => flag.to_string(),
                Ok(other) => return Err(not(&format!("is {}, and must be text", other.kind()))),
                Err(error) => return Err(not(&format!("cannot be told: {error}"))),
            };
            check_label(name, &text)?;
            labels.insert(name.clone(), text);
        }
        Ok(labels)
    }

    /// The same with those that who starts the run gives it. What the file says nobody says
    /// otherwise.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn labelled(&self, inputs: &Map, given: &SearchLabels) -> Result<SearchLabels, String> {
        let mut labels = self.labels_of(inputs)?;
        for (name, text) in given {
            check_label(name, text)?;
            let stands = labels.entry(name.clone()).or_insert_with(|| text.clone());
            if stands != text {
                return Err(format!(
                    "the workflow file says that the label `{name}` is `{stands}`"
                ));
            }
        }
        if labels.len() > MAX_LABELS {
            return Err(format!("a run has at most {MAX_LABELS} labels, not {}", labels.len()));
        }
        Ok(labels)
    }

    /// Those of a run that goes on from another, which had these: what the file says with the
    /// inputs of now, and the others as they were.
    ///
    /// # Errors
    /// As of [`Flow::labelled`].
    pub fn labelled_anew(
        &self,
        inputs: &Map,
        before: SearchLabels,
    ) -> Result<SearchLabels, String> {
        let mut labels = before;
        labels.extend(self.labels_of(inputs)?);
        Ok(labels)
    }
}

/// Refuse a label that no entry could have.
///
/// # Errors
/// What is wrong with it.
pub fn check_label(name: &str, text: &str) -> Result<(), String> {
    if !is_id(name) {
        return Err(format!(
            "`{name}` names no label: a-z first, then a-z, 0-9, _ and -, {MAX_ID_BYTES} at most"
        ));
    }
    if text.is_empty() || text.len() > MAX_LABEL_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "the label `{name}` must have 1 to {MAX_LABEL_BYTES} bytes, all on one line"
        ));
    }
    Ok(())
}
