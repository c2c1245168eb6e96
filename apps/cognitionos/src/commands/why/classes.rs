//! The class of what an effect was handed, in words.

use cog_base::{Sources, Value};

use crate::terminal::plain;

/// What the record of a decision says of its data; nothing where the canon declared no classes.
pub(super) fn of_record(body: &Value) -> Vec<String> {
    let intent = body.get("intent");
    let class = intent.and_then(|intent| intent.get("data_class")?.as_text());
    let Some(class) = class.map(plain) else { return Vec::new() };
    let from = intent.and_then(|intent| Sources::from_value(intent.get("data_from")?));
    let from = from.unwrap_or_default();
    if from.is_none() {
        return vec![format!("  its data is {class}: it was written as it is")];
    }
    let lines = from.iter().map(|(source, step)| {
        let source = source.to_string();
        let words = match source.split_once(':').unwrap_or((&source, "")) {
            ("people", _) => format!("what people answered in the step {step}"),
            ("labelled", class) => format!("what {step} says is {class}"),
            ("lowered", class) => format!("what a rule took for {class} in the step {step}"),
            ("input", name) => format!("the input {name}"),
            (kind, name) => format!("the {kind} {name}, by the step {step}"),
        };
        format!("    from {}", plain(&words))
    });
    std::iter::once(format!("  its data is {class}")).chain(lines).collect()
}
