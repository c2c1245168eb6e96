//! The check of data classes: nothing is handed what the canon does not let it have. It is made
//! where the canon declares classes, and only there.

use cog_canon::{DataRules, Settings};

use super::checks::{check, seen};
use super::{Check, CheckName, Fact, Seen};
use crate::intent::Intent;

pub(super) fn data(intent: &Intent, settings: Option<&Settings>) -> Option<Check> {
    let rules = settings?.data.as_ref()?;
    let Some(class) = intent.class() else {
        return Some(check(CheckName::Data, false, ["data.unclassed"; 2], Seen::Nothing));
    };
    let over = receivers(intent).into_iter().find(|it| !admits(rules, it, class));
    let Some((kind, name)) = over else {
        let read = seen([("class", class.into())]);
        return Some(check(CheckName::Data, true, ["data.within"; 2], read));
    };
    let code = match kind {
        "Root" => "data.above_root",
        "Host" => "data.above_host",
        "Program" => "data.above_program",
        _ => "data.above_model",
    };
    let high = intent.sources().into_iter().flat_map(|sources| sources.iter());
    let high = high.filter(|(source, _)| rules.rank(rules.class_from(source)) >= rules.rank(class));
    let from = high.map(|(source, step)| format!("{source} by {step}")).collect();
    let read = seen([
        ("class", class.into()),
        ("class_max", rules.class_max(kind, name).into()),
        ("from", Fact::Texts(from)),
        ("name", name.into()),
        ("type", kind.into()),
    ]);
    Some(check(CheckName::Data, false, [code, code], read))
}

/// Whether a place may be handed data of a class.
pub(crate) fn admits(rules: &DataRules, (kind, name): &(&str, &str), class: &str) -> bool {
    rules.rank(rules.class_max(kind, name)) >= rules.rank(class)
}

/// Who gets what an effect is handed. What is read or deleted stays what it was.
pub(crate) fn receivers(intent: &Intent) -> Vec<(&str, &str)> {
    let resource = intent.resource();
    let own = match resource.0 {
        "Root" => intent.action() == "file.write",
        // Who said that a session ended is handed nothing.
        "Source" => false,
        _ => true,
    };
    // A program may leave behind what it was handed in the folder that it works in.
    let folder = intent.root().filter(|_| resource.0 == "Program").map(|root| ("Root", root));
    own.then_some(resource).into_iter().chain(folder).collect()
}
